//! The functions of codes, as tests start them, and what tests do with them again and again.

use anyhow::{Result, ensure};
use harness::{Database, Lambda, LambdaBuilder, Response};
use serde_json::Value;
use tokio_postgres::types::Type;

/// `qr-generate` for callers without a key.
pub(crate) fn generate(url: impl Into<String>) -> LambdaBuilder {
    generate_for_keys(url).env("ANONYMOUS_OWNER", "anonymous")
}

/// `qr-generate` where callers need a key.
pub(crate) fn generate_for_keys(url: impl Into<String>) -> LambdaBuilder {
    Lambda::builder("qr-generate").env("DATABASE_URL", url).env("PUBLIC_BASE_URL", "https://q.example")
}

/// `qr-redirect`.
pub(crate) fn redirect(url: impl Into<String>) -> LambdaBuilder {
    Lambda::builder("qr-redirect").env("DATABASE_URL", url)
}

/// A key for `owner`, known to the database.
pub(crate) async fn key(database: &Database, owner: &str, scopes: &[&str]) -> Result<String> {
    let key = format!("tsk_{}", uuid::Uuid::new_v4().simple());
    let insert = "INSERT INTO api_keys (hash, prefix, owner, scopes)
                  VALUES (sha256(convert_to($1, 'UTF8')), left($1, 12), $2, $3)";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&key, Type::TEXT), (&owner, Type::TEXT), (&scopes, Type::TEXT_ARRAY)];
    database.client().await?.execute_typed(insert, &parameters).await?;
    Ok(key)
}

/// Makes a code of these fields.
pub(crate) async fn make(codes: &Lambda, fields: Value) -> Result<Value> {
    expect(201, &codes.post("/qr").json(&fields).send().await?)
}

/// The code as it is now.
pub(crate) async fn look(codes: &Lambda, id: &str) -> Result<Value> {
    expect(200, &codes.get(&format!("/qr/{id}")).send().await?)
}

/// The id of a code.
pub(crate) fn id(code: &Value) -> &str {
    code["shortId"].as_str().expect("a code has a shortId")
}

/// The body of an answer that must have this status.
pub(crate) fn expect(status: u16, answer: &Response) -> Result<Value> {
    ensure!(answer.status == status, "{}, not {status}: {}", answer.status, answer.text());
    answer.json()
}

/// The number that a statement of the test's own answers with.
pub(crate) async fn count(database: &Database, sql: &str) -> Result<i64> {
    Ok(database.client().await?.query_typed_one(sql, &[]).await?.try_get(0)?)
}
