//! The moment by which an invocation must have answered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The moment by which database work must end, so that an answer can still be sent.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// API Gateway's HTTP APIs give up after 30 s; an answer after that reaches nobody.
    const LONGEST: Duration = Duration::from_secs(28);
    /// Kept back for cancelling a statement on the server and for sending the answer.
    const RESERVE: Duration = Duration::from_millis(750);

    /// From the time at which Lambda will stop this invocation, in milliseconds since the epoch.
    #[must_use]
    pub fn of_invocation(epoch_ms: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A moment that has passed before the invocation began is no deadline: local emulators send one.
        let left = Duration::from_millis(epoch_ms).checked_sub(now).unwrap_or(Self::LONGEST);
        // A quarter of a very short invocation is enough of a reserve, and leaves time to work in.
        Self::after(left.saturating_sub(Self::RESERVE.min(left / 4)).min(Self::LONGEST))
    }

    /// This long from now.
    #[must_use]
    pub fn after(left: Duration) -> Self {
        Self(Instant::now() + left)
    }

    /// The earlier of this deadline and `limit` from now.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self(self.0.min(Instant::now() + limit))
    }

    /// As an instant of tokio's clock.
    #[must_use]
    pub fn instant(self) -> Instant {
        self.0
    }

    /// Time left; zero when it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}
