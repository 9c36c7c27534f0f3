//! Signatures made by the senders' own clients are accepted.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::webhook::signature::{Refusal, Verified, verify};
use shared::webhook::source::Sources;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/webhook");

/// A request as `sign.py` prints it.
struct Request {
    name: String,
    scheme: String,
    sources: Sources,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    fn read(printed: &Value) -> Result<Self> {
        let text = |field: &str| printed[field].as_str().with_context(|| format!("no {field}"));
        let (scheme, secrets) = (text("scheme")?, &printed["secrets"]);
        let sources = json!({"sender": {"scheme": scheme, "secrets": secrets}}).to_string();
        let mut headers = HeaderMap::new();
        for line in printed["headers"].as_array().context("no headers")? {
            let [name, value] = [0, 1].map(|part| line[part].as_str().unwrap_or_default());
            headers.append(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
        }
        Ok(Self {
            name: text("name")?.to_owned(),
            scheme: scheme.to_owned(),
            sources: Sources::parse(&sources)?,
            headers,
            body: BASE64_STANDARD.decode(text("body")?)?,
        })
    }

    fn check(&self, body: &[u8], now: Timestamp) -> Result<Verified, Refusal> {
        verify(self.sources.get("sender").expect("configured"), &self.headers, body, now)
    }
}

#[test]
fn signatures_of_the_senders_own_clients_are_accepted() -> Result<()> {
    let printed: Value = serde_json::from_slice(&run(Command::new(python()?).arg("sign.py"))?.stdout)?;
    let requests: Vec<_> =
        printed.as_array().context("not a list")?.iter().map(Request::read).collect::<Result<_>>()?;
    ensure!(requests.len() == 24, "6 senders with 4 bodies each, not {}", requests.len());
    for request in requests {
        let now = Timestamp::now();
        let verified = request.check(&request.body, now);
        ensure!(verified.is_ok(), "{}: {verified:?}", request.name);
        let changed = [request.body.as_slice(), b" "].concat();
        ensure!(request.check(&changed, now) == Err(Refusal::Mismatch), "{}: changed", request.name);
        if !matches!(request.scheme.as_str(), "github" | "shopify") {
            let later = now + std::time::Duration::from_mins(6);
            ensure!(request.check(&request.body, later) == Err(Refusal::TooOld), "{}: later", request.name);
        }
    }
    Ok(())
}

/// The Python with the pinned clients, made once for each state of `requirements.txt`.
fn python() -> Result<PathBuf> {
    let requirements = std::fs::read_to_string(Path::new(FIXTURES).join("requirements.txt"))?;
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("webhook-clients");
    let python = environment.join("bin/python");
    let installed = environment.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == requirements) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))
        .context("python3 with its venv module is needed to sign as the senders do")?;
    run(Command::new(&python).args("-m pip install --quiet --requirement requirements.txt".split(' ')))
        .context("the senders' clients come from PyPI: is it reachable?")?;
    std::fs::write(&installed, &requirements)?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<Output> {
    let output = command.current_dir(FIXTURES).output().with_context(|| format!("{command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    Ok(output)
}
