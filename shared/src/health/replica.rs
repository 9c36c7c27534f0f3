//! How far the read replica is behind, as the replica itself says.

use tessera_postgres::{Database, DatabaseError, Deadline, IdempotentBy, Json, Plan, Row, Statement, Type};

use super::check::Check;
use super::checks;
use super::facts::ReplicaFacts;

/// Reads how far a replica is behind, and is sent to the replica; a read.
pub const REPLICA: Statement = Statement {
    name: "health.replica",
    sql: "SELECT jsonb_build_object(
              'inRecovery', pg_is_in_recovery(),
              'lagSeconds', CASE
                  WHEN NOT pg_is_in_recovery() THEN 0
                  WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
                  ELSE extract(epoch FROM clock_timestamp()
                               - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) END) AS facts",
    parameters: &[],
    columns: &[("facts", Type::JSONB)],
    plan: Plan::EachTime,
    may_take_long: false,
    idempotent_by: IdempotentBy::Read,
};

/// Asks the replica in one round trip, and checks how far it is behind.
pub async fn replica(database: &Database, deadline: Deadline) -> Result<Check, DatabaseError> {
    check_from_replica_row(&database.query_one(&REPLICA, &[], deadline).await?)
}

/// Makes the check from a row of [`REPLICA`].
pub fn check_from_replica_row(row: &Row) -> Result<Check, DatabaseError> {
    match row.try_get::<_, Json<ReplicaFacts>>("facts") {
        Ok(Json(facts)) => Ok(checks::read_replica(&facts)),
        Err(_) => Err(DatabaseError::WrongShape { statement: REPLICA.name }),
    }
}
