//! The harness's PostgreSQL does what other tests build on.

use std::time::Duration;

use anyhow::Result;
use harness::{Certificate, Database, PASSWORD, Postgres, ROLE, Stop};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

/// A client over TCP, as a function has one.
async fn connect(
    postgres: &Postgres,
    database: &str,
) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(postgres.address().port()).user(ROLE).password(PASSWORD).dbname(database);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn count(database: &Database, sql: &str) -> Result<i64> {
    Ok(database.client().await?.query_typed_one(sql, &[]).await?.try_get(0)?)
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own() -> Result<()> {
    let postgres = Postgres::plain().await?;
    let (one, other) = tokio::try_join!(postgres.database(), postgres.database())?;
    one.client().await?.batch_execute("CREATE TABLE mine (id int)").await?;
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'mine'";
    assert_eq!(count(&one, tables).await?, 1);
    assert_eq!(count(&other, tables).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_database_is_dropped_at_the_end_of_its_test() -> Result<()> {
    let postgres = Postgres::plain().await?;
    let database = postgres.empty_database().await?;
    let name = database.name.clone();
    let _still_connected = database.client().await?;
    drop(database);
    let admin = postgres.admin("postgres").await?;
    let exists = "SELECT count(*) FROM pg_database WHERE datname = $1";
    while admin.query_typed_one(exists, &[(&name, Type::TEXT)]).await?.try_get::<_, i64>(0)? > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn fresh_databases_are_copies_of_a_template_made_once() -> Result<()> {
    let postgres = Postgres::builder()
        .template(|client| {
            Box::pin(async { Ok(client.batch_execute("CREATE TABLE code AS SELECT 7 AS id").await?) })
        })
        .start()
        .await?;
    let (one, other) = tokio::try_join!(postgres.database(), postgres.database())?;
    assert_eq!(count(&one, "SELECT id::int8 FROM code").await?, 7);
    assert_eq!(count(&other, "SELECT id::int8 FROM code").await?, 7);
    let empty = postgres.empty_database().await?;
    assert_eq!(count(&empty, "SELECT count(*) FROM pg_tables WHERE tablename = 'code'").await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_log_tells_named_statements_from_unnamed_ones() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    let client = connect(database.postgres(), &database.name).await?;
    client.query_typed("SELECT\n $1::text", &[(&"a", Type::TEXT)]).await?;
    #[expect(clippy::disallowed_methods, reason = "the named statement that must be seen")]
    client.query("SELECT 2", &[]).await?;
    let log = database.log()?;
    let named: Vec<_> = log.iter().filter_map(harness::LogEntry::named_statement).collect();
    assert!(matches!(named[..], [name] if name.starts_with('s')), "{named:?}");
    assert!(log.iter().any(|entry| entry.text == "LOG:  execute <unnamed>: SELECT\n $1::text"), "{log:#?}");
    Ok(())
}

#[tokio::test]
async fn a_stopped_server_refuses_connections_and_starts_again_on_its_port() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let database = postgres.database().await?;
    for stop in [Stop::Fast, Stop::Immediate] {
        let address = postgres.address();
        postgres.stop(stop).await?;
        let refused = tokio::net::TcpStream::connect(address).await.expect_err("it is stopped");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        postgres.start_again().await?;
        assert_eq!(postgres.address(), address);
        assert_eq!(count(&database, "SELECT 1::int8").await?, 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_restart_ends_sessions() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let database = postgres.database().await?;
    let client = database.client().await?;
    postgres.restart(Stop::Fast).await?;
    let error = client.simple_query("SELECT 1").await.expect_err("its session has ended");
    assert!(error.is_closed() || error.code() == Some(&SqlState::ADMIN_SHUTDOWN), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn settings_reach_the_server_at_the_start_and_later() -> Result<()> {
    let postgres =
        Postgres::builder().settings([("max_connections", "7"), ("work_mem", "5MB")]).start().await?;
    let show = async |name: &str| -> Result<String> {
        let setting = "SELECT current_setting($1)";
        let admin = postgres.admin("postgres").await?;
        Ok(admin.query_typed_one(setting, &[(&name, Type::TEXT)]).await?.try_get(0)?)
    };
    assert_eq!(show("max_connections").await?, "7");
    assert_eq!(show("work_mem").await?, "5MB");
    postgres.set("default_transaction_read_only", Some("on")).await?;
    while show("default_transaction_read_only").await? != "on" {
        tokio::task::yield_now().await;
    }
    let error = connect(&postgres, "postgres").await?.simple_query("CREATE TABLE t ()").await;
    assert_eq!(error.expect_err("read only").code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    Ok(())
}

#[tokio::test]
async fn sessions_are_counted_and_terminated() -> Result<()> {
    let postgres = Postgres::plain().await?;
    let database = postgres.empty_database().await?;
    let client = connect(postgres, &database.name).await?;
    assert_eq!(postgres.sessions(Some(&database.name)).await?, 1);
    assert_eq!(postgres.terminate_sessions(&database.name).await?, 1);
    assert_eq!(postgres.sessions(Some(&database.name)).await?, 0);
    client.simple_query("SELECT 1").await.expect_err("its session has ended");
    Ok(())
}

/// Runs psql, whose verdict on a certificate is the reference.
fn psql(url: &str) -> Result<std::process::Output> {
    let psql =
        std::process::Command::new("psql").args([url, "-XAtc", "SELECT ssl FROM pg_stat_ssl"]).output()?;
    Ok(psql)
}

#[tokio::test]
async fn tls_is_verifiable_in_full_and_wants_a_password() -> Result<()> {
    let postgres = Postgres::tls().await?;
    let database = postgres.database().await?;
    let seen = psql(&database.url())?;
    assert!(String::from_utf8_lossy(&seen.stdout).starts_with('t'), "{seen:?}");
    let wrong = psql(&database.url().replace(PASSWORD, "wrong"))?;
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("password authentication failed"), "{wrong:?}");
    let plain = connect(postgres, &database.name).await.err().and_then(|error| error.code().cloned());
    assert_eq!(plain, Some(SqlState::INVALID_AUTHORIZATION_SPECIFICATION));
    Ok(())
}

#[tokio::test]
async fn psql_refuses_the_invalid_certificates() -> Result<()> {
    for (certificate, complaint) in
        [(Certificate::WrongName, "does not match host name"), (Certificate::Expired, "certificate")]
    {
        let postgres = Postgres::builder().certificate(certificate).start().await?;
        let seen = psql(&postgres.url("postgres"))?;
        assert!(String::from_utf8_lossy(&seen.stderr).contains(complaint), "{certificate:?}: {seen:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_standby_applies_late_and_can_be_promoted() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let database = postgres.empty_database().await?;
    database.client().await?.batch_execute("CREATE TABLE code (id int)").await?;
    let standby = postgres.standby(Duration::from_mins(10)).await?;
    database.client().await?.batch_execute("INSERT INTO code VALUES (1)").await?;
    let reader = connect(&standby, &database.name).await?;
    let count = "SELECT count(*) FROM code";
    assert_eq!(reader.query_typed_one(count, &[]).await?.try_get::<_, i64>(0)?, 0);
    let error = reader.simple_query("INSERT INTO code VALUES (2)").await.expect_err("a standby is read only");
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    standby.set("recovery_min_apply_delay", Some("0")).await?;
    while reader.query_typed_one(count, &[]).await?.try_get::<_, i64>(0)? == 0 {
        tokio::task::yield_now().await;
    }
    standby.promote().await?;
    connect(&standby, &database.name).await?.simple_query("INSERT INTO code VALUES (2)").await?;
    Ok(())
}
