//! The values of one invocation's metrics.

use std::cell::Cell;

use super::metric::Metric;

/// The values of one invocation's metrics.
pub(super) struct InvocationMetrics([Cell<Option<f64>>; Metric::ALL.len()]);

impl InvocationMetrics {
    pub(super) fn new() -> Self {
        Self([const { Cell::new(None) }; Metric::ALL.len()])
    }

    /// The value, if there is one: a count's is added to, from nothing; a depth or a share was set, perhaps to zero, which
    /// says something else than nothing.
    pub(super) fn get(&self, metric: Metric) -> Option<f64> {
        self.0[metric as usize].get()
    }

    pub(super) fn add(&self, metric: Metric, value: f64) {
        if value != 0.0 {
            self.set(metric, self.get(metric).unwrap_or_default() + value);
        }
    }

    pub(super) fn set(&self, metric: Metric, value: f64) {
        self.0[metric as usize].set(Some(value));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|value| value.get().is_none())
    }
}
