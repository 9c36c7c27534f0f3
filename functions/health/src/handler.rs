//! `GET /health` and `GET /openapi.yaml`.

use std::sync::Arc;

use serde_json::json;
use shared::health::{self, Detail, Status};
use shared::http::{
    Answer, Body, Invocation, Method, PublicError, Request, RequestExt as _, StatusCode, caller, json,
    query_pairs, respond,
};

use shared::request::Caller;
use tessera_postgres::Database;

use crate::report;

/// The document is part of the binary: it describes this release and no other.
const OPENAPI: &str = include_str!("../../../openapi.yaml");

pub(crate) struct State {
    pub(crate) database: Arc<Database>,
    pub(crate) replica: Option<Database>,
}

pub(crate) async fn handle(state: Arc<State>, invocation: Invocation, request: Request) -> Answer {
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
    match asked(&request)? {
        Asked::Quick => Ok(json(StatusCode::OK, &json!({"status": Status::Ok, "version": report::VERSION}))),
        Asked::Deep => {
            let outcome = report::gather(&state, Detail::Status, invocation.deadline).await;
            Ok(report::summary(&outcome))
        }
        full @ (Asked::Detailed | Asked::Prometheus) => {
            // Nobody but the holder of a key can have `ops:read`, so others need not be looked up.
            let Caller::Key(key) = caller(&request, None) else {
                return Err(match caller(&request, None) {
                    Caller::Owner(_) => report::FORBIDDEN.into(),
                    _ => PublicError::Unauthenticated.into(),
                });
            };
            let outcome = report::gather(&state, Detail::Full(&key), invocation.deadline).await;
            let report = match outcome {
                Ok(report) if report::permits(&report)? => report,
                // Without a table of keys nobody can be known, and nobody learns more than everybody may.
                outcome => return Ok(report::summary(&outcome)),
            };
            Ok(match full {
                Asked::Prometheus => {
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
enum Asked {
    Quick,
    Deep,
    Detailed,
    Prometheus,
}

fn asked(request: &Request) -> Result<Asked, PublicError> {
    let mut asked = Asked::Quick;
    for (name, value) in query_pairs(request) {
        let of_flag = |form| match value.as_str() {
            "true" | "1" | "" => Ok(Some(form)),
            "false" | "0" => Ok(None),
            _ => Err(PublicError::invalid(&name, "must be true or false")),
        };
        let form = match name.as_str() {
            "deep" => of_flag(Asked::Deep)?,
            "detailed" => of_flag(Asked::Detailed)?,
            "format" => match value.as_str() {
                "prometheus" => Some(Asked::Prometheus),
                "json" => None,
                _ => return Err(PublicError::invalid("format", "must be json or prometheus")),
            },
            // Monitors add parameters of their own, against caches.
            _ => None,
        };
        // The most telling form wins, whatever the order.
        if let Some(form) = form.filter(|form| *form as u8 > asked as u8) {
            asked = form;
        }
    }
    Ok(asked)
}
