//! `GET /health` and `GET /openapi.yaml`.

use std::sync::Arc;

use serde_json::json;
use shared::health::{self, Detail, Status};
use shared::http::{
    Body, HandlerResult, Invocation, Method, PublicError, Request, RequestExt as _, StatusCode, caller, json,
    query_pairs, respond,
};

use shared::request::Caller;

use crate::report::{self, State};

/// The API's description, which is part of the binary so that it is that of this very release.
const OPENAPI: &str = include_str!("../../../openapi.yaml");

pub(crate) async fn handle(state: Arc<State>, invocation: Invocation, request: Request) -> HandlerResult {
    let path = request.raw_http_path().trim_end_matches('/');
    if !matches!(path, "/health" | "/openapi.yaml") {
        return Err(PublicError::NotFound.into());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(PublicError::MethodNotAllowed("GET, HEAD").into());
    }
    if path == "/openapi.yaml" {
        return Ok(respond(StatusCode::OK, "application/yaml", Body::Text(OPENAPI.to_owned())));
    }
    match parse_form(&request)? {
        ReportForm::Quick => {
            Ok(json(StatusCode::OK, &json!({"status": Status::Ok, "version": report::VERSION})))
        }
        ReportForm::Deep => {
            let outcome = report::gather(&state, Detail::Status, invocation.deadline).await;
            Ok(report::summary_response(&outcome))
        }
        full @ (ReportForm::Detailed | ReportForm::Prometheus) => {
            // Only keys have scopes such as `ops:read`, so no other caller needs to be looked up.
            let Caller::Key(key) = caller(&request, None) else {
                return Err(match caller(&request, None) {
                    Caller::Owner(_) => report::FORBIDDEN.into(),
                    _ => PublicError::Unauthenticated.into(),
                });
            };
            let outcome = report::gather(&state, Detail::Full(&key), invocation.deadline).await;
            let report = match outcome {
                Ok(report) if report::may_see_details(&report)? => report,
                // The key could not be looked up, so the caller sees what anybody may see.
                outcome => return Ok(report::summary_response(&outcome)),
            };
            Ok(match full {
                ReportForm::Prometheus => {
                    let text = health::prometheus(&report);
                    respond(StatusCode::OK, health::CONTENT_TYPE, Body::Text(text))
                }
                _ => report::full_response(&report),
            })
        }
    }
}

/// How much of the report is requested, and in which format; later variants show more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReportForm {
    /// Only that the function itself runs; the database is not asked.
    Quick,
    /// `?deep=true`: the status, and each check's verdict.
    Deep,
    /// `?detailed=true`: everything, as JSON.
    Detailed,
    /// `?format=prometheus`: everything, as metrics.
    Prometheus,
}

/// Reads the form of the report from the query.
fn parse_form(request: &Request) -> Result<ReportForm, PublicError> {
    let mut widest = ReportForm::Quick;
    for (name, value) in query_pairs(request) {
        let flag = |form| match value.as_str() {
            "true" | "1" | "" => Ok(Some(form)),
            "false" | "0" => Ok(None),
            _ => Err(PublicError::invalid(&name, "must be true or false")),
        };
        let form = match name.as_str() {
            "deep" => flag(ReportForm::Deep)?,
            "detailed" => flag(ReportForm::Detailed)?,
            "format" => match value.as_str() {
                "prometheus" => Some(ReportForm::Prometheus),
                "json" => None,
                _ => return Err(PublicError::invalid("format", "must be json or prometheus")),
            },
            // Other parameters are ignored: monitors add some to get past caches.
            _ => None,
        };
        // Of several forms, the one that shows the most wins, whatever their order.
        if let Some(form) = form.filter(|form| *form as u8 > widest as u8) {
            widest = form;
        }
    }
    Ok(widest)
}
