//! Webhook intake: what is accepted, stored and applied, and that an event is kept once however often it is sent.

mod intake;
pub(crate) mod sender;
mod signatures;
mod source_rotation;
pub(crate) mod stress;
