//! What callers may say about a code, checked field by field before anything reaches the database.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::id::ShortId;
use super::target::TargetUrl;
use crate::fields::{Fields, InvalidFields};

const MAX_TAGS: usize = 20;
const MAX_TAG_CHARS: usize = 64;
const MAX_NAME_CHARS: usize = 200;
const MAX_OWNER_CHARS: usize = 200;
const MAX_SCANS: i64 = 1_000_000_000_000;
const REDIRECT_STATUSES: [i64; 5] = [301, 302, 303, 307, 308];

/// A code to be created, as `POST /qr` describes it.
#[derive(Debug, Clone)]
pub struct NewCode {
    /// Who is to own it; `None` means the caller.
    pub user_id: Option<String>,
    /// The id that it is to have; `None` means a generated one.
    pub short_id: Option<ShortId>,
    /// Its other fields: a JSON object whose members are named after the columns.
    pub columns: Value,
}

impl NewCode {
    /// Checks the body of `POST /qr`, and names every field that is wrong. `base` is the public URL of this service,
    /// below which no target may lie.
    pub fn parse(object: Map<String, Value>, base: &Url) -> Result<Self, InvalidFields> {
        let mut fields = Fields::new(object);
        let user_id = take_owner(&mut fields);
        let short_id = take_short_id(&mut fields);
        let mut columns = json!({
            "tags": [], "redirect_status": 302, "forward_query": false,
        });
        if !fields.has("targetUrl") {
            fields.wrong("targetUrl", "is needed");
        }
        for (column, value) in take_columns(&mut fields, base) {
            columns[column] = value;
        }
        fields.finish()?;
        Ok(Self { user_id, short_id, columns })
    }

    /// A hash that tells this request from another one with the same Idempotency-Key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let id = self.short_id.as_ref().map(ShortId::as_str);
        Sha256::digest(json!(["POST /qr", self.user_id, id, self.columns]).to_string()).into()
    }
}

/// Changes to a code: a JSON object whose members are named after the columns; `null` clears one.
#[derive(Debug, Clone)]
pub struct Changes(pub Value);

impl Changes {
    /// Checks the body of `PATCH /qr/{shortId}`, and names every field that is wrong. `base` is the public URL of this
    /// service, below which no target may lie.
    pub fn parse(object: Map<String, Value>, base: &Url) -> Result<Self, InvalidFields> {
        let mut fields = Fields::new(object);
        let mut columns = take_columns(&mut fields, base);
        if let Some(enabled) = fields.take_bool("enabled") {
            columns.insert("enabled".to_owned(), json!(enabled));
        }
        for fixed in ["shortId", "userId"] {
            if fields.drop_field(fixed) {
                fields.wrong(fixed, "cannot be changed");
            }
        }
        fields.finish()?;
        Ok(Self(Value::Object(columns)))
    }
}

/// Takes the fields that creating and editing have in common, by the names of their columns. A field that is sent as
/// `null` is cleared, where that is possible.
fn take_columns(fields: &mut Fields, base: &Url) -> Map<String, Value> {
    let mut columns = Map::new();
    let mut set = |column: &str, value: Value| columns.insert(column.to_owned(), value);

    if let Some(text) = fields.take_text("targetUrl", 1, TargetUrl::MAX_BYTES) {
        match TargetUrl::parse(&text, base) {
            Ok(target) => drop(set("target_url", json!(target.as_str()))),
            Err(message) => fields.wrong("targetUrl", message),
        }
    }
    if fields.take_null("name") {
        set("name", Value::Null);
    } else if let Some(name) = fields.take_text("name", 0, MAX_NAME_CHARS) {
        set("name", json!(name));
    }
    if let Some(tags) = fields.take_texts("tags", MAX_TAGS, MAX_TAG_CHARS) {
        set("tags", json!(tags));
    }
    if let Some(status) = fields.take_integer("redirectStatus", 301, 308) {
        if REDIRECT_STATUSES.contains(&status) {
            set("redirect_status", json!(status));
        } else {
            fields.wrong("redirectStatus", "must be 301, 302, 303, 307 or 308");
        }
    }
    if let Some(forward) = fields.take_bool("forwardQuery") {
        set("forward_query", json!(forward));
    }
    let mut times = [None, None];
    for (slot, (field, column)) in
        times.iter_mut().zip([("validSince", "valid_since"), ("expiresAt", "expires_at")])
    {
        if fields.take_null(field) {
            set(column, Value::Null);
        } else if let Some(time) = fields.take_time(field) {
            *slot = Some(time);
            set(column, json!(time.to_string()));
        }
    }
    if let [Some(since), Some(until)] = times
        && since >= until
    {
        fields.wrong("expiresAt", "must be after validSince");
    }
    if fields.take_null("maxScans") {
        set("max_scans", Value::Null);
    } else if let Some(max_scans) = fields.take_integer("maxScans", 1, MAX_SCANS) {
        set("max_scans", json!(max_scans));
    }
    columns
}

fn take_owner(fields: &mut Fields) -> Option<String> {
    if fields.take_null("userId") { None } else { fields.take_text("userId", 1, MAX_OWNER_CHARS) }
}

fn take_short_id(fields: &mut Fields) -> Option<ShortId> {
    if fields.take_null("shortId") {
        return None;
    }
    let text = fields.take_text("shortId", 0, usize::MAX)?;
    let id = ShortId::parse(&text);
    if id.is_none() {
        fields.wrong("shortId", ShortId::RULE);
    }
    id
}
