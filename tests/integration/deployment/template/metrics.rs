//! Every metric that alarms and the dashboard name is one that something writes.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{all, resources, root, walk};

/// A metric of an alarm or a widget: namespace, name, dimensions.
type Watched = (String, String, BTreeMap<String, Value>);

#[test]
fn alarms_and_widgets_watch_metrics_that_there_are() -> Result<()> {
    let code = std::fs::read_to_string(root().join("shared/src/metrics/metric.rs"))?;
    let mut ours = 0;
    for (place, (namespace, name, dimensions)) in alarm_metrics()?.into_iter().chain(widget_metrics()?) {
        let names: Vec<_> = dimensions.keys().map(String::as_str).collect();
        match namespace.as_str() {
            "Tessera" => {
                ours += 1;
                assert!(code.contains(&format!("    {name}: ")), "{place}: the code emits no {name}");
                assert_eq!(names, ["Function", "Stage"], "{place}: {name}");
                assert_eq!(dimensions["Stage"], json!({"Ref": "Stage"}), "{place}: {name}");
            }
            "AWS/Lambda" => assert_eq!(names, ["FunctionName"], "{place}: {name}"),
            "AWS/ApiGateway" => assert_eq!(names, ["ApiId"], "{place}: {name}"),
            "AWS/SQS" => assert_eq!(names, ["QueueName"], "{place}: {name}"),
            other => panic!("{place}: {other}"),
        }
        for dimension in dimensions.values() {
            let resource = dimension["Ref"].as_str().or(dimension["Fn::GetAtt"][0].as_str());
            let resource = resource.with_context(|| format!("{place}: {name} of {dimension}"))?;
            assert!(resource == "Stage" || resources()?.contains_key(resource), "{place}: {resource}");
        }
    }
    assert!(ours > 20, "{ours} metrics of our own");
    Ok(())
}

fn alarm_metrics() -> Result<Vec<(&'static str, Watched)>> {
    let mut found = Vec::new();
    for (alarm, properties) in all("AWS::CloudWatch::Alarm")? {
        walk(properties, "", &mut |_, value| {
            let (Some(namespace), Some(name)) = (value["Namespace"].as_str(), value["MetricName"].as_str())
            else {
                return;
            };
            let dimensions = value["Dimensions"].as_array().into_iter().flatten();
            let dimensions = dimensions
                .map(|dimension| {
                    (dimension["Name"].as_str().unwrap_or_default().to_owned(), dimension["Value"].clone())
                })
                .collect();
            found.push((alarm, (namespace.to_owned(), name.to_owned(), dimensions)));
        });
    }
    Ok(found)
}

/// A widget's metric may leave out what the one before it has: `.` is one word, `...` all but the last.
fn widget_metrics() -> Result<Vec<(&'static str, Watched)>> {
    let body = &resources()?["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"];
    let text = body[0].as_str().context("the dashboard has no body")?;
    let body: Value = serde_json::from_str(&text.replace("${WorkerAlarms}", ""))?;
    let mut found = Vec::new();
    for widget in body["widgets"].as_array().into_iter().flatten().filter(|widget| widget["type"] == "metric")
    {
        let mut before: Vec<String> = Vec::new();
        for metric in widget["properties"]["metrics"].as_array().context("a widget without metrics")? {
            let words: Vec<_> = metric.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let words: Vec<String> = match words.split_first() {
                Some((&"...", last)) => {
                    let kept = before.len() - last.len();
                    before[..kept].iter().cloned().chain(last.iter().map(ToString::to_string)).collect()
                }
                _ => words
                    .iter()
                    .enumerate()
                    .map(
                        |(place, word)| if *word == "." { before[place].clone() } else { (*word).to_owned() },
                    )
                    .collect(),
            };
            let dimensions = words[2..]
                .chunks(2)
                .map(|pair| (pair[0].clone(), json!({"Ref": pair[1].trim_matches(['$', '{', '}'])})))
                .collect();
            found.push(("Dashboard", (words[0].clone(), words[1].clone(), dimensions)));
            before = words;
        }
    }
    Ok(found)
}
