//! What each invocation did, for CloudWatch: one log line in the embedded metric format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//!
//! The namespace is [`NAMESPACE`]; the dimensions are `Function` (`AWS_LAMBDA_FUNCTION_NAME`) and `Stage`
//! (`TESSERA_STAGE`, by default `dev`). Only what was counted or set is written, so that the line of a warm redirect
//! has about 450 bytes and the longest possible line fewer than [`MAX_LINE`].

mod database_events;
mod embedded_metric_format;
mod invocation_metrics;
mod metric;
mod peak_memory;
mod recorder;

pub(crate) use database_events::observe_database;
pub use embedded_metric_format::{MAX_LINE, NAMESPACE};
pub use metric::Metric;
pub use recorder::{add, add_time, count, set};
pub(crate) use recorder::{record, start};
