//! The time by this machine's clock. Times that are stored are the database's.

use std::time::{SystemTime, UNIX_EPOCH};

/// The milliseconds since 1970, by this machine's clock.
#[must_use]
pub fn epoch_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0
}
