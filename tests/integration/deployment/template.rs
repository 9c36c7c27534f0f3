//! `template.yaml`, as SAM turns it into CloudFormation: mistakes that otherwise only a deployment would show.

mod alarms;
mod build;
mod changes;
mod guided;
mod metrics;
mod resolved;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use harness::{python_environment, run_to_end};
use serde_json::{Map, Value, json};
use shared::migrations::MIGRATIONS;

/// The documents as JSON, or the reason why they could not be read.
static DOCUMENTS: LazyLock<Result<Value, String>> =
    LazyLock::new(|| read().map_err(|error| format!("{error:#}")));

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn tools() -> Result<PathBuf> {
    python_environment("template")
}

fn read() -> Result<Value> {
    let mut python = Command::new(tools()?.join("python"));
    python.current_dir(root()).args(["tests/fixtures/template/as_json.py", "template.yaml", "openapi.yaml"]);
    Ok(serde_json::from_slice(&run_to_end(&mut python)?.stdout)?)
}

fn document(name: &str) -> Result<&'static Value> {
    DOCUMENTS.as_ref().map(|documents| &documents[name]).map_err(|error| anyhow::anyhow!("{error}"))
}

fn resources() -> Result<&'static Map<String, Value>> {
    document("template")?["Resources"].as_object().context("no resources")
}

/// Names and properties of the resources of a type.
fn all(kind: &str) -> Result<BTreeMap<&'static str, &'static Value>> {
    let of_kind = resources()?.iter().filter(|(_, resource)| resource["Type"] == kind);
    let found: BTreeMap<_, _> =
        of_kind.map(|(name, resource)| (name.as_str(), &resource["Properties"])).collect();
    ensure!(!found.is_empty(), "there is no {kind}");
    Ok(found)
}

/// Every value inside of `value`, itself included, with the path to it.
fn walk<'a>(value: &'a Value, path: &str, visit: &mut dyn FnMut(&str, &'a Value)) {
    visit(path, value);
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| walk(member, &format!("{path}/{name}"), visit));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, path, visit)),
        _ => {}
    }
}

fn strings(value: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    walk(value, "", &mut |_, value| found.extend(value.as_str()));
    found
}

fn refers_to(value: &Value, resource: &str) -> bool {
    let mut found = false;
    walk(value, "", &mut |_, value| {
        found |= value["Ref"] == resource
            || value["Fn::GetAtt"][0] == resource
            || value["Fn::Sub"].as_str().is_some_and(|text| {
                text.contains(&format!("${{{resource}}}")) || text.contains(&format!("${{{resource}."))
            });
    });
    found
}

#[test]
fn the_linter_finds_nothing() -> Result<()> {
    let home = tempfile::tempdir()?;
    // Its lint is cfn-lint's.
    let mut lint = Command::new(tools()?.join("sam"));
    lint.current_dir(root()).args(["validate", "--lint"]);
    lint.env("SAM_CLI_TELEMETRY", "0").env("AWS_DEFAULT_REGION", "us-east-1").env("HOME", home.path());
    run_to_end(&mut lint)?;
    let source = std::fs::read_to_string(root().join("template.yaml"))?;
    assert!(!source.contains("cfn-lint"), "nothing is ignored");
    Ok(())
}

