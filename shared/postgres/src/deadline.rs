//! The time by which an operation must have ended.

use std::time::Duration;

use tokio::time::Instant;

/// The time by which work in the database must have ended, so that a response can still be sent.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    work_ends: Instant,
    /// The time after it, for cancelling a statement on the server and sending the response.
    reserve: Duration,
}

impl Deadline {
    /// The time that is reserved for cancelling a statement on the server and sending the response.
    pub const RESERVE: Duration = Duration::from_millis(750);

    /// Makes the deadline of a caller who waits this long for the response: the end of that time, less the reserve for
    /// cancelling and responding. The reserve is [`RESERVE`](Self::RESERVE), or a quarter of a shorter time.
    #[must_use]
    pub fn before_end_of(left: Duration) -> Self {
        let reserve = Self::RESERVE.min(left / 4);
        Self { work_ends: Instant::now() + left.saturating_sub(reserve), reserve }
    }

    /// Makes a deadline this long from now, with the whole reserve after it.
    #[must_use]
    pub fn after(left: Duration) -> Self {
        Self { work_ends: Instant::now() + left, reserve: Self::RESERVE }
    }

    /// Makes the earlier of this deadline and `limit` from now.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { work_ends: self.work_ends.min(Instant::now() + limit), ..self }
    }

    /// Makes a deadline that leaves time before this one for one more step: `time`, or a quarter of what is left if that is
    /// shorter.
    #[must_use]
    pub fn earlier_by(self, time: Duration) -> Self {
        let left = self.left();
        self.within(left.saturating_sub(time.min(left / 4)))
    }

    /// The time of the deadline, by tokio's clock.
    #[must_use]
    pub fn instant(self) -> Instant {
        self.work_ends
    }

    /// The time until the deadline; zero once it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.work_ends.saturating_duration_since(Instant::now())
    }

    /// How long each of the two steps after the deadline may take: asking the server to cancel, and waiting until it
    /// has. A fifth of the reserve is left for the response.
    #[must_use]
    pub fn cancel_patience(self) -> Duration {
        self.reserve * 2 / 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_time_to_cancel_and_to_answer_before_the_end() {
        for left in [200, 1000, 3000, 10_000, 29_000].map(Duration::from_millis) {
            let deadline = Deadline::before_end_of(left);
            let spent = deadline.left() + 2 * deadline.cancel_patience();
            assert!(spent < left, "{spent:?} of {left:?}");
            assert!(deadline.left() >= left / 2, "{:?} of {left:?} to work in", deadline.left());
            // A limit of one statement leaves the rest as it is.
            let within = deadline.within(Duration::from_millis(1));
            assert!(within.left() <= Duration::from_millis(1));
            assert_eq!(within.cancel_patience(), deadline.cancel_patience());
        }
    }
}
