//! What Lambda says of an invocation's time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tessera_postgres::Deadline;

/// API Gateway's HTTP APIs give up after 30 s
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>); an answer after that reaches
/// nobody.
const MAX_REQUEST: Duration = Duration::from_secs(28);

/// The deadline of a request, from the time at which Lambda will stop the invocation, in milliseconds since 1970.
pub(crate) fn request_deadline(epoch_ms: u64) -> Deadline {
    Deadline::before_end_of(time_left(epoch_ms)).within(MAX_REQUEST)
}

/// The deadline of an invocation that nobody waits for: all of its time is there to be used, up to Lambda's 15 minutes.
#[must_use]
pub fn scheduled_deadline(epoch_ms: u64) -> Deadline {
    Deadline::before_end_of(time_left(epoch_ms))
}

/// A moment that has passed before the invocation began is no deadline: local emulators send one.
fn time_left(epoch_ms: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(epoch_ms).checked_sub(now).unwrap_or(MAX_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_future(left: Duration) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from((now + left).as_millis()).unwrap()
    }

    #[test]
    fn a_deadline_in_the_past_is_none() {
        assert!(request_deadline(0).left() > Duration::from_secs(20));
    }

    #[test]
    fn a_request_ends_before_the_gateway_gives_up_and_a_scheduled_run_does_not() {
        let quarter = in_future(Duration::from_mins(15));
        assert!(request_deadline(quarter).left() <= MAX_REQUEST);
        assert!(scheduled_deadline(quarter).left() > Duration::from_mins(14));
    }
}
