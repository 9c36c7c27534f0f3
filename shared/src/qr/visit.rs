//! Reduces the request of a scan to what is counted, which never includes an IP address.

use http::{HeaderMap, Method};
use sha2::{Digest, Sha256};
use url::Url;

/// Whether a visit counts as a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisitKind {
    /// The visit counts as a scan.
    Person,
    /// The visit is that of a crawler, a monitor or another program, which are counted separately.
    Bot,
    /// The visit is not counted, because it is a HEAD request, a prefetch or a link preview.
    Uncounted,
}

/// The visitor's kind of device, by the User-Agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// A telephone.
    Mobile,
    /// A tablet.
    Tablet,
    /// A computer with a desktop browser.
    Desktop,
    /// A device that the User-Agent does not identify.
    Other,
}

/// A request that follows a code, reduced to what is stored of it.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Whether the visit counts as a scan.
    pub kind: VisitKind,
    /// SHA-256 of address and User-Agent, which tells visitors apart. The database hashes it again with its own key and
    /// the day before it stores it.
    pub digest: [u8; 32],
    /// The visitor's country in two capital letters, where CloudFront tells.
    pub country: Option<String>,
    /// The visitor's kind of device.
    pub device: Device,
    /// The host of the referring page, where the browser tells.
    pub referrer: Option<String>,
}

/// Programs that fetch a link to show a preview, in lower case: a person has seen the link, but not followed it yet.
const PREVIEWS: &[&str] = &[
    "facebookexternalhit",
    "facebot",
    "slackbot-linkexpanding",
    "slack-imgproxy",
    "twitterbot",
    "whatsapp/",
    "telegrambot",
    "discordbot",
    "linkedinbot",
    "skypeuripreview",
    "iframely",
    "embedly",
    "pinterestbot",
    "redditbot",
    "google-pagerenderer",
    "bitlybot",
    "snapchat",
    "viber",
    "applebot-preview",
    "linepreview",
    "kakaotalk-scrap",
    "mattermost-bot",
    "microsoftpreview",
    "bsky cardyb",
];

/// How programs begin that are no browsers, in lower case. Nobody has scanned a code with them.
const PROGRAMS: &[&str] = &[
    "apache-httpclient",
    "axios/",
    "curl/",
    "dart/",
    "go-http-client",
    "got ",
    "guzzlehttp",
    "httpie/",
    "insomnia/",
    "java/",
    "libwww-perl",
    "node",
    "okhttp/",
    "php",
    "postmanruntime/",
    "python",
    "reqwest/",
    "ruby",
    "undici",
    "wget/",
];

/// Words by which crawlers and monitors name themselves, in lower case.
const BOTS: &[&str] = &[
    "bot",
    "crawl",
    "spider",
    "slurp",
    "headless",
    "phantomjs",
    "lighthouse",
    "pagespeed",
    "uptime",
    "pingdom",
    "monitor",
    "archiver",
    "feedfetcher",
    "scrapy",
    "checker",
    "validator",
    "preview",
];

impl Visit {
    /// Reads the request's headers. Nothing that a visitor sends can make it fail.
    #[must_use]
    pub fn new(method: &Method, headers: &HeaderMap, source_address: &str) -> Self {
        let agent = text(headers, "user-agent");
        Self {
            kind: kind(method, headers, agent),
            digest: digest(source_address, agent),
            country: country(headers),
            device: device(agent),
            referrer: referrer(headers),
        }
    }
}

impl VisitKind {
    /// The word for it in the statement that records scans.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            VisitKind::Person => "person",
            VisitKind::Bot => "bot",
            VisitKind::Uncounted => "none",
        }
    }
}

impl Device {
    /// The word for it in the database and in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Device::Mobile => "mobile",
            Device::Tablet => "tablet",
            Device::Desktop => "desktop",
            Device::Other => "other",
        }
    }
}

fn kind(method: &Method, headers: &HeaderMap, agent: &str) -> VisitKind {
    // https://www.w3.org/TR/resource-hints/ and the headers that browsers sent before Sec-Purpose.
    let is_prefetch = ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .iter()
        .map(|name| text(headers, name).to_ascii_lowercase())
        .any(|purpose| {
            purpose.contains("prefetch") || purpose.contains("preview") || purpose.contains("prerender")
        });
    let agent = agent.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| agent.contains(word));
    match () {
        () if method == Method::HEAD || is_prefetch || says(PREVIEWS) => VisitKind::Uncounted,
        () if says(BOTS) || PROGRAMS.iter().any(|program| agent.starts_with(program)) => VisitKind::Bot,
        () => VisitKind::Person,
    }
}

