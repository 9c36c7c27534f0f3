//! One invocation's metrics as a line in CloudWatch's embedded metric format.

use serde_json::{Map, Value, json};

use super::invocation_metrics::InvocationMetrics;
use super::metric::Metric;

/// The namespace of the metrics in CloudWatch.
pub const NAMESPACE: &str = "Tessera";

/// Every line is shorter than this, in bytes.
pub const MAX_LINE: usize = 3072;

/// The dimensions that all metrics of a process have.
pub(super) struct Dimensions {
    function: String,
    stage: String,
}

impl Dimensions {
    /// Takes the first 128 characters of each, so that a line's length is bounded.
    pub(super) fn new(function: &str, stage: &str) -> Self {
        let bounded = |text: &str| text.chars().take(128).collect();
        Self { function: bounded(function), stage: bounded(stage) }
    }
}

/// Writes the metrics that have a value as one line; `None` if none has.
#[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 have 41 bits")]
pub(super) fn line(
    metrics: &InvocationMetrics,
    dimensions: &Dimensions,
    request_id: &str,
    epoch_ms: f64,
) -> Option<String> {
    if metrics.is_empty() {
        return None;
    }
    let values: Vec<_> =
        Metric::ALL.iter().filter_map(|metric| metrics.get(*metric).map(|value| (metric, value))).collect();
    let definitions: Vec<_> =
        values.iter().map(|(metric, _)| json!({"Name": metric.name(), "Unit": metric.unit()})).collect();
    let mut members = Map::new();
    members.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": epoch_ms as i64,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Function", "Stage"]],
                "Metrics": definitions,
            }],
        }),
    );
    members.insert("Function".to_owned(), dimensions.function.clone().into());
    members.insert("Stage".to_owned(), dimensions.stage.clone().into());
    members.insert("request_id".to_owned(), request_id.into());
    for (metric, value) in values {
        // Three decimals, which are microseconds where the unit is milliseconds; whole numbers are written as such.
        let value = (value * 1000.0).round() / 1000.0;
        let value = if value.fract() == 0.0 { json!(value as i64) } else { json!(value) };
        members.insert(metric.name().to_owned(), value);
    }
    Some(format!("{}\n", Value::Object(members)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimensions() -> Dimensions {
        Dimensions::new(&"f".repeat(64), "production")
    }

    fn counted(value: impl Fn(Metric) -> f64) -> InvocationMetrics {
        let metrics = InvocationMetrics::new();
        for metric in Metric::ALL {
            metrics.add(*metric, value(*metric));
        }
        metrics
    }

    const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

    #[test]
    fn a_line_has_what_was_counted_and_nothing_else() {
        let metrics = counted(|metric| match metric {
            Metric::RoundTrips | Metric::Scans => 1.0,
            Metric::StatementTime => 1.234_567,
            _ => 0.0,
        });
        let line = line(&metrics, &dimensions(), REQUEST_ID, 1_700_000_000_000.0).unwrap();
        assert!(line.len() < 450, "{} bytes: {line}", line.len());
        let line: Value = serde_json::from_str(&line).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Tessera");
        assert_eq!(directive["Dimensions"], json!([["Function", "Stage"]]));
        assert_eq!(
            directive["Metrics"],
            json!([
                {"Name": "RoundTrips", "Unit": "Count"},
                {"Name": "StatementTime", "Unit": "Milliseconds"},
                {"Name": "Scans", "Unit": "Count"},
            ])
        );
        assert_eq!((&line["Scans"], &line["StatementTime"]), (&json!(1), &json!(1.235)));
        assert_eq!(line["_aws"]["Timestamp"], 1_700_000_000_000_i64);
        assert!(line.get("Creates").is_none());
    }

    #[test]
    fn a_depth_of_zero_is_written_since_an_empty_queue_is_news() {
        let metrics = InvocationMetrics::new();
        metrics.set(Metric::QueueDepth, 0.0);
        let line = line(&metrics, &dimensions(), REQUEST_ID, 0.0).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["QueueDepth"], 0);
    }

    #[test]
    fn an_invocation_that_did_nothing_writes_nothing() {
        assert_eq!(line(&counted(|_| 0.0), &dimensions(), REQUEST_ID, 0.0), None);
    }

    #[test]
    fn the_longest_line_is_bounded() {
        let line =
            line(&counted(|_| 123_456_789.123), &dimensions(), REQUEST_ID, 1_700_000_000_000.0).unwrap();
        assert!(line.len() < MAX_LINE, "{} bytes", line.len());
    }
}
