//! A container is frozen between requests, and its connection does not survive that. The next request does, and costs
//! one reconnect at most, and a short wait besides if the connection was dropped silently.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::{Database, Lambda, PgBouncer, Postgres, Preload, Proxy, Response, Stop};

use super::containers::{count_codes_and_scans, follow_ok, insert_code, redirect};

/// Follows a code, freezes, lets the fault happen, thaws, and follows it again.
async fn after_a_freeze(
    lambda: &Lambda,
    database: &Database,
    fault: impl Future<Output = Result<()>>,
) -> Result<Response> {
    let id = insert_code(database).await?;
    follow_ok(lambda, id).await?;
    lambda.freeze()?;
    fault.await?;
    lambda.thaw()?;
    let response = follow_ok(lambda, id).await?;
    ensure!(count_codes_and_scans(database).await? == (1, 2), "two scans, each counted once");
    Ok(response)
}

#[tokio::test]
async fn a_session_that_was_terminated_is_replaced() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let lambda = redirect(proxy.url(&database)).start().await?;
    after_a_freeze(&lambda, &database, async {
        ensure!(database.postgres().terminate_sessions(&database.name).await? == 1);
        proxy.reset();
        Ok(())
    })
    .await?;
    assert_eq!(proxy.counts().connections, 1, "one reconnect");
    assert_eq!(proxy.round_trips(), 3, "two to connect without TLS and password, one for the statement");
    Ok(())
}

#[tokio::test]
async fn a_server_connection_that_was_terminated_behind_a_pooler_is_replaced() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let pooler = PgBouncer::in_front_of(database.postgres()).start().await?;
    let lambda = redirect(pooler.url(&database)).start().await?;
    after_a_freeze(&lambda, &database, async {
        ensure!(database.postgres().terminate_sessions(&database.name).await? == 1);
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_server_may_have_been_restarted() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let pooler = PgBouncer::in_front_of(&postgres).setting("server_login_retry", 1).start().await?;
    for how in [Stop::Fast, Stop::Immediate] {
        for pooled in [false, true] {
            let database = postgres.database().await?;
            let url = if pooled { pooler.url(&database) } else { database.url() };
            let lambda = redirect(url).start().await?;
            after_a_freeze(&lambda, &database, postgres.restart(how)).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_pooler_may_have_been_restarted() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let pooler = PgBouncer::in_front_of(database.postgres()).start().await?;
    let lambda = redirect(pooler.url(&database)).start().await?;
    after_a_freeze(&lambda, &database, async {
        pooler.kill().await?;
        pooler.start_again().await
    })
    .await?;
    Ok(())
}

/// Two seconds for the whole invocation: half a second of patience, a cancel request that nobody obeys, a reconnect.
#[tokio::test]
async fn a_silently_dropped_connection_costs_a_short_wait() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let pooler = PgBouncer::in_front_of(database.postgres()).start().await?;
    for front in [database.postgres().address(), pooler.address()] {
        let database = Postgres::plain().await?.database().await?;
        let proxy = Proxy::start(front).await?;
        let preload = Preload::new().await?;
        let url = proxy.url(&database);
        let lambda = redirect(url).preload(&preload).timeout(Duration::from_secs(2)).start().await?;
        after_a_freeze(&lambda, &database, async {
            preload.clock_ahead(Duration::from_secs(3))?;
            proxy.black_hole_open_connections();
            proxy.reset();
            Ok(())
        })
        .await?;
        assert_eq!(proxy.counts().connections, 2, "to cancel, and the new one");
    }
    Ok(())
}

/// Between two requests that follow each other closely nothing arouses doubt: then it takes three seconds.
#[tokio::test]
async fn a_connection_may_be_dropped_silently_amid_traffic() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let lambda = redirect(proxy.url(&database)).start().await?;
    after_a_freeze(&lambda, &database, async {
        proxy.black_hole_open_connections();
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_that_was_idle_for_long_is_not_tried() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let preload = Preload::new().await?;
    let lambda = redirect(proxy.url(&database)).preload(&preload).start().await?;
    after_a_freeze(&lambda, &database, async {
        preload.clock_ahead(Duration::from_mins(6))?;
        proxy.black_hole_open_connections();
        proxy.reset();
        Ok(())
    })
    .await?;
    assert_eq!(proxy.round_trips(), 3, "the new connection and the statement");
    Ok(())
}

#[tokio::test]
async fn a_connection_that_survived_is_used_without_a_ping() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let preload = Preload::new().await?;
    let lambda = redirect(proxy.url(&database)).preload(&preload).start().await?;
    after_a_freeze(&lambda, &database, async {
        preload.clock_ahead(Duration::from_mins(4))?;
        proxy.reset();
        Ok(())
    })
    .await?;
    assert_eq!(proxy.round_trips(), 1);
    Ok(())
}
