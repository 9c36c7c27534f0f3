//! `cargo tessera doctor` names what a test has broken, with the right advice.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use harness::{Authority, Certificate, Database, PgBouncer, Postgres};
use serde_json::Value;

use crate::connection::containers::wait_until;

/// The report of `cargo tessera doctor`, and its exit code.
pub(crate) struct DoctorReport {
    report: Value,
    code: Option<i32>,
    pub(crate) text: String,
}

impl DoctorReport {
    pub(crate) fn check(&self, name: &str) -> Result<&Value> {
        let checks = self.report["checks"].as_array().context("no checks")?;
        checks.iter().find(|check| check["name"] == name).with_context(|| format!("no {name}: {}", self.text))
    }

    /// Returns an error unless the check `name` has this verdict, and its observation and advice contain these words.
    pub(crate) fn expect_check(&self, name: &str, verdict: &str, seen: &str, advice: &str) -> Result<()> {
        let check = self.check(name)?;
        ensure!(check["verdict"] == verdict, "{name}: {check}");
        ensure!(check["observed"].to_string().contains(seen), "{name} says nothing of {seen}: {check}");
        ensure!(check["advice"].to_string().contains(advice), "{name} does not advise {advice}: {check}");
        ensure!(self.code == Some(if verdict == "fail" { 2 } else { self.code.unwrap_or(0).max(1) }));
        Ok(())
    }
}

