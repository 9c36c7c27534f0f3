//! A code as it is stored, and as callers see it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tessera_postgres::Row;
use url::Url;

use super::short_url::short_url;

/// A code as the statements return it: in columns, or as the JSON that `code_json` in the migrations puts together.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredCode {
    /// The key of its row.
    pub id: i64,
    /// The id in its URL, in the spelling in which it was given or generated.
    pub short_id: String,
    /// The name that the owner gave it, which is only used to search.
    pub name: Option<String>,
    /// The URL that a scan is redirected to.
    pub target_url: String,
    /// The owner: the `userId` of the API.
    pub user_id: String,
    /// The owner's tags, by which a list can be filtered.
    pub tags: Vec<String>,
    /// The status of the redirect: 301, 302, 303, 307 or 308.
    pub redirect_status: i16,
    /// Whether the query of the scanned URL is appended to that of the target.
    pub forward_query: bool,
    /// Whether it redirects at all; a code that its owner has switched off answers 410.
    pub enabled: bool,
    /// When it begins to redirect; `None` means that it does so from the start.
    pub valid_since: Option<Timestamp>,
    /// When it stops redirecting; `None` means that it never does.
    pub expires_at: Option<Timestamp>,
    /// How many scans it redirects before it stops; `None` means that there is no limit.
    pub max_scans: Option<i64>,
    /// How often the code was scanned.
    pub scans: Scans,
    /// The version, which is 1 at first, one more after every edit, and the code's entity tag.
    pub version: i32,
    /// When the code was created, by the database's clock.
    pub created_at: Timestamp,
    /// When the code was last edited, by the database's clock; at first, when it was created.
    pub updated_at: Timestamp,
}

/// How often a code was scanned. The counts are exact, and include every scan whose redirect has been sent.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scans {
    /// Scans by people.
    pub total: i64,
    /// Scans by people, each visitor counted once a day.
    pub unique: i64,
    /// Scans by crawlers and other programs, which `total` leaves out.
    pub bots: i64,
    /// When a person last scanned it; `None` before the first scan.
    pub last_at: Option<Timestamp>,
}

/// A code as callers see it: the body of most answers under `/qr`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Code<'a> {
    short_id: &'a str,
    short_url: String,
    name: Option<&'a str>,
    target_url: &'a str,
    user_id: &'a str,
    tags: &'a [String],
    redirect_status: i16,
    forward_query: bool,
    enabled: bool,
    valid_since: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    max_scans: Option<i64>,
    scans: &'a Scans,
    images: Images,
    version: i32,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Serialize)]
struct Images {
    svg: String,
    png: String,
}

impl StoredCode {
    /// The code of a row of a list, if the row has one.
    pub(super) fn from_row(row: &Row) -> Option<Self> {
        Some(Self {
            id: row.get::<_, Option<i64>>("id")?,
            short_id: row.get("short_id"),
            name: row.get("name"),
            target_url: row.get("target_url"),
            user_id: row.get("owner"),
            tags: row.get("tags"),
            redirect_status: row.get("redirect_status"),
            forward_query: row.get("forward_query"),
            enabled: row.get("enabled"),
            valid_since: row.get("valid_since"),
            expires_at: row.get("expires_at"),
            max_scans: row.get("max_scans"),
            scans: Scans {
                total: row.get("total"),
                unique: row.get("uniques"),
                bots: row.get("bots"),
                last_at: row.get("last_at"),
            },
            version: row.get("version"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        })
    }

    /// The code as callers see it: without its row's key, and with the URLs of itself and its images below `base`.
    #[must_use]
    pub fn public(&self, base: &Url) -> Code<'_> {
        let image =
            |kind| format!("{}/qr/{}/image.{kind}", base.as_str().trim_end_matches('/'), self.short_id);
        Code {
            short_id: &self.short_id,
            short_url: short_url(base, &self.short_id),
            name: self.name.as_deref(),
            target_url: &self.target_url,
            user_id: &self.user_id,
            tags: &self.tags,
            redirect_status: self.redirect_status,
            forward_query: self.forward_query,
            enabled: self.enabled,
            valid_since: self.valid_since,
            expires_at: self.expires_at,
            max_scans: self.max_scans,
            scans: &self.scans,
            images: Images { svg: image("svg"), png: image("png") },
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}
