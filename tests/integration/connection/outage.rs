//! A database that starts late, restarts, or does not take connections yet: callers see nothing but success.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join;
use harness::{Lambda, PgBouncer, Postgres, Proxy, Stop};
use serde_json::json;

use crate::api::functions::{create_code, generate, get_code, redirect, short_id};

#[tokio::test]
async fn a_database_that_starts_three_seconds_late_is_waited_for() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let database = postgres.database().await?;
    let made =
        create_code(&generate(database.url()).start().await?, json!({"targetUrl": "https://e.example"}))
            .await?;
    postgres.stop(Stop::Fast).await?;
    let (codes, redirects) =
        try_join(generate(database.url()).start(), redirect(database.url()).start()).await?;

    let link = format!("/r/{}", short_id(&made));
    let requests = try_join(
        create_code(&codes, json!({"targetUrl": "https://e.example/late"})),
        redirects.get(&link).send(),
    );
    let late = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        postgres.start_again().await
    };
    let begun = Instant::now();
    let ((_, followed), ()) = try_join(requests, late).await?;
    assert_eq!(followed.status, 302);
    assert!(begun.elapsed() >= Duration::from_secs(3), "it was there all along");
    let list = codes.get("/qr").send().await?.json()?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "the late one was made once");
    assert_eq!(get_code(&codes, short_id(&made)).await?["scans"]["total"], 1);
    Ok(())
}

#[tokio::test]
async fn a_restart_between_two_requests_is_not_noticed() -> Result<()> {
    let postgres = Postgres::builder().start().await?;
    let database = postgres.database().await?;
    let pgbouncer = PgBouncer::in_front_of(&postgres).setting("server_login_retry", 1).start().await?;
    for url in [database.url(), pgbouncer.url(&database)] {
        let (codes, redirects) = try_join(generate(&url).start(), redirect(&url).start()).await?;
        let made = create_code(&codes, json!({"targetUrl": "https://e.example"})).await?;
        let link = format!("/r/{}", short_id(&made));
        for (scans, how) in [Stop::Fast, Stop::Immediate].into_iter().enumerate() {
            follow(&redirects, &link).await?;
            postgres.restart(how).await?;
            assert_eq!(get_code(&codes, short_id(&made)).await?["scans"]["total"], 2 * scans + 1, "{how:?}");
            follow(&redirects, &link).await?;
        }
    }
    Ok(())
}

async fn follow(redirects: &Lambda, link: &str) -> Result<()> {
    let followed = redirects.get(link).send().await?;
    assert_eq!(followed.status, 302, "{}", followed.text());
    Ok(())
}

#[tokio::test]
async fn connections_that_are_refused_at_first_are_tried_again() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    proxy.refuse().await;
    let codes = generate(proxy.url(&database)).start().await?;
    let (made, ()) = try_join(create_code(&codes, json!({"targetUrl": "https://e.example"})), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        proxy.accept().await
    })
    .await?;
    assert_eq!(get_code(&codes, short_id(&made)).await?, made);
    Ok(())
}
