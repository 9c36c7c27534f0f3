//! `GET /health` and `GET /openapi.yaml`.

use std::sync::Arc;

use serde_json::json;
use shared::health::{self, Detail, Status};
use shared::http::{
    Answer, Body, Invocation, Method, PublicError, Request, RequestExt as _, StatusCode, caller, json,
    query_pairs, respond,
};

use shared::request::Caller;

use crate::report::{self, Databases};

/// The document is part of the binary: it describes this release and no other.
const OPENAPI: &str = include_str!("../../../openapi.yaml");

pub(crate) async fn handle(databases: Arc<Databases>, invocation: Invocation, request: Request) -> Answer {
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
            let outcome = report::gather(&databases, Detail::Status, invocation.deadline).await;
            Ok(report::summary(&outcome))
        }
        full @ (ReportForm::Detailed | ReportForm::Prometheus) => {
            // Nobody but the holder of a key can have `ops:read`, so others need not be looked up.
            let Caller::Key(key) = caller(&request, None) else {
                return Err(match caller(&request, None) {
                    Caller::Owner(_) => report::FORBIDDEN.into(),
                    _ => PublicError::Unauthenticated.into(),
                });
            };
            let outcome = report::gather(&databases, Detail::Full(&key), invocation.deadline).await;
            let report = match outcome {
                Ok(report) if report::permits(&report)? => report,
                // Without a table of keys nobody can be known, and nobody learns more than everybody may.
                outcome => return Ok(report::summary(&outcome)),
            };
            Ok(match full {
                ReportForm::Prometheus => {
                    let text = health::prometheus(&report);
                    respond(StatusCode::OK, health::CONTENT_TYPE, Body::Text(text))
                }
                _ => report::whole(&report),
            })
        }
    }
}

/// The forms of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReportForm {
    Quick,
    Deep,
    Detailed,
    Prometheus,
}

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
            // Monitors add parameters of their own, against caches.
            _ => None,
        };
        // The most telling form wins, whatever the order.
        if let Some(form) = form.filter(|form| *form as u8 > widest as u8) {
            widest = form;
        }
    }
    Ok(widest)
}
