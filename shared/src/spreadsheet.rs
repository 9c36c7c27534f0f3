//! CSV ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180)) that a spreadsheet can open without running any of it.

/// Writes `rows` as CSV. Every CSV of this service is written here, so that no cell of any can be a formula.
pub fn to_csv<Row, Cell>(rows: impl IntoIterator<Item = Row>) -> Result<String, csv::Error>
where
    Row: IntoIterator<Item = Cell>,
    Cell: Into<String>,
{
    #[expect(clippy::disallowed_methods, reason = "this is the one place, where cells are made harmless")]
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.into_iter().map(|cell| defuse(cell.into())))?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Puts an apostrophe before a text that a spreadsheet would calculate, which makes it a text there
/// ([OWASP, CSV Injection](https://owasp.org/www-community/attacks/CSV_Injection)).
fn defuse(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, written) in [
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(1)", "'@SUM(1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("=1,\"2\"", "\"'=1,\"\"2\"\"\""),
            ("news.example", "news.example"),
            ("a=b", "a=b"),
            ("12", "12"),
        ] {
            assert_eq!(to_csv([["key", cell]]).unwrap(), format!("key,{written}\n"), "{cell:?}");
        }
    }
}
