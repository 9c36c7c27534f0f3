//! What a request's headers claim: the signed time and id, and the signatures that are to prove it.

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::Signature;
use http::HeaderMap;
use jiff::Timestamp;

use super::refusal::Refusal;
use super::source::Scheme;

/// Signatures that are looked at, at most. Senders put one for each active secret; each costs a comparison,
/// an ed25519 one a pass over the body.
pub(super) const MAX_CANDIDATES: usize = 16;

/// What the headers say, before anything is proven.
#[derive(Default)]
pub(super) struct SignatureHeaders {
    /// The id in the headers, where the scheme puts one there.
    pub(super) id: Option<String>,
    /// The time in the headers, where the scheme has one.
    pub(super) timestamp: Option<Timestamp>,
    /// What is signed before the body.
    pub(super) prefix: String,
    /// HMAC-SHA256 values, any of which may match.
    pub(super) macs: Vec<[u8; 32]>,
    /// ed25519 signatures, any of which may match.
    pub(super) signatures: Vec<Signature>,
}

impl SignatureHeaders {
    /// Reads the headers of a scheme.
    pub(super) fn read(scheme: Scheme, headers: &HeaderMap) -> Result<Self, Refusal> {
        let claim = match scheme {
            Scheme::Standard => standard(headers),
            Scheme::Stripe => stripe(headers),
            Scheme::Github => github(headers),
            Scheme::Shopify => shopify(headers),
            Scheme::Slack => slack(headers),
        }?;
        match claim.macs.len() + claim.signatures.len() {
            0 => Err(Refusal::NoSignature),
            1..=MAX_CANDIDATES => Ok(claim),
            _ => Err(Refusal::TooManySignatures),
        }
    }
}

/// `webhook-signature: v1,BASE64 v1a,BASE64`. The comma parts version and signature, and also two such
/// headers that a gateway joined, so that the list is read word by word: a version, then its signature.
///
/// Svix, where the scheme comes from, sends the same three as `svix-…`; the two families are not mixed.
fn standard(headers: &HeaderMap) -> Result<SignatureHeaders, Refusal> {
    let is_svix = !headers.contains_key("webhook-signature") && headers.contains_key("svix-signature");
    let [id, time, signature] = if is_svix {
        ["svix-id", "svix-timestamp", "svix-signature"]
    } else {
        ["webhook-id", "webhook-timestamp", "webhook-signature"]
    };
    let id = required(headers, id)?;
    let time = required(headers, time)?;
    let mut claim = SignatureHeaders {
        id: Some(id.to_owned()),
        timestamp: Some(unix_seconds(time)?),
        prefix: format!("{id}.{time}."),
        ..SignatureHeaders::default()
    };
    for value in all(headers, signature)? {
        let mut version = "";
        for word in value.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
            match version {
                "v1" => claim.macs.extend(from_base64(word)),
                "v1a" => {
                    claim.signatures.extend(from_base64(word).map(|bytes| Signature::from_bytes(&bytes)));
                }
                _ => {}
            }
            version = if matches!(word, "v1" | "v1a") { word } else { "" };
        }
    }
    Ok(claim)
}

/// `Stripe-Signature: t=TIME,v1=HEX,v1=HEX,v0=HEX`; `v0` and whatever else may come are left aside.
fn stripe(headers: &HeaderMap) -> Result<SignatureHeaders, Refusal> {
    let mut time = None;
    let mut claim = SignatureHeaders::default();
    for item in all(headers, "stripe-signature")?.into_iter().flat_map(list) {
        match item.split_once('=') {
            Some(("t", value)) if time.is_some_and(|time| time != value) => {
                return Err(Refusal::AmbiguousHeader);
            }
            Some(("t", value)) => time = Some(value),
            Some(("v1", value)) => claim.macs.extend(from_hex(value)),
            _ => {}
        }
    }
    let time = time.ok_or(Refusal::BadTimestamp)?;
    claim.timestamp = Some(unix_seconds(time)?);
    claim.prefix = format!("{time}.");
    Ok(claim)
}

/// `X-Hub-Signature-256: sha256=HEX`. The id is not signed.
fn github(headers: &HeaderMap) -> Result<SignatureHeaders, Refusal> {
    Ok(SignatureHeaders {
        id: optional(headers, "x-github-delivery")?.map(str::to_owned),
        macs: prefixed_hex(headers, "x-hub-signature-256", "sha256=")?,
        ..SignatureHeaders::default()
    })
}

/// `X-Shopify-Hmac-Sha256: BASE64`. The id is not signed.
fn shopify(headers: &HeaderMap) -> Result<SignatureHeaders, Refusal> {
    let event = optional(headers, "x-shopify-event-id")?;
    let delivery = optional(headers, "x-shopify-webhook-id")?;
    let values = all(headers, "x-shopify-hmac-sha256")?;
    Ok(SignatureHeaders {
        id: event.or(delivery).map(str::to_owned),
        macs: values.into_iter().flat_map(list).filter_map(from_base64).collect(),
        ..SignatureHeaders::default()
    })
}

/// `X-Slack-Signature: v0=HEX` over `v0:TIME:BODY`. The id is in the body.
fn slack(headers: &HeaderMap) -> Result<SignatureHeaders, Refusal> {
    let time = required(headers, "x-slack-request-timestamp")?;
    Ok(SignatureHeaders {
        timestamp: Some(unix_seconds(time)?),
        prefix: format!("v0:{time}:"),
        macs: prefixed_hex(headers, "x-slack-signature", "v0=")?,
        ..SignatureHeaders::default()
    })
}

fn prefixed_hex(headers: &HeaderMap, name: &str, prefix: &str) -> Result<Vec<[u8; 32]>, Refusal> {
    let items = all(headers, name)?.into_iter().flat_map(list);
    Ok(items.filter_map(|item| from_hex(item.strip_prefix(prefix)?)).collect())
}

/// All values of a header that must be there.
fn all<'h>(headers: &'h HeaderMap, name: &str) -> Result<Vec<&'h str>, Refusal> {
    let values: Result<Vec<_>, _> = headers.get_all(name).iter().map(|value| value.to_str()).collect();
    let values = values.map_err(|_| Refusal::BadHeader)?;
    if values.is_empty() { Err(Refusal::MissingHeader) } else { Ok(values) }
}

/// The value of a header that says one thing. It may be repeated, on several lines or joined by commas, as
/// long as it says the same each time.
fn optional<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refusal> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let mut values = all(headers, name)?.into_iter().map(once);
    let first = values.next().filter(|value| !value.is_empty()).ok_or(Refusal::BadHeader)?;
    if values.all(|value| value == first) { Ok(Some(first)) } else { Err(Refusal::AmbiguousHeader) }
}

fn required<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Refusal> {
    optional(headers, name)?.ok_or(Refusal::MissingHeader)
}

/// `x` for `x,x` and `x, x`; anything else as it is.
fn once(value: &str) -> &str {
    let mut parts = list(value);
    match parts.next() {
        Some(first) if parts.all(|part| part == first) => first,
        _ => value,
    }
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(|item| item.trim_matches([' ', '\t']))
}

/// Digits only: a sign, a fraction or white space would be a second spelling of the same time.
fn unix_seconds(text: &str) -> Result<Timestamp, Refusal> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::BadTimestamp);
    }
    let seconds: i64 = text.parse().map_err(|_| Refusal::BadTimestamp)?;
    Timestamp::from_second(seconds).map_err(|_| Refusal::BadTimestamp)
}

fn from_base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

/// Lower case only, as every sender writes it: upper case would be a second spelling of the same signature.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let is_lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    (is_lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}
