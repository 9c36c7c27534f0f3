//! The reports of `health`: quick, deep, detailed and for Prometheus, and what they say of each problem.

use std::io::{Seek as _, Write as _};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::{Database, Lambda, Postgres, Proxy};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::doctor::doctor;

pub(crate) const KEY: &str = "tsk_operator";

pub(crate) async fn health(url: impl Into<String>) -> Result<Lambda> {
    Lambda::builder("health").env("DATABASE_URL", url).start().await
}

pub(crate) async fn make_key(database: &Database, key: &str, scope: &str) -> Result<()> {
    let hash = hex::encode(Sha256::digest(key));
    let sql = format!(
        "INSERT INTO api_keys (hash, prefix, owner, scopes) VALUES ('\\x{hash}', '{scope}', 'o', ARRAY['{scope}'])"
    );
    Ok(database.client().await?.batch_execute(&sql).await?)
}

/// The check `name` of the detailed report.
pub(crate) async fn check(health: &Lambda, name: &str) -> Result<Value> {
    let answer = health.get("/health").query("detailed", "true").header("x-api-key", KEY).send().await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    let report = answer.json()?;
    let checks = report["checks"].as_array().context("no checks")?;
    checks.iter().find(|check| check["name"] == name).cloned().with_context(|| format!("no {name}: {report}"))
}

