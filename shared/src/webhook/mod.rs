//! Webhook intake: who sent it, whether it is new, and what it means.
//!
//! A request goes through [`source::Sources::get`], [`signature::verify`] and [`event::read`], in that order.

mod claim;
pub mod effect;
pub mod event;
mod json;
mod members;
pub mod signature;
pub mod source;
mod stripe;
