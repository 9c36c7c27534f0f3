//! What each part of a connection string becomes.

mod dialects;
mod parameters;
mod providers;
mod secrecy;

use super::*;

fn parse(text: &str) -> DatabaseUrl {
    DatabaseUrl::parse(text).unwrap_or_else(|error| panic!("{text} {error}"))
}

fn error(text: &str) -> DatabaseUrlError {
    match DatabaseUrl::parse(text) {
        Ok(url) => panic!("{text} became {url:?}"),
        Err(error) => error,
    }
}

/// `user:password@host:port,…/dbname`, decoded, to compare with.
fn address(url: &DatabaseUrl) -> String {
    let hosts: Vec<String> = url.hosts().iter().map(|host| format!("{}:{}", host.name, host.port)).collect();
    let (user, password) = (url.user().unwrap_or("-"), url.password().unwrap_or("-"));
    format!("{user}:{password}@{}/{}", hosts.join(","), url.dbname().unwrap_or("-"))
}

/// The names of the parameters that are warned of.
fn warned(url: &DatabaseUrl) -> Vec<&str> {
    url.warnings()
        .iter()
        .map(|warning| match warning {
            Warning::Unknown { key } | Warning::Ignored { key, .. } | Warning::NotUnderstood { key } => {
                key.as_str()
            }
            Warning::NoHost => "(no host)",
            Warning::ServerNotVerified => "(not verified)",
        })
        .collect()
}
