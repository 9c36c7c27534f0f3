//! Escapes query strings that `lambda_http` would panic on, before it sees them.

use lambda_http::LambdaEvent;
use lambda_http::request::LambdaRequest;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Characters that [`http::Uri`](lambda_http::http::Uri) refuses in a query, although clients send them and API Gateway
/// passes them on.
const FORBIDDEN_IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// Percent-encodes what the sender should have encoded in the query. `lambda_http` panics on a query that no URI may
/// have.
pub(super) fn escape_query(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event.payload
        && let Some(query) = &mut request.raw_query_string
    {
        *query = utf8_percent_encode(query, FORBIDDEN_IN_QUERY).to_string();
    }
    event
}
