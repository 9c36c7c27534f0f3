//! The database moves while requests are under way.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::{Database, Lambda, PgBouncer, Postgres, Preload, Proxy, Stop};

use super::containers::{
    count_codes_and_scans, count_codes_and_scans_on, create_ok, generate, wait_for_blocked_statement,
    wait_for_retries, wait_until,
};

/// Starts a primary with a database, and its standby.
async fn primary_and_standby() -> Result<(Postgres, Postgres, Database)> {
    let primary = Postgres::builder().start().await?;
    let database = primary.database().await?;
    let standby = primary.standby(Duration::ZERO).await?;
    Ok((primary, standby, database))
}

async fn codes_on(postgres: &Postgres, database: &Database) -> Result<i64> {
    Ok(count_codes_and_scans_on(&postgres.admin(&database.name).await?).await?.0)
}

async fn wait_until_replicated(standby: &Postgres, database: &Database, codes: i64) -> Result<()> {
    wait_until("the standby has it", async || {
        Ok(codes_on(standby, database).await.is_ok_and(|there| there == codes))
    })
    .await
}

#[tokio::test]
async fn a_primary_that_became_read_only_is_left_for_the_new_one() -> Result<()> {
    let (primary, standby, database) = primary_and_standby().await?;
    let proxy = Proxy::of(&primary).await?;
    let lambda = generate(proxy.url(&database)).start().await?;
    create_ok(&lambda).await?;
    wait_until_replicated(&standby, &database, 1).await?;

    primary.set("default_transaction_read_only", Some("on")).await?;
    let moved = AtomicBool::new(false);
    let moving = async {
        wait_for_retries(&lambda, 2).await?;
        let before = codes_on(&primary, &database).await?;
        wait_until_replicated(&standby, &database, before).await?;
        standby.promote().await?;
        proxy.switch_upstream(standby.address());
        moved.store(true, Ordering::Relaxed);
        anyhow::Ok(before)
    };
    // A session takes notice of the new setting in its own time: until then its codes are still the old primary's.
    let creating = async {
        let mut made = 1;
        while !moved.load(Ordering::Relaxed) {
            create_ok(&lambda).await?;
            made += 1;
        }
        anyhow::Ok(made)
    };
    let (before, made) = tokio::try_join!(moving, creating)?;
    assert!(before < made, "{before} of {made} codes were made before the failover");
    assert_eq!(codes_on(&standby, &database).await?, made);
    assert_eq!(codes_on(&primary, &database).await?, before);
    Ok(())
}

/// A read replica that takes over in place of the old primary, under the same name and another address.
#[tokio::test]
async fn a_name_that_moves_to_another_server_is_followed() -> Result<()> {
    let (primary, standby, database) = primary_and_standby().await?;
    let old = Proxy::of(&primary).await?;
    let there = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), old.address().port());
    let _new = Proxy::start_at(there, standby.address()).await?;
    let preload = Preload::new().await?;
    preload.resolve("db.test", Some(old.address().ip()))?;
    let url = old.url(&database).replace("127.0.0.1", "db.test");
    let lambda = generate(url).preload(&preload).start().await?;
    create_ok(&lambda).await?;
    wait_until_replicated(&standby, &database, 1).await?;

    old.refuse().await;
    primary.stop(Stop::Immediate).await?;
    let moved = async {
        wait_for_retries(&lambda, 2).await?;
        standby.promote().await?;
        preload.resolve("db.test", Some(there.ip()))
    };
    let (answer, moved) = tokio::join!(create_ok(&lambda), moved);
    moved?;
    answer?;
    assert_eq!(codes_on(&standby, &database).await?, 2);
    Ok(())
}

async fn survives_the_end_of_its_server(
    postgres: &Postgres,
    database: &Database,
    lambda: &Lambda,
    how: Stop,
) -> Result<()> {
    create_ok(lambda).await?;
    let admin = postgres.admin(&database.name).await?;
    admin.batch_execute("BEGIN; LOCK TABLE codes").await?;
    let restart = async {
        wait_for_blocked_statement(database).await?;
        postgres.restart(how).await
    };
    let (answer, restarted) = tokio::join!(create_ok(lambda), restart);
    restarted?;
    answer?;
    ensure!(count_codes_and_scans(database).await?.0 == 2, "each code once");
    Ok(())
}

#[tokio::test]
async fn a_server_that_stops_or_crashes_under_a_statement_is_waited_for() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let pooler = PgBouncer::in_front_of(&postgres).setting("server_login_retry", 1).start().await?;
    for how in [Stop::Fast, Stop::Immediate] {
        let database = postgres.database().await?;
        for url in [database.url(), pooler.url(&database)] {
            database.client().await?.batch_execute("TRUNCATE codes CASCADE").await?;
            let lambda = generate(url).start().await?;
            survives_the_end_of_its_server(&postgres, &database, &lambda, how).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_terminated_under_a_statement_is_replaced() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let lambda = generate(database.url()).start().await?;
    create_ok(&lambda).await?;
    let admin = database.postgres().admin(&database.name).await?;
    admin.batch_execute("BEGIN; LOCK TABLE codes").await?;
    let terminate = async {
        wait_for_blocked_statement(&database).await?;
        database.postgres().terminate_sessions(&database.name).await?;
        wait_for_retries(&lambda, 1).await?;
        admin.batch_execute("COMMIT").await?;
        anyhow::Ok(())
    };
    let (answer, terminated) = tokio::join!(create_ok(&lambda), terminate);
    terminated?;
    answer?;
    assert_eq!(count_codes_and_scans(&database).await?.0, 2);
    Ok(())
}
