//! The template as CloudFormation reads it with given parameters: conditions decided, branches chosen.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::document;

/// Parameters by name.
pub(super) type Parameters = BTreeMap<String, Value>;

/// The resources of a stack by logical id, each with its type and properties.
pub(super) type Stack = BTreeMap<&'static str, Value>;

/// The parameters' defaults, changed by `given`.
pub(super) fn parameters(given: &[(&str, &str)]) -> Result<Parameters> {
    let declared = document("template")?["Parameters"].as_object().context("no parameters")?;
    let mut values: Parameters =
        declared.iter().map(|(name, parameter)| (name.clone(), parameter["Default"].clone())).collect();
    for (name, value) in given {
        anyhow::ensure!(values.insert((*name).to_owned(), json!(value)).is_some(), "no parameter {name}");
    }
    Ok(values)
}

/// The resources that CloudFormation makes for these parameters.
pub(super) fn stack(parameters: &Parameters) -> Result<Stack> {
    let template = document("template")?;
    let mut made = Stack::new();
    for (name, resource) in template["Resources"].as_object().context("no resources")? {
        let condition = &resource["Condition"];
        if condition.is_null() || holds(&json!({"Condition": condition}), parameters)? {
            made.insert(name, resolve(resource, parameters)?.context("a resource is no value")?);
        }
    }
    Ok(made)
}

/// Whether a condition function, or the condition that it names, is true.
fn holds(condition: &Value, parameters: &Parameters) -> Result<bool> {
    let (function, operands) =
        only_member(condition).with_context(|| format!("no condition: {condition}"))?;
    let list = || operands.as_array().with_context(|| format!("no list: {condition}"));
    Ok(match function {
        "Condition" => {
            let name = operands.as_str().context("a condition without a name")?;
            let named = document("template")?["Conditions"].get(name);
            holds(named.with_context(|| format!("no condition {name}"))?, parameters)?
        }
        "Fn::Equals" => resolve(&list()?[0], parameters)? == resolve(&list()?[1], parameters)?,
        "Fn::Not" => !holds(&list()?[0], parameters)?,
        "Fn::And" => all_hold(list()?, parameters)?.into_iter().all(|holds| holds),
        "Fn::Or" => all_hold(list()?, parameters)?.into_iter().any(|holds| holds),
        _ => anyhow::bail!("{function} is not known here"),
    })
}

fn all_hold(conditions: &[Value], parameters: &Parameters) -> Result<Vec<bool>> {
    conditions.iter().map(|condition| holds(condition, parameters)).collect()
}

/// `value` with parameters put in and branches chosen; `None` for what `AWS::NoValue` leaves out.
fn resolve(value: &Value, parameters: &Parameters) -> Result<Option<Value>> {
    if let Some((function, operand)) = only_member(value) {
        match function {
            "Ref" if operand == "AWS::NoValue" => return Ok(None),
            "Ref" => {
                let parameter = operand.as_str().and_then(|name| parameters.get(name));
                return Ok(Some(parameter.unwrap_or(value).clone()));
            }
            "Fn::If" => {
                let holds = holds(&json!({"Condition": operand[0]}), parameters)?;
                return resolve(&operand[if holds { 1 } else { 2 }], parameters);
            }
            "Fn::Join" if operand[1]["Ref"].is_string() => return resolve(&operand[1], parameters),
            _ => {}
        }
    }
    Ok(Some(match value {
        Value::Object(members) => {
            let mut resolved = Map::new();
            for (name, member) in members {
                if let Some(member) = resolve(member, parameters)? {
                    resolved.insert(name.clone(), member);
                }
            }
            resolved.into()
        }
        Value::Array(items) => {
            let items: Result<Vec<_>> = items.iter().map(|item| resolve(item, parameters)).collect();
            items?.into_iter().flatten().collect()
        }
        scalar => scalar.clone(),
    }))
}

/// The name and the value of an object's only member, which is what a function is written as.
fn only_member(value: &Value) -> Option<(&str, &Value)> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members.iter().next().map(|(name, member)| (name.as_str(), member))
}
