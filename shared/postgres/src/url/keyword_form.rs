//! Splits libpq's `key=value key='quoted value'` text, and .NET's `Key=Value;Key=Value`.

use std::iter::Peekable;
use std::str::Chars;

use super::{DatabaseUrlError, Setting};

/// Reads libpq's text: white space around `=` is allowed, values with white space stand in single quotes, and a
/// backslash takes the next character as it is.
/// <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE>
pub(super) fn parse(text: &str) -> Result<Vec<Setting>, DatabaseUrlError> {
    let mut chars = text.chars().peekable();
    let mut settings = Vec::new();
    loop {
        // A backslash between two pairs is a shell's line continuation that was copied along.
        skip(&mut chars, |c| c.is_whitespace() || c == '\\');
        if chars.peek().is_none() {
            return Ok(settings);
        }
        let mut key = String::new();
        while let Some(c) = chars.next_if(|&c| c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        skip(&mut chars, char::is_whitespace);
        if key.is_empty() || chars.next() != Some('=') {
            return Err(DatabaseUrlError::MalformedKeywords);
        }
        skip(&mut chars, char::is_whitespace);
        let value = if chars.next_if_eq(&'\'').is_some() { quoted(&mut chars)? } else { bare(&mut chars) };
        settings.push(Setting::new(key, value));
    }
}

fn skip(chars: &mut Peekable<Chars<'_>>, skipped: impl Fn(char) -> bool) {
    while chars.next_if(|&c| skipped(c)).is_some() {}
}

fn bare(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut value = String::new();
    while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
        if c == '\\' { value.extend(chars.next_if(|&c| c != '\n')) } else { value.push(c) }
    }
    value
}

fn quoted(chars: &mut Peekable<Chars<'_>>) -> Result<String, DatabaseUrlError> {
    let mut value = String::new();
    loop {
        match chars.next().ok_or(DatabaseUrlError::MalformedKeywords)? {
            '\'' => return Ok(value),
            '\\' => value.push(chars.next().ok_or(DatabaseUrlError::MalformedKeywords)?),
            c => value.push(c),
        }
    }
}

/// Reads `Host=…;Username=…;Password=…`, as ADO.NET writes it.
pub(super) fn parse_ado(text: &str) -> Result<Vec<Setting>, DatabaseUrlError> {
    let pairs = text.split(';').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').ok_or(DatabaseUrlError::MalformedKeywords)?;
            let value = value.trim();
            let unquoted =
                ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
            Ok(Setting::new(key.trim(), unquoted.unwrap_or(value)))
        })
        .collect()
}
