//! The stand-in for Lambda treats a function as Lambda does.

use std::time::Duration;

use anyhow::Result;
use harness::{Exit, Lambda, LambdaBuilder};
use serde_json::json;

use crate::connection::containers::{wait_for_log, wait_until};

fn echo() -> LambdaBuilder {
    Lambda::builder("harness-echo")
}

#[tokio::test]
async fn a_request_arrives_whole_and_so_does_the_answer() -> Result<()> {
    let lambda = echo().env("ECHO_SECRET", "of the test").start().await?;
    let response = lambda
        .post("/qr?a=1")
        .query("b", "x y")
        .header("X-Custom", "one")
        .header("x-custom", "two")
        .source_ip("198.51.100.9")
        .jwt(json!({"sub": "owner"}))
        .json(&json!({"name": "ü"}))
        .send()
        .await?;
    assert_eq!(response.status, 201);
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("set-cookie"), "a=1");
    let seen = response.json()?;
    assert_eq!(seen["method"], "POST");
    assert_eq!(seen["path"], "/qr");
    assert_eq!(seen["query"], "a=1&b=x+y");
    assert_eq!(seen["headers"]["x-custom"], "one,two");
    assert_eq!(seen["body"], json!(r#"{"name":"ü"}"#.as_bytes()));
    assert_eq!(seen["context"]["http"]["sourceIp"], "198.51.100.9");
    assert_eq!(seen["context"]["authorizer"]["jwt"]["claims"]["sub"], "owner");
    assert_eq!(seen["secret"], "of the test");
    assert!(!seen["variables"].to_string().contains("CARGO"), "the environment is Lambda's own");
    assert!(lambda.init_time() > Duration::ZERO && response.took > Duration::ZERO);
    Ok(())
}

#[tokio::test]
async fn bodies_are_bytes_in_both_directions() -> Result<()> {
    let lambda = echo().start().await?;
    assert_eq!(lambda.get("/binary").send().await?.body, [0, 159, 146, 150]);
    for body in [vec![0, 159, 146, 150], b"text".to_vec()] {
        let response = lambda.post("/").body(body.clone()).base64().send().await?;
        assert_eq!(response.json()?["body"], json!(body));
    }
    Ok(())
}

#[tokio::test]
async fn output_is_recorded() -> Result<()> {
    let lambda = echo().start().await?;
    // It is collected apart from the answers.
    wait_until("it says that it started", async || {
        Ok(lambda.json_logs() == [json!({"level": "INFO", "message": "started"})])
    })
    .await
}

#[tokio::test]
async fn a_function_that_fails_to_start_says_why() {
    let error = echo().env("ECHO_FAILS_TO_START", "1").start().await.expect_err("told to fail");
    assert!(error.to_string().contains("told to fail"), "{error:#}");
}

#[tokio::test]
async fn a_missing_binary_is_named() {
    let error = Lambda::builder("no-such-function").start().await.expect_err("missing");
    assert!(error.to_string().ends_with("no-such-function is missing: run `cargo build --workspace` first"));
}

#[tokio::test]
async fn failures_are_errors_and_leave_the_container_alive() -> Result<()> {
    let lambda = echo().start().await?;
    let error = lambda.get("/fail").send().await.expect_err("told to fail");
    assert!(error.to_string().contains("told to fail"), "{error:#}");
    assert_eq!(lambda.get("/").send().await?.status, 201);
    let error = lambda.get("/exit").send().await.expect_err("told to exit");
    assert!(error.to_string().contains("Code(3)"), "{error:#}");
    assert_eq!(lambda.exit(), Some(Exit::Code(3)));
    Ok(())
}

#[tokio::test]
async fn a_late_function_is_killed() -> Result<()> {
    let lambda = echo().start().await?;
    let error = lambda.get("/hang").deadline(Duration::from_millis(100)).send().await.expect_err("late");
    assert!(error.to_string().contains("timed out"), "{error:#}");
    assert!(lambda.get("/").send().await.is_err());
    assert_eq!(lambda.exit(), Some(Exit::Signal(9)));
    Ok(())
}

#[tokio::test]
async fn a_container_takes_one_event_at_a_time() -> Result<()> {
    let lambda = echo().timeout(Duration::from_millis(200)).start().await?;
    let together = || lambda.get("/three").send();
    let error = tokio::try_join!(together(), together(), together()).expect_err("it gets one of the three");
    assert!(error.to_string().contains("timed out"), "{error:#}");
    Ok(())
}

#[tokio::test]
async fn a_container_takes_as_many_events_as_it_was_given() -> Result<()> {
    let lambda = echo().concurrency(3).start().await?;
    let together = || lambda.get("/three").send();
    let (one, other, _) = tokio::try_join!(together(), together(), together())?;
    assert_ne!(one.json()?["requestId"], other.json()?["requestId"]);
    Ok(())
}

#[tokio::test]
async fn a_frozen_container_answers_once_thawed() -> Result<()> {
    let lambda = echo().start().await?;
    lambda.freeze()?;
    let mut answer = std::pin::pin!(lambda.get("/").send());
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut answer).await.is_err());
    lambda.thaw()?;
    assert_eq!(answer.await?.status, 201);
    Ok(())
}

#[tokio::test]
async fn termination_lets_the_shutdown_hook_run() -> Result<()> {
    let lambda = echo().start().await?;
    assert_eq!(lambda.extensions(), ["_lambda-rust-runtime-no-op-graceful-shutdown-helper"]);
    lambda.freeze()?;
    assert_eq!(lambda.terminate().await?, Exit::Code(0));
    wait_for_log(&lambda, "leaving").await
}
