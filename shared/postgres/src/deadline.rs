//! The moment by which an operation must have ended.

use std::time::Duration;

use tokio::time::Instant;

/// The moment by which database work must end, so that an answer can still be sent.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    work_ends: Instant,
    /// What follows it: cancelling a statement on the server, and sending the answer.
    reserve: Duration,
}

impl Deadline {
    /// What is kept back for cancelling a statement on the server and for sending the answer.
    pub const RESERVE: Duration = Duration::from_millis(750);

    /// For somebody who waits this long, and no longer, for the answer: what is left after a reserve for cancelling and
    /// answering, which is a quarter of a very short time.
    #[must_use]
    pub fn before_end_of(left: Duration) -> Self {
        let reserve = Self::RESERVE.min(left / 4);
        Self { work_ends: Instant::now() + left.saturating_sub(reserve), reserve }
    }

    /// This long from now, with the whole reserve after it.
    #[must_use]
    pub fn after(left: Duration) -> Self {
        Self { work_ends: Instant::now() + left, reserve: Self::RESERVE }
    }

    /// The earlier of this deadline and `limit` from now.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { work_ends: self.work_ends.min(Instant::now() + limit), ..self }
    }

    /// The moment itself, by tokio's clock.
    #[must_use]
    pub fn instant(self) -> Instant {
        self.work_ends
    }

    /// Time left; zero when it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.work_ends.saturating_duration_since(Instant::now())
    }

    /// How long each of two steps after the deadline may take: asking the server to cancel, and waiting until it has.
    /// A fifth of the reserve is left for the answer.
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
