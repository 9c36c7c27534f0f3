//! Webhook intake: who sent it, whether it is new, and what it means.

mod claim;
mod members;
pub mod signature;
pub mod source;
