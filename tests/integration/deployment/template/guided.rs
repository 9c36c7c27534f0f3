//! `sam deploy --guided`, answered at a terminal, up to where it turns to AWS.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use harness::run_to_end;
use serde_json::Value;
use tempfile::TempDir;

use super::{document, root, tools};

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:d-aaaaaa";

fn project() -> Result<TempDir> {
    let project = tempfile::tempdir()?;
    for file in ["template.yaml", "samconfig.toml"] {
        fs::copy(root().join(file), project.path().join(file))?;
    }
    Ok(project)
}

/// Answers with Enter, but for the database's secret, which is `secret`. Returns how often each question was asked, and what
/// SAM said last.
fn deploy(project: &Path, secret: &str) -> Result<Value> {
    let mut python = Command::new(tools()?.join("python"));
    python.arg(fs::canonicalize(root().join("tests/fixtures/template/guided.py"))?);
    python.arg(fs::canonicalize(tools()?.join("sam"))?).arg(secret).current_dir(project).env("HOME", project);
    // Nothing listens there, so that nothing is deployed.
    python.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").env("AWS_EC2_METADATA_DISABLED", "true");
    python.env("AWS_ACCESS_KEY_ID", "none").env("AWS_SECRET_ACCESS_KEY", "none").env_remove("AWS_PROFILE");
    python.env("AWS_DEFAULT_REGION", "us-east-1").env("SAM_CLI_TELEMETRY", "0");
    Ok(serde_json::from_slice(&run_to_end(&mut python)?.stdout)?)
}

fn assert_ends(dialogue: &Value) -> Result<()> {
    let asked = dialogue["asked"].as_object().context("nothing was asked")?;
    assert!(asked.values().all(|times| times == 1), "{dialogue}");
    let last = dialogue["left"].as_str().unwrap_or_default();
    assert!(last.contains("Looking for resources needed for deployment"), "{dialogue}");
    for (name, _) in document("template")?["Parameters"].as_object().into_iter().flatten() {
        assert!(asked.contains_key(&format!("Parameter {name}")), "{name} was not asked for");
    }
    Ok(())
}

#[test]
fn a_guided_deployment_asks_each_question_once_and_ends() -> Result<()> {
    assert_ends(&deploy(project()?.path(), SECRET)?)
}

#[test]
fn a_later_guided_deployment_needs_enter_alone() -> Result<()> {
    let project = project()?;
    let path = project.path().join("samconfig.toml");
    let saved = format!("parameter_overrides = 'DatabaseSecretArn=\"{SECRET}\" ");
    fs::write(&path, fs::read_to_string(&path)?.replace("parameter_overrides = '", &saved))?;
    assert_ends(&deploy(project.path(), "")?)
}
