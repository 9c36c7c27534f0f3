//! How long to wait before the next try.
//!
//! Whether there is a next try is decided by the [`kind`](crate::FailureKind) of the failure. Every declared statement
//! is safe to send twice, so a statement that may have run is retried like one that was never sent.

use std::time::Duration;

/// Exponential backoff with [full jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/):
/// the wait before try *n* is uniform in `0 ..= min(CAP, BASE * 2^n)`.
///
/// Upper bounds of the waits are 0.1, 0.2, 0.4, 0.8, 1.6 s and 2 s from then on: 5.1 s at most before the sixth retry,
/// half of that on average. There is no count of tries; the invocation's deadline ends them.
///
/// For a request, this adds at most one more wait after the database is back, which is 2 s and the time to connect. The
/// database is spared a burst: of 1,000 containers, each with a request that keeps failing, fewer than 900 connect in
/// the first second after an outage, and fewer than 220 in any tenth of a second. Without jitter all would connect at
/// once. The tests below hold both.
#[derive(Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The upper bound of the first wait.
    pub const BASE: Duration = Duration::from_millis(100);
    /// The upper bound of every wait.
    pub const CAP: Duration = Duration::from_secs(2);

    /// Draws the next wait, from a range that each call doubles until it reaches [`CAP`](Self::CAP).
    pub fn next_wait(&mut self) -> Duration {
        let bound = Self::bound(self.tries);
        self.tries += 1;
        bound.mul_f64(random_fraction())
    }

    fn bound(tries: u32) -> Duration {
        Self::CAP.min(Self::BASE.saturating_mul(2_u32.saturating_pow(tries)))
    }
}

/// Draws a number that is uniform in 0 to 1, from the operating system, since containers that are thawed from one
/// snapshot must not draw the same.
#[must_use]
pub fn random_fraction() -> f64 {
    let random = getrandom::u32().expect("the operating system has randomness");
    f64::from(random) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_bounded_by_a_doubling_range_up_to_the_cap() {
        let bounds: Vec<_> = (0..7).map(|tries| Backoff::bound(tries).as_millis()).collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(Backoff::bound(u32::MAX), Backoff::CAP);
        let mut backoff = Backoff::default();
        for tries in 0..20 {
            assert!(backoff.next_wait() <= Backoff::bound(tries));
        }
    }

    /// When a container tries to connect, in seconds: at once when a request loses its connection, then as [`Backoff`]
    /// says, and from the start again when the request is given up and the next one comes at once.
    fn tries_until(outage: f64) -> f64 {
        let mut now = 0.0;
        loop {
            let deadline = now + 9.25;
            let mut backoff = Backoff::default();
            while now < deadline {
                if now >= outage {
                    return now;
                }
                now += backoff.next_wait().as_secs_f64();
            }
            now = deadline;
        }
    }

    /// The promise to the database: a thousand containers that all lost their connection in the same instant do not all
    /// come back in the same instant.
    #[test]
    fn a_fleet_that_lost_its_database_spreads_its_connections() {
        for outage in [1.0, 2.5, 5.0, 8.0, 15.0, 30.0] {
            let (mut tenths, mut first_second) = ([0_u32; 25], 0);
            for _ in 0..1000 {
                let late = tries_until(outage) - outage;
                first_second += u32::from(late < 1.0);
                let tenth = Duration::from_secs_f64(late).as_millis() / 100;
                tenths[usize::try_from(tenth).expect("small").min(24)] += 1;
            }
            let most = *tenths.iter().max().expect("there are 25");
            assert!(most < 220, "{most} connections within 100 ms after {outage} s: {tenths:?}");
            assert!(first_second < 900, "{first_second} in the first second after {outage} s");
        }
    }

    /// The promise to the caller.
    #[test]
    fn a_request_hears_of_the_end_of_an_outage_within_one_wait() {
        for outage in 0..90 {
            let outage = f64::from(outage) / 10.0;
            let late = tries_until(outage) - outage;
            assert!(late <= Backoff::CAP.as_secs_f64(), "{late} s after {outage} s");
        }
    }
}
