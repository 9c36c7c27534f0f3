//! The target of a code, and the `Location` that is made of it.

use std::borrow::Cow;

use http::HeaderValue;
use percent_encoding::{CONTROLS, utf8_percent_encode};
use url::{Host, Position, Url, form_urlencoded};

/// The longest target that a message repeats.
const MAX_SUGGESTED_BYTES: usize = 200;
const TOO_LONG: &str = "must have at most 8192 bytes, percent-encoded";

/// An absolute `http` or `https` URL with a host, kept as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUrl(String);

impl TargetUrl {
    /// The most bytes that a target may have, percent-encoded as `Location` holds it.
    pub const MAX_BYTES: usize = 8192;

    /// Checks `text`, and says what is wrong with it. `base` is the public URL of this service, which codes encode: a
    /// target below it would lead in a circle.
    pub fn parse(text: &str, base: &Url) -> Result<Self, Cow<'static, str>> {
        match Self::check(text, base) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(message) => Err(match suggestion(text, base) {
                Some(suggestion) => format!("{message}, such as {suggestion}").into(),
                None => message.into(),
            }),
        }
    }

    fn check(text: &str, base: &Url) -> Result<(), &'static str> {
        if text.len() > Self::MAX_BYTES {
            return Err(TOO_LONG);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("must not hold spaces or control characters");
        }
        let url = Url::parse(text).map_err(|_| "must be an absolute URL")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must begin with http:// or https://");
        }
        // The parser accepts `https:host`, `https:///host` and backslashes, which a client that follows a redirect may
        // not.
        let rest = text.get(url.scheme().len()..).and_then(|rest| rest.strip_prefix("://"));
        if rest.is_none_or(|rest| rest.starts_with('/')) || text.contains('\\') {
            return Err("must be an absolute URL");
        }
        if !url.host().is_some_and(|host| is_host(&host)) {
            return Err("must have a host");
        }
        // An empty user name, which the parser drops, is one as well.
        if rest.is_some_and(|rest| authority(rest).contains('@')) {
            return Err("must not hold a user name or password");
        }
        if is_below(&url, base) {
            return Err("must not point back at this service");
        }
        if encoded(text).is_none_or(|encoded| encoded.len() > Self::MAX_BYTES) {
            return Err(TOO_LONG);
        }
        Ok(())
    }

    /// The URL as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What somebody meant who left the scheme out, as browsers let them: `example.com`.
fn suggestion(text: &str, base: &Url) -> Option<String> {
    let has_dot = authority(text).contains('.');
    let url = format!("https://{text}");
    (has_dot && text.len() <= MAX_SUGGESTED_BYTES && TargetUrl::check(&url, base).is_ok()).then_some(url)
}

/// What stands between `://` and the path, query or fragment.
fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Whether a client can look `host` up. The URL standard also takes names such as `..` and `-`; names with hyphens at
/// odd places and with underscores exist.
fn is_host(host: &Host<&str>) -> bool {
    let Host::Domain(name) = host else { return true };
    let is_label = |label: &str| label.len() <= 63 && label.contains(|c: char| c.is_ascii_alphanumeric());
    name.len() <= 254 && name.strip_suffix('.').unwrap_or(name).split('.').all(is_label)
}

/// Whether `url` is below `base`, at the same host and port.
fn is_below(url: &Url, base: &Url) -> bool {
    let host = |url: &Url| url.host_str().map(|host| host.trim_end_matches('.').to_ascii_lowercase());
    let base_path = base.path().trim_end_matches('/').to_ascii_lowercase();
    let path = url.path().to_ascii_lowercase();
    host(url) == host(base)
        && url.port_or_known_default().or(Some(0)) == port_of(base, url.scheme())
        && (path == base_path || path.starts_with(&format!("{base_path}/")))
}

/// The port of `base` for comparison with a URL of `other_scheme`. `http://q.example` usually redirects to
/// `https://q.example`, so with their default ports the two count as the same service.
fn port_of(base: &Url, other_scheme: &str) -> Option<u16> {
    base.port().or(match other_scheme {
        "http" => Some(80),
        _ => Some(443),
    })
}

