//! Each fault by itself, from made-up facts.

use serde_json::{Value, json};

use super::all;
use crate::health::Verdict::{self, Fail, NotVisible, Warn};
use crate::health::{Check, MIGRATIONS, Status, TABLES};

const LOCAL_EPOCH_MS: f64 = 1_700_000_000_000.0;

/// Nothing is wrong with these.
fn sound() -> Value {
    let table =
        |name: &&str| json!({"name": name, "live": 100, "dead": 0, "lacks": [], "bytes": 1, "indexBytes": 1});
    json!({
        "answers": {
            "caller": {"is": "here", "value": "ok"},
            "migrations": {"is": "here", "value": MIGRATIONS},
            "queue": {"is": "here", "value":
                {"ready": 0, "later": 0, "running": 0, "expired": 0, "oldestSeconds": 0, "dead": 0}},
            "alerts": {"is": "here", "value": []},
            "events": {"is": "here", "value": {"applied": 3, "failed": 0}},
            "scans": {"is": "here", "value": 5},
            "creates": {"is": "here", "value": 1},
            "statements": {"is": "here", "value": []},
        },
        "server": {
            "version": "16.4", "role": "app", "inRecovery": false, "readOnly": false, "timeZone": "UTC",
            "statementTimeout": "0", "idleInTransactionTimeout": "0", "idleSessionTimeout": "0",
            "startedAt": "2023-11-01T00:00:00Z", "epochMs": LOCAL_EPOCH_MS,
        },
        "elsewhere": null,
        "limits": {"server": 97, "role": null, "database": null},
        "used": {"role": 5, "database": 5},
        "sessions": {
            "total": 10, "ours": 5, "hidden": 0, "active": 1, "idle": 9, "idleInTransaction": 0, "idleLong": 0,
            "idleInTransactionSeconds": 0, "statementSeconds": 0, "waitingForLocks": 0, "lockWaitSeconds": 0,
        },
        "applications": [{"name": "psql", "connections": 5, "idleLong": 0}],
        "blockers": [],
        "lockedTables": [],
        "replicas": {"known": 0, "visible": 0, "lagSeconds": 0},
        "tables": TABLES.iter().map(table).collect::<Vec<_>>(),
        "databaseBytes": 1,
    })
}

fn judge(facts: Value) -> Vec<Check> {
    all(&serde_json::from_value(facts).unwrap(), LOCAL_EPOCH_MS)
}

#[test]
fn a_sound_installation_is_called_so() {
    let checks = judge(sound());
    assert_eq!(Status::from_checks(&checks), Status::Ok, "{checks:#?}");
    assert!(checks.iter().all(|check| check.advice.is_none()), "{checks:#?}");
}

fn locked_by(state: impl Into<Value>, seconds: impl Into<Value>) -> Value {
    let (state, seconds) = (state.into(), seconds.into());
    json!([{"name": "codes", "pid": 7, "application": "psql", "state": state, "seconds": seconds}])
}

#[test]
fn a_lock_of_a_moment_is_no_fault() {
    let mut facts = sound();
    facts["lockedTables"] = locked_by("active", 0.1);
    facts["answers"]["queue"] = json!({"is": "locked"});
    assert_eq!(Status::from_checks(&judge(facts)), Status::Ok);
}

