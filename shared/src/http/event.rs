//! What `lambda_http` cannot take of an event, mended before it gets there.

use lambda_http::LambdaEvent;
use lambda_http::request::LambdaRequest;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What [`http::Uri`](lambda_http::http::Uri) refuses in a query, though clients send it and API Gateway passes it on.
const REFUSED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// Escapes the query where its sender has not. `lambda_http` panics on one that is no URI's.
pub(super) fn escape_query(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event.payload
        && let Some(query) = &mut request.raw_query_string
    {
        *query = utf8_percent_encode(query, REFUSED).to_string();
    }
    event
}
