//! The protocol of CloudFormation's custom resources: requests, and the response that the stack waits for
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>).

use std::time::Duration;

use lambda_runtime::Error;
use serde::Deserialize;
use serde_json::{Value, json};

/// The physical id of the resource, which is always the same, so that no update replaces it.
const PHYSICAL_RESOURCE_ID: &str = "tessera-schema";
/// The most bytes of the reason, with what is escaped in JSON, so that the response stays below CloudFormation's limit
/// of 4,096 bytes.
const MAX_REASON: usize = 2500;
/// The limit of one attempt to respond. Without a response the stack waits until its own timeout.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to try to respond.
const MAX_ATTEMPTS: u32 = 3;
/// The time that all attempts to respond may take, which the work must leave.
pub(crate) const RESPONSE_RESERVE: Duration = Duration::from_secs(35);

/// What CloudFormation does to the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum RequestType {
    Create,
    Update,
    Delete,
}

/// The request of a custom resource. Its `ResponseURL` is presigned, so that whoever has it can respond: it must not be
/// logged.
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
    #[serde(default)]
    resource_properties: SchemaProperties,
    #[serde(default)]
    old_resource_properties: SchemaProperties,
}

/// What the template says of the schema.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SchemaProperties {
    /// The name of the newest migration.
    newest: Option<String>,
}

impl SchemaProperties {
    /// The version with which the name of the newest migration begins.
    fn newest_version(&self) -> Option<u32> {
        self.newest.as_deref()?.split('_').next()?.parse().ok()
    }
}

impl StackRequest {
    /// Whether the stack goes back to an older release, because an update failed or because somebody deploys one. Its
    /// code works with the newer schema, which it does not know how to revert.
    pub(crate) fn goes_back(&self) -> bool {
        self.old_resource_properties.newest_version() > self.resource_properties.newest_version()
    }
}

/// Sends the outcome to CloudFormation, which rolls the stack back if the migrations failed.
pub(crate) async fn respond(
    client: &reqwest::Client,
    request: &StackRequest,
    outcome: &Result<Value, Error>,
) -> Result<(), Error> {
    let (status, reason) = match outcome {
        Ok(_) => ("SUCCESS", String::new()),
        Err(error) => ("FAILED", bounded(&error.to_string())),
    };
    let body = json!({
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": PHYSICAL_RESOURCE_ID,
        "StackId": request.stack_id,
        "RequestId": request.id,
        "LogicalResourceId": request.logical_resource_id,
        "Data": outcome.as_ref().unwrap_or(&Value::Null),
    })
    .to_string();
    for attempt in 1.. {
        // Without a content type: the presigned URL was signed without one.
        let put = client.put(&request.response_url).timeout(RESPONSE_TIMEOUT).body(body.clone());
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

/// The beginning of `text` that may be sent as a reason.
fn bounded(text: &str) -> String {
    let mut size = 0;
    let fits = |c: &char| {
        size += c.escape_default().len().max(c.len_utf8());
        size <= MAX_REASON
    };
    text.chars().take_while(fits).collect()
}