fn tessera() -> Result<Command> {
    let tests = std::env::current_exe()?;
    let binary = tests.ancestors().nth(2).context("the tests are in target/debug/deps")?.join("tessera");
    let mut command = Command::new(binary);
    for variable in ["DATABASE_URL", "DATABASE_READ_URL", "DIRECT_URL", "DATABASE_CA"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    Ok(command)
}

pub(crate) async fn doctor(environment: &[(&str, String)]) -> Result<DoctorReport> {
    doctor_in(Path::new("."), &[], environment).await
}

async fn doctor_in(
    directory: &Path,
    arguments: &[&str],
    environment: &[(&str, String)],
) -> Result<DoctorReport> {
    let mut command = tessera()?;
    command.current_dir(directory).args(["doctor", "--json"]).args(arguments);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let output = tokio::task::spawn_blocking(move || command.output())
        .await?
        .context("`tessera` is missing: run `cargo build --workspace` first")?;
    let text = String::from_utf8(output.stdout)?;
    let report = serde_json::from_str(&text)
        .with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
    Ok(DoctorReport { report, code: output.status.code(), text })
}

pub(crate) async fn examine(url: impl Into<String>) -> Result<DoctorReport> {
    doctor(&[("DATABASE_URL", url.into())]).await
}

#[tokio::test]
async fn a_sound_installation_has_no_fault_and_keeps_no_trace() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let examined = examine(database.url()).await?;
    // The cluster is shared with other tests, which may hold idle connections and locks of their own.
    for name in ["url", "connect", "latency", "migrations", "rights", "writable", "consistency", "clock"] {
        assert_eq!(examined.check(name)?["verdict"], "ok", "{}", examined.text);
    }
    let client = database.client().await?;
    for table in ["codes", "code_versions", "scans", "scan_totals", "visitors"] {
        let count = client.query_typed_one(&format!("SELECT count(*) FROM {table}"), &[]).await?;
        assert_eq!(count.get::<_, i64>(0), 0, "{table}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_the_connection_is_named() -> Result<()> {
    let tls = Postgres::tls().await?.database().await?;
    let good = tls.url();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let scratch = tempfile::tempdir()?;
    let ca = scratch.path().join("other-ca.pem");
    std::fs::write(&ca, Authority::new()?.pem())?;
    let root = good.split("sslrootcert=").nth(1).context("no root")?;
    let misnamed = Postgres::builder().certificate(Certificate::WrongName).start().await?;
    let expired = Postgres::builder().certificate(Certificate::Expired).start().await?;
    for (url, seen, advice) in [
        (good.replace(harness::PASSWORD, "wrong"), "wrong_password", "copy user and password"),
        (good.replace(root, ca.to_str().context("path")?), "untrusted_certificate", "DATABASE_CA"),
        (misnamed.url("postgres"), "wrong_name", "the name that the provider gave"),
        (expired.url("postgres"), "expired_certificate", "renew"),
        (good.replace(&tls.name, "nowhere"), "no_such_database", "after the last slash"),
        ("postgres://u:p@127.0.0.1:1/d".to_owned(), "refused", "the port is right"),
        ("postgres://u:p@no-such-host.invalid/d".to_owned(), "unknown_host", "copy the URL anew"),
        (
            format!("postgres://u:p@{}/d?sslmode=disable&connect_timeout=1", silent.local_addr()?),
            "unreachable",
            "firewall",
        ),
    ] {
        let examined = examine(url).await?;
        examined.expect_check("connect", "fail", seen, advice)?;
        assert!(!examined.text.contains(harness::PASSWORD), "{}", examined.text);
    }
    let examined = examine("mysql://u:hunter2@h/d").await?;
    examined.expect_check("url", "fail", "DATABASE_URL", "DATABASE_SECRET_ARN")?;
    assert!(!examined.text.contains("hunter2"), "{}", examined.text);
    Ok(())
}

#[tokio::test]
async fn an_idle_transaction_that_holds_a_lock_is_named() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let holder = database.client().await?;
    holder.batch_execute("BEGIN; LOCK TABLE accounts").await?;
    let waiting = database.client().await?;
    let wait = tokio::spawn(async move { waiting.batch_execute("SELECT count(*) FROM accounts").await });
    let examined = loop {
        let examined = examine(database.url()).await?;
        if examined.check("idle_in_transaction")?["verdict"] == "fail" {
            break examined;
        }
        ensure!(!wait.is_finished(), "nobody waits");
    };
    examined.expect_check("idle_in_transaction", "fail", "the longest", "pg_terminate_backend")?;
    holder.batch_execute("ROLLBACK").await?;
    wait.await??;
    Ok(())
}

#[tokio::test]
async fn a_session_pooler_with_few_slots_is_named() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let declared = |pooler: &PgBouncer| format!("{}&pgbouncer=true", pooler.url(&database));
    let session = small_pool(&database, "session").await?;
    // Whether the URL says that it is a pooler, or not.
    examine(declared(&session)).await?.expect_check("burst", "fail", "no turn", "transaction mode")?;
    pool_is_free(&session, &database).await?;
    examine(session.url(&database)).await?.expect_check("burst", "fail", "no turn", "transaction mode")?;

    let transaction = small_pool(&database, "transaction").await?;
    let examined = examine(declared(&transaction)).await?;
    assert_eq!(examined.check("burst")?["verdict"], "ok", "{}", examined.text);
    assert!(examined.check("pooler")?["observed"].to_string().contains("PgBouncer"), "{}", examined.text);
    pool_is_free(&transaction, &database).await?;
    let burst = examine(transaction.url(&database)).await?.check("burst")?["observed"].to_string();
    assert!(burst.contains("a pooler shares them"), "{burst}");
    Ok(())
}

/// A pooler with two server connections, which are open. Nobody needs a password: with SCRAM, which is slow without
/// optimisation, a burst of logins on a busy machine may last longer than `doctor` waits for an answer.
async fn small_pool(database: &Database, mode: &str) -> Result<PgBouncer> {
    let pooler = PgBouncer::in_front_of(database.postgres())
        .setting("auth_type", "trust")
        .setting("pool_mode", mode)
        .setting("default_pool_size", 2)
        .setting("min_pool_size", 2)
        .start()
        .await?;
    // Each in a transaction of its own, so that both connections must be opened.
    let clients = [connect(&pooler, database).await?, connect(&pooler, database).await?];
    for statement in ["BEGIN", "COMMIT"] {
        try_join_all(clients.iter().map(|client| client.batch_execute(statement))).await?;
    }
    drop(clients);
    pool_is_free(&pooler, database).await?;
    Ok(pooler)
}

