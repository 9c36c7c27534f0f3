//! `sam build` with a compiler that only records what it is asked for.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use harness::run_to_end;
use serde_json::json;
use tempfile::TempDir;

use super::{all, root, tools};

/// Writes its arguments to `asked.txt`, and the binary to where cargo-lambda would have.
const CARGO: &str = r#"#!/bin/sh
[ "$1" = lambda ] || exit 1
echo "$@" >> asked.txt
while [ "$1" != --bin ]; do shift; done
mkdir -p "target/lambda/$2"
echo binary > "target/lambda/$2/bootstrap"
"#;

/// What `sam build` needs of the project, in a directory of its own.
fn project() -> Result<TempDir> {
    let project = tempfile::tempdir()?;
    for file in ["template.yaml", "samconfig.toml", "Cargo.toml", "CargoLambda.toml"] {
        fs::copy(root().join(file), project.path().join(file))?;
    }
    fs::create_dir(project.path().join("certificates"))?;
    fs::write(project.path().join("certificates/README.md"), "")?;
    fs::create_dir(project.path().join("bin"))?;
    for program in ["cargo", "cargo-lambda"] {
        let path = project.path().join("bin").join(program);
        fs::write(&path, CARGO)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(project)
}

/// Runs `sam build`, and returns the arguments of each call of the compiler.
fn build(project: &Path) -> Result<Vec<Vec<String>>> {
    let path = std::env::join_paths(
        std::iter::once(project.join("bin"))
            .chain(std::env::split_paths(&std::env::var_os("PATH").context("no PATH")?)),
    )?;
    let mut sam = Command::new(tools()?.join("sam"));
    sam.current_dir(project).arg("build").env("PATH", path);
    sam.env("SAM_CLI_TELEMETRY", "0").env("AWS_DEFAULT_REGION", "us-east-1").env("HOME", project);
    run_to_end(&mut sam)?;
    let asked = fs::read_to_string(project.join("asked.txt"))?;
    Ok(asked.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect())
}

/// Asserts that every function was asked for once.
fn assert_each_once(calls: &[Vec<String>]) -> Result<()> {
    let binaries: BTreeSet<_> =
        calls.iter().filter_map(|call| call.windows(2).find(|pair| pair[0] == "--bin")).collect();
    assert_eq!((calls.len(), binaries.len()), (all("AWS::Lambda::Function")?.len(), calls.len()));
    Ok(())
}

#[test]
fn what_is_deployed_is_what_is_built() -> Result<()> {
    for (name, function) in all("AWS::Lambda::Function")? {
        assert_eq!(
            function["Architectures"],
            json!(["arm64"]),
            "{name}: no parameter that a build does not see"
        );
    }
    let calls = build(project()?.path())?;
    assert_each_once(&calls)?;
    for call in calls {
        assert_eq!(call.iter().filter(|argument| *argument == "--arm64").count(), 1, "{call:?}");
    }
    Ok(())
}

#[test]
fn the_documented_commands_have_x86_64_built_and_deployed() -> Result<()> {
    let project = project()?;
    let page = fs::read_to_string(root().join("docs/deploy.md"))?;
    let (_, commands) = page.split_once("```sh\nperl -pi").context("no commands for x86-64")?;
    let (commands, _) = commands.split_once("```").context("no end of the commands")?;
    let script = format!("perl -pi{commands}");
    run_to_end(Command::new("sh").current_dir(&project).args(["-ec", &script]))?;
    let template = fs::read_to_string(project.path().join("template.yaml"))?;
    assert!(template.contains("\n    Architectures: [x86_64]\n"));
    let calls = build(project.path())?;
    assert_each_once(&calls)?;
    // SAM passes nothing for x86-64, so that cargo-lambda's own file must say it, on an Apple machine, too.
    for call in calls {
        assert!(!call.iter().any(|argument| argument == "--arm64" || argument == "--target"), "{call:?}");
    }
    let configuration = fs::read_to_string(project.path().join("CargoLambda.toml"))?;
    assert!(configuration.ends_with("\n[build]\nx86_64 = true\n"), "{configuration}");
    Ok(())
}
