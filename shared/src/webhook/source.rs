//! The configured senders of webhooks: the `WEBHOOK_SOURCES` JSON, checked once.
//!
//! ```json
//! {"stripe": {"scheme": "stripe", "secrets": ["whsec_new", "whsec_old"],
//!             "forwardUrl": "https://app.example/hooks", "toleranceSeconds": 300}}
//! ```
//!
//! It fails closed: one wrong field refuses the whole configuration, so that a typing error cannot leave
//! a source without its check. Errors name the source and the field and never hold a value.

use std::{collections::BTreeMap, fmt, time::Duration};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::VerifyingKey;
use serde_json::value::RawValue;
use serde_json::{Value, from_str};
use url::{Host, Url};

use super::members::Members;

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

const FIELDS: [&str; 4] = ["scheme", "secrets", "forwardUrl", "toleranceSeconds"];

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
    /// How far the signed time may lie from now, either way. GitHub and Shopify sign no time: no effect there.
    pub tolerance: Duration,
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
            if !is_source_name(&name) {
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

/// Why the configuration was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct SourcesError {
    /// The source at fault; none when the whole text is.
    pub name: Option<String>,
    /// The field at fault, such as `secrets[1]`.
    pub field: Option<String>,
    /// What is wrong with it.
    pub problem: Problem,
}

impl SourcesError {
    fn whole(problem: Problem) -> Self {
        Self { name: None, field: None, problem }
    }
}

impl fmt::Display for SourcesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("webhook sources")?;
        if let Some(name) = &self.name {
            write!(f, ", source `{name}`")?;
        }
        if let Some(field) = &self.field {
            write!(f, ", field `{field}`")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// What may be wrong with a field of the configuration. No variant can hold a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant is its documentation")]
pub enum Problem {
    #[error("must be a JSON object")]
    NotAnObject,
    #[error("name number {position} must be a lower-case letter or digit, then up to 63 of a-z 0-9 - _")]
    BadName { position: usize },
    #[error("is given twice")]
    Repeated,
    #[error("is not a field; there are scheme, secrets, forwardUrl and toleranceSeconds")]
    Unknown,
    #[error("is missing")]
    Missing,
    #[error("must be standard, stripe, github, shopify or slack")]
    NotAScheme,
    #[error("must be a list of 1 to 8 strings")]
    NotAList,
    #[error("must be a string")]
    NotText,
    #[error("must not be empty")]
    Empty,
    #[error("must not begin or end with white space")]
    WhiteSpace,
    #[error("must be base64, after whsec_ or whpk_")]
    NotBase64,
    #[error("must be a usable ed25519 public key of 32 bytes after whpk_")]
    NotAPublicKey,
    #[error("must be an absolute URL with a host")]
    NotAUrl,
    #[error("must be https, or http to localhost")]
    NotHttps,
    #[error("must hold no user name or password")]
    HasCredentials,
    #[error("must be a whole number of seconds from 1 to 86400")]
    OutOfRange,
}

/// The field and what is wrong with it; no field when the source as a whole is wrong.
type Fault = (Option<String>, Problem);

fn at(field: &str, problem: Problem) -> Fault {
    (Some(field.to_owned()), problem)
}

/// `[a-z0-9][a-z0-9-_]{0,63}`
fn is_source_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    matches!(bytes.first(), Some(b'a'..=b'z' | b'0'..=b'9'))
        && bytes.len() <= 64
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
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
    Ok(Source {
        name: name.to_owned(),
        scheme,
        secrets: read_secrets(fields.get("secrets").copied(), scheme)?,
        forward_url: fields
            .get("forwardUrl")
            .map(|value| read_forward_url(value))
            .transpose()
            .map_err(|problem| at("forwardUrl", problem))?,
        tolerance: fields
            .get("toleranceSeconds")
            .map_or(Ok(DEFAULT_TOLERANCE), |value| read_tolerance(value))
            .map_err(|problem| at("toleranceSeconds", problem))?,
    })
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

fn read_tolerance(value: &Value) -> Result<Duration, Problem> {
    let seconds = value.as_u64().filter(|seconds| (1..=MAX_TOLERANCE_SECONDS).contains(seconds));
    seconds.map(Duration::from_secs).ok_or(Problem::OutOfRange)
}

#[cfg(test)]
mod tests;
