//! The harness's PgBouncer is the real one, with its limits.

use std::time::Duration;

use anyhow::Result;
use harness::{Database, PASSWORD, PgBouncer, Postgres, Proxy, ROLE};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

async fn connect(front: std::net::SocketAddr, database: &Database) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(front.port()).user(ROLE).password(PASSWORD).dbname(&database.name);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn database() -> Result<Database> {
    Postgres::plain().await?.empty_database().await
}

#[tokio::test]
async fn clients_share_server_connections_in_transaction_mode() -> Result<()> {
    let database = database().await?;
    let pgbouncer =
        PgBouncer::in_front_of(database.postgres()).setting("default_pool_size", 2).start().await?;
    for _ in 0..5 {
        let client = connect(pgbouncer.address(), &database).await?;
        assert_eq!(client.query_typed("SELECT 1", &[]).await?.len(), 1);
    }
    assert!(database.postgres().sessions(Some(&database.name)).await? <= 2);
    let pools = pgbouncer.admin("SHOW POOLS").await?;
    let pool = pools.iter().find(|pool| pool["database"] == database.name).expect("a pool for the database");
    assert_eq!(pool["pool_mode"], "transaction");
    assert!(pgbouncer.log().iter().any(|line| line.contains("login attempt")), "{:?}", pgbouncer.log());
    Ok(())
}

#[tokio::test]
async fn named_statements_break_in_transaction_mode_and_unnamed_ones_do_not() -> Result<()> {
    let database = database().await?;
    let pgbouncer =
        PgBouncer::in_front_of(database.postgres()).setting("default_pool_size", 2).start().await?;
    let (one, other) =
        tokio::try_join!(connect(pgbouncer.address(), &database), connect(pgbouncer.address(), &database))?;
    #[expect(clippy::disallowed_methods, reason = "the preparation that must be seen to fail")]
    let statement = one.prepare("SELECT 1").await?;
    // Now the other client keeps that server connection, and the first is given a new one.
    other.batch_execute("BEGIN").await?;
    #[expect(clippy::disallowed_methods, reason = "the named statement that must be seen to fail")]
    let error = one.query(&statement, &[]).await.expect_err("the statement is on another connection");
    assert_eq!(error.code(), Some(&SqlState::INVALID_SQL_STATEMENT_NAME));
    one.query_typed("SELECT $1::text", &[(&"a", Type::TEXT)]).await?;
    Ok(())
}

#[tokio::test]
async fn pool_size_clients_and_waits_are_limited() -> Result<()> {
    let database = database().await?;
    let pgbouncer = PgBouncer::in_front_of(database.postgres())
        .setting("default_pool_size", 1)
        .setting("max_client_conn", 3)
        .setting("query_wait_timeout", 1)
        .start()
        .await?;
    let busy = connect(pgbouncer.address(), &database).await?;
    busy.batch_execute("BEGIN").await?;
    let waiting = connect(pgbouncer.address(), &database).await?;
    let error = waiting.simple_query("SELECT 1").await.expect_err("the pool is used up");
    assert_eq!(error.as_db_error().map(tokio_postgres::error::DbError::message), Some("query_wait_timeout"));
    let mut clients = Vec::new();
    let refused = loop {
        match connect(pgbouncer.address(), &database).await {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code(), Some(&SqlState::PROTOCOL_VIOLATION), "{refused:?}");
    assert!(clients.len() <= 2);
    Ok(())
}

#[tokio::test]
async fn a_paused_pooler_holds_queries_back() -> Result<()> {
    let database = database().await?;
    let pgbouncer = PgBouncer::in_front_of(database.postgres()).start().await?;
    let client = connect(pgbouncer.address(), &database).await?;
    pgbouncer.pause().await?;
    let mut query = std::pin::pin!(client.simple_query("SELECT 1"));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut query).await.is_err());
    pgbouncer.resume().await?;
    query.await?;
    Ok(())
}

#[tokio::test]
async fn a_killed_pooler_starts_again_on_its_port() -> Result<()> {
    let database = database().await?;
    let pgbouncer = PgBouncer::in_front_of(database.postgres()).start().await?;
    let client = connect(pgbouncer.address(), &database).await?;
    pgbouncer.kill().await?;
    client.simple_query("SELECT 1").await.expect_err("its connection has ended");
    let refused = tokio::net::TcpStream::connect(pgbouncer.address()).await.expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let logged = pgbouncer.log().len();
    pgbouncer.start_again().await?;
    connect(pgbouncer.address(), &database).await?.simple_query("SELECT 1").await?;
    assert!(pgbouncer.log().len() > logged);
    Ok(())
}

#[tokio::test]
async fn a_pooler_can_outlive_its_database() -> Result<()> {
    let database = database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let pgbouncer = PgBouncer::in_front_of(database.postgres())
        .through(proxy.address())
        .setting("server_login_retry", 1)
        .setting("client_login_timeout", 1)
        .start()
        .await?;
    proxy.refuse().await;
    let client = connect(pgbouncer.address(), &database).await;
    let error = match client {
        Ok(client) => client.simple_query("SELECT 1").await.expect_err("there is no database"),
        Err(error) => error,
    };
    let message = error.as_db_error().map(tokio_postgres::error::DbError::message).unwrap_or_default();
    assert!(message.contains("server down"), "{error:?}");
    proxy.accept().await?;
    while connect(pgbouncer.address(), &database).await.is_err() {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn tls_is_used_on_both_sides() -> Result<()> {
    let database = Postgres::tls().await?.empty_database().await?;
    let pgbouncer = PgBouncer::in_front_of(database.postgres()).start().await?;
    let url = pgbouncer.url(&database);
    let ask = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let psql = move || std::process::Command::new("psql").args([&url, "-XAtc", ask]).output();
    let seen = tokio::task::spawn_blocking(psql).await??;
    assert_eq!(String::from_utf8_lossy(&seen.stdout), "t\n", "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn a_password_costs_two_round_trips() -> Result<()> {
    let database = database().await?;
    let pgbouncer = PgBouncer::in_front_of(database.postgres()).start().await?;
    let proxy = Proxy::start(pgbouncer.address()).await?;
    let client = connect(proxy.address(), &database).await?;
    assert_eq!(proxy.round_trips(), 4, "TCP, start-up, and two for SCRAM");
    proxy.reset();
    client.query_typed("SELECT 1", &[]).await?;
    assert_eq!(proxy.round_trips(), 1);
    Ok(())
}
