//! The dialects of connection strings, and their keys and values.

use super::{DatabaseUrlError, keyword_form, url_form};

/// The dialect of a connection string, for keys that mean different things in different dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// libpq's, and those of drivers that follow it.
    Libpq,
    /// JDBC's.
    Jdbc,
    /// ADO.NET's.
    Ado,
}

/// A key and its value, decoded but not interpreted yet.
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: String,
}

impl Setting {
    pub(super) fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// Splits a connection string into its keys and values, and tells its dialect.
pub(super) fn settings(text: &str) -> Result<(Dialect, Vec<Setting>), DatabaseUrlError> {
    if let Some(rest) = text.strip_prefix("jdbc:") {
        let rest = rest.strip_prefix("postgresql:").ok_or(DatabaseUrlError::UnknownScheme)?;
        let settings = match rest.strip_prefix("//") {
            Some(rest) => url_form::parse(rest, true)?,
            // `jdbc:postgresql:database` is on localhost.
            None => url_form::parse(&format!("/{}", rest.trim_start_matches('/')), true)?,
        };
        return Ok((Dialect::Jdbc, settings));
    }
    if let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        return match scheme.to_ascii_lowercase().split('+').next().unwrap_or_default() {
            "prisma" => Err(DatabaseUrlError::PrismaProxy),
            // `+psycopg2`, `+asyncpg`: SQLAlchemy names the driver. The others are Django's, PHP's and Timescale's.
            "postgres" | "postgresql" | "postgis" | "pgsql" | "timescale" | "timescaledb" => {
                Ok((Dialect::Libpq, url_form::parse(rest, false)?))
            }
            _ => Err(DatabaseUrlError::UnknownScheme),
        };
    }
    match text.split_once('=') {
        Some((key, _))
            if !key.trim().is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_ ".contains(c)) =>
        {
            let is_ado = text.contains(';') && !text.contains('\'');
            let settings = if is_ado { keyword_form::parse_ado(text) } else { keyword_form::parse(text) };
            Ok((if is_ado { Dialect::Ado } else { Dialect::Libpq }, settings?))
        }
        _ => Err(DatabaseUrlError::NotAConnectionString),
    }
}

fn is_scheme(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
}
