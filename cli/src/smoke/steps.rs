//! The steps of the smoke test. Each does something that users do, and is one check of the result.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use shared::health::{Check, Verdict};
use tessera_postgres::ErrorChain;
use uuid::Uuid;

use super::client::{RequestKind, SmokeClient, SmokeResponse};
use crate::check_output;

/// How long a scan may take to appear in the counts, which may come from a read replica.
const MAX_REPLICA_LAG: Duration = Duration::from_secs(5);
const TARGET: &str = "https://example.com/smoke";

/// Makes a check of a step's result: ok with what was observed, else failed with the error and `advice`.
pub(super) fn check_from_result(
    name: &'static str,
    why: &'static str,
    outcome: Result<String>,
    advice: impl Into<Cow<'static, str>>,
) -> Check {
    match outcome {
        Ok(observed) => Check::ok(name, observed, why),
        Err(error) => {
            Check::ok(name, ErrorChain(error.as_ref()).to_string(), why).when(true, Verdict::Fail, advice)
        }
    }
}

/// Checks that `GET /health` is answered, and by Tessera.
pub(super) async fn reachable(client: &mut SmokeClient) -> Check {
    let outcome = async {
        let answer = client.get("/health").await?.expect("GET /health", 200)?.json();
        let version = answer["version"].as_str().context("GET /health answers, but not as Tessera does")?;
        Ok(format!("version {version} answers"))
    };
    check_from_result(
        "reachable",
        "nothing else can be tried without it",
        outcome.await,
        "see that the URL is that of the deployment (the template's output, or what `cargo dev` prints) and ends before /qr",
    )
}

/// Creates codes; each must be listed and redirect to its target at once.
pub(super) async fn create_list_scan(client: &mut SmokeClient, rounds: u16) -> Check {
    let (mut listed, mut followed) = (0, 0);
    let outcome = async {
        for number in 0..rounds {
            let target = format!("{TARGET}/{number}");
            let made = create(client, &target, None).await?;
            let id = id_of(&made)?;
            // As a client of a deployment with a read replica does it.
            let token = made.header("consistency-token").to_owned();
            let list = client.request(Method::GET, "/qr?limit=1&tag=tessera-smoke");
            let list = if token.is_empty() { list } else { list.header("consistency-token", token) };
            let list = client.send(RequestKind::List, list).await?.expect("GET /qr", 200)?.json();
            listed += u16::from(list["items"][0]["shortId"] == *id);
            let scan = client.scan(&id).await?;
            followed += u16::from(scan.status == 302 && scan.header("location") == target);
        }
        let rates = format!("{listed} of {rounds} listed and {followed} of {rounds} followed at once");
        ensure!(listed == rounds && followed == rounds, rates);
        Ok(rates)
    };
    check_from_result(
        "create_list_scan",
        "a code that was just made must be there at once",
        outcome.await,
        "401 and 403: give a key with `qr:read` and `qr:write` by --key; 5xx: run `cargo tessera doctor`; not listed or \
         followed: another deployment works on this list, or the functions read from a replica without the token",
    )
}

/// Checks the images of a code, SVG and PNG, and that they may be cached.
pub(super) async fn images(client: &mut SmokeClient) -> Check {
    let outcome = async {
        let id = client.created[0].clone();
        let svg = client.get(&format!("/qr/{id}/image.svg")).await?.expect("image.svg", 200)?;
        ensure!(svg.body.contains("<svg"), "image.svg is not SVG");
        let png = client.get(&format!("/qr/{id}/image.png")).await?.expect("image.png", 200)?;
        ensure!(png.header("content-type") == "image/png", "image.png is {}", png.header("content-type"));
        ensure!(png.body.contains("PNG"), "image.png is not PNG: is the API's binary support on?");
        for image in [svg, png] {
            ensure!(image.header("cache-control").contains("immutable"), "an image may not be cached");
        }
        Ok("SVG and PNG, to be cached for a year".to_owned())
    };
    check_from_result(
        "images",
        "a code that cannot be printed is none",
        outcome.await,
        "see qr-generate's log of this request",
    )
}

/// Edits a code's target; the next scan must be redirected there.
pub(super) async fn edit(client: &mut SmokeClient) -> Check {
    let outcome = async {
        let id = client.created[0].clone();
        let target = format!("{TARGET}/edited");
        let edit = client.request(Method::PATCH, &format!("/qr/{id}")).json(&json!({"targetUrl": target}));
        client.send(RequestKind::Other, edit).await?.expect("PATCH /qr/{shortId}", 200)?;
        let scan = client.scan(&id).await?.expect("the scan after the edit", 302)?;
        ensure!(
            scan.header("location") == target,
            "the scan after the edit went to {}",
            scan.header("location")
        );
        Ok("the next scan went to the new target".to_owned())
    };
    check_from_result(
        "edit",
        "a dynamic code is one that can be led elsewhere",
        outcome.await,
        "see that no cache in front keeps redirects: they say `Cache-Control: no-store`",
    )
}

