//! Splits `scheme://user:password@host:port,host:port/database?key=value&…`, as libpq does, and as people paste it.
//!
//! This is code of our own because the URL standard allows neither several hosts nor the unencoded `@ / ? #` that
//! consoles and password generators leave in passwords.

use percent_encoding::percent_decode_str;

use super::{DatabaseUrlError, Setting};

/// Parameters whose values may contain an unencoded `@`. In any other value, an `@` means that the password has not
/// ended yet.
const MAY_HOLD_AT: [&str; 5] = ["user", "password", "options", "application_name", "ApplicationName"];

/// Reads what follows `scheme://`. With `plus_is_space`, `+` in parameters is a space, as in JDBC.
pub(super) fn parse(rest: &str, plus_is_space: bool) -> Result<Vec<Setting>, DatabaseUrlError> {
    let (userinfo, tail) = split_userinfo(rest).ok_or(DatabaseUrlError::MalformedUrl)?;
    let mut settings = Vec::new();
    if let Some(userinfo) = userinfo {
        let (user, password) = match userinfo.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (userinfo, None),
        };
        settings.push(Setting::new("user", decode(user)?));
        if let Some(password) = password {
            settings.push(Setting::new("password", decode(password)?));
        }
    }
    push_hosts(tail.hosts, &mut settings)?;
    settings.push(Setting::new("dbname", decode(tail.database)?));
    for (key, value) in pairs(tail.query) {
        let value = if plus_is_space { decode(&value.replace('+', " "))? } else { decode(value)? };
        settings.push(Setting::new(decode(key)?, value));
    }
    Ok(settings)
}

/// The part of the URL after the `@`.
#[derive(Clone, Copy)]
struct Tail<'a> {
    hosts: &'a str,
    database: &'a str,
    query: &'a str,
}

/// Ends the password at the first `@` after which everything is well formed, so that `p@ss@host/db` and `p/w?@host/db`
/// are unambiguous.
fn split_userinfo(rest: &str) -> Option<(Option<&str>, Tail<'_>)> {
    if let Some(tail) = Tail::read(rest) {
        return Some((None, tail));
    }
    rest.match_indices('@').find_map(|(at, _)| Some((Some(&rest[..at]), Tail::read(&rest[at + 1..])?)))
}

impl<'a> Tail<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let (hosts, database) = address.split_once('/').unwrap_or((address, ""));
        let database = database.strip_suffix('/').unwrap_or(database);
        let well_formed = hosts.split(',').all(is_host)
            && !database.contains(['@', '/', ':'])
            && pairs(query)
                .all(|(key, value)| is_key(key) && (!value.contains('@') || MAY_HOLD_AT.contains(&key)));
        well_formed.then_some(Self { hosts, database, query })
    }
}

fn is_host(text: &str) -> bool {
    let Some((name, port)) = split_port(text) else { return false };
    let name_fits = match name.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']').is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok()),
        None => name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '%')),
    };
    name_fits && port.bytes().all(|b| b.is_ascii_digit())
}

/// Splits a host into its name, with brackets if it has them, and its port, which is empty if there is none.
fn split_port(text: &str) -> Option<(&str, &str)> {
    let name_ends =
        if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
    let (name, port) = text.split_at(name_ends);
    if port.is_empty() { Some((name, "")) } else { Some((name, port.strip_prefix(':')?)) }
}

fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '%'))
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn push_hosts(text: &str, settings: &mut Vec<Setting>) -> Result<(), DatabaseUrlError> {
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for host in text.split(',') {
        let (name, port) = split_port(host).ok_or(DatabaseUrlError::MalformedUrl)?;
        names.push(decode(name.trim_start_matches('[').trim_end_matches(']'))?);
        ports.push(port);
    }
    settings.push(Setting::new("host", names.join(",")));
    settings.push(Setting::new("port", ports.join(",")));
    Ok(())
}

/// Decodes percent-encoding. A `%` that does not begin an escape is kept, as in passwords that were pasted without
/// encoding.
fn decode(text: &str) -> Result<String, DatabaseUrlError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| DatabaseUrlError::NotUtf8)?;
    Ok(decoded.into_owned())
}
