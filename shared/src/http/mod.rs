//! HTTP as every function needs it: who calls, which preconditions a request states, how errors are rendered, how to
//! serve.

mod body;
mod caller;
mod error;
mod event;
mod headers;
mod problem;
mod response;
mod serve;
mod uri;

pub use body::json_object;
pub use caller::{caller, source_address};
pub use error::{HandlerError, PublicError};
pub use headers::{
    CONSISTENCY_TOKEN, consistency_token, entity_tag, idempotency_key, if_match, if_none_match_matches,
};
pub use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use lambda_http::{Body, Request, RequestExt, Response};
pub use problem::ErrorFormat;
pub use response::{HandlerResult, json, not_modified, respond};
pub use serve::{App, Invocation, serve};
pub use uri::{query_pairs, segments};
