//! How far replicas are behind.

use super::duration;
use crate::health::check::Check;
use crate::health::check::Verdict::{NotVisible, Warn};
use crate::health::facts::{Facts, ReplicaFacts};

/// Lag in seconds from which a code that was just created is likely to be read from a replica that does not have it.
const REPLICA_LAG_LIMIT: f64 = 5.0;

pub(super) fn replicas(facts: &Facts) -> Check {
    let replicas = &facts.replicas;
    let why = "a replica that lags answers with what was true a while ago";
    match (replicas.known, replicas.visible) {
        (0, _) => Check::ok("replicas", "none", why),
        (known, 0) => Check::ok("replicas", format!("{known}, their delay is not visible to this role"), why)
            .when(true, NotVisible, "GRANT pg_monitor TO the role shows it"),
        (known, _) => lag(
            Check::ok("replicas", format!("{known}, at most {} behind", duration(replicas.lag_seconds)), why),
            replicas.lag_seconds,
        ),
    }
}

/// Checks the lag that the read replica reports of itself.
pub(in crate::health) fn read_replica(facts: &ReplicaFacts) -> Check {
    let why =
        "reads go to DATABASE_READ_URL; what it does not know yet costs a second round trip to the primary";
    let seconds = facts.lag_seconds;
    let observed = if facts.in_recovery {
        format!("{} behind", duration(seconds))
    } else {
        "not a replica: it takes writes".to_owned()
    };
    lag(Check::ok("read_replica", observed, why), seconds)
}

fn lag(check: Check, seconds: f64) -> Check {
    check.limit(duration(REPLICA_LAG_LIMIT)).when(
        seconds > REPLICA_LAG_LIMIT,
        Warn,
        "look for a long query, a paused replay (recovery_min_apply_delay) or too small a machine on the replica; unset \
         DATABASE_READ_URL until it has caught up",
    )
}