/// Checks that the two scans of the first code were counted.
pub(super) async fn counts(client: &mut SmokeClient) -> Check {
    let outcome = async {
        let id = client.created[0].clone();
        let begun = Instant::now();
        loop {
            let code = client.get(&format!("/qr/{id}")).await?.expect("GET /qr/{shortId}", 200)?.json();
            let total = &code["scans"]["total"];
            let waited = begun.elapsed();
            if *total == 2 {
                return Ok(format!(
                    "2 of 2 scans counted, seen within {}",
                    check_output::format_duration(waited)
                ));
            }
            // A read replica may be behind; nothing else may.
            ensure!(waited < MAX_REPLICA_LAG, "{total} scans counted instead of 2");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    check_from_result(
        "counts",
        "scans are what owners look at",
        outcome.await,
        "see qr-redirect's log of the two scans",
    )
}

/// Sends the same Idempotency-Key twice; only one code may be created.
pub(super) async fn replay(client: &mut SmokeClient) -> Check {
    let outcome = async {
        let key = Uuid::new_v4().to_string();
        let first = id_of(&create(client, TARGET, Some(&key)).await?)?;
        let again = create(client, TARGET, Some(&key)).await?;
        let second = id_of(&again)?;
        ensure!(first == second, "two codes were made: {first} and {second}");
        ensure!(again.header("idempotency-replayed") == "true", "Idempotency-Replayed is missing");
        Ok("the second answer is the first one's".to_owned())
    };
    check_from_result(
        "replay",
        "a double click must not make two",
        outcome.await,
        "see that no proxy in front drops the header Idempotency-Key",
    )
}

/// Checks that a bad target and an unknown id are refused with the right status.
pub(super) async fn refusals(client: &mut SmokeClient) -> Check {
    let outcome = async {
        let bad = client.request(Method::POST, "/qr").json(&json!({"targetUrl": "ftp://example.com"}));
        let refused = client.send(RequestKind::Other, bad).await?.expect("a bad targetUrl", 422)?.json();
        ensure!(refused["errors"][0]["field"] == "targetUrl", "the refusal does not name the field");
        client.scan("NOSUCHCODE0SMOKE").await?.expect("an unknown id", 404)?;
        Ok("a bad target is 422 by name, an unknown id 404".to_owned())
    };
    check_from_result(
        "refusals",
        "mistakes must be told, and not be stored",
        outcome.await,
        "see the functions' logs",
    )
}

/// Checks what `GET /health?deep=true` reports.
pub(super) async fn health(client: &mut SmokeClient) -> Check {
    let outcome = async {
        let answer = client.get("/health?deep=true").await?;
        let report = answer.json();
        let troubled: Vec<String> = report["checks"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, verdict)| matches!(verdict.as_str(), Some("warn" | "fail")))
            .map(|(name, verdict)| format!("{name}: {}", verdict.as_str().unwrap_or_default()))
            .collect();
        if answer.status != 200 {
            bail!("{} {}", answer.status, troubled.join(", "));
        }
        let status = report["status"].as_str().context("no status")?.to_owned();
        Ok(if troubled.is_empty() { status } else { format!("{status} ({})", troubled.join(", ")) })
    };
    let outcome = outcome.await;
    let is_degraded = outcome.as_deref().is_ok_and(|observed| observed.starts_with("degraded"));
    let advice = "run `cargo tessera doctor` with the deployment's DATABASE_URL: it says what and why";
    check_from_result("health", "the deployment's own view", outcome, advice).when(
        is_degraded,
        Verdict::Warn,
        advice,
    )
}

/// Deletes the codes that were created; a deleted one must answer 410.
pub(super) async fn clean_up(client: &mut SmokeClient) -> Check {
    let made = std::mem::take(&mut client.created);
    let outcome = async {
        let mut left = Vec::new();
        for id in &made {
            let delete = client.request(Method::DELETE, &format!("/qr/{id}"));
            match client.send(RequestKind::Other, delete).await {
                Ok(answer) if answer.status == 204 => {}
                _ => left.push(id.as_str()),
            }
        }
        ensure!(left.is_empty(), "these codes are left: {}", left.join(", "));
        if let Some(id) = made.first() {
            client.scan(id).await?.expect("a deleted code", 410)?;
        }
        Ok(format!("{} codes deleted", made.len()))
    };
    check_from_result(
        "clean_up",
        "a trial leaves nothing behind, and a deleted code leads nowhere",
        outcome.await,
        "delete the codes tagged `tessera-smoke`",
    )
}

async fn create(client: &mut SmokeClient, target: &str, key: Option<&str>) -> Result<SmokeResponse> {
    let body = json!({"targetUrl": target, "name": "smoke", "tags": ["tessera-smoke"]});
    let mut request = client.request(Method::POST, "/qr").json(&body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let answer = client.send(RequestKind::Create, request).await?.expect("POST /qr", 201)?;
    if let Ok(id) = id_of(&answer)
        && !client.created.contains(&id)
    {
        client.created.push(id);
    }
    Ok(answer)
}

fn id_of(made: &SmokeResponse) -> Result<String> {
    match &made.json()["shortId"] {
        Value::String(id) => Ok(id.clone()),
        _ => bail!("the new code has no shortId"),
    }
}
