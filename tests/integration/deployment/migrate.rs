//! The `migrate` function, as a deployment and as an operator invoke it.

use anyhow::{Context, Result, ensure};
use harness::{Lambda, Postgres};
use serde_json::{Value, json};
use shared::migrations::{self, MIGRATIONS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::migrations::within_a_minute;
use crate::api::functions::{create_code, generate, redirect, short_id};

/// `migrate` with a direct URL; the other one leads nowhere.
async fn migrate(direct_url: String) -> Result<Lambda> {
    Lambda::builder("migrate")
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/pooled?sslmode=disable")
        .env("DIRECT_URL", direct_url)
        .start()
        .await
}

fn names() -> Value {
    MIGRATIONS.iter().map(|migration| migration.name).collect()
}

#[tokio::test]
async fn an_operator_goes_up_and_down_and_sees_where_it_stands() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    let migrate = migrate(database.url()).await?;
    let invoke = async |event: Value| Ok::<_, anyhow::Error>(migrate.invoke(&event, None).await?.payload);

    let status = invoke(json!({"command": "status"})).await?;
    assert_eq!(status["migrations"][0]["state"], "pending");
    assert_eq!(invoke(json!({"command": "up"})).await?, json!({"applied": names()}));
    assert_eq!(invoke(json!({"command": "up"})).await?, json!({"applied": []}), "twice");
    let status = invoke(json!({"command": "status"})).await?;
    assert_eq!(status["migrations"][0]["state"], "applied");
    assert!(status["migrations"][0]["appliedAt"].is_string());

    let newest = MIGRATIONS.last().context("there are migrations")?.name;
    assert_eq!(invoke(json!({"command": "down"})).await?, json!({"reverted": [newest]}));
    assert_eq!(invoke(json!({"command": "up"})).await?, json!({"applied": [newest]}));
    Ok(())
}

#[tokio::test]
async fn two_at_once_apply_each_migration_once() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    let (one, other) = (migrate(database.url()).await?, migrate(database.url()).await?);
    let up = json!({"command": "up"});
    let (one, other) = tokio::try_join!(one.invoke(&up, None), other.invoke(&up, None))?;
    let mut applied = [one.payload, other.payload]
        .map(|answer| answer["applied"].as_array().cloned().unwrap_or_default())
        .concat();
    applied.sort_by_key(ToString::to_string);
    assert_eq!(Value::from(applied), names());
    Ok(())
}

#[tokio::test]
async fn a_deployment_is_told_that_the_schema_is_there() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    let migrate = migrate(database.url()).await?;
    for (request_type, applied) in [("Create", names()), ("Update", json!([]))] {
        let told = ask(&migrate, request_type).await?;
        assert_eq!((&told["Status"], &told["Data"]["applied"]), (&json!("SUCCESS"), &applied));
        assert_eq!(told["StackId"], "stack");
        assert_eq!(told["RequestId"], "request");
        assert_eq!(told["LogicalResourceId"], "Schema");
        assert_eq!(told["PhysicalResourceId"], "tessera-schema");
    }
    assert_eq!(ask(&migrate, "Delete").await?["Status"], "SUCCESS");
    let client = database.client().await?;
    let codes = client.query_typed("SELECT to_regclass('codes') IS NOT NULL", &[]).await?;
    assert!(codes[0].get::<_, bool>(0), "deleting the stack leaves the database alone");
    Ok(())
}

#[tokio::test]
async fn a_deployment_whose_migration_fails_is_rolled_back() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    // In the way of the first migration.
    database.client().await?.batch_execute("CREATE TABLE codes (id text)").await?;
    let told = ask(&migrate(database.url()).await?, "Create").await?;
    assert_eq!(told["Status"], "FAILED");
    let reason = told["Reason"].as_str().context("no reason")?;
    assert!(reason.contains(MIGRATIONS[0].name), "{reason}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_a_command_does_nothing() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    let migrate = migrate(database.url()).await?;
    let http = json!({"version": "2.0", "routeKey": "POST /migrate", "rawPath": "/migrate", "body": "{\"command\":\"up\"}"});
    for event in [json!({}), json!({"command": "drop"}), json!({"command": "down", "step": 2}), http] {
        assert!(migrate.invoke(&event, None).await.is_err(), "{event}");
    }
    let migrations = migrate.invoke(&json!({"command": "status"}), None).await?.payload;
    assert_eq!(migrations["migrations"][0]["state"], "pending");
    Ok(())
}

/// Sends a custom resource's request and returns what is put to its `ResponseURL`.
async fn ask(migrate: &Lambda, request_type: &str) -> Result<Value> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let request = json!({
        "RequestType": request_type,
        "ResponseURL": format!("http://{}/answer?signature=s", listener.local_addr()?),
        "StackId": "stack",
        "RequestId": "request",
        "ResourceType": "Custom::Schema",
        "LogicalResourceId": "Schema",
        "ResourceProperties": {"ServiceToken": "arn"},
    });
    let (_, told) = tokio::try_join!(migrate.invoke(&request, None), take_put(listener))?;
    Ok(told)
}

async fn take_put(listener: TcpListener) -> Result<Value> {
    let (mut stream, _) = listener.accept().await?;
    let mut text = Vec::new();
    let body = loop {
        ensure!(stream.read_buf(&mut text).await? > 0, "the request ended early");
        let so_far = String::from_utf8_lossy(&text);
        let Some((head, body)) = so_far.split_once("\r\n\r\n") else { continue };
        ensure!(head.starts_with("PUT /answer?signature=s HTTP/1.1"), "{head}");
        ensure!(!head.to_lowercase().contains("content-type"), "the URL is signed without one: {head}");
        if let Ok(body) = serde_json::from_str(body) {
            break body;
        }
    };
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    Ok(body)
}

#[tokio::test]
async fn codes_are_made_and_followed_while_the_schema_goes_up_and_down() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    migrations::up_with(&database.client().await?, &MIGRATIONS[..1], within_a_minute()).await?;
    let codes = generate(database.url()).start().await?;
    let redirects = redirect(database.url()).start().await?;
    let migrate = migrate(database.url()).await?;
    for command in [
        json!({"command": "status"}),
        json!({"command": "up"}),
        json!({"command": "down", "steps": MIGRATIONS.len() - 1}),
        json!({"command": "up"}),
    ] {
        migrate.invoke(&command, None).await?;
        let made = create_code(&codes, json!({"targetUrl": "https://example.com/"})).await?;
        let followed = redirects.get(&format!("/r/{}", short_id(&made))).send().await?;
        assert_eq!(followed.status, 302, "after {command}");
    }
    Ok(())
}
