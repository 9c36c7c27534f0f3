//! What is kept of an endpoint's refusal: enough to see what went wrong, nothing that came from the event.

/// Characters kept, at most; the table has a check for it.
const MAX_HEAD: usize = 256;
/// Letters of a word, at most: keys, tokens and signatures are longer.
const MAX_WORD: usize = 20;

/// The beginning of `body`, of which only short words of ASCII letters are left that `payload` does not have.
/// Everything else (numbers, ids, addresses, what was echoed) becomes `…`.
#[must_use]
pub fn head(body: &[u8], payload: &[u8]) -> Option<String> {
    let body = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_HEAD)]);
    let payload = String::from_utf8_lossy(payload).to_ascii_lowercase();
    let mut head = String::new();
    let mut hidden = false;
    for word in body.split(|c: char| c.is_whitespace() || "\"',:;{}[]()<>.!?".contains(c)) {
        if word.is_empty() {
            continue;
        }
        let is_plain = word.len() <= MAX_WORD && word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        let keep = is_plain && !payload.contains(&word.to_ascii_lowercase());
        let text = if keep { word } else { "…" };
        if head.chars().count() + 1 + text.chars().count() > MAX_HEAD {
            break;
        }
        // One mark for many hidden words.
        if keep || !hidden {
            if !head.is_empty() {
                head.push(' ');
            }
            head.push_str(text);
        }
        hidden = !keep;
    }
    (!head.is_empty()).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_stay_and_values_go() {
        let table = [
            (r#"{"error":"not_found","id":"evt_1"}"#, Some("error not_found id …")),
            ("<h1>Bad Gateway</h1> nginx/1.2", Some("… Bad Gateway …")),
            ("", None),
            ("1234 5678", Some("…")),
            ("unknown customer Canary", Some("unknown customer …")),
        ];
        for (body, expected) in table {
            assert_eq!(head(body.as_bytes(), br#"{"name":"canary"}"#).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn an_echoed_signature_goes() {
        let body = "got v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= instead";
        assert_eq!(head(body.as_bytes(), b"").unwrap(), "got … instead");
    }

    proptest! {
        #[test]
        fn an_echo_leaves_nothing(payload in "[A-Za-z0-9 \"{}:,é]{0,300}") {
            let head = head(payload.as_bytes(), payload.as_bytes()).unwrap_or_default();
            prop_assert!(head.chars().all(|c| c == '…' || c == ' '), "{head}");
        }

        #[test]
        fn a_head_is_bounded(body in prop::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert!(head(&body, b"").unwrap_or_default().chars().count() <= MAX_HEAD);
        }
    }
}
