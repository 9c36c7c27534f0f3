//! A statement that is stuck is stopped at its deadline, on the server too, and the caller hears of it in time.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::{Database, Lambda, PgBouncer, Postgres, Proxy};

use super::containers::{
    count_codes_and_scans, create, create_ok, generate, wait_for_blocked_statement, wait_until,
};

/// Locks a table until the client that is returned is dropped.
async fn lock_table(database: &Database) -> Result<tokio_postgres::Client> {
    let admin = database.postgres().admin(&database.name).await?;
    admin.batch_execute("BEGIN; LOCK TABLE codes").await?;
    Ok(admin)
}

async fn count_running(database: &Database) -> Result<usize> {
    let active = "SELECT 1 FROM pg_stat_activity
        WHERE state = 'active' AND application_name <> 'harness' AND datname = current_database()
          AND backend_type = 'client backend'";
    Ok(database.postgres().admin(&database.name).await?.query_typed(active, &[]).await?.len())
}

async fn gives_up_and_recovers(database: &Database, lambda: &Lambda) -> Result<()> {
    create_ok(lambda).await?;
    let lock = lock_table(database).await?;
    // A function that is late is killed, and that is an error.
    let stuck = create(lambda).await?;
    ensure!(stuck.status == 503 && stuck.header("retry-after") == "2", "{}", stuck.text());
    wait_until("the server has stopped it", async || Ok(count_running(database).await? == 0)).await?;
    drop(lock);
    create_ok(lambda).await?;
    ensure!(count_codes_and_scans(database).await?.0 == 2, "what was refused is not there");
    Ok(())
}

#[tokio::test]
async fn a_stuck_statement_is_cancelled_at_the_deadline() -> Result<()> {
    for limit in [Duration::from_secs(1), Duration::from_secs(2)] {
        let database = Postgres::plain().await?.database().await?;
        let proxy = Proxy::of(database.postgres()).await?;
        let lambda = generate(proxy.url(&database)).timeout(limit).start().await?;
        gives_up_and_recovers(&database, &lambda).await?;
        ensure!(proxy.counts().connections == 2, "one to work, one to cancel");
    }
    Ok(())
}

#[tokio::test]
async fn a_stuck_statement_is_cancelled_over_tls() -> Result<()> {
    let database = Postgres::tls().await?.database().await?;
    let lambda = generate(database.url()).timeout(Duration::from_secs(2)).start().await?;
    gives_up_and_recovers(&database, &lambda).await
}

#[tokio::test]
async fn a_stuck_statement_is_cancelled_through_a_pooler() -> Result<()> {
    for postgres in [Postgres::plain().await?, Postgres::tls().await?] {
        let database = postgres.database().await?;
        let pooler = PgBouncer::in_front_of(postgres).start().await?;
        let lambda = generate(pooler.url(&database)).timeout(Duration::from_secs(2)).start().await?;
        gives_up_and_recovers(&database, &lambda).await?;
    }
    Ok(())
}

/// Slow is not dead: after three seconds it is asked again, and then waited for.
#[tokio::test]
async fn a_slow_statement_is_waited_for() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let lambda = generate(proxy.url(&database)).start().await?;
    create_ok(&lambda).await?;
    let lock = lock_table(&database).await?;
    let release = async {
        wait_for_blocked_statement(&database).await?;
        let sent_again = || lambda.logs().iter().any(|line| line.contains("slow, sent again"));
        wait_until("it is sent again", async || Ok(sent_again())).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(lock);
        anyhow::Ok(())
    };
    let (answer, released) = tokio::join!(create_ok(&lambda), release);
    released?;
    answer?;
    assert_eq!(count_codes_and_scans(&database).await?.0, 2);
    assert_eq!(proxy.counts().connections, 2, "one to work, one to cancel");
    Ok(())
}

#[tokio::test]
async fn a_limit_in_the_connection_string_is_obeyed() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let lambda = generate(format!("{}&statement_timeout=200", database.url())).start().await?;
    create_ok(&lambda).await?;
    let lock = lock_table(&database).await?;
    let cancelled = || {
        let log = database.log()?;
        Ok(log.iter().filter(|entry| entry.sqlstate == "57014").count() >= 2)
    };
    let release = async {
        wait_until("it is cancelled twice", async || cancelled()).await?;
        drop(lock);
        anyhow::Ok(())
    };
    let (answer, released) = tokio::join!(create_ok(&lambda), release);
    released?;
    answer?;
    assert_eq!(count_codes_and_scans(&database).await?.0, 2);
    Ok(())
}
