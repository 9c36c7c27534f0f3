//! Signature schemes of webhook senders: is this request from whom its path says, and is it fresh?
//!
//! The raw bytes are checked before anything is parsed. A caller who is refused learns nothing but 401; the
//! [`Refusal`] is for the log, and can hold neither a payload nor a signature.

use ed25519_dalek::VerifyingKey;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use super::refusal::Refusal;
use super::signature_headers::SignatureHeaders;
use super::source::{Key, Secret, Source};

/// What a verified request's headers said besides the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The message's id, where the scheme has it in a header: `webhook-id`, which is signed;
    /// `X-GitHub-Delivery`, and `X-Shopify-Event-Id` or else `X-Shopify-Webhook-Id`, which are not.
    pub id_header: Option<String>,
    /// When this attempt was signed; none for GitHub and Shopify, which sign no time.
    pub timestamp: Option<Timestamp>,
}

/// Checks that one of the source's secrets signed these headers and this body, within the source's tolerance
/// of `now`.
///
/// A signed time exactly as old as the tolerance is still accepted, as the senders' own clients do. A future
/// one is refused for all schemes alike, which is stricter than Stripe's clients.
pub fn verify(
    source: &Source,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Verified, Refusal> {
    let claim = SignatureHeaders::read(source.scheme, headers)?;
    if let Some(timestamp) = claim.timestamp {
        check_window(now.duration_since(timestamp), source)?;
    }
    if !source.secrets.iter().any(|secret| signed_by(secret, &claim, body)) {
        return Err(Refusal::Mismatch);
    }
    Ok(Verified { id_header: claim.id, timestamp: claim.timestamp })
}

fn check_window(age: SignedDuration, source: &Source) -> Result<(), Refusal> {
    if age.unsigned_abs() <= source.tolerance {
        Ok(())
    } else if age.is_positive() {
        Err(Refusal::TooOld)
    } else {
        Err(Refusal::TooNew)
    }
}

fn signed_by(secret: &Secret, claim: &SignatureHeaders, body: &[u8]) -> bool {
    match &secret.0 {
        Key::Hmac(key) => !claim.macs.is_empty() && hmac_matches(key, claim, body),
        Key::Ed25519(key) => !claim.signatures.is_empty() && ed25519_matches(key, claim, body),
    }
}

/// One pass over the body however many candidates there are; each comparison takes constant time.
fn hmac_matches(key: &[u8], claim: &SignatureHeaders, body: &[u8]) -> bool {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    let mac = mac.chain_update(claim.prefix.as_bytes()).chain_update(body);
    claim.macs.iter().any(|candidate| mac.clone().verify_slice(candidate).is_ok())
}

fn ed25519_matches(key: &VerifyingKey, claim: &SignatureHeaders, body: &[u8]) -> bool {
    let signed = [claim.prefix.as_bytes(), body].concat();
    claim.signatures.iter().any(|candidate| key.verify_strict(&signed, candidate).is_ok())
}

#[cfg(test)]
mod tests;