/// What becomes wrong, as a JSON pointer and its value; which check alone says so, and a word of what it saw.
#[test]
fn each_fault_is_named_by_its_own_check_and_no_other() {
    let table = [
        (
            vec![("/sessions/idleLong", json!(30)), ("/applications/0/idleLong", json!(30))],
            "idle_connections",
            Warn,
            "30 of psql",
        ),
        (vec![("/sessions/total", json!(80))], "connections", Warn, ": 5 of Tessera's functions, 5 of psql"),
        (vec![("/sessions/total", json!(96))], "connections", Fail, "96 of 97"),
        (vec![("/limits/role", json!(5))], "connections", Fail, "limit of the role"),
        (
            vec![
                ("/sessions/idleInTransaction", json!(1)),
                ("/sessions/idleInTransactionSeconds", json!(90)),
            ],
            "idle_in_transaction",
            Warn,
            "90 s",
        ),
        (
            vec![("/sessions/waitingForLocks", json!(2)), ("/sessions/lockWaitSeconds", json!(7))],
            "locks",
            Warn,
            "2 waiting",
        ),
        (
            vec![("/lockedTables", locked_by("active", 7.0))],
            "locks",
            Fail,
            "codes is locked by process 7 (psql,",
        ),
        (
            vec![("/lockedTables", locked_by("idle in transaction", 0.1))],
            "locks",
            Fail,
            "idle in transaction",
        ),
        (vec![("/lockedTables", locked_by(Value::Null, Value::Null))], "locks", Warn, "state not visible"),
        (vec![("/sessions/statementSeconds", json!(600))], "longest_statement", Warn, "10 min"),
        (
            vec![("/replicas", json!({"known": 1, "visible": 1, "lagSeconds": 10}))],
            "replicas",
            Warn,
            "10 s behind",
        ),
        (vec![("/answers/queue/value/ready", json!(101))], "queue", Warn, "101 due"),
        (
            vec![
                ("/answers/queue/value/expired", json!(1)),
                ("/answers/queue/value/oldestSeconds", json!(900)),
            ],
            "queue",
            Warn,
            "15 min",
        ),
        (vec![("/answers/queue/value/dead", json!(4))], "dead_jobs", Warn, "4"),
        (vec![("/answers/events/value/failed", json!(2))], "events", Warn, "2 of them failed"),
        (vec![("/tables/3/dead", json!(50_000))], "bloat", Warn, "are dead rows"),
        (vec![("/server/epochMs", json!(LOCAL_EPOCH_MS + 120_000.0))], "clock", Warn, "2 min ahead"),
        (vec![("/server/epochMs", json!(LOCAL_EPOCH_MS - 45_000.0))], "clock", Warn, "45 s behind"),
        (vec![("/server/inRecovery", json!(true))], "writable", Fail, "standby"),
        (vec![("/server/readOnly", json!(true))], "writable", Fail, "read_only"),
        (vec![("/tables/0/lacks", json!(["UPDATE", "DELETE"]))], "rights", Fail, "(UPDATE, DELETE)"),
        (vec![("/tables/0/lacks", json!(["DELETE"]))], "rights", Warn, TABLES[0]),
        (vec![("/tables/0/name", json!("other"))], "migrations", Fail, TABLES[0]),
        (vec![("/answers/migrations/value", json!(["0001_codes"]))], "migrations", Warn, "pending"),
        (
            vec![(
                "/answers/statements/value",
                json!([{"text": "SELECT 1", "calls": 9, "meanMs": 900, "maxMs": 1000}]),
            )],
            "slow_statements",
            Warn,
            "900 ms",
        ),
        (vec![("/answers/statements", json!({"is": "missing"}))], "slow_statements", NotVisible, "not there"),
        (vec![("/sessions/hidden", json!(3))], "visibility", NotVisible, "3 sessions"),
        (
            vec![("/replicas", json!({"known": 1, "visible": 0, "lagSeconds": 0}))],
            "replicas",
            NotVisible,
            "not visible",
        ),
    ];
    for (changes, name, verdict, seen) in table {
        let mut facts = sound();
        for (pointer, value) in changes {
            *facts.pointer_mut(pointer).expect(pointer) = value;
        }
        let checks = judge(facts);
        let told: Vec<_> = checks.iter().filter(|check| check.verdict != Verdict::Ok).collect();
        assert_eq!(told.len(), 1, "{name}: {told:#?}");
        assert_eq!((told[0].name, told[0].verdict), (name, verdict), "{told:#?}");
        assert!(told[0].observed.contains(seen), "{seen}: {told:#?}");
        assert!(told[0].advice.is_some(), "{told:#?}");
    }
}