async fn connect(pooler: &PgBouncer, database: &Database) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(&pooler.url(database), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Waits until whoever was there before has left, and both server connections are idle.
async fn pool_is_free(pooler: &PgBouncer, database: &Database) -> Result<()> {
    wait_until("the pool is free", async || {
        let [clients, servers] = [pooler.admin("SHOW CLIENTS").await?, pooler.admin("SHOW SERVERS").await?]
            .map(|rows| rows.into_iter().filter(|row| row["database"] == database.name).collect::<Vec<_>>());
        let idle = servers.iter().filter(|server| server["state"] == "idle").count();
        Ok(clients.is_empty() && idle == 2)
    })
    .await
}

#[tokio::test]
async fn a_pooler_that_others_have_taken_whole_is_named_and_not_waited_for() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let pooler = PgBouncer::in_front_of(database.postgres())
        .setting("pool_mode", "session")
        .setting("default_pool_size", 1)
        .start()
        .await?;
    let taking = connect(&pooler, &database).await?;
    taking.batch_execute("SELECT").await?;

    let examined = examine(pooler.url(&database)).await?;
    examined.expect_check("latency", "fail", "logged in, but", "transaction mode")?;
    assert!(examined.check("consistency").is_err(), "nothing more is tried: {}", examined.text);
    Ok(())
}

#[tokio::test]
async fn a_pooler_that_does_not_reach_its_database_is_not_called_full() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let database = postgres.database().await?;
    let pooler = PgBouncer::in_front_of(&postgres).start().await?;
    postgres.stop(harness::Stop::Fast).await?;
    let url = format!("{}&pgbouncer=true&connect_timeout=1", pooler.url(&database));
    examine(url).await?.expect_check("connect", "fail", "pooler_silent", "whether it reaches the database")
}

#[tokio::test]
async fn full_slots_and_a_plan_that_does_not_fit_are_named() -> Result<()> {
    let postgres = Postgres::builder()
        .settings([("max_connections", "40"), ("superuser_reserved_connections", "3")])
        .start()
        .await?;
    let database = postgres.database().await?;
    let url = database.url();
    let elsewhere = tempfile::tempdir()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (directory, arguments, verdict, seen) in [
        (elsewhere.path(), vec![], "ok", "--containers N holds"),
        (elsewhere.path(), vec!["--containers", "10"], "ok", "10 planned (--containers)"),
        (elsewhere.path(), vec!["--containers", "100"], "warn", "100 planned (--containers)"),
        (&root, vec![], "ok", "reserves nothing"),
        (
            &root,
            vec!["--config-env", "prod"],
            "warn",
            "50 planned (ConnectionBudget of [prod] in samconfig.toml)",
        ),
    ] {
        let examined = doctor_in(directory, &arguments, &[("DATABASE_URL", url.clone())]).await?;
        let budget = examined.check("budget")?;
        assert_eq!(budget["verdict"], verdict, "{arguments:?}: {budget}");
        assert!(budget["observed"].to_string().contains(seen), "{seen}: {budget}");
    }

    let mut held: Vec<tokio_postgres::Client> = Vec::new();
    while let Ok(client) = database.client().await {
        held.push(client);
    }
    examine(database.url()).await?.expect_check("connect", "fail", "slots_full", "max_connections")
}

#[tokio::test]
async fn a_standby_in_place_of_the_primary_and_a_replica_that_is_down_are_named() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let database: Database = postgres.database().await?;
    let standby = postgres.standby(Duration::ZERO).await?;
    let standby_url = standby.url(&database.name);
    examine(standby_url.clone()).await?.expect_check("writable", "fail", "standby", "the primary")?;

    standby.stop(harness::Stop::Fast).await?;
    let examined = doctor(&[("DATABASE_URL", database.url()), ("DATABASE_READ_URL", standby_url)]).await?;
    examined.expect_check("replica_connect", "warn", "refused", "restart it")
}

#[tokio::test]
async fn a_person_reads_a_line_a_check_without_colours_in_a_file() -> Result<()> {
    let mut command = tessera()?;
    command.args(["doctor"]).env("DATABASE_URL", "postgres://u:p@127.0.0.1:1/d");
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    for part in ["FAIL  connect", "why:", "do:", "1 failure (connect)"] {
        assert!(text.contains(part), "{part} in:\n{text}");
    }
    Ok(())
}
