//! Strips what people copy along with a connection string: quotes, `DATABASE_URL=`, `psql '…'`.

use super::DatabaseUrlError;

/// Finds the connection string in `text`.
pub(super) fn strip(text: &str) -> Result<&str, DatabaseUrlError> {
    let mut inner = text.trim();
    loop {
        let before = inner;
        inner = strip_quotes(strip_assignment(inner)).trim();
        if let Some(arguments) = strip_word(inner, "psql") {
            if arguments.starts_with('-') {
                return Err(DatabaseUrlError::PsqlFlags);
            }
            inner = arguments;
        } else if inner.starts_with("PGPASSWORD=") {
            return Err(DatabaseUrlError::PsqlFlags);
        }
        if inner.len() == before.len() {
            break;
        }
    }
    if inner.is_empty() { Err(DatabaseUrlError::Empty) } else { Ok(inner) }
}

/// Strips `NAME=` or `export NAME=`, where the name is upper case as an environment variable's. Keys of `key=value`
/// text are lower case, and stay.
fn strip_assignment(text: &str) -> &str {
    let text = strip_word(text, "export").unwrap_or(text);
    let Some((name, rest)) = text.split_once('=') else { return text };
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if is_name && name != "PGPASSWORD" { rest.trim_start() } else { text }
}

fn strip_quotes(text: &str) -> &str {
    ['"', '\'', '`'].iter().find_map(|&quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text)
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(word)?;
    rest.starts_with(char::is_whitespace).then(|| rest.trim_start())
}