#[test]
fn every_function_has_a_role_and_a_log_of_its_own() -> Result<()> {
    let (mut roles, mut logs) = (BTreeSet::new(), BTreeSet::new());
    for (name, function) in all("AWS::Lambda::Function")? {
        let role =
            function["Role"]["Fn::GetAtt"][0].as_str().with_context(|| format!("{name} has no role"))?;
        assert!(roles.insert(role), "{role} belongs to two functions");
        let log = function["LoggingConfig"]["LogGroup"]["Ref"]
            .as_str()
            .with_context(|| format!("{name} has no log"))?;
        assert!(logs.insert(log), "{log} belongs to two functions");
        let writes = json!({"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                            "Resource": {"Fn::GetAtt": [log, "Arn"]}});
        let policies = &resources()?[role]["Properties"]["Policies"];
        assert_eq!(policies[0]["PolicyDocument"]["Statement"][0], writes, "{name} writes its own log");
    }
    let declared: BTreeSet<_> = all("AWS::Logs::LogGroup")?.into_keys().collect();
    assert_eq!(logs, declared);
    for (name, log) in all("AWS::Logs::LogGroup")? {
        assert_eq!(log["RetentionInDays"], json!({"Ref": "LogRetentionDays"}), "{name}");
    }
    Ok(())
}

#[test]
fn no_role_may_do_everything_or_anything_everywhere() -> Result<()> {
    const ACTIONS: [&str; 6] = [
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "secretsmanager:GetSecretValue",
        "kms:Decrypt",
        "sqs:SendMessage",
        "lambda:InvokeFunction",
    ];
    const MANAGED: [&str; 2] = ["AWSLambdaENIManagementAccess", "AWSXRayDaemonWriteAccess"];
    for (role, properties) in all("AWS::IAM::Role")? {
        let mut actions = 0;
        walk(&properties["Policies"], "", &mut |_, statement| {
            let Some(action) = statement.get("Action") else { return };
            for action in strings(action) {
                actions += 1;
                assert!(ACTIONS.contains(&action), "{role}: {action}");
            }
            let resource = &statement["Resource"];
            assert!(resource.get("Ref").or(resource.get("Fn::GetAtt")).is_some(), "{role}: {resource}");
            assert_eq!(statement["Effect"], "Allow");
        });
        assert!(actions > 0, "{role} may do nothing");
        for policy in properties["ManagedPolicyArns"].as_array().into_iter().flatten() {
            let arn = policy["Fn::If"][1]["Fn::Sub"].as_str().with_context(|| format!("{role}: {policy}"))?;
            assert!(MANAGED.iter().any(|name| arn.ends_with(&format!("/{name}"))), "{role}: {arn}");
        }
    }
    Ok(())
}

#[test]
fn no_secret_is_in_an_environment_variable_or_another_property() -> Result<()> {
    let template = document("template")?;
    let parameters = template["Parameters"].as_object().context("no parameters")?;
    let hidden: BTreeSet<_> = parameters
        .iter()
        .filter(|(_, value)| value["NoEcho"] == true)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(hidden, BTreeSet::new(), "SAM asks for a hidden parameter until it has a value");
    walk(template, "", &mut |path, value| {
        assert!(!value.as_str().is_some_and(|text| text.contains("{{resolve:")), "{path}");
    });
    for (name, function) in all("AWS::Lambda::Function")? {
        let variables = function["Environment"]["Variables"].as_object().context("no variables")?;
        for variable in
            variables.keys().filter(|variable| variable.contains("SECRET") || variable.contains("URL"))
        {
            assert!(variable.ends_with("_ARN") || variable == "PUBLIC_BASE_URL", "{name}: {variable}");
        }
    }
    Ok(())
}

#[test]
fn every_variable_is_one_that_the_code_reads() -> Result<()> {
    let mut code = String::new();
    for directory in ["shared/src", "functions"] {
        append_code(&root().join(directory), &mut code)?;
    }
    for (name, function) in all("AWS::Lambda::Function")? {
        let variables = function["Environment"]["Variables"].as_object().context("no variables")?;
        for variable in variables.keys() {
            assert!(code.contains(&format!("\"{variable}\"")), "{name}: nothing reads {variable}");
        }
    }
    Ok(())
}

fn append_code(directory: &Path, code: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            append_code(&path, code)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&std::fs::read_to_string(path)?);
        }
    }
    Ok(())
}

#[test]
fn every_function_is_deployed() -> Result<()> {
    let deployed: BTreeSet<_> = all("AWS::Lambda::Function")?
        .values()
        .filter_map(|function| {
            function["FunctionName"]["Fn::Sub"].as_str()?.strip_prefix("${AWS::StackName}-")
        })
        .collect();
    for entry in std::fs::read_dir(root().join("functions"))? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        assert!(deployed.contains(name.as_str()), "{name} is not in template.yaml");
    }
    for (name, resource) in document("source")?["Resources"].as_object().context("no resources")? {
        if resource["Type"] == "AWS::Serverless::Function" {
            let binary = &resource["Metadata"]["BuildProperties"]["Binary"];
            let deployed = resource["Properties"]["FunctionName"]["Fn::Sub"].as_str().unwrap_or_default();
            assert_eq!(deployed.strip_prefix("${AWS::StackName}-"), binary.as_str(), "{name}");
        }
    }
    Ok(())
}

#[test]
fn a_budget_of_connections_is_kept() -> Result<()> {
    let functions: BTreeMap<_, _> = all("AWS::Lambda::Function")?;
    let rows = document("template")?["Mappings"]["ReservedConcurrency"].as_object().context("no mapping")?;
    let allowed = &document("template")?["Parameters"]["ConnectionBudget"]["AllowedValues"];
    let allowed: BTreeSet<_> = strings(allowed).into_iter().collect();
    assert_eq!(allowed, rows.keys().map(String::as_str).collect());
    for (budget, row) in rows.iter().filter(|(budget, _)| *budget != "none") {
        let row = row.as_object().context("a row is no object")?;
        let shares: u64 = row.values().filter_map(Value::as_u64).sum();
        assert!(shares <= budget.parse()?, "{budget}: {shares}");
        let reserved: BTreeSet<_> = row.keys().map(|name| format!("{name}Function")).collect();
        assert_eq!(reserved, functions.keys().map(ToString::to_string).collect(), "{budget}");
    }
    for (name, function) in functions {
        let share = name.strip_suffix("Function");
        let found = &function["ReservedConcurrentExecutions"]["Fn::If"][1]["Fn::FindInMap"];
        assert_eq!((found[0].as_str(), found[2].as_str()), (Some("ReservedConcurrency"), share), "{name}");
    }
    Ok(())
}

