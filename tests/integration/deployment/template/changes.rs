//! What a change of parameters does to the resources that a printed code needs, in whatever order CloudFormation makes,
//! changes and deletes them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::document;
use super::resolved::{Stack, parameters, stack};

const DATABASE: (&str, &str) =
    ("DatabaseSecretArn", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:d-aaaaaa");
const DOMAIN: [(&str, &str); 4] = [
    DATABASE,
    ("DomainName", "q.example"),
    ("CertificateArn", "arn:aws:acm:eu-west-1:123456789012:certificate/a"),
    ("HostedZoneId", "Z0123456789"),
];
/// What is switched while codes with the domain are in print.
const SWITCHES: [(&str, &[(&str, &str)]); 8] = [
    ("nothing", &[]),
    (
        "CloudFront",
        &[
            ("UseCloudFront", "true"),
            ("CdnCertificateArn", "arn:aws:acm:us-east-1:123456789012:certificate/b"),
        ],
    ),
    ("no worker", &[("RunWorker", "false")]),
    (
        "a replica",
        &[("DatabaseReadSecretArn", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:r-aaaaaa")],
    ),
    ("tokens", &[("JwtIssuer", "https://login.example/")]),
    ("a network", &[("SubnetIds", "subnet-1"), ("SecurityGroupIds", "sg-1")]),
    ("no budget", &[("ConnectionBudget", "none")]),
    ("migrations by hand", &[("MigrateOnDeploy", "false")]),
];
/// What a scan of a printed code passes through.
const NEEDED_BY_A_SCAN: [&str; 12] = [
    "Api",
    "ApiDomain",
    "ApiDomainMapping",
    "ApiStage",
    "DomainRecord",
    "DomainRecordIpv6",
    "PrintedRedirectRoute",
    "QrRedirectFunction",
    "QrRedirectIntegration",
    "QrRedirectPermission",
    "QrRedirectRole",
    "RedirectRoute",
];

/// The stacks with a domain, one for each switch.
fn stacks() -> Result<Vec<(&'static str, Stack)>> {
    SWITCHES
        .iter()
        .map(|(name, switched)| Ok((*name, stack(&parameters(&[&DOMAIN, *switched].concat())?)?)))
        .collect()
}

/// The properties of a resource's type that replace it when they change.
fn replacing(kind: &str) -> Result<Vec<&'static str>> {
    let listed = document("create_only")?[kind].as_array().with_context(|| format!("no schema of {kind}"))?;
    let mut names: Vec<_> = listed.iter().filter_map(Value::as_str).collect();
    if kind == "AWS::Route53::RecordSet" {
        // The schema leaves it out; the documentation says "Update requires: Replacement".
        names.push("Name");
    }
    Ok(names)
}

#[test]
fn no_switch_removes_or_replaces_what_a_printed_code_needs() -> Result<()> {
    let stacks = stacks()?;
    for (from, before) in &stacks {
        for (to, after) in &stacks {
            for name in NEEDED_BY_A_SCAN {
                let old = before.get(name).with_context(|| format!("{name} is not there with {from}"))?;
                let new = after.get(name).with_context(|| format!("{name} is not there with {to}"))?;
                assert_eq!(old["Type"], new["Type"], "{name}, from {from} to {to}");
                for property in replacing(old["Type"].as_str().context("no type")?)? {
                    let (old, new) = (&old["Properties"][property], &new["Properties"][property]);
                    assert_eq!(old, new, "{name}.{property}, from {from} to {to}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_name_belongs_to_one_logical_id_before_and_after_each_switch() -> Result<()> {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    let bare = stack(&parameters(&[DATABASE, ("AllowExecuteApiHost", "true")])?)?;
    for (switch, stack) in stacks()?.iter().chain([&("no domain", bare)]) {
        for (id, resource) in stack {
            for name in owned_names(resource)? {
                let owner = *owners.entry(name.clone()).or_insert(*id);
                assert_eq!(owner, *id, "{name}, with {switch}");
            }
        }
    }
    assert!(owners.len() > 20, "{owners:?}");
    Ok(())
}

/// The names outside of the stack that a resource takes for itself.
fn owned_names(resource: &Value) -> Result<Vec<String>> {
    let kind = resource["Type"].as_str().context("no type")?;
    let properties = &resource["Properties"];
    let names: Vec<&Value> = match kind {
        "AWS::Route53::RecordSet" => {
            return Ok(vec![format!("{kind} {} {}", properties["Type"], properties["Name"])]);
        }
        "AWS::CloudFront::Distribution" => {
            properties["DistributionConfig"]["Aliases"].as_array().into_iter().flatten().collect()
        }
        "AWS::ApiGatewayV2::DomainName" => vec![&properties["DomainName"]],
        "AWS::ApiGatewayV2::Route" => vec![&properties["RouteKey"]],
        "AWS::Lambda::Function" => vec![&properties["FunctionName"]],
        "AWS::Logs::LogGroup" => vec![&properties["LogGroupName"]],
        _ => Vec::new(),
    };
    Ok(names.into_iter().map(|name| format!("{kind} {name}")).collect())
}

#[test]
fn the_record_leads_to_cloudfront_where_there_is_one_and_else_to_the_api() -> Result<()> {
    for (switch, stack) in stacks()? {
        let target = if switch == "CloudFront" { "Cdn" } else { "ApiDomain" };
        for record in ["DomainRecord", "DomainRecordIpv6"] {
            let alias = &stack[record]["Properties"]["AliasTarget"];
            assert_eq!(alias["DNSName"]["Fn::GetAtt"][0], target, "{record}, with {switch}");
        }
        assert_eq!(stack["DomainRecord"]["Properties"]["Type"], "A");
        assert_eq!(stack["DomainRecordIpv6"]["Properties"]["Type"], "AAAA");
    }
    Ok(())
}

#[test]
fn the_apis_own_host_is_open_with_and_without_cloudfront() -> Result<()> {
    // Closed together with CloudFront, it would be closed while the record still leads to CloudFront.
    for (switch, stack) in stacks()? {
        assert_ne!(stack["Api"]["Properties"]["DisableExecuteApiEndpoint"], true, "with {switch}");
    }
    Ok(())
}
