//! Reads the headers of each signature scheme: the signed time and id, and the signatures.

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::Signature;
use http::HeaderMap;
use jiff::Timestamp;

use super::error::SignatureError;
use crate::digits::parse_digits;
use crate::webhook::source::Scheme;

/// The most signatures that a request may have. Senders send one for each active secret. Each costs a comparison, and
/// an ed25519 signature a pass over the body.
const MAX_CANDIDATES: usize = 16;

/// What the headers of a request say. Nothing of it is verified yet.
#[derive(Default)]
pub(super) struct SignatureHeaders {
    /// The message's id, for schemes that have it in a header.
    pub(super) id: Option<String>,
    /// The time of signing, for schemes that have one.
    pub(super) timestamp: Option<Timestamp>,
    /// What the signature covers before the body.
    pub(super) prefix: String,
    /// HMAC-SHA256 signatures, of which one must match.
    pub(super) macs: Vec<[u8; 32]>,
    /// ed25519 signatures, of which one must match.
    pub(super) signatures: Vec<Signature>,
}

impl SignatureHeaders {
    /// Reads the headers of `scheme`.
    pub(super) fn read(scheme: Scheme, headers: &HeaderMap) -> Result<Self, SignatureError> {
        let signed = match scheme {
            Scheme::Standard => standard(headers),
            Scheme::Stripe => stripe(headers),
            Scheme::Github => github(headers),
            Scheme::Shopify => shopify(headers),
            Scheme::Slack => slack(headers),
        }?;
        match signed.macs.len() + signed.signatures.len() {
            0 => Err(SignatureError::NoSignature),
            1..=MAX_CANDIDATES => Ok(signed),
            _ => Err(SignatureError::TooManySignatures),
        }
    }
}

/// Reads `webhook-signature: v1,BASE64 v1a,BASE64` ([Standard
/// Webhooks](https://github.com/standard-webhooks/standard-webhooks)). The comma separates version and signature, and
/// also two such headers that a gateway has joined, so the list is read word by word: a version, then its signature.
///
/// Svix, where the scheme comes from, sends the same three headers as `svix-…`. The two families are not mixed.
fn standard(headers: &HeaderMap) -> Result<SignatureHeaders, SignatureError> {
    let is_svix = !headers.contains_key("webhook-signature") && headers.contains_key("svix-signature");
    let [id, time, signature] = if is_svix {
        ["svix-id", "svix-timestamp", "svix-signature"]
    } else {
        ["webhook-id", "webhook-timestamp", "webhook-signature"]
    };
    let id = required(headers, id)?;
    let time = required(headers, time)?;
    let mut signed = SignatureHeaders {
        id: Some(id.to_owned()),
        timestamp: Some(unix_seconds(time)?),
        prefix: format!("{id}.{time}."),
        ..SignatureHeaders::default()
    };
    for value in all(headers, signature)? {
        let mut version = "";
        for word in value.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
            match version {
                "v1" => signed.macs.extend(from_base64(word)),
                "v1a" => {
                    signed.signatures.extend(from_base64(word).map(|bytes| Signature::from_bytes(&bytes)));
                }
                _ => {}
            }
            version = if matches!(word, "v1" | "v1a") { word } else { "" };
        }
    }
    Ok(signed)
}

/// Reads `Stripe-Signature: t=TIME,v1=HEX,v1=HEX,v0=HEX` (<https://docs.stripe.com/webhooks#verify-manually>). `v0` and
/// unknown versions are ignored.
fn stripe(headers: &HeaderMap) -> Result<SignatureHeaders, SignatureError> {
    let mut time = None;
    let mut signed = SignatureHeaders::default();
    for item in all(headers, "stripe-signature")?.into_iter().flat_map(list) {
        match item.split_once('=') {
            Some(("t", value)) if time.is_some_and(|time| time != value) => {
                return Err(SignatureError::AmbiguousHeader);
            }
            Some(("t", value)) => time = Some(value),
            Some(("v1", value)) => signed.macs.extend(from_hex(value)),
            _ => {}
        }
    }
    let time = time.ok_or(SignatureError::BadTimestamp)?;
    signed.timestamp = Some(unix_seconds(time)?);
    signed.prefix = format!("{time}.");
    Ok(signed)
}

