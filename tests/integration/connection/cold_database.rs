//! A cold container meets a database that is not there yet. The caller gets an answer, once it is, and never waits
//! longer than Lambda does.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::{
    CutPoint, Database, Disconnect, Lambda, PgBouncer, Postgres, Preload, Proxy, ROLE, Response, Stop,
};
use tokio_postgres::NoTls;

use super::containers::{
    count_codes_and_scans, create, create_ok, generate, wait_for_retries, wait_for_sqlstate, wait_until,
};

/// The caller's request runs while the fault is there and ends; then there is one code.
async fn survives(
    lambda: &Lambda,
    database: &Database,
    fault: impl Future<Output = Result<()>>,
) -> Result<Response> {
    let (made, ended) = tokio::join!(create_ok(lambda), fault);
    ended?;
    let made = made?;
    assert_eq!(count_codes_and_scans(database).await?.0, 1, "exactly once");
    Ok(made)
}

#[tokio::test]
async fn refused_connections_are_tried_again() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let lambda = generate(proxy.url(&database)).start().await?;
    proxy.refuse().await;
    survives(&lambda, &database, async {
        wait_for_retries(&lambda, 3).await?;
        proxy.accept().await
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_name_may_appear_late() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let preload = Preload::new().await?;
    let url = database.url().replace("127.0.0.1", "db.test");
    let lambda = generate(url).preload(&preload).start().await?;
    survives(&lambda, &database, async {
        wait_for_retries(&lambda, 3).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        preload.resolve("db.test", Some(IpAddr::V4(Ipv4Addr::LOCALHOST)))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_connect_now_is_asked_again() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let database = postgres.database().await?;
    let lambda = generate(database.url()).start().await?;
    let session = postgres.admin("postgres").await?;
    let stopping = {
        let postgres = postgres.clone();
        tokio::spawn(async move { postgres.stop(Stop::Smart).await })
    };
    wait_until("new sessions are refused", async || Ok(postgres.admin("postgres").await.is_err())).await?;
    survives(&lambda, &database, async {
        wait_for_retries(&lambda, 2).await?;
        wait_for_sqlstate(&postgres, "57P03").await?;
        drop(session);
        stopping.await??;
        postgres.start_again().await
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_full_server_is_asked_again() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let database = postgres.database().await?;
    let admin = postgres.admin("postgres").await?;
    admin.batch_execute(&format!("ALTER ROLE {ROLE} CONNECTION LIMIT 1")).await?;
    let occupant = database.client().await?;
    let lambda = generate(database.url()).start().await?;
    survives(&lambda, &database, async {
        wait_for_retries(&lambda, 2).await?;
        wait_for_sqlstate(&postgres, "53300").await?;
        drop(occupant);
        // For the test's own look at the effects.
        admin.batch_execute(&format!("ALTER ROLE {ROLE} CONNECTION LIMIT -1")).await?;
        Ok(())
    })
    .await?;
    Ok(())
}

async fn client(url: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

#[tokio::test]
async fn a_pooler_that_has_no_server_connection_left_is_asked_again() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let pooler = PgBouncer::in_front_of(database.postgres())
        .setting("default_pool_size", 1)
        .setting("query_wait_timeout", 1)
        .start()
        .await?;
    let occupant = client(&pooler.url(&database)).await?;
    occupant.batch_execute("BEGIN").await?;
    let lambda = generate(pooler.url(&database)).start().await?;
    survives(&lambda, &database, async {
        wait_for_retries(&lambda, 1).await?;
        assert!(pooler.log().iter().any(|line| line.contains("query_wait_timeout")), "{:?}", pooler.log());
        drop(occupant);
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_pooler_that_takes_no_more_clients_is_asked_again() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let pooler = PgBouncer::in_front_of(database.postgres()).setting("max_client_conn", 1).start().await?;
    let url = pooler.url(&database);
    // PgBouncer may not have taken notice yet that whoever started it has left.
    let occupant = loop {
        match client(&url).await {
            Ok(client) => break client,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let lambda = generate(url).start().await?;
    survives(&lambda, &database, async {
        wait_for_retries(&lambda, 2).await?;
        assert!(pooler.log().iter().any(|line| line.contains("no more connections allowed")));
        drop(occupant);
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_pooler_may_be_up_before_its_database() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let pooler = PgBouncer::in_front_of(database.postgres())
        .through(proxy.address())
        .setting("server_login_retry", 1)
        .setting("client_login_timeout", 1)
        .start()
        .await?;
    proxy.refuse().await;
    let lambda = generate(pooler.url(&database)).start().await?;
    survives(&lambda, &database, async {
        wait_for_retries(&lambda, 2).await?;
        proxy.accept().await
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_may_be_cut_at_any_step_of_tls_and_login() -> Result<()> {
    let database = Postgres::tls().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    create_ok(&generate(proxy.url(&database)).start().await?).await?;
    let whole = proxy.counts();
    assert!(whole.client_bytes > 1000 && whole.server_bytes > 1000, "{whole:?}");
    let mut codes = 1;
    for step in 0..6 {
        proxy.disconnect_by(if step % 2 == 0 { Disconnect::Eof } else { Disconnect::Reset });
        for cut_point in [
            CutPoint::ClientBytes(whole.client_bytes * step / 6),
            CutPoint::ServerBytes(whole.server_bytes * step / 6 + 1),
        ] {
            let lambda = generate(proxy.url(&database)).start().await?;
            proxy.cut_at(cut_point);
            create_ok(&lambda).await?;
            codes += 1;
            ensure!(!proxy.cut_is_pending(), "{cut_point:?} was not reached");
            ensure!(count_codes_and_scans(&database).await?.0 == codes, "exactly once: {cut_point:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_slow_login_is_waited_for() -> Result<()> {
    let database = Postgres::tls().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    proxy.delay(Duration::from_millis(150));
    let lambda = generate(proxy.url(&database)).start().await?;
    let made = survives(&lambda, &database, async { Ok(()) }).await?;
    assert!(made.took > Duration::from_secs(2), "seven round trips and the statement's: {:?}", made.took);
    Ok(())
}

/// A server that hangs in the middle of a login, as a compute node that is being woken up.
#[tokio::test]
async fn a_login_may_hang_for_a_while() -> Result<()> {
    let database = Postgres::tls().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let lambda = generate(proxy.url(&database)).start().await?;
    proxy.black_hole();
    survives(&lambda, &database, async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        proxy.end_black_holes();
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn at_the_deadline_the_caller_is_told_when_to_come_back() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let pooler = PgBouncer::in_front_of(database.postgres()).through(proxy.address()).start().await?;
    let through = [proxy.url(&database), pooler.url(&database)];
    let unresolvable = database.url().replace("127.0.0.1", "db.test");
    let preload = Preload::new().await?;

    // A quarter of the first is for the answer, and of the second, three quarters of a second.
    for limit in [Duration::from_secs(2), Duration::from_secs(4)] {
        let answered = async |url: &str| -> Result<()> {
            let lambda = generate(url).preload(&preload).timeout(limit).start().await?;
            // A function that is late is killed, and that is an error.
            let response = create(&lambda).await?;
            ensure!(response.status == 503 && response.header("retry-after") == "2", "{}", response.text());
            Ok(())
        };
        proxy.refuse().await;
        let refused = tokio::try_join!(answered(&through[0]), answered(&through[1]), answered(&unresolvable));
        refused?;
        proxy.accept().await?;
        proxy.black_hole();
        tokio::try_join!(answered(&through[0]), answered(&through[1]))?;
        proxy.end_black_holes();
    }
    assert_eq!(count_codes_and_scans(&database).await?.0, 0);
    Ok(())
}
