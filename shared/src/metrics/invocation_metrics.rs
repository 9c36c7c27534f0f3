//! The values of one invocation's metrics.

use std::cell::Cell;

use super::metric::Metric;

/// The values of one invocation's metrics.
pub(super) struct InvocationMetrics([Cell<f64>; Metric::ALL.len()]);

impl InvocationMetrics {
    pub(super) fn new() -> Self {
        Self([const { Cell::new(0.0) }; Metric::ALL.len()])
    }

    pub(super) fn get(&self, metric: Metric) -> f64 {
        self.0[metric as usize].get()
    }

    pub(super) fn set(&self, metric: Metric, value: f64) {
        self.0[metric as usize].set(value);
    }
}
