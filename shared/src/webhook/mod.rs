//! Webhook intake: who sent it, whether it is new, and what it means.

pub mod signature;
