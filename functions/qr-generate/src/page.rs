//! A page of a list, which ends by the number of its items or by their bytes, whichever comes first.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use shared::digits::parse_digits;

/// The most bytes that the items of a page may have. Lambda refuses a response of more than 6 MB
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>), and what is left has room for the rest.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The number of items of a page where the caller does not ask for another.
pub(crate) const DEFAULT_LIMIT: i64 = 50;

/// A page of a list, as callers see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

impl Page {
    /// Makes a page of those of `items` that fit, at least of one. `next` is the cursor behind all of them; `cursor_of`
    /// makes that behind one of them, by its index.
    pub(crate) fn new(
        items: impl Iterator<Item = impl Serialize>,
        next: Option<String>,
        cursor_of: impl Fn(usize) -> String,
    ) -> Self {
        let mut page = Self { items: Vec::new(), next_cursor: next };
        let mut bytes = 0;
        for item in items {
            let item = to_raw_value(&item).expect("items have string keys and finite numbers");
            bytes += bytes_in_response(item.get());
            if bytes > MAX_BYTES
                && let Some(last) = page.items.len().checked_sub(1)
            {
                page.next_cursor = Some(cursor_of(last));
                break;
            }
            page.items.push(item);
        }
        page
    }
}

/// The bytes that `json` takes in Lambda's response, where the body is a string within JSON: quotes and backslashes are
/// escaped once more.
fn bytes_in_response(json: &str) -> usize {
    json.len() + 1 + json.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

/// Reads the parameter `limit`.
pub(crate) fn parse_limit(value: &str) -> Result<i64, &'static str> {
    let limit = parse_digits(value).filter(|limit| (1..=200).contains(limit));
    limit.ok_or("must be a whole number from 1 to 200")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(items: &[String]) -> Page {
        Page::new(items.iter(), Some("end".to_owned()), |last| last.to_string())
    }

    #[test]
    fn a_page_ends_before_it_has_too_many_bytes_and_goes_on_behind_its_last_item() {
        let items = vec!["x".repeat(MAX_BYTES / 10); 20];
        let cut = page(&items);
        assert_eq!((cut.items.len(), cut.next_cursor.as_deref()), (9, Some("8")));
        let whole = page(&items[..9]);
        assert_eq!((whole.items.len(), whole.next_cursor.as_deref()), (9, Some("end")));
    }

    #[test]
    fn bytes_are_counted_as_they_are_escaped_in_the_response() {
        // Each quote takes four bytes there: `\\\"`.
        let items = vec!["\"".repeat(MAX_BYTES / 40); 20];
        assert_eq!(page(&items).items.len(), 9);
        let text = serde_json::to_string(&items[0]).unwrap();
        assert_eq!(bytes_in_response(&text), serde_json::to_string(&text).unwrap().len() - 1);
    }

    #[test]
    fn an_item_that_is_too_large_by_itself_is_a_page_of_its_own() {
        let items = vec!["x".repeat(MAX_BYTES + 1); 2];
        assert_eq!((page(&items).items.len(), page(&items).next_cursor.as_deref()), (1, Some("0")));
    }
}