#[test]
fn the_template_the_local_router_and_the_document_have_the_same_routes() -> Result<()> {
    let mut deployed = BTreeMap::new();
    for (name, route) in all("AWS::ApiGatewayV2::Route")? {
        let path = route["RouteKey"].as_str().and_then(|key| key.strip_prefix("ANY "));
        let target = route["Target"]["Fn::Sub"].as_str().unwrap_or_default();
        let integration = target.trim_start_matches("integrations/${").trim_end_matches('}');
        let function = resources()?[integration]["Properties"]["IntegrationUri"]["Fn::GetAtt"][0].as_str();
        let function = function.with_context(|| format!("{name} leads nowhere"))?;
        let deployed_as = resources()?[function]["Properties"]["FunctionName"]["Fn::Sub"].as_str();
        let binary = deployed_as.unwrap_or_default().trim_start_matches("${AWS::StackName}-");
        deployed.insert(path.with_context(|| format!("{name} takes one method"))?, binary);
    }
    let router = std::fs::read_to_string(root().join("CargoLambda.toml"))?;
    assert_eq!(deployed, local_routes(&router));
    let documented = document("openapi")?["paths"].as_object().context("no paths")?;
    assert_eq!(
        deployed.keys().copied().collect::<BTreeSet<_>>(),
        documented.keys().map(String::as_str).collect()
    );
    Ok(())
}

fn local_routes(router: &str) -> BTreeMap<&str, &str> {
    let values = |name: &'static str| {
        router
            .lines()
            .filter_map(move |line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
    };
    values("path").zip(values("function")).collect()
}

#[test]
fn migrate_is_out_of_reach_of_callers() -> Result<()> {
    for (name, resource) in resources()? {
        let kind = resource["Type"].as_str().unwrap_or_default();
        if refers_to(&resource["Properties"], "MigrateFunction") && !kind.starts_with("AWS::CloudWatch::") {
            assert!(["Schema", "MigrateRuns"].contains(&name.as_str()), "{name}");
        }
    }
    Ok(())
}

#[test]
fn a_deployment_migrates_before_it_changes_the_code() -> Result<()> {
    let schema = &resources()?["Schema"]["Properties"];
    let newest = MIGRATIONS.last().context("there are migrations")?.name;
    assert_eq!(schema["Newest"], newest, "a deployment that does not see a change does not migrate");
    assert!(refers_to(&schema["ServiceToken"], "MigrateFunction"));
    for (name, function) in all("AWS::Lambda::Function")? {
        assert_eq!(refers_to(&function["Tags"], "Schema"), name != "MigrateFunction", "{name}");
    }
    Ok(())
}

#[test]
fn migrate_has_time_to_tell_the_stack_and_is_never_retried() -> Result<()> {
    let seconds = |value: &Value| value.as_u64().context("no number");
    let runs = &resources()?["MigrateRuns"]["Properties"];
    assert_eq!(runs["FunctionName"], json!({"Ref": "MigrateFunction"}));
    assert_eq!(runs["MaximumRetryAttempts"], 0);
    let waits = seconds(&runs["MaximumEventAgeInSeconds"])?;
    let runs_for = seconds(&resources()?["MigrateFunction"]["Properties"]["Timeout"])?;
    let schema = &resources()?["Schema"];
    assert!(seconds(&schema["Properties"]["ServiceTimeout"])? > waits + runs_for);
    assert!(strings(&schema["DependsOn"]).contains(&"MigrateRuns"), "before the first invocation");
    Ok(())
}

#[test]
fn everything_is_described() -> Result<()> {
    let template = document("template")?;
    for section in ["Parameters", "Outputs"] {
        for (name, value) in template[section].as_object().context("no such section")? {
            let description = value["Description"].as_str().unwrap_or_default();
            assert!(description.len() > 10, "{name}");
        }
    }
    for (name, alarm) in all("AWS::CloudWatch::Alarm")? {
        assert!(alarm["AlarmDescription"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
        assert_eq!(alarm["AlarmActions"], json!([{"Ref": "Alarms"}]), "{name}");
    }
    Ok(())
}
