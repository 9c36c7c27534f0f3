//! `cargo tessera smoke`, against the functions behind an HTTP server in place of API Gateway.

use std::convert::Infallible;
use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use harness::{Database, Lambda, Postgres};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The deployment: a container of each function, and what API Gateway does between them and the network.
struct Deployment {
    codes: Lambda,
    redirects: Lambda,
    health: Lambda,
    webhooks: Lambda,
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

impl Deployment {
    /// Starts it; returns its URL. It ends with the test's runtime.
    async fn start(database: &Database, redirects_to: &Database) -> Result<String> {
        let codes = Lambda::builder("qr-generate")
            .env("DATABASE_URL", database.url())
            .env("PUBLIC_BASE_URL", "https://q.example")
            .env("ANONYMOUS_OWNER", "anonymous");
        let sources = format!(r#"{{"smoke":{{"scheme":"standard","secrets":["{SECRET}"]}}}}"#);
        let webhooks =
            Lambda::builder("webhook").env("DATABASE_URL", database.url()).env("WEBHOOK_SOURCES", sources);
        let deployment = Arc::new(Self {
            codes: codes.start().await?,
            redirects: Lambda::builder("qr-redirect").env("DATABASE_URL", redirects_to.url()).start().await?,
            health: Lambda::builder("health").env("DATABASE_URL", database.url()).start().await?,
            webhooks: webhooks.start().await?,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let deployment = Arc::clone(&deployment);
                let service = service_fn(move |request| {
                    let deployment = Arc::clone(&deployment);
                    async move { Ok::<_, Infallible>(deployment.answer(request).await) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                connections.spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(format!("http://{address}"))
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> hyper::Response<Full<Bytes>> {
        self.route(request).await.unwrap_or_else(|error| {
            let mut response = hyper::Response::new(Full::from(format!("{error:#}")));
            *response.status_mut() = hyper::StatusCode::BAD_GATEWAY;
            response
        })
    }

    async fn route(&self, request: hyper::Request<Incoming>) -> Result<hyper::Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().context("no path")?.as_str();
        let function = match path.split(['/', '?']).nth(1) {
            Some("qr") => &self.codes,
            Some("r") => &self.redirects,
            Some("webhooks") => &self.webhooks,
            _ => &self.health,
        };
        let mut event = function.request(parts.method.as_str(), path);
        for (name, value) in &parts.headers {
            event = event.header(name.as_str(), value.to_str()?);
        }
        let body = body.collect().await?.to_bytes();
        let answer = if body.is_empty() { event } else { event.body(body) }.send().await?;
        let mut response = hyper::Response::new(Full::from(answer.body));
        *response.status_mut() = hyper::StatusCode::from_u16(answer.status)?;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

async fn smoke(arguments: &[&str]) -> Result<Output> {
    let tests = std::env::current_exe()?;
    let binary = tests.ancestors().nth(2).context("the tests are in target/debug/deps")?.join("tessera");
    let mut command = Command::new(binary);
    command.arg("smoke").args(arguments).env_remove("TESSERA_KEY").env_remove("TESSERA_SMOKE_WEBHOOK");
    tokio::task::spawn_blocking(move || command.output())
        .await?
        .context("`tessera` is missing: run `cargo build --workspace` first")
}

fn verdict(report: &Value, name: &str) -> Result<String> {
    let checks = report["checks"].as_array().context("no checks")?;
    let check =
        checks.iter().find(|check| check["name"] == name).with_context(|| format!("no {name}: {report}"))?;
    Ok(check["verdict"].as_str().context("no verdict")?.to_owned())
}

#[tokio::test]
async fn a_deployment_that_works_passes_and_is_left_as_it_was() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let url = Deployment::start(&database, &database).await?;
    let output = smoke(&[&url, "--json", "--webhook", &format!("smoke={SECRET}")]).await?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    for name in [
        "reachable",
        "create_list_scan",
        "images",
        "edit",
        "counts",
        "replay",
        "refusals",
        "webhook",
        "clean_up",
    ] {
        assert_eq!(verdict(&report, name)?, "ok", "{report:#}");
    }
    let client = database.client().await?;
    let left = client.query_typed_one("SELECT count(*) FROM codes WHERE deleted_at IS NULL", &[]).await?;
    assert_eq!(left.get::<_, i64>(0), 0);
    Ok(())
}

#[tokio::test]
async fn a_deployment_whose_scans_go_astray_fails_and_is_cleaned_up() -> Result<()> {
    let postgres = Postgres::plain().await?;
    let (database, elsewhere) = (postgres.database().await?, postgres.database().await?);
    let url = Deployment::start(&database, &elsewhere).await?;
    let output = smoke(&[&url, "--rounds", "2"]).await?;
    let text = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("FAIL  create_list_scan") && text.contains("0 of 2 followed at once"), "{text}");
    let client = database.client().await?;
    let left = client.query_typed_one("SELECT count(*) FROM codes WHERE deleted_at IS NULL", &[]).await?;
    assert_eq!(left.get::<_, i64>(0), 0, "{text}");
    Ok(())
}

#[tokio::test]
async fn where_nobody_answers_nothing_is_tried() -> Result<()> {
    let output = smoke(&["http://127.0.0.1:1"]).await?;
    let text = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("FAIL  reachable"), "{text}");
    Ok(())
}
