//! The secrets by which signatures are verified and made.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::VerifyingKey;

use super::error::Problem;
use super::scheme::Scheme;

/// Base64 with or without padding, as the senders' own libraries accept it.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes that a secret must have: 112 bits, below which
/// [NIST SP 800-131A](https://csrc.nist.gov/pubs/sp/800/131/a/r2/final) disallows a key of HMAC. Whoever guesses it signs
/// whatever they like.
const MIN_KEY: usize = 14;

/// Bytes that a secret for signing forwarded events must have, as
/// [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks) asks.
const MIN_SIGNING_KEY: usize = 24;

/// A secret that a source is configured with. It has no `Debug`, no `Display` and no accessor outside of the webhook
/// module:
///
/// ```compile_fail
/// fn shows<T: std::fmt::Debug>() {}
/// shows::<shared::webhook::source::Secret>();
/// ```
pub struct Secret(pub(in crate::webhook) Key);

/// The key in a secret, by the algorithm that it is for.
pub(in crate::webhook) enum Key {
    /// The bytes of an HMAC-SHA256 key, at least [`MIN_KEY`].
    Hmac(Vec<u8>),
    /// The sender's ed25519 public key, which is never of small order, since anybody can sign for such a key.
    Ed25519(VerifyingKey),
}

impl Secret {
    /// Reads a secret as it is configured. Standard Webhooks encodes keys in base64; with every other scheme the key is
    /// the text itself, including Stripe's `whsec_`.
    pub(super) fn parse(text: &str, scheme: Scheme) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Err(Problem::Empty);
        }
        if text.trim() != text {
            return Err(Problem::WhiteSpace);
        }
        if scheme != Scheme::Standard {
            return Self::hmac(text.as_bytes().to_vec());
        }
        let decode = |encoded: &str| KEY_BASE64.decode(encoded).map_err(|_| Problem::NotBase64);
        if let Some(encoded) = text.strip_prefix("whpk_") {
            let bytes: [u8; 32] = decode(encoded)?.try_into().map_err(|_| Problem::NotAPublicKey)?;
            let key = VerifyingKey::from_bytes(&bytes).map_err(|_| Problem::NotAPublicKey)?;
            return if key.is_weak() { Err(Problem::NotAPublicKey) } else { Ok(Self(Key::Ed25519(key))) };
        }
        let bytes = decode(text.strip_prefix("whsec_").unwrap_or(text))?;
        if bytes.is_empty() { Err(Problem::Empty) } else { Self::hmac(bytes) }
    }

    fn hmac(key: Vec<u8>) -> Result<Self, Problem> {
        if key.len() < MIN_KEY { Err(Problem::TooShort) } else { Ok(Self(Key::Hmac(key))) }
    }

    /// Reads the secret that forwarded events are signed with, in Standard Webhooks' form.
    pub(super) fn parse_for_signing(text: &str) -> Result<Self, Problem> {
        match Self::parse(text, Scheme::Standard) {
            Ok(Self(Key::Hmac(key))) if key.len() >= MIN_SIGNING_KEY => Ok(Self(Key::Hmac(key))),
            Ok(_) | Err(Problem::TooShort) => Err(Problem::NotASigningSecret),
            Err(problem) => Err(problem),
        }
    }
}
