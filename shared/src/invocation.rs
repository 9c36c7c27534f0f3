//! Deadlines of invocations, from the time at which Lambda will stop them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tessera_postgres::Deadline;

/// The longest that a request may take. API Gateway's HTTP APIs time out after 30 s
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>), and nobody gets a later
/// response.
const MAX_REQUEST_DURATION: Duration = Duration::from_secs(28);

/// The deadline of a request. `ends_ms` is the time at which Lambda will stop the invocation, and `received_ms` that at
/// which API Gateway received the request, where it says so: in milliseconds since 1970, by AWS's clocks.
///
/// Their difference is right whatever this container's clock says, but for the time that the container took to start.
pub(crate) fn request_deadline(ends_ms: u64, received_ms: Option<u64>) -> Deadline {
    let longest =
        received_ms.and_then(|received_ms| ends_ms.checked_sub(received_ms)).map(Duration::from_millis);
    Deadline::before_end_of(shortest([time_left(ends_ms), longest])).within(MAX_REQUEST_DURATION)
}

/// The deadline of an invocation that no caller waits for, which may use all of its time, up to Lambda's 15 minutes.
/// `ends_ms` is the time at which Lambda will stop it, in milliseconds since 1970.
#[must_use]
pub fn scheduled_deadline(ends_ms: u64) -> Deadline {
    Deadline::before_end_of(shortest([time_left(ends_ms)]))
}

/// The time until `ends_ms` by this container's clock. None where that is past: local emulators send no time, or the
/// clock is ahead. A clock that is behind makes it too long.
fn time_left(ends_ms: u64) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(ends_ms).checked_sub(now)
}

/// The shortest of the times that are known.
fn shortest<const N: usize>(times: [Option<Duration>; N]) -> Duration {
    times.into_iter().flatten().min().unwrap_or(MAX_REQUEST_DURATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_future(left: Duration) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from((now + left).as_millis()).unwrap()
    }

    #[test]
    fn a_time_in_the_past_is_not_taken_for_a_deadline() {
        assert!(request_deadline(0, None).left() > Duration::from_secs(20));
        assert!(request_deadline(0, Some(in_future(Duration::ZERO))).left() > Duration::from_secs(20));
    }

    #[test]
    fn a_clock_that_is_off_leaves_a_request_no_more_than_it_has() {
        let seconds = Duration::from_secs;
        // An hour ahead, and an hour behind.
        for ends in [in_future(seconds(3)) - 3_600_000, in_future(seconds(3)) + 3_600_000] {
            let deadline = request_deadline(ends, Some(ends - 3000));
            assert!((seconds(1)..seconds(3)).contains(&deadline.left()), "{:?}", deadline.left());
        }
    }

    #[test]
    fn a_request_ends_before_the_gateway_gives_up_and_a_scheduled_run_does_not() {
        let quarter = in_future(Duration::from_mins(15));
        assert!(request_deadline(quarter, None).left() <= MAX_REQUEST_DURATION);
        assert!(scheduled_deadline(quarter).left() > Duration::from_mins(14));
    }
}
