//! Connections over the life of a container: named after it, opened in init if configured, closed at shutdown.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use harness::{Exit, Message, PgBouncer, Postgres, Proxy};

use super::containers::{count_codes_and_scans, follow_ok, insert_code, redirect, wait_until};

/// The message `Terminate`, by which a client ends its session.
const TERMINATE: Message = Message::Other(b'X');

#[tokio::test]
async fn a_container_that_is_stopped_terminates_its_session() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::recording(database.postgres().address()).await?;
    let id = insert_code(&database).await?;
    for frozen in [false, true] {
        proxy.reset();
        let lambda = redirect(proxy.url(&database)).start().await?;
        follow_ok(&lambda, id).await?;
        assert!(!proxy.messages().contains(&TERMINATE));
        if frozen {
            lambda.freeze()?;
        }
        // Half a second, then it would be killed.
        assert_eq!(lambda.terminate().await?, Exit::Code(0));
        wait_until("the server is told", async || Ok(proxy.messages().contains(&TERMINATE))).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_container_stops_in_time_when_its_database_does_not_answer() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let lambda = redirect(proxy.url(&database)).start().await?;
    follow_ok(&lambda, insert_code(&database).await?).await?;
    proxy.black_hole();
    assert_eq!(lambda.terminate().await?, Exit::Code(0));
    Ok(())
}

#[tokio::test]
async fn a_hundred_containers_leave_no_session_behind() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let pooler = PgBouncer::in_front_of(database.postgres()).start().await?;
    let id = insert_code(&database).await?;
    for _ in 0..5 {
        let one = async |at: usize| -> Result<()> {
            let url = if at.is_multiple_of(2) { database.url() } else { pooler.url(&database) };
            let lambda = redirect(url).start().await?;
            follow_ok(&lambda, id).await?;
            assert_eq!(lambda.terminate().await?, Exit::Code(0));
            Ok(())
        };
        try_join_all((0..20).map(one)).await?;
    }
    assert_eq!(count_codes_and_scans(&database).await?.1, 100);
    wait_until("PgBouncer has no client left", async || {
        let clients = pooler.admin("SHOW CLIENTS").await?;
        Ok(clients.iter().all(|client| client["database"] != database.name))
    })
    .await?;
    pooler.kill().await?;
    wait_until("no session is left", async || {
        Ok(database.postgres().sessions(Some(&database.name)).await? == 0)
    })
    .await
}

#[tokio::test]
async fn the_application_name_tells_function_version_and_container() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let id = insert_code(&database).await?;
    let containers = [redirect(database.url()).start().await?, redirect(database.url()).start().await?];
    for lambda in &containers {
        follow_ok(lambda, id).await?;
    }
    let names = "SELECT DISTINCT application_name FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'tessera/qr-redirect/$LATEST/________'";
    let admin = database.postgres().admin(&database.name).await?;
    assert_eq!(admin.query_typed(names, &[]).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_connection_can_be_opened_ahead_of_the_first_request() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let lambda = redirect(proxy.url(&database)).env("TESSERA_CONNECT", "init").start().await?;
    assert_eq!(proxy.counts().connections, 1, "before it asks for its first event");
    proxy.reset();
    follow_ok(&lambda, insert_code(&database).await?).await?;
    assert_eq!(proxy.round_trips(), 1);
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_away_during_init_is_no_reason_not_to_start() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let id = insert_code(&database).await?;
    for hangs in [false, true] {
        let proxy = Proxy::of(database.postgres()).await?;
        if hangs {
            proxy.black_hole();
        } else {
            proxy.refuse().await;
        }
        let lambda = redirect(proxy.url(&database)).env("TESSERA_CONNECT", "init").start().await?;
        assert!(lambda.init_time() < Duration::from_secs(10), "Lambda's limit: {:?}", lambda.init_time());
        if hangs {
            proxy.end_black_holes();
        } else {
            proxy.accept().await?;
        }
        follow_ok(&lambda, id).await?;
    }
    Ok(())
}
