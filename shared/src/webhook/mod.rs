//! Webhook intake: verifying the sender, recognising duplicates, and applying what an event says.
//!
//! A request passes [`source::Sources::get`], [`signature::verify`], [`event::parse`] and [`accept::accept`], in this
//! order.

pub mod accept;
pub mod effect;
pub mod event;
pub mod invalid_effect;
mod raw_json;
pub mod sign;
pub mod signature;
pub mod source;
pub mod source_cache;
mod stripe;
