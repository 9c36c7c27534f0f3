//! When a failed delivery is tried again.

use std::time::Duration;

use tessera_postgres::retry::random_fraction;

/// The waits after the first four attempts; there is none after the fifth.
///
/// With the jitter they add up to 89 to 97 minutes. A longer outage leaves dead jobs, which are redriven.
const WAITS: [Duration; 4] =
    [Duration::from_mins(1), Duration::from_mins(5), Duration::from_mins(15), Duration::from_hours(1)];

/// Attempts that a job has, and has again after a redrive. The database's default for a new job is the same.
pub const ATTEMPTS: i32 = 5;

/// The longest `Retry-After` that is obeyed.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// The wait when `attempts_left` remain; none when none does. Each is lengthened by 10 to 20 %, so that what failed
/// together does not come back together, and to what the endpoint asked for.
#[must_use]
pub fn wait(attempts_left: i32, retry_after: Option<Duration>) -> Option<Duration> {
    wait_with(attempts_left, retry_after, random_fraction())
}

fn wait_with(attempts_left: i32, retry_after: Option<Duration>, random: f64) -> Option<Duration> {
    let attempts_left = usize::try_from(attempts_left).ok().filter(|left| *left > 0)?;
    let wait = WAITS[WAITS.len().saturating_sub(attempts_left)];
    Some(wait.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)).mul_f64(1.1 + 0.1 * random))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(wait: Option<Duration>) -> Option<f64> {
        wait.map(|wait| (wait.as_secs_f64() / 6.0).round() / 10.0)
    }

    #[test]
    fn the_schedule_is_1_5_15_and_60_minutes_and_then_the_end() {
        let table = [(4, Some(1.1)), (3, Some(5.5)), (2, Some(16.5)), (1, Some(66.0)), (0, None), (-1, None)];
        for (left, expected) in table {
            assert_eq!(minutes(wait_with(left, None, 0.0)), expected, "{left} left");
        }
        assert_eq!(minutes(wait_with(4, None, 1.0)), Some(1.2));
        assert_eq!(minutes(wait_with(9, None, 0.0)), Some(1.1), "an attempt more than the schedule knows");
    }

    #[test]
    fn retry_after_lengthens_a_wait_within_reason() {
        let after = |seconds| minutes(wait_with(4, Some(Duration::from_secs(seconds)), 0.0));
        assert_eq!(after(1), Some(1.1), "never earlier than the schedule");
        assert_eq!(after(600), Some(11.0));
        assert_eq!(after(u64::MAX), Some(1584.0), "a day, and the jitter");
    }
}
