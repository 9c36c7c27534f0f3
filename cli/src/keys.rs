//! `cargo tessera keys`: creates, lists and revokes the API keys of callers.
//!
//! A key is `tsk_` and 43 characters of base64url, which are 32 random bytes. It is shown once; the database keeps
//! its SHA-256, and its first characters to tell it from others.

use anyhow::{Result, bail};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::{Subcommand, builder::NonEmptyStringValueParser};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tessera_postgres::{IdempotentBy, Plan, Statement};
use tokio_postgres::{Row, types::Type};

use crate::operator::{format_time, query};
use crate::{connect, table};

/// What a key begins with, so that people and scanners of leaked secrets know one when they see it.
const BEGINNING: &str = "tsk_";

/// How much of a key is kept to tell it from others: 48 of its 256 random bits.
const PREFIX_LENGTH: usize = BEGINNING.len() + 8;

const CREATE: Statement = Statement {
    name: "keys.create",
    sql: "INSERT INTO api_keys (hash, prefix, owner, name, scopes, expires_at)
          VALUES ($1, $2, $3, $4, $5, now() + make_interval(days => $6))
          ON CONFLICT (hash) DO NOTHING",
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT_ARRAY, Type::INT4],
    columns: &[],
    plan: Plan::EachTime,
    may_take_long: false,
    idempotent_by: IdempotentBy::UniqueConstraint("api_keys_pkey"),
};

const LIST: Statement = Statement {
    name: "keys.list",
    sql: "SELECT prefix, owner, name, scopes, created_at, expires_at, revoked_at,
                 CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
                      WHEN expires_at <= now() THEN 'expired'
                      ELSE 'active' END AS state
          FROM api_keys
          WHERE $1 IS NULL OR owner = $1
          ORDER BY created_at, prefix",
    parameters: &[Type::TEXT],
    columns: &[
        ("prefix", Type::TEXT),
        ("owner", Type::TEXT),
        ("name", Type::TEXT),
        ("scopes", Type::TEXT_ARRAY),
        ("created_at", Type::TIMESTAMPTZ),
        ("expires_at", Type::TIMESTAMPTZ),
        ("revoked_at", Type::TIMESTAMPTZ),
        ("state", Type::TEXT),
    ],
    plan: Plan::EachTime,
    may_take_long: false,
    idempotent_by: IdempotentBy::Read,
};

const REVOKE: Statement = Statement {
    name: "keys.revoke",
    sql: "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())
          WHERE prefix = $1 AND ($2 IS NULL OR hash = $2)
          RETURNING prefix, owner",
    parameters: &[Type::TEXT, Type::BYTEA],
    columns: &[("prefix", Type::TEXT), ("owner", Type::TEXT)],
    plan: Plan::EachTime,
    may_take_long: false,
    // A second run finds the time of the first.
    idempotent_by: IdempotentBy::RequestId("prefix"),
};

/// The subcommands of `cargo tessera keys`.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Create a key and print it; it cannot be shown again
    Create {
        /// The owner of the codes that are made with the key
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        owner: String,
        /// What the key may do; repeat the option for several scopes
        #[arg(long = "scope", required = true, value_parser = ["qr:read", "qr:write", "ops:read", "admin"])]
        scopes: Vec<String>,
        /// What the key is for, shown in the list
        #[arg(long)]
        name: Option<String>,
        /// Days until the key expires; without it, the key never does
        #[arg(long, value_name = "D", value_parser = clap::value_parser!(i32).range(1..=36_500))]
        expires_in_days: Option<i32>,
    },
    /// List the keys, oldest first
    List {
        /// Only keys of this owner
        #[arg(long)]
        owner: Option<String>,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key: the next request with it is refused
    Revoke {
        /// The key, or its beginning as the list shows it
        key: String,
    },
}

/// Runs one subcommand against the database that the functions use.
pub async fn run(command: Command) -> Result<()> {
    let client = connect::pooled().await?;
    match command {
        Command::Create { owner, scopes, name, expires_in_days } => {
            let key = new_key()?;
            let (hash, prefix) = (hash(&key), prefix(&key));
            query(&client, &CREATE, &[&hash, &prefix, &owner, &name, &scopes, &expires_in_days]).await?;
            eprintln!("Keep this key: it is not shown again.");
            println!("{key}");
        }
        Command::List { owner, json } => {
            list(&query(&client, &LIST, &[&owner]).await?, json)?;
        }
        Command::Revoke { key } => {
            let whole = (key.len() > PREFIX_LENGTH).then(|| hash(&key));
            let revoked = query(&client, &REVOKE, &[&prefix(&key), &whole]).await?;
            if revoked.is_empty() {
                bail!("there is no such key");
            }
            for row in revoked {
                println!("Revoked {} of {}", row.get::<_, &str>("prefix"), row.get::<_, &str>("owner"));
            }
        }
    }
    Ok(())
}

fn list(rows: &[Row], json: bool) -> Result<()> {
    let mut table =
        table::Table::new(&["KEY", "OWNER", "NAME", "SCOPES", "STATE", "CREATED AT", "EXPIRES AT"]);
    for row in rows {
        table.row(vec![
            row.get("prefix"),
            row.get("owner"),
            row.get::<_, Option<String>>("name").unwrap_or_default(),
            row.get::<_, Vec<String>>("scopes").join(" "),
            row.get("state"),
            format_time(row, "created_at").unwrap_or_default(),
            format_time(row, "expires_at").unwrap_or_default(),
        ]);
    }
    table::print(json, &rows.iter().map(as_json).collect::<Vec<_>>(), &table)
}

fn as_json(row: &Row) -> Value {
    json!({
        "prefix": row.get::<_, &str>("prefix"),
        "owner": row.get::<_, &str>("owner"),
        "name": row.get::<_, Option<&str>>("name"),
        "scopes": row.get::<_, Vec<&str>>("scopes"),
        "state": row.get::<_, &str>("state"),
        "createdAt": format_time(row, "created_at"),
        "expiresAt": format_time(row, "expires_at"),
        "revokedAt": format_time(row, "revoked_at"),
    })
}

fn new_key() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{BEGINNING}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

fn hash(key: &str) -> Vec<u8> {
    Sha256::digest(key).to_vec()
}

fn prefix(key: &str) -> String {
    key.chars().take(PREFIX_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_43_characters_of_base64url_after_its_beginning() {
        let key = new_key().unwrap();
        let random = key.strip_prefix("tsk_").unwrap();
        assert_eq!(random.len(), 43);
        assert!(random.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{key}");
        assert_ne!(key, new_key().unwrap());
    }

    #[test]
    fn only_the_first_twelve_characters_of_a_key_are_kept_readable() {
        assert_eq!(prefix("tsk_abcdefghSECRET"), "tsk_abcdefgh");
        assert_eq!(hash("abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
