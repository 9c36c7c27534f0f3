//! Webhook intake: who sent it, whether it is new, and what it means.
//!
//! A request goes through [`source::Sources::get`], [`signature::verify`], [`event::read`] and [`accept::accept`], in
//! that order.

pub mod accept;
pub mod configured;
pub mod effect;
pub mod event;
pub mod invalid_effect;
mod json;
mod members;
pub mod refusal;
pub mod sign;
pub mod signature;
mod signature_headers;
pub mod source;
mod stripe;
