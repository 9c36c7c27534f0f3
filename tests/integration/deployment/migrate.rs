//! The `migrate` function, as a deployment and as an operator invoke it.

use anyhow::{Context, Result, ensure};
use harness::{Lambda, Postgres};
use serde_json::{Value, json};
use shared::migrations::{self, MIGRATIONS, Migration};
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
        let response = ask(&migrate, request_type).await?;
        assert_eq!((&response["Status"], &response["Data"]["applied"]), (&json!("SUCCESS"), &applied));
        assert_eq!(response["StackId"], "stack");
        assert_eq!(response["RequestId"], "request");
        assert_eq!(response["LogicalResourceId"], "Schema");
        assert_eq!(response["PhysicalResourceId"], "tessera-schema");
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
    let response = ask(&migrate(database.url()).await?, "Create").await?;
    assert_eq!(response["Status"], "FAILED");
    let reason = response["Reason"].as_str().context("no reason")?;
    assert!(reason.contains(MIGRATIONS[0].name), "{reason}");
    assert!(reason.contains("relation \"codes\" already exists"), "PostgreSQL's own words: {reason}");
    Ok(())
}

/// A URL at which nothing listens, with a password that nobody may be response.
const NOWHERE: &str = "postgres://owner:hunter2@127.0.0.1:1/gone?sslmode=disable";

#[tokio::test]
async fn a_deployment_without_its_database_is_told_why_and_no_password() -> Result<()> {
    let migrate = migrate(NOWHERE.to_owned()).await?;
    for request_type in ["Create", "Update"] {
        let response = ask(&migrate, request_type).await?;
        assert_eq!(response["Status"], "FAILED", "{request_type}");
        let reason = response["Reason"].as_str().context("no reason")?;
        assert!(reason.contains("nobody listens on the port"), "{reason}");
        assert!(!response.to_string().contains("hunter2"), "{response}");
    }
    Ok(())
}

#[tokio::test]
async fn deleting_and_rolling_back_need_no_database() -> Result<()> {
    let migrate = migrate(NOWHERE.to_owned()).await?;
    assert_eq!(ask(&migrate, "Delete").await?["Status"], "SUCCESS");
    let back = ask_to_change(&migrate, "9999_of_a_newer_release", newest()?).await?;
    assert_eq!(back["Status"], "SUCCESS", "a rollback that needs the database would never end: {back}");
    let on = ask_to_change(&migrate, MIGRATIONS[0].name, newest()?).await?;
    assert_eq!(on["Status"], "FAILED", "the way on needs it");
    Ok(())
}

#[tokio::test]
async fn a_rollback_leaves_the_newer_schema_alone() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    let client = database.client().await?;
    migrations::up_with(&client, &MIGRATIONS[..1], within_a_minute()).await?;
    let migrate = migrate(database.url()).await?;
    let state = async || {
        let status = migrate.invoke(&json!({"command": "status"}), None).await?.payload;
        Ok::<_, anyhow::Error>(status["migrations"][1]["state"].clone())
    };
    let back = ask_to_change(&migrate, "9999_of_a_newer_release", newest()?).await?;
    assert_eq!((&back["Status"], state().await?), (&json!("SUCCESS"), json!("pending")));
    let on = ask_to_change(&migrate, MIGRATIONS[0].name, newest()?).await?;
    assert_eq!((&on["Status"], state().await?), (&json!("SUCCESS"), json!("applied")));
    Ok(())
}

#[tokio::test]
async fn a_deployment_goes_on_where_another_one_stopped_half_way() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    migrations::up_with(&database.client().await?, &MIGRATIONS[..1], within_a_minute()).await?;
    let response = ask(&migrate(database.url()).await?, "Create").await?;
    let rest: Value = MIGRATIONS[1..].iter().map(|migration| migration.name).collect();
    assert_eq!((&response["Status"], &response["Data"]["applied"]), (&json!("SUCCESS"), &rest));
    Ok(())
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_taken_as_it_is() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    let client = database.client().await?;
    let newer = Migration {
        version: 9999,
        name: "9999_newer",
        up: "CREATE TABLE newer ()",
        down: "DROP TABLE newer",
    };
    migrations::up_with(&client, &[MIGRATIONS, &[newer]].concat(), within_a_minute()).await?;
    let response = ask(&migrate(database.url()).await?, "Create").await?;
    assert_eq!((&response["Status"], &response["Data"]["applied"]), (&json!("SUCCESS"), &json!([])));
    Ok(())
}

#[tokio::test]
async fn a_deployment_is_told_in_time_that_the_database_does_not_finish() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    let client = database.client().await?;
    migrations::up_with(&client, &MIGRATIONS[..1], within_a_minute()).await?;
    // The next migration waits for as long as somebody holds this.
    client.batch_execute("BEGIN; LOCK TABLE tessera_migrations IN ACCESS EXCLUSIVE MODE").await?;
    let response = ask(&migrate(database.url()).await?, "Update").await?;
    assert_eq!(response["Status"], "FAILED");
    assert!(
        response["Reason"].as_str().is_some_and(|reason| reason.contains("did not finish in time")),
        "{response}"
    );
    Ok(())
}

#[tokio::test]
async fn a_deployment_is_told_of_a_wrong_configuration() -> Result<()> {
    let migrate = Lambda::builder("migrate").start().await?;
    let response = ask(&migrate, "Create").await?;
    assert_eq!(response["Status"], "FAILED");
    assert!(response["Reason"].as_str().is_some_and(|reason| reason.contains("DATABASE_URL")), "{response}");
    assert_eq!(ask(&migrate, "Delete").await?["Status"], "SUCCESS");
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
    ask_with(migrate, json!({"RequestType": request_type, "ResourceProperties": properties(newest()?)})).await
}

/// Sends the update from one newest migration to another, as CloudFormation also does to roll an update back.
async fn ask_to_change(migrate: &Lambda, from: &str, to: &str) -> Result<Value> {
    let (from, to) = (properties(from), properties(to));
    let request = json!({"RequestType": "Update", "OldResourceProperties": from, "ResourceProperties": to, "PhysicalResourceId": "tessera-schema"});
    ask_with(migrate, request).await
}

fn properties(newest: &str) -> Value {
    json!({"ServiceToken": "arn", "ServiceTimeout": "1020", "Newest": newest})
}

fn newest() -> Result<&'static str> {
    Ok(MIGRATIONS.last().context("there are migrations")?.name)
}

async fn ask_with(migrate: &Lambda, mut request: Value) -> Result<Value> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    for (name, value) in [
        ("ResponseURL", format!("http://{}/answer?signature=s", listener.local_addr()?)),
        ("StackId", "stack".to_owned()),
        ("RequestId", "request".to_owned()),
        ("ResourceType", "Custom::Schema".to_owned()),
        ("LogicalResourceId", "Schema".to_owned()),
    ] {
        request[name] = value.into();
    }
    let (_, response) = tokio::try_join!(migrate.invoke(&request, None), take_put(listener))?;
    Ok(response)
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
