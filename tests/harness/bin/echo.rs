//! A function that answers with the request it got, for the tests of the harness.

use std::sync::OnceLock;

use lambda_http::{Body, Error, Request, RequestExt, Response, run_concurrent, service_fn};
use serde_json::json;
use tokio::sync::Barrier;

static THREE: OnceLock<Barrier> = OnceLock::new();

#[tokio::main]
async fn main() -> Result<(), Error> {
    if std::env::var_os("ECHO_FAILS_TO_START").is_some() {
        return Err("told to fail".into());
    }
    lambda_runtime::spawn_graceful_shutdown_handler(|| async { say("leaving") }).await;
    say("{\"level\":\"INFO\",\"message\":\"started\"}");
    run_concurrent(service_fn(answer)).await
}

async fn answer(request: Request) -> Result<Response<Body>, Error> {
    match request.uri().path() {
        "/fail" => return Err("told to fail".into()),
        "/exit" => std::process::exit(3),
        "/binary" => {
            let response = Response::builder().header("content-type", "application/octet-stream");
            return Ok(response.body(Body::Binary(vec![0, 159, 146, 150]))?);
        }
        // Answers only when three events are here at once.
        "/three" => _ = THREE.get_or_init(|| Barrier::new(3)).wait().await,
        "/hang" => std::future::pending().await,
        _ => {}
    }
    let headers: serde_json::Map<_, _> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let seen = json!({
        "method": request.method().as_str(),
        "path": request.uri().path(),
        "query": request.uri().query(),
        "headers": headers,
        "body": request.body().as_ref(),
        "requestId": request.lambda_context().request_id,
        "context": request.request_context(),
        "secret": std::env::var("ECHO_SECRET").ok(),
        "variables": std::env::vars().map(|(name, _)| name).collect::<Vec<_>>(),
    });
    Ok(Response::builder()
        .status(201)
        .header("content-type", "application/json")
        .header("set-cookie", "a=1")
        .body(Body::Text(seen.to_string()))?)
}

fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}