/// Reads `X-Hub-Signature-256: sha256=HEX`
/// (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>). The id is not signed.
fn github(headers: &HeaderMap) -> Result<SignatureHeaders, SignatureError> {
    Ok(SignatureHeaders {
        id: optional(headers, "x-github-delivery")?.map(str::to_owned),
        macs: prefixed_hex(headers, "x-hub-signature-256", "sha256=")?,
        ..SignatureHeaders::default()
    })
}

/// Reads `X-Shopify-Hmac-Sha256: BASE64` (<https://shopify.dev/docs/apps/build/webhooks/subscribe/https>). The id is
/// not signed.
fn shopify(headers: &HeaderMap) -> Result<SignatureHeaders, SignatureError> {
    let event = optional(headers, "x-shopify-event-id")?;
    let delivery = optional(headers, "x-shopify-webhook-id")?;
    let values = all(headers, "x-shopify-hmac-sha256")?;
    Ok(SignatureHeaders {
        id: event.or(delivery).map(str::to_owned),
        macs: values.into_iter().flat_map(list).filter_map(from_base64).collect(),
        ..SignatureHeaders::default()
    })
}

/// Reads `X-Slack-Signature: v0=HEX`, which signs `v0:TIME:BODY`
/// (<https://docs.slack.dev/authentication/verifying-requests-from-slack>). The id is in the body.
fn slack(headers: &HeaderMap) -> Result<SignatureHeaders, SignatureError> {
    let time = required(headers, "x-slack-request-timestamp")?;
    Ok(SignatureHeaders {
        timestamp: Some(unix_seconds(time)?),
        prefix: format!("v0:{time}:"),
        macs: prefixed_hex(headers, "x-slack-signature", "v0=")?,
        ..SignatureHeaders::default()
    })
}

fn prefixed_hex(headers: &HeaderMap, name: &str, prefix: &str) -> Result<Vec<[u8; 32]>, SignatureError> {
    let items = all(headers, name)?.into_iter().flat_map(list);
    Ok(items.filter_map(|item| from_hex(item.strip_prefix(prefix)?)).collect())
}

/// All values of a header that must be present.
fn all<'h>(headers: &'h HeaderMap, name: &str) -> Result<Vec<&'h str>, SignatureError> {
    let values: Result<Vec<_>, _> = headers.get_all(name).iter().map(|value| value.to_str()).collect();
    let values = values.map_err(|_| SignatureError::BadHeader)?;
    if values.is_empty() { Err(SignatureError::MissingHeader) } else { Ok(values) }
}

/// The value of a header that may have one value. It may be repeated, on several lines or joined by commas, as long as
/// the value is the same each time.
fn optional<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, SignatureError> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let mut values = all(headers, name)?.into_iter().map(deduplicate);
    let first = values.next().filter(|value| !value.is_empty()).ok_or(SignatureError::BadHeader)?;
    if values.all(|value| value == first) { Ok(Some(first)) } else { Err(SignatureError::AmbiguousHeader) }
}

fn required<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, SignatureError> {
    optional(headers, name)?.ok_or(SignatureError::MissingHeader)
}

/// Reduces `x,x` and `x, x` to `x`, and leaves anything else as it is.
fn deduplicate(value: &str) -> &str {
    let mut parts = list(value);
    match parts.next() {
        Some(first) if parts.all(|part| part == first) => first,
        _ => value,
    }
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(|item| item.trim_matches([' ', '\t']))
}

/// Reads a Unix time of digits only: a sign, a fraction or white space would be a second spelling of the same time.
fn unix_seconds(text: &str) -> Result<Timestamp, SignatureError> {
    let seconds = parse_digits(text).ok_or(SignatureError::BadTimestamp)?;
    Timestamp::from_second(seconds).map_err(|_| SignatureError::BadTimestamp)
}

fn from_base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

/// Decodes lower-case hexadecimal, as every sender writes it: upper case would be a second spelling of the same
/// signature.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let is_lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    (is_lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}
