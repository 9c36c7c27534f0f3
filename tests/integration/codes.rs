//! The main job: create a code, see it, scan it.

use anyhow::Result;
use harness::{Lambda, Postgres, Proxy};
use serde_json::{Value, json};

/// `qr-generate` for callers without a key.
async fn generate(url: String) -> Result<Lambda> {
    Lambda::builder("qr-generate")
        .env("DATABASE_URL", url)
        .env("PUBLIC_BASE_URL", "https://q.example")
        .env("ANONYMOUS_OWNER", "anonymous")
        .start()
        .await
}

#[tokio::test]
async fn a_code_is_seen_and_followed_as_soon_as_it_is_made() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).await?;
    let redirects = Lambda::builder("qr-redirect").env("DATABASE_URL", database.url()).start().await?;

    let made = codes.post("/qr").json(&json!({"targetUrl": "https://example.com/a"})).send().await?;
    assert_eq!(made.status, 201, "{}", made.text());
    let made: Value = made.json()?;
    let id = made["shortId"].as_str().unwrap();

    let followed = redirects.get(&format!("/r/{id}")).send().await?;
    assert_eq!((followed.status, followed.header("location")), (302, "https://example.com/a"));

    let list = codes.get("/qr").send().await?.json()?;
    assert_eq!(list["items"][0]["shortId"], made["shortId"]);
    assert_eq!(list["items"][0]["scans"]["total"], 1);
    Ok(())
}

#[tokio::test]
async fn each_request_is_one_round_trip() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::recording(database.postgres().address()).await?;
    let codes = generate(proxy.url(&database)).await?;
    let new = json!({"targetUrl": "https://example.com"});
    codes.post("/qr").json(&new).send().await?;

    proxy.reset();
    let made = codes.post("/qr").header("idempotency-key", "k").json(&new).send().await?.json()?;
    assert_eq!(proxy.round_trips(), 1, "create");
    let path = format!("/qr/{}", made["shortId"].as_str().unwrap());

    for (what, request) in [
        ("list", codes.get("/qr")),
        ("get", codes.get(&path)),
        ("edit", codes.patch(&path).json(&json!({"name": "n"}))),
        ("history", codes.get(&format!("{path}/history"))),
        ("numbers", codes.get(&format!("{path}/scans"))),
        ("image", codes.get(&format!("{path}/image.svg"))),
        ("delete", codes.delete(&path)),
    ] {
        proxy.reset();
        let answer = request.send().await?;
        assert!(answer.status < 300, "{what}: {}", answer.text());
        assert_eq!(proxy.round_trips(), 1, "{what}");
    }
    assert_eq!(proxy.named_statements(), Vec::<String>::new());
    Ok(())
}
