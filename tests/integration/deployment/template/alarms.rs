//! Each alarm, played against recordings of metrics: it fires where it should, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::Command;

use anyhow::{Context, Result};
use harness::run_to_end;
use serde_json::{Value, json};

use super::resolved::{parameters, stack};
use super::{root, strings, tools};

/// Recordings, and the alarms that must tell of them.
const RECORDINGS: [(&str, &[&str]); 12] = [
    ("a healthy day", &[]),
    ("a quiet night", &[]),
    // Five requests a minute, all of which fail when their time is up.
    ("dead database", &["DroppedWorkerRuns", "ErrorRate", "SlowRequests", "WorkerErrors"]),
    ("slow database", &["SlowRequests"]),
    ("busy outage", &["ErrorRate", "ServerErrors"]),
    ("full queue", &["DeadJobs", "QueueLength"]),
    ("full database", &["DatabaseConnections"]),
    ("stopped worker", &["WorkerStopped"]),
    ("revoked key", &["RefusedRequests"]),
    ("memory balloon", &["Memory"]),
    ("lack of containers", &["Throttles"]),
    ("shared pooler", &["PreparedStatementConflicts"]),
];

/// The alarms that CloudFormation makes, by name.
fn alarms(given: &[(&str, &str)]) -> Result<BTreeMap<&'static str, Value>> {
    let made = stack(&parameters(given)?)?;
    let alarms = made.into_iter().filter(|(_, resource)| resource["Type"] == "AWS::CloudWatch::Alarm");
    Ok(alarms.map(|(name, mut resource)| (name, resource["Properties"].take())).collect())
}

#[test]
fn each_alarm_tells_of_its_trouble_of_nothing_else_and_ends() -> Result<()> {
    let alarms = alarms(&[])?;
    let given = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(&given, &json!({"alarms": alarms, "memory": 512}))?;
    let mut python = Command::new(tools()?.join("python"));
    python.current_dir(root()).arg("tests/fixtures/template/play_alarms.py");
    let outcomes = run_to_end(python.stdin(File::open(given.path())?))?.stdout;
    let played: BTreeMap<String, Value> = serde_json::from_slice(&outcomes)?;

    assert_eq!(played.len(), RECORDINGS.len());
    let mut told = BTreeSet::new();
    for (recording, expected) in RECORDINGS {
        let outcome = played.get(recording).with_context(|| format!("{recording} was not played"))?;
        assert_eq!(strings(&outcome["told"]), expected, "{recording}");
        assert_eq!(strings(&outcome["still"]), [""; 0], "an hour after {recording}");
        told.extend(expected);
    }
    assert_eq!(told, alarms.keys().copied().collect(), "each alarm is played");
    Ok(())
}

#[test]
fn what_cannot_fire_without_the_worker_is_made_with_it() -> Result<()> {
    let (with, without) = (alarms(&[])?, alarms(&[("RunWorker", "false")])?);
    let worker: Vec<_> = with.keys().filter(|name| !without.contains_key(*name)).copied().collect();
    assert_eq!(worker, ["DeadJobs", "DroppedWorkerRuns", "QueueLength", "WorkerErrors", "WorkerStopped"]);
    Ok(())
}
