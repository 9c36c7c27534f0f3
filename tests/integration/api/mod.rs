//! What callers of the HTTP API are promised: codes, their images, keys, redirects and scans, for good input and for
//! bad.

pub(crate) mod codes;
mod full_disk;
pub(crate) mod functions;
mod idempotency;
mod images;
mod input;
mod keys;
mod list;
mod openapi;
mod random_input;
mod redirects;
mod scans;
mod symbol;
