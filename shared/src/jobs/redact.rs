//! Redacts the body of a refusing response: enough is left to see what went wrong, and nothing that came from the
//! event.

/// The most characters that are stored; the table has a check for it.
const MAX_EXCERPT: usize = 256;
/// The most letters of a word that is kept: keys, tokens and signatures are longer.
const MAX_WORD: usize = 20;

/// The beginning of `body`, in which only short words of ASCII letters are kept that do not occur in `payload`.
/// Everything else (numbers, ids, addresses, echoes of the payload) becomes `…`. `None` if nothing is left.
#[must_use]
pub fn excerpt(body: &[u8], payload: &[u8]) -> Option<String> {
    let body = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_EXCERPT)]);
    let payload = String::from_utf8_lossy(payload).to_ascii_lowercase();
    let mut excerpt = String::new();
    let mut redacted = false;
    for word in body.split(|c: char| c.is_whitespace() || "\"',:;{}[]()<>.!?".contains(c)) {
        if word.is_empty() {
            continue;
        }
        let is_plain = word.len() <= MAX_WORD && word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        let keep = is_plain && !payload.contains(&word.to_ascii_lowercase());
        let text = if keep { word } else { "…" };
        if excerpt.chars().count() + 1 + text.chars().count() > MAX_EXCERPT {
            break;
        }
        // Adjacent redacted words become one mark.
        if keep || !redacted {
            if !excerpt.is_empty() {
                excerpt.push(' ');
            }
            excerpt.push_str(text);
        }
        redacted = !keep;
    }
    (!excerpt.is_empty()).then_some(excerpt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_kept_and_values_are_redacted() {
        let table = [
            (r#"{"error":"not_found","id":"evt_1"}"#, Some("error not_found id …")),
            ("<h1>Bad Gateway</h1> nginx/1.2", Some("… Bad Gateway …")),
            ("", None),
            ("1234 5678", Some("…")),
            ("unknown customer Canary", Some("unknown customer …")),
        ];
        for (body, expected) in table {
            assert_eq!(excerpt(body.as_bytes(), br#"{"name":"canary"}"#).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn an_echoed_signature_is_redacted() {
        let body = "got v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= instead";
        assert_eq!(excerpt(body.as_bytes(), b"").unwrap(), "got … instead");
    }

    proptest! {
        #[test]
        fn nothing_is_left_of_an_echoed_payload(payload in "[A-Za-z0-9 \"{}:,é]{0,300}") {
            let excerpt = excerpt(payload.as_bytes(), payload.as_bytes()).unwrap_or_default();
            prop_assert!(excerpt.chars().all(|c| c == '…' || c == ' '), "{excerpt}");
        }

        #[test]
        fn an_excerpt_is_bounded(body in prop::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert!(excerpt(&body, b"").unwrap_or_default().chars().count() <= MAX_EXCERPT);
        }
    }
}
