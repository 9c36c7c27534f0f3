//! Counts for the invocation that the current task works for, and writes its line at the end.

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use super::embedded_metric_format::{Dimensions, line};
use super::invocation_metrics::InvocationMetrics;
use super::metric::Metric;
use super::peak_memory::peak_memory;
use crate::clock::epoch_ms;

tokio::task_local! {
    static CURRENT: InvocationMetrics;
}

static DIMENSIONS: OnceLock<Dimensions> = OnceLock::new();

/// Adds `value` to a metric of the current invocation. Outside of an invocation nothing is counted.
pub fn add(metric: Metric, value: f64) {
    let _ = CURRENT.try_with(|metrics| metrics.add(metric, value));
}

/// Sets a metric of the current invocation to `value`, for depths and shares of which only the last value counts. Zero is
/// written, too: an alarm must see that a queue has become empty.
pub fn set(metric: Metric, value: f64) {
    let _ = CURRENT.try_with(|metrics| metrics.set(metric, value));
}

/// Adds one to a metric of the current invocation.
pub fn count(metric: Metric) {
    add(metric, 1.0);
}

/// Adds `time` in milliseconds to a metric of the current invocation.
pub fn add_time(metric: Metric, time: Duration) {
    add(metric, time.as_secs_f64() * 1000.0);
}

/// Has every invocation from now on write its metrics to the standard output, with these dimensions.
pub(crate) fn start(function: &str, stage: &str) {
    // Already started: a second function in the same process, which is a test.
    let _ = DIMENSIONS.set(Dimensions::new(function, stage));
}

/// Runs an invocation, and writes the metrics that were counted meanwhile.
pub(crate) async fn record<F: Future>(request_id: &str, invocation: F) -> F::Output {
    CURRENT
        .scope(InvocationMetrics::new(), async {
            let output = invocation.await;
            CURRENT.with(set_peak_memory);
            if let Some(dimensions) = DIMENSIONS.get()
                && let Some(line) = CURRENT.with(|metrics| line(metrics, dimensions, request_id, epoch_ms()))
            {
                // One write, so that the lines of concurrent requests do not mix. A log that cannot be written is no
                // reason to fail a request.
                let _ = std::io::stdout().write_all(line.as_bytes());
            }
            output
        })
        .await
}

/// Sets the peak of the process's memory, where there is a line to write it in.
fn set_peak_memory(metrics: &InvocationMetrics) {
    if !metrics.is_empty()
        && let Some(megabytes) = peak_memory()
    {
        metrics.set(Metric::PeakMemory, megabytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn concurrent_invocations_are_counted_separately() {
        let count_scans = |times: u32| {
            CURRENT.scope(InvocationMetrics::new(), async move {
                for _ in 0..times {
                    count(Metric::Scans);
                    tokio::task::yield_now().await;
                }
                CURRENT.with(|metrics| metrics.get(Metric::Scans))
            })
        };
        assert_eq!(tokio::join!(count_scans(3), count_scans(5)), (Some(3.0), Some(5.0)));
        count(Metric::Scans);
    }
}
