//! Containers of `qr-generate` and `qr-redirect` for the tests of the API, and requests that many of them send.

use anyhow::{Result, ensure};
use harness::{Database, Lambda, LambdaBuilder, Response};
use serde_json::Value;
use tokio_postgres::types::Type;

/// Configures `qr-generate` to let callers in without a key.
pub(crate) fn generate(url: impl Into<String>) -> LambdaBuilder {
    generate_for_keys(url).env("ANONYMOUS_OWNER", "anonymous")
}

/// Configures `qr-generate` so that callers need a key.
pub(crate) fn generate_for_keys(url: impl Into<String>) -> LambdaBuilder {
    Lambda::builder("qr-generate").env("DATABASE_URL", url).env("PUBLIC_BASE_URL", "https://q.example")
}

/// Configures `qr-redirect`.
pub(crate) fn redirect(url: impl Into<String>) -> LambdaBuilder {
    Lambda::builder("qr-redirect").env("DATABASE_URL", url)
}

/// Stores a new API key of `owner`, and returns it.
pub(crate) async fn create_key(database: &Database, owner: &str, scopes: &[&str]) -> Result<String> {
    let key = format!("tsk_{}", uuid::Uuid::new_v4().simple());
    let insert = "INSERT INTO api_keys (hash, prefix, owner, scopes)
                  VALUES (sha256(convert_to($1, 'UTF8')), left($1, 12), $2, $3)";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&key, Type::TEXT), (&owner, Type::TEXT), (&scopes, Type::TEXT_ARRAY)];
    database.client().await?.execute_typed(insert, &parameters).await?;
    Ok(key)
}

/// Creates a code with these fields, and returns it.
pub(crate) async fn create_code(codes: &Lambda, fields: Value) -> Result<Value> {
    expect_status(201, &codes.post("/qr").json(&fields).send().await?)
}

/// Reads a code.
pub(crate) async fn get_code(codes: &Lambda, id: &str) -> Result<Value> {
    expect_status(200, &codes.get(&format!("/qr/{id}")).send().await?)
}

/// The `shortId` of a code.
pub(crate) fn short_id(code: &Value) -> &str {
    code["shortId"].as_str().expect("a code has a shortId")
}

/// Returns the body of an answer, or an error if its status is another one.
pub(crate) fn expect_status(status: u16, answer: &Response) -> Result<Value> {
    ensure!(answer.status == status, "{}, not {status}: {}", answer.status, answer.text());
    answer.json()
}

/// Runs a query that returns one number.
pub(crate) async fn query_count(database: &Database, sql: &str) -> Result<i64> {
    Ok(database.client().await?.query_typed_one(sql, &[]).await?.try_get(0)?)
}
