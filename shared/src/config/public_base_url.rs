//! The URL that codes encode: `PUBLIC_BASE_URL`.

use url::Url;

use super::environment::Environment;
use super::error::ConfigError;

const NAME: &str = "PUBLIC_BASE_URL";

impl Environment {
    /// Reads `PUBLIC_BASE_URL`, the URL below which codes and the API are reached, without its trailing slash.
    ///
    /// API Gateway's own hosts (`execute-api`) are refused unless `ALLOW_EXECUTE_API_HOST` is `true`: they are deleted
    /// with the API, and printed codes cannot be changed.
    pub fn public_base_url(&self) -> Result<Url, ConfigError> {
        let text = self.get(NAME).ok_or(ConfigError::Missing(NAME))?;
        let url = Url::parse(text.trim_end_matches('/'))
            .map_err(|_| ConfigError::malformed(NAME, "is not an absolute URL"))?;
        let host = url.host_str().unwrap_or_default();
        if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
            return Err(ConfigError::malformed(NAME, "must be an http or https URL with a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ConfigError::malformed(NAME, "must not hold a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ConfigError::malformed(NAME, "must not hold a query or a fragment"));
        }
        let temporary = host.contains(".execute-api.") && host.ends_with("amazonaws.com");
        if temporary && self.get("ALLOW_EXECUTE_API_HOST") != Some("true") {
            return Err(ConfigError::malformed(
                NAME,
                "is an execute-api host, which goes when the API does; printed codes stay. \
                 Use a domain of your own, or set ALLOW_EXECUTE_API_HOST=true",
            ));
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_url_is_one_that_can_be_printed() {
        let base = |value| Environment::from([("PUBLIC_BASE_URL", value)]).public_base_url();
        assert_eq!(base("https://q.example/").unwrap().as_str(), "https://q.example/");
        assert_eq!(base("https://q.example/codes").unwrap().path(), "/codes");
        for wrong in [
            "q.example",
            "ftp://q.example",
            "https://me:pw@q.example",
            "https://q.example/?a=1",
            "https://q.example/#f",
            "https://abc123.execute-api.eu-west-1.amazonaws.com",
        ] {
            let error = base(wrong).expect_err(wrong).to_string();
            assert!(error.starts_with("PUBLIC_BASE_URL: "), "{error}");
        }
        assert_eq!(base(" "), Err(ConfigError::Missing("PUBLIC_BASE_URL")));
        let allowed = Environment::from([
            ("PUBLIC_BASE_URL", "https://abc123.execute-api.eu-west-1.amazonaws.com"),
            ("ALLOW_EXECUTE_API_HOST", "true"),
        ]);
        assert!(allowed.public_base_url().is_ok());
    }
}
