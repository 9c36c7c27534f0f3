//! Deadlines of invocations, from the time at which Lambda will stop them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tessera_postgres::Deadline;

/// The longest that a request may take. API Gateway's HTTP APIs time out after 30 s
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>), and nobody gets a later
/// response.
const MAX_REQUEST_DURATION: Duration = Duration::from_secs(28);

/// The deadline of a request. `epoch_ms` is the time at which Lambda will stop the invocation, in milliseconds since
/// 1970.
pub(crate) fn request_deadline(epoch_ms: u64) -> Deadline {
    Deadline::before_end_of(time_left(epoch_ms)).within(MAX_REQUEST_DURATION)
}

/// The deadline of an invocation that no caller waits for, which may use all of its time, up to Lambda's 15 minutes.
/// `epoch_ms` is the time at which Lambda will stop it, in milliseconds since 1970.
#[must_use]
pub fn scheduled_deadline(epoch_ms: u64) -> Deadline {
    Deadline::before_end_of(time_left(epoch_ms))
}

/// The time until `epoch_ms`. A time before the invocation began, as local emulators send it, means that there is no
/// limit.
fn time_left(epoch_ms: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(epoch_ms).checked_sub(now).unwrap_or(MAX_REQUEST_DURATION)
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
        assert!(request_deadline(0).left() > Duration::from_secs(20));
    }

    #[test]
    fn a_request_ends_before_the_gateway_gives_up_and_a_scheduled_run_does_not() {
        let quarter = in_future(Duration::from_mins(15));
        assert!(request_deadline(quarter).left() <= MAX_REQUEST_DURATION);
        assert!(scheduled_deadline(quarter).left() > Duration::from_mins(14));
    }
}
