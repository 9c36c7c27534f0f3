//! A code, as it is stored and as callers see it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::symbol;

/// A code as the statements give it (`code_json` in the migrations).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredCode {
    /// Place in the order of creation; the list's cursor.
    pub id: i64,
    /// As it was given or generated.
    pub short_id: String,
    /// For people.
    pub name: Option<String>,
    /// Where it leads.
    pub target_url: String,
    /// Its owner.
    pub user_id: String,
    /// To find it by.
    pub tags: Vec<String>,
    /// 301, 302, 303, 307 or 308.
    pub redirect_status: i16,
    /// Whether the scan's query is merged into the target.
    pub forward_query: bool,
    /// Whether it leads anywhere.
    pub enabled: bool,
    /// From when it leads there.
    pub valid_since: Option<Timestamp>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// How often.
    pub max_scans: Option<i64>,
    /// Its counts.
    pub scans: Scans,
    /// One more with every edit.
    pub version: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last edited.
    pub updated_at: Timestamp,
}

/// How often a code was scanned. Exact, and up to date as soon as a redirect has answered.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scans {
    /// By people.
    pub total: i64,
    /// By different people, counted a day.
    pub unique: i64,
    /// By crawlers and other programs, not in `total`.
    pub bots: i64,
    /// By a person, last.
    pub last_at: Option<Timestamp>,
}

/// A code as callers see it.
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
    /// As callers see it, with its URLs below `base`.
    #[must_use]
    pub fn public(&self, base: &Url) -> Code<'_> {
        let image =
            |kind| format!("{}/qr/{}/image.{kind}", base.as_str().trim_end_matches('/'), self.short_id);
        Code {
            short_id: &self.short_id,
            short_url: symbol::short_url(base, &self.short_id),
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
