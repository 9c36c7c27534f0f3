//! Many requests at once: in many containers behind a small pool, and in one container over one connection.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::{join_all, try_join_all};
use harness::{Database, Lambda, PgBouncer, Postgres, Proxy};
use serde_json::json;

use super::containers::{
    count_codes_and_scans, create_ok, follow_ok, generate, insert_code, redirect, wait_for_blocked_statement,
};

const CONTAINERS: usize = 64;
const REQUESTS: usize = 10;

#[tokio::test]
async fn many_containers_share_a_small_pool() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let pooler = PgBouncer::in_front_of(database.postgres())
        .setting("default_pool_size", 4)
        // Passwords are slow in builds without optimisation, and not what this is about.
        .setting("auth_type", "trust")
        .start()
        .await?;
    let id = insert_code(&database).await?;
    let url = pooler.url(&database);
    let start = |at: usize| if at.is_multiple_of(2) { generate(&url) } else { redirect(&url) }.start();
    let containers = try_join_all((0..CONTAINERS).map(start)).await?;

    let work = async |(at, lambda): (usize, &Lambda)| -> Result<()> {
        for _ in 0..REQUESTS {
            if at % 2 == 0 {
                create_ok(lambda).await?
            } else {
                follow_ok(lambda, id).await?
            };
        }
        Ok(())
    };
    try_join_all(containers.iter().enumerate().map(work)).await?;

    // Before the test itself has a session there.
    assert!(database.postgres().sessions(Some(&database.name)).await? <= 4);
    let each = i64::try_from(CONTAINERS / 2 * REQUESTS)?;
    assert_eq!(count_codes_and_scans(&database).await?, (1 + each, each));
    let log = database.log()?;
    assert!(log.len() > CONTAINERS * REQUESTS, "the server logs statements");
    let named: Vec<_> = log.iter().filter_map(|entry| entry.named_statement()).collect();
    assert!(named.is_empty(), "{named:?}");
    let again: usize = containers.iter().map(|lambda| count(lambda, "trying again")).sum();
    assert_eq!(again, 0, "no request met a fault");
    Ok(())
}

fn count(lambda: &Lambda, message: &str) -> usize {
    lambda.logs().iter().filter(|line| line.contains(message)).count()
}

/// A container that takes 32 requests at once, 10 ms away from its database.
async fn busy_container(database: &Database, limit: Duration) -> Result<(Lambda, Proxy)> {
    let proxy = Proxy::of(database.postgres()).await?;
    proxy.delay(Duration::from_millis(5));
    let lambda = redirect(proxy.url(database)).concurrency(32).timeout(limit).start().await?;
    Ok((lambda, proxy))
}

#[tokio::test]
async fn requests_of_one_container_share_a_connection_and_its_round_trips() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let id = insert_code(&database).await?;
    let (lambda, proxy) = busy_container(&database, Duration::from_secs(10)).await?;
    follow_ok(&lambda, id).await?;
    proxy.reset();
    try_join_all((0..320).map(|_| follow_ok(&lambda, id))).await?;
    assert_eq!(count_codes_and_scans(&database).await?, (1, 321));
    // On a machine that is short of CPU time a slow statement may step aside.
    assert!(proxy.counts().connections < 8, "the connection is shared");
    // One after the other they would have taken 320.
    assert!(proxy.round_trips() < 160, "{} round trips", proxy.round_trips());
    Ok(())
}

/// Makes a code with a limit, and holds the row lock that its scans wait for until the client that is returned is
/// dropped.
async fn block_one_code(database: &Database) -> Result<tokio_postgres::Client> {
    let limit = "INSERT INTO codes (id_key, short_id, owner, target_url, max_scans, created_by, last_edit)
            VALUES ('BUSY', 'BUSY', 'anonymous', 'https://example.com', 9, gen_random_uuid(), gen_random_uuid());
        INSERT INTO scan_quotas (code_id, used) SELECT id, 0 FROM codes WHERE id_key = 'BUSY'";
    database.client().await?.batch_execute(limit).await?;
    let admin = database.postgres().admin(&database.name).await?;
    admin.batch_execute("BEGIN; SELECT FROM scan_quotas FOR UPDATE").await?;
    Ok(admin)
}

#[tokio::test]
async fn a_statement_that_is_stuck_does_not_hold_up_its_neighbours() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let id = insert_code(&database).await?;
    let holder = block_one_code(&database).await?;
    // Three stuck requests and a time limit that no neighbour would keep behind one of them.
    let (lambda, _proxy) = busy_container(&database, Duration::from_secs(4)).await?;
    follow_ok(&lambda, id).await?;
    let held_up = join_all((0..3).map(|_| follow_ok(&lambda, "BUSY")));
    let neighbours = async {
        wait_for_blocked_statement(&database).await?;
        for _ in 0..4 {
            try_join_all((0..16).map(|_| follow_ok(&lambda, id))).await?;
        }
        let sessions = database.postgres().sessions(Some(&database.name)).await?;
        ensure!((2..=4).contains(&sessions), "the stuck ones have connections of their own: {sessions}");
        drop(holder);
        anyhow::Ok(())
    };
    let (held_up, neighbours) = tokio::join!(held_up, neighbours);
    neighbours?;
    for answer in held_up {
        answer?;
    }
    assert_eq!(count_codes_and_scans(&database).await?, (2, 1 + 64 + 3));
    Ok(())
}

#[tokio::test]
async fn a_statement_that_stays_stuck_fails_alone() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let id = insert_code(&database).await?;
    let holder = block_one_code(&database).await?;
    let (lambda, _proxy) = busy_container(&database, Duration::from_secs(2)).await?;
    follow_ok(&lambda, id).await?;
    let (held_up, neighbours) =
        tokio::join!(lambda.get("/r/BUSY").send(), try_join_all((0..64).map(|_| follow_ok(&lambda, id))),);
    neighbours?;
    assert_eq!(held_up?.status, 503);
    drop(holder);
    follow_ok(&lambda, id).await?;
    assert_eq!(count_codes_and_scans(&database).await?, (2, 66));
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_refused_does_not_harm_its_neighbours() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let lambda = generate(database.url()).concurrency(32).start().await?;
    create_ok(&lambda).await?;
    let mine = json!({"targetUrl": "https://example.com", "shortId": "MINE"});
    let same = (0..16).map(|_| lambda.post("/qr").json(&mine).send());
    let (same, others) = tokio::join!(try_join_all(same), try_join_all((0..16).map(|_| create_ok(&lambda))));
    others?;
    let mut statuses: Vec<_> = same?.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (201, [409; 15].as_slice()));
    assert_eq!(count_codes_and_scans(&database).await?.0, 18);
    Ok(())
}

/// All of them lose the connection at once; they open one in its place, not 32.
#[tokio::test]
async fn requests_that_lose_their_connection_together_open_one() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let id = insert_code(&database).await?;
    let (lambda, proxy) = busy_container(&database, Duration::from_secs(10)).await?;
    follow_ok(&lambda, id).await?;
    for silently in [false, true] {
        proxy.reset();
        let before = count_codes_and_scans(&database).await?.1;
        if silently {
            proxy.black_hole_open_connections();
        } else {
            proxy.cut_all();
        }
        try_join_all((0..32).map(|_| follow_ok(&lambda, id))).await?;
        assert_eq!(count_codes_and_scans(&database).await?.1, before + 32);
        let opened = proxy.counts().connections;
        assert!(opened <= 1 + usize::from(silently), "{opened}: one to work, one to cancel");
    }
    Ok(())
}