#[tokio::test]
async fn quick_asks_no_database() -> Result<()> {
    for url in ["postgres://u:p@127.0.0.1:1/d", "not a url"] {
        let health = health(url).await?;
        let answer = health.get("/health").send().await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let quick = answer.json()?;
        assert_eq!(quick["status"], "ok");
        assert_eq!(quick["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(health.head("/health").send().await?.text(), "");
    }
    Ok(())
}

#[tokio::test]
async fn the_openapi_document_is_served() -> Result<()> {
    let health = health("postgres://u:p@127.0.0.1:1/d").await?;
    let answer = health.get("/openapi.yaml").send().await?;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/yaml"));
    assert!(answer.text().starts_with("openapi: 3.1"), "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn other_paths_methods_and_values_are_refused() -> Result<()> {
    let health = health("postgres://u:p@127.0.0.1:1/d").await?;
    assert_eq!(health.get("/healthy").send().await?.status, 404);
    let posted = health.post("/health").send().await?;
    assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
    for (name, value) in [("deep", "perhaps"), ("detailed", "2"), ("format", "xml")] {
        let answer = health.get("/health").query(name, value).send().await?;
        assert_eq!(answer.status, 422, "{name}={value}");
        assert_eq!(answer.json()?["errors"][0]["field"], name);
    }
    Ok(())
}

#[tokio::test]
async fn each_report_is_one_round_trip_without_a_named_statement() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    make_key(&database, KEY, "ops:read").await?;
    let proxy = Proxy::recording(database.postgres().address()).await?;
    let health = health(proxy.url(&database)).await?;
    let deep = health.get("/health").query("deep", "true").send().await?;
    assert_eq!(deep.status, 200, "{}", deep.text());
    for (name, value) in [("deep", "true"), ("detailed", "true"), ("format", "prometheus")] {
        proxy.reset();
        let answer = health.get("/health").query(name, value).header("x-api-key", KEY).send().await?;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(proxy.round_trips(), 1, "{name}");
    }
    assert_eq!(proxy.named_statements(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn details_need_a_key_with_ops_read_in_one_round_trip() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    make_key(&database, KEY, "ops:read").await?;
    make_key(&database, "tsk_reader", "qr:read").await?;
    let proxy = Proxy::recording(database.postgres().address()).await?;
    let health = health(proxy.url(&database)).await?;
    health.get("/health").query("deep", "true").send().await?;
    for (name, value) in [("detailed", "true"), ("format", "prometheus")] {
        for (key, status, round_trips) in
            [(None, 401, 0), (Some("tsk_unknown"), 401, 1), (Some("tsk_reader"), 403, 1), (Some(KEY), 200, 1)]
        {
            proxy.reset();
            let mut request = health.get("/health").query(name, value);
            if let Some(key) = key {
                request = request.header("authorization", format!("Bearer {key}"));
            }
            let answer = request.send().await?;
            assert_eq!(answer.status, status, "{name} {key:?}: {}", answer.text());
            assert_eq!(proxy.round_trips(), round_trips, "{name} {key:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_caller_without_the_scope_learns_verdicts_and_no_more() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let health = health(database.url()).await?;
    let deep = health.get("/health").query("deep", "true").send().await?.json()?;
    let members: Vec<_> = deep.as_object().context("no object")?.keys().collect();
    assert_eq!(members, ["checks", "status", "version"]);
    for (name, verdict) in deep["checks"].as_object().context("no checks")? {
        let verdict = verdict.as_str().context("no word")?;
        assert!(["ok", "warn", "fail", "notVisible"].contains(&verdict), "{name}: {verdict}");
    }
    Ok(())
}

#[tokio::test]
async fn prometheus_accepts_the_text() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    make_key(&database, KEY, "ops:read").await?;
    let health = health(database.url()).await?;
    let answer = health.get("/health").query("format", "prometheus").header("x-api-key", KEY).send().await?;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");

    let mut text = tempfile::tempfile()?;
    text.write_all(&answer.body)?;
    text.rewind()?;
    let output =
        Command::new("promtool").args(["check", "metrics"]).stdin(text).output().context(
            "promtool is needed; on Debian: apt-get install prometheus (`cargo dev test` does it)",
        )?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{stderr}\n{}", answer.text());
    Ok(())
}

/// Each URL leads nowhere in another way, which the report names, with advice.
#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_within_3_s() -> Result<()> {
    let tls = Postgres::tls().await?.database().await?;
    let good = tls.url();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let wrong_ca = harness::Authority::new()?;
    let scratch = tempfile::tempdir()?;
    let ca = scratch.path().join("other-ca.pem");
    std::fs::write(&ca, wrong_ca.pem())?;
    let root = good.split("sslrootcert=").nth(1).context("no root")?;
    let misnamed = Postgres::builder().certificate(harness::Certificate::WrongName).start().await?;
    for (url, diagnosis, advice) in [
        (good.replace(harness::PASSWORD, "wrong"), "wrong_password", "copy user and password"),
        (good.replace(root, ca.to_str().context("path")?), "untrusted_certificate", "DATABASE_CA"),
        (misnamed.url("postgres"), "wrong_name", "connect by the name"),
        (good.replace(&tls.name, "nowhere"), "no_such_database", "after the last slash"),
        ("postgres://u:p@127.0.0.1:1/d".to_owned(), "refused", "the port is right"),
        ("postgres://u:p@no-such-host.invalid/d".to_owned(), "unknown_host", "copy the URL anew"),
        (format!("postgres://u:p@{}/d?sslmode=disable", silent.local_addr()?), "unreachable", "firewall"),
        ("mysql://u:p@h/d".to_owned(), "configuration", "DATABASE_URL"),
    ] {
        let health = health(url.clone()).await?;
        let deep = health.get("/health").query("deep", "true").deadline(Duration::from_secs(3));
        let deep = deep.send().await.with_context(|| diagnosis)?;
        assert_eq!(deep.status, 503, "{diagnosis}");
        let report = deep.json()?;
        assert_eq!((&report["status"], &report["checks"]["database"]), (&"down".into(), &"fail".into()));
        let observed = report["observed"].as_str().unwrap_or_default();
        assert!(observed.starts_with(&format!("{diagnosis}: ")), "{diagnosis}: {report}");
        assert!(report["advice"].as_str().unwrap_or_default().contains(advice), "{diagnosis}: {report}");
        let text = deep.text();
        assert!(!text.contains("127.0.0.1") && !text.contains(harness::PASSWORD), "{text}");
        assert_eq!(health.get("/health").send().await?.status, 200, "quick");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_missing_in_the_schema_is_named() -> Result<()> {
    let empty = Postgres::plain().await?.empty_database().await?;
    let health = health(empty.url()).await?;
    // Nobody can be known without a table of keys: the verdicts are all there is, and they are enough.
    let answer = health.get("/health").query("detailed", "true").header("x-api-key", KEY).send().await?;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()?["checks"]["migrations"], "fail");

    let database = Postgres::plain().await?.database().await?;
    make_key(&database, KEY, "ops:read").await?;
    database.client().await?.batch_execute("DROP TABLE scan_quotas").await?;
    let health = self::health(database.url()).await?;
    let migrations = check(&health, "migrations").await?;
    assert_eq!(migrations["verdict"], "fail", "{migrations}");
    assert!(migrations["advice"].to_string().contains("migrate up"), "{migrations}");
    Ok(())
}

#[tokio::test]
async fn a_role_without_rights_is_named_and_what_it_lacks() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    make_key(&database, KEY, "ops:read").await?;
    let client = database.client().await?;
    client
        .batch_execute("REVOKE ALL ON scans FROM tessera; REVOKE ALL ON tessera_migrations FROM tessera")
        .await?;
    let health = health(database.url()).await?;
    let rights = check(&health, "rights").await?;
    assert_eq!(rights["verdict"], "fail", "{rights}");
    assert!(rights["observed"].to_string().contains("scans"), "{rights}");
    assert!(rights["advice"].to_string().contains("GRANT"), "{rights}");
    Ok(())
}

#[tokio::test]
async fn an_idle_transaction_that_holds_a_lock_is_named() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    make_key(&database, KEY, "ops:read").await?;
    let holder = database.client().await?;
    holder.batch_execute("BEGIN; LOCK TABLE codes").await?;
    let waiting = database.client().await?;
    let wait = tokio::spawn(async move { waiting.batch_execute("SELECT count(*) FROM codes").await });
    let health = health(database.url()).await?;
    // The statement reads `codes` for the details, so anybody who waits is seen by the deep form.
    let seen = loop {
        let deep = health.get("/health").query("deep", "true").send().await?.json()?;
        if deep["checks"]["idle_in_transaction"] != "ok" {
            break deep;
        }
        ensure!(!wait.is_finished(), "nobody waits");
        tokio::task::yield_now().await;
    };
    assert_eq!(seen["checks"]["idle_in_transaction"], "fail", "{seen}");
    assert_eq!(seen["status"], "down");
    holder.batch_execute("ROLLBACK").await?;
    wait.await??;
    Ok(())
}

#[tokio::test]
async fn connections_that_run_out_are_named() -> Result<()> {
    let postgres = Postgres::builder()
        .settings([("max_connections", "20"), ("superuser_reserved_connections", "3")])
        .start()
        .await?;
    let database = postgres.database().await?;
    make_key(&database, KEY, "ops:read").await?;
    let health = health(database.url()).await?;
    let mut held = Vec::new();
    let connections = loop {
        let connections = check(&health, "connections").await?;
        if connections["verdict"] != "ok" || held.len() > 15 {
            break connections;
        }
        held.push(database.client().await?);
    };
    assert_eq!(connections["verdict"], "warn", "{connections}");
    assert!(connections["observed"].to_string().contains("of 17"), "{connections}");
    assert!(connections["observed"].to_string().contains(" of harness"), "{connections}");

    // The last ones too: a container that starts now finds none.
    while let Ok(client) = database.client().await {
        held.push(client);
    }
    let late = self::health(database.url()).await?;
    let deep = late.get("/health").query("deep", "true").deadline(Duration::from_secs(3)).send().await?;
    assert_eq!(deep.status, 503);
    assert!(deep.text().contains("slots_full"), "{}", deep.text());
    Ok(())
}

#[tokio::test]
async fn a_standby_in_place_of_the_primary_is_named() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let database = postgres.database().await?;
    let standby = postgres.standby(Duration::ZERO).await?;
    let health = health(standby.url(&database.name)).await?;
    let deep = health.get("/health").query("deep", "true").send().await?;
    assert_eq!((deep.status, &deep.json()?["checks"]["writable"]), (503, &"fail".into()));
    Ok(())
}

#[tokio::test]
async fn a_replica_that_lags_or_is_down_is_named_and_the_rest_goes_on() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let database = postgres.database().await?;
    make_key(&database, KEY, "ops:read").await?;
    let standby = postgres.standby(Duration::ZERO).await?;
    let health = Lambda::builder("health")
        .env("DATABASE_URL", database.url())
        .env("DATABASE_READ_URL", standby.url(&database.name))
        .start()
        .await?;
    assert_eq!(check(&health, "read_replica").await?["verdict"], "ok");

    standby.set("recovery_min_apply_delay", Some("1h")).await?;
    // What waits to be applied ages until it is old enough.
    let change = "UPDATE visitor_key SET key = key";
    let replica = loop {
        database.client().await?.batch_execute(change).await?;
        let replica = check(&health, "read_replica").await?;
        if replica["verdict"] != "ok" {
            break replica;
        }
    };
    assert_eq!(replica["verdict"], "warn", "{replica}");
    assert!(replica["observed"].to_string().contains("behind"), "{replica}");
    let urls = [("DATABASE_URL", database.url()), ("DATABASE_READ_URL", standby.url(&database.name))];
    doctor(&urls).await?.expect_check("read_replica", "warn", "behind", "recovery_min_apply_delay")?;

    standby.stop(harness::Stop::Fast).await?;
    let replica = check(&health, "read_replica").await?;
    assert_eq!(replica["verdict"], "warn", "{replica}");
    assert!(replica["observed"].to_string().contains("refused"), "{replica}");
    Ok(())
}
