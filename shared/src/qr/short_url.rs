//! The URL of a code, as people see it and as its symbol holds it.

use url::{Position, Url};

/// The URL as people see it: `https://q.example/r/K7M2Q9X`.
///
/// `base` is `PUBLIC_BASE_URL`, without query and fragment; `id` is letters, digits, `-` and `_`.
#[must_use]
pub fn short_url(base: &Url, id: &str) -> String {
    format!("{}/r/{id}", without_final_slash(base))
}

/// The same URL as the symbol holds it: `HTTPS://Q.EXAMPLE/R/K7M2Q9X`.
///
/// Upper case where that means the same: scheme and host are compared without case (RFC 3986, 6.2.2.1), ids too,
/// and the route exists as `/R/`. A path in `base` is kept as it is. In upper case a URL takes the alphanumeric mode of
/// ISO/IEC 18004, 5.5 bits a character instead of 8, so the symbol has fewer modules and each of them prints larger.
#[must_use]
pub fn symbol_url(base: &Url, id: &str) -> String {
    let (origin, path) = without_final_slash(base).split_at(base[..Position::BeforePath].len());
    format!("{}{path}/R/{}", origin.to_ascii_uppercase(), id.to_ascii_uppercase())
}

fn without_final_slash(base: &Url) -> &str {
    base[..Position::AfterPath].trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbol_holds_upper_case_where_that_means_the_same() {
        let table = [
            ("https://q.example", "K7M2Q9X", "https://q.example/r/K7M2Q9X", "HTTPS://Q.EXAMPLE/R/K7M2Q9X"),
            (
                "https://q.example/",
                "my-Menu_1",
                "https://q.example/r/my-Menu_1",
                "HTTPS://Q.EXAMPLE/R/MY-MENU_1",
            ),
            ("http://127.0.0.1:9000", "abc", "http://127.0.0.1:9000/r/abc", "HTTP://127.0.0.1:9000/R/ABC"),
            ("http://localhost:9000/", "abc", "http://localhost:9000/r/abc", "HTTP://LOCALHOST:9000/R/ABC"),
            ("https://q.example/go/", "abc", "https://q.example/go/r/abc", "HTTPS://Q.EXAMPLE/go/R/ABC"),
            (
                "https://q.example/a%2fb",
                "abc",
                "https://q.example/a%2fb/r/abc",
                "HTTPS://Q.EXAMPLE/a%2fb/R/ABC",
            ),
            ("https://[2001:db8::1]/", "abc", "https://[2001:db8::1]/r/abc", "HTTPS://[2001:DB8::1]/R/ABC"),
            (
                "https://müller.example",
                "abc",
                "https://xn--mller-kva.example/r/abc",
                "HTTPS://XN--MLLER-KVA.EXAMPLE/R/ABC",
            ),
        ];
        for (base, id, short, symbol) in table {
            assert_eq!(short_url(&Url::parse(base).unwrap(), id), short);
            assert_eq!(symbol_url(&Url::parse(base).unwrap(), id), symbol);
        }
    }
}
