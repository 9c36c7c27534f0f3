//! Why a configuration of webhook sources is refused, by the names of source and field and never with a value.

use std::fmt;

/// Why a configuration of webhook sources is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct SourcesError {
    /// The source that is wrong; `None` where the configuration as a whole is.
    pub name: Option<String>,
    /// The field that is wrong, such as `secrets[1]`; `None` where the source as a whole is.
    pub field: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

impl SourcesError {
    pub(super) fn whole(problem: Problem) -> Self {
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

/// What is wrong with a field of the configuration. No variant can hold a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant is its documentation")]
pub enum Problem {
    #[error("must be a JSON object")]
    NotAnObject,
    #[error("name number {position} must be a lower-case letter or digit, then up to 63 of a-z 0-9 - _")]
    BadName { position: usize },
    #[error("is given twice")]
    Repeated,
    #[error(
        "is not a field; there are scheme, secrets, topics, forwardUrl, forwardSecret and toleranceSeconds"
    )]
    Unknown,
    #[error("is missing")]
    Missing,
    #[error("must be standard, stripe, github, shopify or slack")]
    NotAScheme,
    #[error("must be a list of 1 to 8 strings")]
    NotAList,
    #[error("must be a list of 1 to 200 topics, as the sender spells them")]
    NotTopics,
    #[error("is for github and shopify alone: all others sign the type in the body")]
    NoTopics,
    #[error("must be a string")]
    NotText,
    #[error("must not be empty")]
    Empty,
    #[error(
        "must have at least 14 bytes, of which base64 writes 3 as 4 characters: take the sender's own, or 32 random ones"
    )]
    TooShort,
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
    #[error("must be a secret to sign with: base64 after whsec_, of at least 24 bytes")]
    NotASigningSecret,
    #[error("must hold no user name or password")]
    HasCredentials,
    #[error("must be a whole number of seconds from 1 to 86400")]
    OutOfRange,
    #[error("is needed to forward, since none of the secrets can sign")]
    CannotSign,
}
