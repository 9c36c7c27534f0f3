//! No server, process or file of the harness outlives the test process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::{Lambda, PgBouncer, Postgres};
use serde_json::{Value, json};

const END: &str = "HARNESS_CHILD_ENDS_BY";

/// Not a test by itself: the child process of the tests below, which starts servers and ends in the way that they
/// choose.
#[tokio::test]
#[ignore = "is started by other tests, and fails on purpose"]
async fn child_process() -> Result<()> {
    let Ok(end) = std::env::var(END) else { return Ok(()) };
    let postgres = Postgres::tls().await?;
    let database = postgres.database().await?;
    let dedicated = Postgres::builder().start().await?;
    let pgbouncer = PgBouncer::in_front_of(postgres).start().await?;
    let lambda =
        Lambda::builder("harness-echo").env("DATABASE_URL", pgbouncer.url(&database)).start().await?;
    let frozen = Lambda::builder("harness-echo").start().await?;
    frozen.freeze()?;
    let directory = postgres.ca_pem_path().context("it has TLS")?;
    let report = json!({
        "ports": [postgres.address().port(), dedicated.address().port(), pgbouncer.address().port()],
        "processes": [lambda.pid(), frozen.pid()],
        "directory": directory.ancestors().nth(2),
    });
    writeln!(std::io::stdout(), "\nchild: {report}")?;
    match end.as_str() {
        "panic" => panic!("told to panic"),
        "exit" => std::process::exit(0),
        _ => std::future::pending().await,
    }
}

fn start_child(end: &str) -> Result<(std::process::Child, Value)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "harness::cleanup::child_process", "--ignored", "--nocapture"])
        .env(END, end)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = BufReader::new(child.stdout.take().context("it is piped")?);
    let report =
        output.lines().map_while(Result::ok).find_map(|line| Some(line.strip_prefix("child: ")?.to_owned()));
    let report = serde_json::from_str(&report.context("the child process did not report")?)?;
    Ok((child, report))
}

/// The ports, processes and files that are left of the child process.
fn remains(report: &Value) -> Vec<String> {
    let numbers = |name: &str| report[name].as_array().into_iter().flatten().filter_map(Value::as_u64);
    let listens = |port: &u64| {
        let port = u16::try_from(*port).expect("it was one");
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    };
    let runs = |process: &u64| {
        let process = i32::try_from(*process).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::test_kill_process(process.expect("it was one")).is_ok()
    };
    let directory = report["directory"].as_str().filter(|directory| Path::new(directory).exists());
    let ports = numbers("ports").filter(listens).map(|port| format!("port {port}"));
    let processes = numbers("processes").filter(runs).map(|process| format!("process {process}"));
    ports.chain(processes).chain(directory.map(str::to_owned)).collect()
}

fn nothing_remains_after(end: &str) -> Result<()> {
    let (mut child, report) = start_child(end)?;
    if end == "kill" {
        assert_eq!(remains(&report).len(), 6, "all is there before: {report}");
        child.kill()?;
    }
    child.wait()?;
    for _ in 0..200 {
        if remains(&report).is_empty() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("10 s after the end: {:?}", remains(&report))
}

#[test]
fn nothing_remains_of_a_test_process_that_was_killed() -> Result<()> {
    nothing_remains_after("kill")
}

#[test]
fn nothing_remains_of_a_test_process_that_panicked() -> Result<()> {
    nothing_remains_after("panic")
}

#[test]
fn nothing_remains_of_a_test_process_that_exited() -> Result<()> {
    nothing_remains_after("exit")
}
