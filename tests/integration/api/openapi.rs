//! `openapi.yaml` says what the functions do: Schemathesis makes up requests from it, right and wrong ones, and holds
//! every answer against it.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use harness::{Gateway, Lambda, Postgres, python_environment, run_to_end};

const KEY: &str = "tsk_schemathesis";
const SOURCES: &str = r#"{"stripe":{"scheme":"stripe","secrets":["whsec_test_secret"]}}"#;

/// For each operation, method and path: 10 made-up requests, or as many as `TESSERA_OPENAPI_EXAMPLES` says.
fn examples() -> String {
    std::env::var("TESSERA_OPENAPI_EXAMPLES").unwrap_or_else(|_| "10".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_one_that_the_document_describes() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let sql = format!(
        "INSERT INTO api_keys (hash, prefix, owner, scopes)
         VALUES (sha256('{KEY}'), 'tsk', 'fuzz', ARRAY['qr:read', 'qr:write', 'ops:read', 'admin'])"
    );
    database.client().await?.execute_typed(&sql, &[]).await?;
    let mut functions = Vec::new();
    for name in ["qr-generate", "qr-redirect", "webhook", "health"] {
        let function = Lambda::builder(name)
            .env("DATABASE_URL", database.url())
            .env("PUBLIC_BASE_URL", "https://q.example")
            .env("WEBHOOK_SOURCES", SOURCES);
        functions.push(function.start().await?);
    }
    let gateway = Gateway::start(functions).await?;

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let fixtures = root.join("tests/fixtures/openapi");
    let url = gateway.url();
    let report = tokio::task::spawn_blocking(move || {
        let tools = python_environment("openapi")?;
        let place = tempfile::tempdir()?;
        let mut schemathesis = Command::new(tools.join("schemathesis"));
        schemathesis.current_dir(&place);
        schemathesis.arg("--config-file").arg(fixtures.join("schemathesis.toml")).arg("run");
        schemathesis.arg(root.join("openapi.yaml")).args(["--url", &url, "--max-examples", &examples()]);
        schemathesis.args(["--header", &format!("Authorization: Bearer {KEY}"), "--max-redirects", "0"]);
        // One worker: CPython 3.11 counts the depth of `ast.parse` for all threads at once, and Hypothesis calls it in
        // each (python/cpython#106905).
        schemathesis.args(["--seed", "1", "--workers", "1", "--no-color", "--continue-on-failure"]);
        run_to_end(&mut schemathesis)
    });
    let report = String::from_utf8(report.await.context("schemathesis")??.stdout)?;
    // "1915 generated, 1915 passed"
    let cases = report.lines().find_map(|line| line.trim().split_once(" generated")?.0.parse::<u32>().ok());
    assert!(cases.is_some_and(|cases| cases > 500), "too few cases: {report}");
    // For whoever looks, with `--nocapture`.
    Ok(writeln!(std::io::stdout(), "schemathesis: {} cases", cases.unwrap_or_default())?)
}
