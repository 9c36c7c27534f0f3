//! The configured senders of webhooks, from the `WEBHOOK_SOURCES` JSON.
//!
//! ```json
//! {"stripe": {"scheme": "stripe", "secrets": ["whsec_new…", "whsec_old…"],
//!             "forwardUrl": "https://app.example/hooks", "forwardSecret": "whsec_BASE64", "toleranceSeconds": 300}}
//! ```
//!
//! It fails closed: one wrong field refuses the whole configuration, so that a typing error cannot leave a source
//! unverified. Errors name the source and the field, and never hold a value.

mod error;
mod object_entries;
mod parse;
mod scheme;
mod secret;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use url::Url;

pub use error::{Problem, SourcesError};
pub use scheme::Scheme;
pub(super) use secret::Key;
pub use secret::Secret;

/// The most active secrets that a source may have: a rotation needs two, and each costs one HMAC over the body of every
/// request.
pub const MAX_SECRETS: usize = 8;

/// The most topics that a source may list.
pub const MAX_TOPICS: usize = 200;

/// The replay window where `toleranceSeconds` is not set: 300 s, as Standard Webhooks, Stripe and Slack recommend.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_mins(5);

/// A configured sender.
pub struct Source {
    /// The source's name in the path `/webhooks/{source}`.
    pub name: String,
    /// The scheme by which the sender signs.
    pub scheme: Scheme,
    /// The active secrets, 1 to [`MAX_SECRETS`]. A signature by any of them is accepted.
    pub secrets: Vec<Secret>,
    /// The topics that may come in the scheme's [`topic_header`](Scheme::topic_header); `None` if any may. Shopify's
    /// sources always have a list.
    pub topics: Option<BTreeSet<String>>,
    /// The URL that events are forwarded to: `https`, or `http` to this machine. `None` if they are not forwarded.
    ///
    /// The configuration is trusted, but name resolution is not: whoever sends to it must refuse private and link-local
    /// addresses after resolving the host, and must not follow redirects.
    pub forward_url: Option<Url>,
    /// The secret that forwarded events are signed with, in Standard Webhooks' form. Without it they are signed with
    /// each of the source's own HMAC secrets, so that a rotation carries over to the receiver.
    pub forward_secret: Option<Secret>,
    /// How far the signed time may be from now, in the past or the future. It has no effect for GitHub and Shopify,
    /// which sign no time.
    pub tolerance: Duration,
}

impl Source {
    /// The HMAC keys that forwarded events are signed with.
    pub(super) fn signing_keys(&self) -> impl Iterator<Item = &[u8]> {
        let own = if self.forward_secret.is_some() { &[] } else { self.secrets.as_slice() };
        self.forward_secret.iter().chain(own).filter_map(|secret| match &secret.0 {
            Key::Hmac(key) => Some(key.as_slice()),
            Key::Ed25519(_) => None,
        })
    }
}

/// Leaves out the secrets, and the URL, whose path or query may hold one.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// All configured senders, by name.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<String, Source>);

impl Sources {
    /// The source of that name, if one is configured.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Source> {
        self.0.get(name)
    }

    /// All sources, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests;
