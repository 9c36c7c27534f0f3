//! The moment by which an invocation must have answered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The moment by which database work must end, so that an answer can still be sent.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    work_ends: Instant,
    /// What follows it: cancelling a statement on the server, and sending the answer.
    reserve: Duration,
}

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
        let reserve = Self::RESERVE.min(left / 4);
        let work = left.saturating_sub(reserve).min(Self::LONGEST);
        Self { work_ends: Instant::now() + work, reserve }
    }

    /// As [`of_invocation`](Self::of_invocation), for an invocation that nobody waits for: all of its time is there to
    /// be used, up to Lambda's 15 minutes.
    #[must_use]
    pub fn of_scheduled_invocation(epoch_ms: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = Duration::from_millis(epoch_ms).checked_sub(now).unwrap_or(Self::LONGEST);
        Self::after(left.saturating_sub(Self::RESERVE.min(left / 4)))
    }

    /// This long from now.
    #[must_use]
    pub fn after(left: Duration) -> Self {
        Self { work_ends: Instant::now() + left, reserve: Self::RESERVE }
    }

    /// The earlier of this deadline and `limit` from now.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { work_ends: self.work_ends.min(Instant::now() + limit), ..self }
    }

    /// As an instant of tokio's clock.
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

    fn of_invocation(left: Duration) -> Deadline {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Deadline::of_invocation(u64::try_from((now + left).as_millis()).unwrap())
    }

    #[test]
    fn there_is_time_to_cancel_and_to_answer_before_lambda_stops_the_function() {
        for left in [200, 1000, 3000, 10_000, 29_000].map(Duration::from_millis) {
            let deadline = of_invocation(left);
            let spent = deadline.left() + 2 * deadline.cancel_patience();
            assert!(spent < left, "{spent:?} of {left:?}");
            assert!(deadline.left() >= left / 2, "{:?} of {left:?} to work in", deadline.left());
            // A limit of one statement leaves the rest as it is.
            let within = deadline.within(Duration::from_millis(1));
            assert!(within.left() <= Duration::from_millis(1));
            assert_eq!(within.cancel_patience(), deadline.cancel_patience());
        }
    }

    #[test]
    fn a_deadline_in_the_past_is_none() {
        assert!(Deadline::of_invocation(0).left() > Duration::from_secs(20));
        assert!(of_invocation(Duration::from_mins(15)).left() <= Deadline::LONGEST);
    }
}
