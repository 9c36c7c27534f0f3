//! The configured senders of webhooks: the `WEBHOOK_SOURCES` JSON, checked once.
//!
//! ```json
//! {"stripe": {"scheme": "stripe", "secrets": ["whsec_new", "whsec_old"],
//!             "forwardUrl": "https://app.example/hooks", "forwardSecret": "whsec_BASE64", "toleranceSeconds": 300}}
//! ```
//!
//! It fails closed: one wrong field refuses the whole configuration, so that a typing error cannot leave
//! a source without its check. Errors name the source and the field and never hold a value.

mod error;

use std::{collections::BTreeMap, fmt, time::Duration};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::VerifyingKey;
use serde_json::value::RawValue;
use serde_json::{Value, from_str};
use url::{Host, Url};

use super::members::Members;
use crate::alerts::SourceName;
pub use error::{Problem, SourcesError};

/// Active secrets of a source, at most: two during a rotation, with room to spare. Each costs one HMAC over
/// the body of every request.
pub const MAX_SECRETS: usize = 8;

/// The replay window when `toleranceSeconds` is not given: 300 s, as Standard Webhooks, Stripe and Slack say.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_mins(5);

/// The widest replay window that may be configured, in seconds: one day.
const MAX_TOLERANCE_SECONDS: u64 = 86_400;

/// As the senders' own clients do, with or without the padding.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const FIELDS: [&str; 5] = ["scheme", "secrets", "forwardUrl", "forwardSecret", "toleranceSeconds"];

/// Bytes of a secret that forwarded events are signed with, at least, as Standard Webhooks asks.
const MIN_SIGNING_KEY: usize = 24;

/// How a sender signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks), HMAC-SHA256 or ed25519.
    Standard,
    /// [Stripe](https://docs.stripe.com/webhooks#verify-manually).
    Stripe,
    /// [GitHub](https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries).
    Github,
    /// [Shopify](https://shopify.dev/docs/apps/build/webhooks/subscribe/https).
    Shopify,
    /// [Slack](https://docs.slack.dev/authentication/verifying-requests-from-slack).
    Slack,
}

impl Scheme {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "standard" => Self::Standard,
            "stripe" => Self::Stripe,
            "github" => Self::Github,
            "shopify" => Self::Shopify,
            "slack" => Self::Slack,
            _ => return None,
        })
    }
}

/// A key that proves a sender. It has no `Debug`, no `Display` and no accessor outside the webhook module:
///
/// ```compile_fail
/// fn shows<T: std::fmt::Debug>() {}
/// shows::<shared::webhook::source::Secret>();
/// ```
pub struct Secret(pub(super) Key);

pub(super) enum Key {
    /// The bytes of an HMAC-SHA256 key, never empty.
    Hmac(Vec<u8>),
    /// A sender's public key, never of small order (with such a key anybody can sign).
    Ed25519(VerifyingKey),
}

/// One configured sender.
pub struct Source {
    /// Its name in the path `/webhooks/{source}`.
    pub name: String,
    /// How it signs.
    pub scheme: Scheme,
    /// Its active secrets, 1 to [`MAX_SECRETS`]; a signature by any of them is accepted.
    pub secrets: Vec<Secret>,
    /// Where its events are forwarded: `https`, or `http` to this machine.
    ///
    /// The configuration is trusted, name resolution is not: whoever sends must still refuse private and
    /// link-local addresses after it has resolved the host, and follow no redirect.
    pub forward_url: Option<Url>,
    /// What forwarded events are signed with, in Standard Webhooks' form; without it they are signed with each of
    /// the source's own HMAC secrets, so that a rotation carries over.
    pub forward_secret: Option<Secret>,
    /// How far the signed time may lie from now, either way. GitHub and Shopify sign no time: no effect there.
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

/// Without the secrets, and without the URL, whose path or query may be one.
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
    /// Reads the `WEBHOOK_SOURCES` JSON.
    pub fn parse(json: &str) -> Result<Self, SourcesError> {
        let entries: Members<&RawValue> =
            from_str(json).map_err(|_| SourcesError::whole(Problem::NotAnObject))?;
        let mut sources = BTreeMap::new();
        for (position, (name, raw)) in entries.0.into_iter().enumerate() {
            if SourceName::parse(&name).is_none() {
                return Err(SourcesError::whole(Problem::BadName { position: position + 1 }));
            }
            let source = read_source(&name, raw).map_err(|(field, problem)| SourcesError {
                name: Some(name.clone()),
                field,
                problem,
            })?;
            if sources.insert(name.clone(), source).is_some() {
                return Err(SourcesError { name: Some(name), field: None, problem: Problem::Repeated });
            }
        }
        Ok(Self(sources))
    }

    /// The source of that name, if it is configured.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Source> {
        self.0.get(name)
    }

    /// All sources, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.values()
    }
}

/// The field and what is wrong with it; no field when the source as a whole is wrong.
type Fault = (Option<String>, Problem);

