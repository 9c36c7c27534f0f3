//! The signature schemes of webhook senders.

/// The signature scheme of a sender.
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
    /// The header in which the sender names an event's topic without signing it; `None` for schemes that have the type in
    /// the signed body.
    #[must_use]
    pub fn topic_header(self) -> Option<&'static str> {
        match self {
            Self::Github => Some("x-github-event"),
            Self::Shopify => Some("x-shopify-topic"),
            Self::Standard | Self::Stripe | Self::Slack => None,
        }
    }

    /// The scheme of that name in the configuration.
    pub(super) fn from_name(name: &str) -> Option<Self> {
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