fn device(agent: &str) -> Device {
    let has = |word: &str| agent.contains(word);
    match () {
        () if has("iPad") || has("Tablet") || has("Android") && !has("Mobile") => Device::Tablet,
        () if has("Mobi") || has("iPhone") || has("Android") => Device::Mobile,
        () if has("Windows") || has("Macintosh") || has("X11") || has("CrOS") => Device::Desktop,
        () => Device::Other,
    }
}

fn digest(address: &str, agent: &str) -> [u8; 32] {
    Sha256::new().chain_update(address).chain_update([0]).chain_update(agent).finalize().into()
}

fn country(headers: &HeaderMap) -> Option<String> {
    let country = text(headers, "cloudfront-viewer-country");
    let is_code = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_code.then(|| country.to_ascii_uppercase())
}

/// The host of a referring web page. Other schemes, whose hosts may be any text, and what cannot be a host's name are left
/// out: it is shown to the code's owner.
fn referrer(headers: &HeaderMap) -> Option<String> {
    let url =
        Url::parse(text(headers, "referer")).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let host = url.host_str().filter(|host| !host.is_empty() && host.len() <= 253)?;
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    host.chars().all(is_host).then(|| host.to_owned())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1";

    fn visit(method: &str, headers: &[(&str, &str)]) -> Visit {
        let mut request = http::Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        Visit::new(request.method(), request.headers(), "")
    }

    #[test]
    fn people_bots_and_previews_are_distinguished() {
        type Headers = &'static [(&'static str, &'static str)];
        let table: &[(&str, Headers, VisitKind)] = &[
            ("GET", &[("user-agent", PHONE)], VisitKind::Person),
            ("HEAD", &[("user-agent", PHONE)], VisitKind::Uncounted),
            ("GET", &[("user-agent", PHONE), ("sec-purpose", "prefetch;prerender")], VisitKind::Uncounted),
            ("GET", &[("user-agent", PHONE), ("purpose", "prefetch")], VisitKind::Uncounted),
            ("GET", &[("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1)")], VisitKind::Bot),
            ("GET", &[("user-agent", "curl/8.5.0")], VisitKind::Bot),
            ("GET", &[("user-agent", "Wget/1.24.5")], VisitKind::Bot),
            ("GET", &[("user-agent", "python-requests/2.32.3")], VisitKind::Bot),
            ("GET", &[("user-agent", "node")], VisitKind::Bot),
            (
                "GET",
                &[("user-agent", "Mozilla/5.0 (X11; Linux x86_64) node-browser/1 curl/x")],
                VisitKind::Person,
            ),
            ("GET", &[], VisitKind::Person),
            ("GET", &[("user-agent", "Slackbot-LinkExpanding 1.0")], VisitKind::Uncounted),
            ("GET", &[("user-agent", "facebookexternalhit/1.1")], VisitKind::Uncounted),
            ("GET", &[("user-agent", "WhatsApp/2.23")], VisitKind::Uncounted),
        ];
        for (method, headers, kind) in table {
            assert_eq!(visit(method, headers).kind, *kind, "{method} {headers:?}");
        }
    }

    #[test]
    fn devices_are_recognised_by_their_user_agent() {
        for (agent, device) in [
            (PHONE, Device::Mobile),
            ("Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140 Mobile Safari/537.36", Device::Mobile),
            ("Mozilla/5.0 (Linux; Android 15; SM-X710) Chrome/140 Safari/537.36", Device::Tablet),
            ("Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X)", Device::Tablet),
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Firefox/140", Device::Desktop),
            ("something else", Device::Other),
        ] {
            assert_eq!(visit("GET", &[("user-agent", agent)]).device, device, "{agent}");
        }
    }

    #[test]
    fn what_a_visitor_sends_is_reduced_to_what_is_counted() {
        let visit = visit(
            "GET",
            &[("referer", "https://news.example/story?user=1"), ("cloudfront-viewer-country", "de")],
        );
        assert_eq!(visit.referrer.as_deref(), Some("news.example"));
        assert_eq!(visit.country.as_deref(), Some("DE"));
        for (name, value) in [
            ("referer", "not a url"),
            ("referer", "x://=HYPERLINK(\"https://evil.example\")"),
            ("referer", "android-app://com.example.app"),
            ("referer", "https://=1+1/"),
            ("cloudfront-viewer-country", "DEU"),
        ] {
            let odd = self::visit("GET", &[(name, value)]);
            assert_eq!((odd.referrer, odd.country), (None, None));
        }
    }
}
