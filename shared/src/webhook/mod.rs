//! Webhook intake: who sent it, whether it is new, and what it means.
//!
//! A request goes through [`source::Sources::get`], [`signature::verify`], [`event::read`] and [`accept::accept`], in
//! that order.

pub mod accept;
mod claim;
pub mod configured;
pub mod effect;
pub mod event;
mod json;
mod members;
pub mod sign;
pub mod signature;
pub mod source;
mod stripe;