/// The `Location` of a redirect to `target`, with the parameters of `forwarded`, the query of the request, if it is given.
/// `None` if `target` is no URL.
///
/// The target's own query stays as it was given, byte for byte. Parameters whose names it does not have are appended as
/// they were sent, so that whoever follows a code cannot change what its owner has set.
#[must_use]
pub fn location(target: &str, forwarded: Option<&str>) -> Option<HeaderValue> {
    let target = encoded(target)?;
    match forwarded {
        Some(query) => HeaderValue::from_str(&with_query(&target, query)).ok(),
        None => HeaderValue::from_str(&target).ok(),
    }
}

/// The target as a header can hold it: host and path as a browser would send them, query and fragment percent-encoded
/// where they are not ASCII.
fn encoded(target: &str) -> Option<Cow<'_, str>> {
    if target.is_ascii() {
        return Some(Cow::Borrowed(target));
    }
    let url = Url::parse(target).ok()?;
    let (_, rest) = target.split_at(target.find(['?', '#']).unwrap_or(target.len()));
    Some(Cow::Owned(format!("{}{}", &url[..Position::AfterPath], utf8_percent_encode(rest, CONTROLS))))
}

/// Appends those parameters of `query` to `target` whose names it does not have.
fn with_query(target: &str, query: &str) -> String {
    let (before, fragment) = target.split_at(target.find('#').unwrap_or(target.len()));
    let own_names: Vec<_> = match before.split_once('?') {
        Some((_, own)) => form_urlencoded::parse(own.as_bytes()).map(|(name, _)| name).collect(),
        None => Vec::new(),
    };
    let is_new =
        |pair: &&str| form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| !own_names.contains(&name));
    let mut location = before.to_owned();
    for pair in query.split('&').filter(is_new) {
        match location.find('?') {
            None => location.push('?'),
            Some(_) if location.ends_with(['?', '&']) => {}
            Some(_) => location.push('&'),
        }
        location.push_str(pair);
    }
    location + fragment
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base() -> Url {
        Url::parse("https://q.example").unwrap()
    }

    #[test]
    fn web_addresses_are_taken_as_given() {
        for text in [
            "https://example.com",
            "http://example.com:8080/a?b=c#d",
            "https://xn--bcher-kva.example/",
            "https://bücher.example/straße?q=ü",
            "https://[2001:db8::1]/",
            "HTTPS://EXAMPLE.COM/",
            "https://q.example.com/",
            "https://q.example:8443/other-port",
            "https://example.com.",
            "https://my-blog-.example/",
            "https://a_b.example/@user?mail=me@example.com",
            &format!("https://example.com/{}", "a".repeat(8172)),
            &format!("https://example.com/{}", "я".repeat(1362)),
        ] {
            assert_eq!(TargetUrl::parse(text, &base()).map(|url| url.0), Ok(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_web_address_is_refused() {
        let long = format!("https://example.com/{}", "a".repeat(8192));
        for text in [
            "",
            "example.com",
            "//example.com",
            "/path",
            "javascript:alert(1)",
            "data:text/html,x",
            "ftp://example.com",
            "https:example.com",
            "https:\\\\example.com",
            "https://",
            "https:///path",
            "https://user@example.com",
            "https://user:pw@example.com",
            "https://@example.com",
            "https://:@example.com/",
            "https://..",
            "https://.",
            "https://-/",
            "https://-",
            "https://a..example",
            "https://.example",
            "https://_.-/",
            &format!("https://{}.example", "a".repeat(64)),
            &format!("https://example.com/{}", "я".repeat(1364)),
            &format!("https://example.com/?{}", "я".repeat(1364)),
            "https://exa mple.com",
            "https://example.com/\n",
            "\thttps://example.com",
            "https://example.com/\0",
            &long,
        ] {
            assert!(TargetUrl::parse(text, &base()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_missing_scheme_is_suggested() {
        for text in [
            "example.com",
            "www.example.com/menu?a=1#b",
            "example.com:8080/x",
            "192.0.2.1:80/",
            "bücher.example",
        ] {
            let message = TargetUrl::parse(text, &base()).unwrap_err();
            assert!(message.ends_with(&format!(", such as https://{text}")), "{message}");
        }
        let long = format!("example.com/{}", "a".repeat(200));
        for text in [
            "menu",
            "/menu",
            "javascript:alert(1)",
            "mailto:a@b.example",
            "q.example/r/ABC",
            "a b.example",
            &long,
        ] {
            let message = TargetUrl::parse(text, &base()).unwrap_err();
            assert!(!message.contains("such as"), "{message}");
        }
    }

    #[test]
    fn a_target_may_not_lead_in_a_circle() {
        for text in [
            "https://q.example/r/ABC",
            "http://q.example/",
            "https://Q.EXAMPLE./r/ABC",
            "https://q.example:443/x",
        ] {
            assert!(TargetUrl::parse(text, &base()).is_err(), "{text}");
        }
        let below = Url::parse("https://example.com/codes").unwrap();
        assert!(TargetUrl::parse("https://example.com/codes/r/ABC", &below).is_err());
        assert!(TargetUrl::parse("https://example.com/shop", &below).is_ok());
        let local = Url::parse("http://127.0.0.1:9000").unwrap();
        assert!(TargetUrl::parse("http://127.0.0.1:9000/r/ABC", &local).is_err());
        assert!(TargetUrl::parse("http://127.0.0.1:8080/", &local).is_ok());
    }

    #[test]
    fn a_forwarded_query_is_appended_before_the_fragment() {
        for (target, query, expected) in [
            ("https://e.example/p", "a=1", "https://e.example/p?a=1"),
            ("https://e.example", "a=1", "https://e.example?a=1"),
            ("https://e.example/p?", "a=1", "https://e.example/p?a=1"),
            ("https://e.example/p?a=1&", "c", "https://e.example/p?a=1&c"),
            ("https://e.example/p?a=1&b=2#f?x", "b=3&c=4", "https://e.example/p?a=1&b=2&c=4#f?x"),
            ("https://e.example/#f", "a=1", "https://e.example/?a=1#f"),
            ("https://e.example/", "", "https://e.example/"),
            ("https://e.example/", "&&a=1&a=2&", "https://e.example/?a=1&a=2"),
        ] {
            assert_eq!(location(target, Some(query)).unwrap(), expected, "{target} {query}");
        }
    }

    #[test]
    fn what_the_owner_has_set_stays_byte_for_byte() {
        for target in [
            "https://e.example/p?x=%20y+z&flag&bad=%FF&a='b'",
            "https://e.example/p?next=/home",
            "HTTPS://E.EXAMPLE:443/a/../b?q=1#%7e",
        ] {
            let sent = "x=1&flag=1&bad&a=2&next=//evil.example&ne%78t=2&q=3&q";
            let expected = match target.split_once('?') {
                Some((_, own)) if own.starts_with('x') => {
                    format!("{target}&next=//evil.example&ne%78t=2&q=3&q")
                }
                Some((_, own)) if own.starts_with('n') => format!("{target}&x=1&flag=1&bad&a=2&q=3&q"),
                _ => target.replace('#', "&x=1&flag=1&bad&a=2&next=//evil.example&ne%78t=2#"),
            };
            assert_eq!(location(target, Some(sent)).unwrap(), expected);
            assert_eq!(location(target, Some("")).unwrap(), target);
        }
    }

    #[test]
    fn a_target_that_is_not_ascii_is_encoded_and_no_more() {
        for (target, expected) in [
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
            ("https://bücher.example?q='%ff'&ü", "https://xn--bcher-kva.example/?q='%ff'&%C3%BC"),
            ("https://e.example/#ü?", "https://e.example/#%C3%BC?"),
        ] {
            assert_eq!(location(target, None).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_makes_a_location(text in "https?://[a-z\\.@:\\\\/?#ü%0-9 ]{0,40}", query in "[a-z=&%ü+]{0,20}") {
            if let Ok(target) = TargetUrl::parse(&text, &base()) {
                let query = utf8_percent_encode(&query, CONTROLS).to_string();
                prop_assert!(location(target.as_str(), Some(&query)).is_some());
                prop_assert!(location(target.as_str(), None).is_some());
            }
        }
    }
}
