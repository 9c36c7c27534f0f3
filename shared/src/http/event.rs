//! Makes events safe for `lambda_http`, which builds a URL from parts that clients send and panics where it cannot.

use lambda_http::LambdaEvent;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::http::header;
use lambda_http::request::LambdaRequest;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The most bytes of path and query, which is what API Gateway takes of a request's line and headers together
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>).
/// [`http::Uri`](lambda_http::http::Uri) takes 65,534, percent-encoded.
pub(super) const MAX_ADDRESS_BYTES: usize = 10_240;

/// Characters that [`http::Uri`](lambda_http::http::Uri) refuses in a query, although clients send them and API Gateway
/// passes them on.
const FORBIDDEN_IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// Cleans what `lambda_http` would make a URL of. An address that is too long becomes an empty one, which no request
/// has, for `serve` to refuse.
pub(super) fn clean(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event.payload {
        drop_host(request);
        clean_address(request);
    }
    event
}

/// Removes the host, and with it the need to look at `X-Forwarded-Proto`: both can be any text, and neither is read. The
/// service's own URL is `PUBLIC_BASE_URL`.
fn drop_host(request: &mut ApiGatewayV2httpRequest) {
    request.headers.remove(header::HOST);
    request.request_context.domain_name = None;
}

/// Percent-encodes what the sender should have encoded in the query, and lets the path begin with a slash.
fn clean_address(request: &mut ApiGatewayV2httpRequest) {
    let path = request.raw_path.take().unwrap_or_default();
    let query = request.raw_query_string.take().unwrap_or_default();
    if path.len() + query.len() > MAX_ADDRESS_BYTES {
        return;
    }
    request.raw_path = Some(if path.starts_with('/') { path } else { format!("/{path}") });
    request.raw_query_string = Some(utf8_percent_encode(&query, FORBIDDEN_IN_QUERY).to_string());
}
