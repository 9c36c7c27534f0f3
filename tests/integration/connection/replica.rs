//! A read replica that lags by two seconds, and is never noticed.

use std::time::Duration;

use anyhow::Result;
use harness::{Database, Lambda, Postgres, Proxy, Stop};
use serde_json::{Value, json};

const LAG: Duration = Duration::from_secs(2);

struct Replicated {
    database: Database,
    standby: Postgres,
    proxy: Proxy,
    codes: Lambda,
    redirects: Lambda,
}

/// A primary, its standby behind a proxy, and the functions that know both.
async fn replicated() -> Result<Replicated> {
    let database = Postgres::builder().start().await?.database().await?;
    let standby = database.postgres().standby(LAG).await?;
    let proxy = Proxy::start(standby.address()).await?;
    let codes = Lambda::builder("qr-generate")
        .env("DATABASE_URL", database.url())
        .env("DATABASE_READ_URL", standby.url_at(proxy.address(), &database.name))
        .env("PUBLIC_BASE_URL", "https://q.example")
        .env("ANONYMOUS_OWNER", "anonymous")
        .start()
        .await?;
    let redirects = Lambda::builder("qr-redirect").env("DATABASE_URL", database.url()).start().await?;
    Ok(Replicated { database, standby, proxy, codes, redirects })
}

impl Replicated {
    /// Makes a code and gives its id and its token.
    async fn create(&self, target: &str) -> Result<(String, String)> {
        let made = self.codes.post("/qr").json(&json!({ "targetUrl": target })).send().await?;
        assert_eq!(made.status, 201, "{}", made.text());
        let token = made.header("consistency-token").to_owned();
        assert!(!token.is_empty(), "a write's answer carries a token");
        Ok((made.json()?["shortId"].as_str().unwrap_or_default().to_owned(), token))
    }

    async fn list(&self, token: &str) -> Result<Value> {
        self.codes.get("/qr").header("consistency-token", token).send().await?.json()
    }
}

#[tokio::test]
async fn what_was_just_made_is_listed_found_and_followed_while_the_replica_lags() -> Result<()> {
    let servers = replicated().await?;
    for round in 0..10 {
        let target = format!("https://example.com/{round}");
        let (id, token) = servers.create(&target).await?;
        assert_eq!(servers.list(&token).await?["items"][0]["shortId"], id, "listed with the token");
        let found = servers.codes.get(&format!("/qr/{id}")).send().await?;
        assert_eq!(found.status, 200, "found without the token: the primary is asked after a miss");
        let image = servers.codes.get(&format!("/qr/{id}/image.svg")).send().await?;
        assert_eq!(image.status, 200);
        let followed = servers.redirects.get(&format!("/r/{id}")).send().await?;
        assert_eq!((followed.status, followed.header("location")), (302, target.as_str()));
    }
    Ok(())
}

#[tokio::test]
async fn an_edit_is_seen_with_its_token_and_followed_at_once_by_everybody() -> Result<()> {
    let servers = replicated().await?;
    let (id, _) = servers.create("https://example.com/old").await?;
    let path = format!("/qr/{id}");
    wait_until_replayed(&servers).await?;

    let edited =
        servers.codes.patch(&path).json(&json!({"targetUrl": "https://example.com/new"})).send().await?;
    let token = edited.header("consistency-token").to_owned();
    let followed = servers.redirects.get(&format!("/r/{id}")).send().await?;
    assert_eq!(followed.header("location"), "https://example.com/new", "a redirect never asks the replica");
    let with = servers.codes.get(&path).header("consistency-token", token.as_str()).send().await?.json()?;
    assert_eq!(with["targetUrl"], "https://example.com/new");
    let without = servers.codes.get(&path).send().await?.json()?;
    assert_eq!(without["targetUrl"], "https://example.com/old", "the replica was asked, and it lags");

    let deleted = servers.codes.delete(&path).send().await?;
    let token = deleted.header("consistency-token");
    assert_eq!(servers.codes.get(&path).header("consistency-token", token).send().await?.status, 404);
    assert_eq!(servers.redirects.get(&format!("/r/{id}")).send().await?.status, 410);
    Ok(())
}

#[tokio::test]
async fn reads_are_the_replicas_work_in_one_round_trip() -> Result<()> {
    let servers = replicated().await?;
    let (id, token) = servers.create("https://example.com").await?;
    wait_until_replayed(&servers).await?;
    servers.codes.get("/qr").send().await?;
    let primary = servers.database.log()?.len();
    servers.proxy.reset();
    for path in
        ["/qr".to_owned(), format!("/qr/{id}"), format!("/qr/{id}/history"), format!("/qr/{id}/scans")]
    {
        let answer = servers.codes.get(&path).header("consistency-token", token.as_str()).send().await?;
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(servers.proxy.round_trips(), 4);
    assert_eq!(servers.database.log()?.len(), primary, "the primary heard nothing");
    Ok(())
}

#[tokio::test]
async fn reads_go_to_the_primary_when_the_replica_is_gone() -> Result<()> {
    let servers = replicated().await?;
    let (id, token) = servers.create("https://example.com").await?;
    let path = format!("/qr/{id}");
    servers.codes.get(&path).send().await?;

    servers.standby.stop(Stop::Immediate).await?;
    for _ in 0..5 {
        assert_eq!(servers.codes.get(&path).send().await?.status, 200, "the replica is down");
    }
    servers.proxy.black_hole();
    assert_eq!(servers.list(&token).await?["items"][0]["shortId"], id, "the replica says nothing");
    Ok(())
}

#[tokio::test]
async fn a_token_that_was_never_given_is_refused_by_name() -> Result<()> {
    let servers = replicated().await?;
    for token in ["nonsense", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let answer = servers.codes.get("/qr").header("consistency-token", token).send().await?;
        assert_eq!(answer.status, 422, "{token}");
        assert_eq!(answer.json()?["errors"][0]["field"], "Consistency-Token");
    }
    Ok(())
}

/// Until the standby has applied everything that the primary has written.
async fn wait_until_replayed(servers: &Replicated) -> Result<()> {
    let primary = servers.database.client().await?;
    let written: String = primary.query_typed_one("SELECT pg_current_wal_lsn()::text", &[]).await?.get(0);
    let standby = servers.standby.admin(&servers.database.name).await?;
    let asked = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
    loop {
        if standby.query_typed_one(&asked, &[]).await?.get(0) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
