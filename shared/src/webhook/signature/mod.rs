//! Verifies that a webhook was signed by the source that its path names, and recently.
//!
//! The raw bytes are verified before anything is parsed. A sender who is refused learns nothing but 401; the
//! [`SignatureError`] is for the log, and can hold neither a payload nor a signature.

mod error;
mod headers;

use ed25519_dalek::VerifyingKey;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use super::source::{Key, Secret, Source};
use headers::SignatureHeaders;

pub use error::SignatureError;

/// What the headers of a verified request say besides the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The message's id, for schemes that have it in a header: `webhook-id`, which is signed; or `X-GitHub-Delivery`,
    /// `X-Shopify-Event-Id` or else `X-Shopify-Webhook-Id`, which are not.
    pub id_header: Option<String>,
    /// When this attempt was signed; `None` for GitHub and Shopify, which sign no time.
    pub timestamp: Option<Timestamp>,
}

/// Verifies that these headers and this body were signed with one of the source's secrets, within the source's
/// tolerance of `now`.
///
/// A signed time exactly as old as the tolerance is accepted, as in the senders' own libraries. A signed time further
/// in the future than the tolerance is refused for every scheme, which Stripe's libraries do not do.
pub fn verify(
    source: &Source,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Verified, SignatureError> {
    let signed = SignatureHeaders::read(source.scheme, headers)?;
    if let Some(timestamp) = signed.timestamp {
        check_window(now.duration_since(timestamp), source)?;
    }
    if !source.secrets.iter().any(|secret| signed_by(secret, &signed, body)) {
        return Err(SignatureError::Mismatch);
    }
    Ok(Verified { id_header: signed.id, timestamp: signed.timestamp })
}

fn check_window(age: SignedDuration, source: &Source) -> Result<(), SignatureError> {
    if age.unsigned_abs() <= source.tolerance {
        Ok(())
    } else if age.is_positive() {
        Err(SignatureError::TooOld)
    } else {
        Err(SignatureError::TooNew)
    }
}

fn signed_by(secret: &Secret, signed: &SignatureHeaders, body: &[u8]) -> bool {
    match &secret.0 {
        Key::Hmac(key) => !signed.macs.is_empty() && hmac_matches(key, signed, body),
        Key::Ed25519(key) => !signed.signatures.is_empty() && ed25519_matches(key, signed, body),
    }
}

/// Hashes the body once, however many candidates there are, and compares each in constant time.
fn hmac_matches(key: &[u8], signed: &SignatureHeaders, body: &[u8]) -> bool {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    let mac = mac.chain_update(signed.prefix.as_bytes()).chain_update(body);
    signed.macs.iter().any(|candidate| mac.clone().verify_slice(candidate).is_ok())
}

fn ed25519_matches(key: &VerifyingKey, signed: &SignatureHeaders, body: &[u8]) -> bool {
    let message = [signed.prefix.as_bytes(), body].concat();
    signed.signatures.iter().any(|candidate| key.verify_strict(&message, candidate).is_ok())
}

#[cfg(test)]
mod tests;
