//! The schedule of retries: when a failed delivery is tried again.

use std::time::Duration;

use tessera_postgres::retry::random_fraction;

/// The delays after the first four attempts. After the fifth the job is dead.
///
/// With jitter they add up to 89 to 97 minutes. A longer outage leaves dead jobs, which an operator can redrive.
const RETRY_DELAYS: [Duration; 4] =
    [Duration::from_mins(1), Duration::from_mins(5), Duration::from_mins(15), Duration::from_hours(1)];

/// How many attempts a job has, and has again after a redrive. It is also the database's default for a new job.
pub const ATTEMPTS: i32 = 5;

/// The longest `Retry-After` that is respected; longer ones count as this.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// The delay before the next attempt if `attempts_left` remain; `None` if none does. It is not shorter than what the
/// endpoint asked for, and lengthened by 10 to 20 %, so that jobs that failed together are not retried together.
#[must_use]
pub fn retry_delay(attempts_left: i32, retry_after: Option<Duration>) -> Option<Duration> {
    retry_delay_with(attempts_left, retry_after, random_fraction())
}

fn retry_delay_with(attempts_left: i32, retry_after: Option<Duration>, random: f64) -> Option<Duration> {
    let attempts_left = usize::try_from(attempts_left).ok().filter(|left| *left > 0)?;
    let delay = RETRY_DELAYS[RETRY_DELAYS.len().saturating_sub(attempts_left)];
    Some(delay.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)).mul_f64(1.1 + 0.1 * random))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(delay: Option<Duration>) -> Option<f64> {
        delay.map(|delay| (delay.as_secs_f64() / 6.0).round() / 10.0)
    }

    #[test]
    fn the_schedule_is_1_5_15_and_60_minutes_and_then_the_end() {
        let table = [(4, Some(1.1)), (3, Some(5.5)), (2, Some(16.5)), (1, Some(66.0)), (0, None), (-1, None)];
        for (left, expected) in table {
            assert_eq!(minutes(retry_delay_with(left, None, 0.0)), expected, "{left} left");
        }
        assert_eq!(minutes(retry_delay_with(4, None, 1.0)), Some(1.2));
        assert_eq!(
            minutes(retry_delay_with(9, None, 0.0)),
            Some(1.1),
            "an attempt more than the schedule knows"
        );
    }

    #[test]
    fn retry_after_lengthens_a_delay_to_a_day_at_most() {
        let after = |seconds| minutes(retry_delay_with(4, Some(Duration::from_secs(seconds)), 0.0));
        assert_eq!(after(1), Some(1.1), "never earlier than the schedule");
        assert_eq!(after(600), Some(11.0));
        assert_eq!(after(u64::MAX), Some(1584.0), "a day, and the jitter");
    }
}
