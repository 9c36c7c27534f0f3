//! CloudFormation's custom resources: what they send, and the answer that they wait for
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>).

use std::time::Duration;

use lambda_runtime::Error;
use serde::Deserialize;
use serde_json::{Value, json};

/// The resource's only physical id: the schema is one thing, so no update replaces it.
const SCHEMA: &str = "tessera-schema";
/// Of the reason, so that the answer stays below CloudFormation's 4,096 bytes.
const MAX_REASON: usize = 1000;
/// Of one try to answer. Without an answer the stack waits for its own limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ATTEMPTS: u32 = 3;

/// What happens to the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum RequestType {
    Create,
    Update,
    Delete,
}

/// A custom resource's request. `ResponseURL` is presigned: whoever has it can answer, so it is not logged.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StackRequest {
    #[serde(rename = "RequestType")]
    pub(crate) request_type: RequestType,
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    #[serde(rename = "RequestId")]
    id: String,
    logical_resource_id: String,
}

/// Tells CloudFormation how it went. A failure makes it roll the stack back, which is the point.
pub(crate) async fn respond(
    client: &reqwest::Client,
    request: &StackRequest,
    outcome: &Result<Value, Error>,
) -> Result<(), Error> {
    let (status, reason) = match outcome {
        Ok(_) => ("SUCCESS", String::new()),
        Err(error) => ("FAILED", error.to_string().chars().take(MAX_REASON).collect()),
    };
    let body = json!({
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": SCHEMA,
        "StackId": request.stack_id,
        "RequestId": request.id,
        "LogicalResourceId": request.logical_resource_id,
        "Data": outcome.as_ref().unwrap_or(&Value::Null),
    })
    .to_string();
    for attempt in 1.. {
        // Without a content type: the presigned URL was signed without one.
        let put = client.put(&request.response_url).timeout(ANSWER_TIMEOUT).body(body.clone());
        let sent = put.send().await.and_then(reqwest::Response::error_for_status);
        match sent.map_err(reqwest::Error::without_url) {
            Ok(_) => return Ok(()),
            Err(error) if attempt == MAX_ATTEMPTS => {
                tracing::error!(%error, "CloudFormation was not told");
                return Err(error.into());
            }
            Err(error) => tracing::warn!(%error, "CloudFormation was not told, trying again"),
        }
    }
    Ok(())
}
