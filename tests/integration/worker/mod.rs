//! The worker: how stored webhooks are delivered, tried again and given up.

pub(crate) mod delivery;
pub(crate) mod endpoint;
mod faults;
mod stress;