fn at(field: &str, problem: Problem) -> Fault {
    (Some(field.to_owned()), problem)
}

fn read_source(name: &str, raw: &RawValue) -> Result<Source, Fault> {
    let Members(members) = from_str::<Members<Value>>(raw.get()).map_err(|_| (None, Problem::NotAnObject))?;
    let mut fields: BTreeMap<&str, &Value> = BTreeMap::new();
    for (field, value) in &members {
        if !FIELDS.contains(&field.as_str()) {
            return Err((Some(printable(field)), Problem::Unknown));
        }
        if fields.insert(field, value).is_some() {
            return Err(at(field, Problem::Repeated));
        }
    }
    let scheme = read_scheme(fields.get("scheme").copied()).map_err(|problem| at("scheme", problem))?;
    let field = |name: &str| fields.get(name).copied();
    let source = Source {
        name: name.to_owned(),
        scheme,
        secrets: read_secrets(field("secrets"), scheme)?,
        forward_url: field("forwardUrl")
            .map(read_forward_url)
            .transpose()
            .map_err(|problem| at("forwardUrl", problem))?,
        forward_secret: field("forwardSecret")
            .map(read_forward_secret)
            .transpose()
            .map_err(|problem| at("forwardSecret", problem))?,
        tolerance: field("toleranceSeconds")
            .map_or(Ok(DEFAULT_TOLERANCE), read_tolerance)
            .map_err(|problem| at("toleranceSeconds", problem))?,
    };
    if source.forward_url.is_some() && source.signing_keys().next().is_none() {
        return Err(at("forwardSecret", Problem::CannotSign));
    }
    Ok(source)
}

/// The name of an unknown field helps to find a typing error; a secret in the wrong place must not show.
fn printable(field: &str) -> String {
    let is_word = field.len() <= 32 && field.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    if is_word { field.to_owned() } else { "…".to_owned() }
}

fn read_scheme(value: Option<&Value>) -> Result<Scheme, Problem> {
    let name = value.ok_or(Problem::Missing)?.as_str().ok_or(Problem::NotAScheme)?;
    Scheme::from_name(name).ok_or(Problem::NotAScheme)
}

fn read_secrets(value: Option<&Value>, scheme: Scheme) -> Result<Vec<Secret>, Fault> {
    let list = value.ok_or_else(|| at("secrets", Problem::Missing))?;
    let list = list.as_array().filter(|list| (1..=MAX_SECRETS).contains(&list.len()));
    let read = |(index, value): (usize, &Value)| {
        read_secret(value, scheme).map_err(|problem| at(&format!("secrets[{index}]"), problem))
    };
    list.ok_or_else(|| at("secrets", Problem::NotAList))?.iter().enumerate().map(read).collect()
}

/// Standard Webhooks encodes its keys in base64; everybody else signs with the text of the secret itself,
/// Stripe's `whsec_` included.
fn read_secret(value: &Value, scheme: Scheme) -> Result<Secret, Problem> {
    let text = value.as_str().ok_or(Problem::NotText)?;
    if text.trim().is_empty() {
        return Err(Problem::Empty);
    }
    if text.trim() != text {
        return Err(Problem::WhiteSpace);
    }
    if scheme != Scheme::Standard {
        return Ok(Secret(Key::Hmac(text.as_bytes().to_vec())));
    }
    let decode = |encoded: &str| KEY_BASE64.decode(encoded).map_err(|_| Problem::NotBase64);
    if let Some(encoded) = text.strip_prefix("whpk_") {
        let bytes: [u8; 32] = decode(encoded)?.try_into().map_err(|_| Problem::NotAPublicKey)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| Problem::NotAPublicKey)?;
        return if key.is_weak() { Err(Problem::NotAPublicKey) } else { Ok(Secret(Key::Ed25519(key))) };
    }
    let bytes = decode(text.strip_prefix("whsec_").unwrap_or(text))?;
    if bytes.is_empty() { Err(Problem::Empty) } else { Ok(Secret(Key::Hmac(bytes))) }
}

fn read_forward_url(value: &Value) -> Result<Url, Problem> {
    let url = Url::parse(value.as_str().ok_or(Problem::NotText)?).map_err(|_| Problem::NotAUrl)?;
    let is_loopback = match url.host().ok_or(Problem::NotAUrl)? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback) {
        return Err(Problem::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::HasCredentials);
    }
    Ok(url)
}

fn read_forward_secret(value: &Value) -> Result<Secret, Problem> {
    match read_secret(value, Scheme::Standard)? {
        Secret(Key::Hmac(key)) if key.len() >= MIN_SIGNING_KEY => Ok(Secret(Key::Hmac(key))),
        _ => Err(Problem::NotASigningSecret),
    }
}

fn read_tolerance(value: &Value) -> Result<Duration, Problem> {
    let seconds = value.as_u64().filter(|seconds| (1..=MAX_TOLERANCE_SECONDS).contains(seconds));
    seconds.map(Duration::from_secs).ok_or(Problem::OutOfRange)
}

#[cfg(test)]
mod tests;
