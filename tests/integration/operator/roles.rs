//! The roles of the database: each function works under its own, which may do nothing that its statements do not need.

use anyhow::{Context as _, Result, ensure};
use harness::{Database, Postgres};
use serde_json::json;
use shared::roles::{OWNER, ROLES, Role};
use shared::schema;
use shared::statements::ALL;
use tessera_postgres::{Statement, plans};
use tokio_postgres::{Client, NoTls};

use super::commands::{run, tessera};
use super::doctor::examine;
use super::health::{KEY, health, make_key};
use crate::api::functions::{create_key, generate_for_keys, redirect, short_id};
use crate::connection::midstatement::{self, SETUP};
use crate::connection::round_trips::requests;
use crate::deployment::migrations::within_a_minute;
use crate::webhook::sender::{account, send, sources, webhook};
use crate::worker::delivery;
use crate::worker::endpoint::{Behaviour, Endpoint};

/// A cluster of its own, since roles belong to the whole of it, and a database with the schema.
async fn database() -> Result<Database> {
    Postgres::builder().start().await?.database().await
}

/// What `cargo tessera roles sql` prints.
fn roles_sql() -> Result<String> {
    let output = run(&mut tessera(&["roles", "sql"])?)?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn make_roles(database: &Database) -> Result<()> {
    let admin = database.postgres().admin(&database.name).await?;
    admin.batch_execute(&roles_sql()?).await.context("roles sql")
}

fn url(database: &Database, role: &str) -> String {
    format!("postgres://{role}@{}/{}?sslmode=disable", database.postgres().address(), database.name)
}

async fn client(database: &Database, role: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(&url(database, role), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn statements_of(role: &Role) -> impl Iterator<Item = &'static Statement> {
    ALL.iter().copied().filter(|statement| role.statements.contains(&statement.name))
}

/// What lets the sample of `qr.create` make a code again, instead of answering as the first time.
const FORGET_THE_NEW_CODE: &str = "DELETE FROM codes WHERE id_key = 'NEW';
    DELETE FROM idempotency_keys WHERE key = 'an idempotency key'";

/// The statements of this role that it may not run, with their samples.
async fn refused(database: &Database, role: &Role) -> Result<Vec<&'static str>> {
    let connection = midstatement::connect(&url(database, role.name))?;
    let mut refused = Vec::new();
    for statement in statements_of(role) {
        // As text, then as a call.
        for _ in 0..2 {
            match midstatement::run(&connection, statement).await {
                Ok(_) => {}
                Err(error) if format!("{error:?}").contains("permission denied") => {
                    refused.push(statement.name);
                }
                Err(error) => return Err(error.context(statement.name)),
            }
        }
    }
    Ok(refused)
}

#[tokio::test]
async fn each_role_has_what_its_statements_need_and_nothing_else() -> Result<()> {
    let database = database().await?;
    make_roles(&database).await?;
    let admin = database.postgres().admin(&database.name).await?;
    admin.batch_execute(SETUP).await?;
    for role in ROLES {
        let nothing: [&str; 0] = [];
        assert_eq!(refused(&database, role).await?, nothing, "{}", role.name);
        // The report asks for itself what it may read, and says so instead.
        if role.function == "health" {
            continue;
        }
        let tables = role.tables.iter().flat_map(|(table, privileges)| {
            privileges.iter().map(move |privilege| format!("{privilege} ON {table}"))
        });
        let sequences = role.sequences.iter().map(|sequence| format!("USAGE ON SEQUENCE {sequence}"));
        for right in tables.chain(sequences) {
            admin.batch_execute(&format!("{FORGET_THE_NEW_CODE}; REVOKE {right} FROM {}", role.name)).await?;
            assert_ne!(refused(&database, role).await?, nothing, "{} needs no {right}", role.name);
            admin.batch_execute(&format!("GRANT {right} TO {}", role.name)).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_function_answers_its_requests_under_its_own_role() -> Result<()> {
    let database = database().await?;
    make_roles(&database).await?;
    // By the former owner, who still may.
    let bearer = format!("Bearer {}", create_key(&database, "me", &["qr:read", "qr:write"]).await?);
    let codes = generate_for_keys(url(&database, "tessera_qr_generate")).start().await?;
    let redirects = redirect(url(&database, "tessera_qr_redirect")).start().await?;
    for turn in ["first as text", "then as calls"] {
        let create = codes.post("/qr").header("authorization", &bearer).header("idempotency-key", turn);
        let made = create.json(&json!({"targetUrl": "https://example.com", "tags": ["a"]})).send().await?;
        assert_eq!(made.status, 201, "{turn}: {}", made.text());
        for (what, request) in requests(&codes, &redirects, short_id(&made.json()?)) {
            let answer = request.header("authorization", &bearer).send().await?;
            assert!(answer.status < 400, "{what}, {turn}: {} {}", answer.status, answer.text());
        }
    }

    let endpoint = Endpoint::start(|_| Behaviour::Answer(204)).await?;
    let sources = sources(&json!({"forwardUrl": endpoint.url}));
    let intake = webhook(url(&database, "tessera_webhook"), sources.clone()).start().await?;
    let worker = delivery::worker(url(&database, "tessera_worker"), sources).start().await?;
    for id in ["evt_1", "evt_2"] {
        let answer = send(&intake, id, &account(id, "a", "active", "2026-01-01T00:00:00Z")).await?;
        assert_eq!(answer.status, 202, "{}", answer.text());
        assert_eq!(delivery::run(&worker).await?["delivered"], 1, "{id}");
    }
    Ok(())
}

#[tokio::test]
async fn the_report_of_a_role_of_its_own_misses_nothing() -> Result<()> {
    let database = database().await?;
    make_key(&database, KEY, "ops:read").await?;
    make_roles(&database).await?;
    let health = health(url(&database, "tessera_health")).await?;
    let answer = health.get("/health").query("detailed", "true").header("x-api-key", KEY).send().await?;
    let report = answer.json()?;
    assert_eq!((answer.status, &report["status"]), (200, &json!("ok")), "{report}");
    Ok(())
}

#[tokio::test]
async fn a_redirect_reads_no_keys_and_changes_no_codes() -> Result<()> {
    let database = database().await?;
    make_roles(&database).await?;
    let redirect = client(&database, "tessera_qr_redirect").await?;
    for sql in
        ["SELECT FROM api_keys", "UPDATE codes SET enabled = true", "DELETE FROM scans", "CREATE TABLE t ()"]
    {
        let error = redirect.batch_execute(sql).await.expect_err(sql);
        assert!(format!("{error:?}").contains("permission denied"), "{sql}: {error:?}");
    }
    let settings = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
                           current_setting('idle_in_transaction_session_timeout'), current_setting('default_transaction_isolation')";
    let row = redirect.query_typed_one(settings, &[]).await?;
    let settings: Vec<&str> = (0..4).map(|column| row.get(column)).collect();
    assert_eq!(settings, ["30s", "5s", "10s", "read committed"]);
    Ok(())
}

/// Which roles may call the function that keeps the statement's plan.
async fn callers(client: &Client, statement: &Statement) -> Result<Vec<&'static str>> {
    let function = plans::function_of(statement).context("its plan is kept")?;
    let mut callers = Vec::new();
    for role in ROLES {
        let sql =
            format!("SELECT has_function_privilege('{}', to_regproc('{function}'), 'EXECUTE')", role.name);
        if client.query_typed_one(&sql, &[]).await?.get(0) {
            callers.push(role.function);
        }
    }
    Ok(callers)
}

#[tokio::test]
async fn kept_plans_that_migrate_makes_anew_are_for_their_own_role() -> Result<()> {
    let database = database().await?;
    make_roles(&database).await?;
    let owner = client(&database, OWNER).await?;
    assert_eq!(callers(&owner, &shared::qr::scan::REDIRECT).await?, ["qr-redirect"]);
    plans::remove(&owner).await?;
    let up = schema::up(&owner, within_a_minute()).await?;
    assert!(!up.plans.is_empty());
    assert_eq!(callers(&owner, &shared::qr::scan::REDIRECT).await?, ["qr-redirect"]);
    let admin = database.postgres().admin(&database.name).await?;
    admin.batch_execute(SETUP).await?;
    for role in ROLES {
        assert_eq!(refused(&database, role).await?, [""; 0], "{}", role.name);
    }
    Ok(())
}

#[tokio::test]
async fn roles_that_are_there_first_get_their_rights_from_migrate_and_may_be_made_again() -> Result<()> {
    let database = Postgres::builder().start().await?.empty_database().await?;
    make_roles(&database).await?;
    schema::up(&client(&database, OWNER).await?, within_a_minute()).await?;
    let admin = database.postgres().admin(&database.name).await?;
    admin.batch_execute(SETUP).await?;
    for again in [false, true] {
        for role in ROLES {
            assert_eq!(refused(&database, role).await?, [""; 0], "{}, again: {again}", role.name);
        }
        make_roles(&database).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_role_that_is_a_member_of_all_may_do_all_that_the_functions_do() -> Result<()> {
    let database = database().await?;
    make_roles(&database).await?;
    let admin = database.postgres().admin(&database.name).await?;
    let members = ROLES.iter().map(|role| role.name).collect::<Vec<_>>().join(", ");
    admin.batch_execute(&format!("CREATE ROLE tessera_functions LOGIN IN ROLE {members}")).await?;
    let examined = examine(url(&database, "tessera_functions")).await?;
    for name in ["rights", "kept_plans"] {
        assert_eq!(examined.check(name)?["verdict"], "ok", "{}", examined.text);
    }
    assert!(examined.check("consistency").is_err(), "it may not remove probe codes, so that none are made");
    Ok(())
}

#[tokio::test]
async fn doctor_judges_a_role_by_its_own_needs_and_warns_of_another_isolation() -> Result<()> {
    let database = database().await?;
    make_roles(&database).await?;
    let redirect = url(&database, "tessera_qr_redirect");
    let examined = examine(redirect.clone()).await?;
    assert_eq!(examined.check("rights")?["verdict"], "ok");
    assert_eq!(examined.check("isolation")?["verdict"], "ok");
    let admin = database.postgres().admin(&database.name).await?;
    admin
        .batch_execute(
            "REVOKE INSERT ON scans FROM tessera_qr_redirect;
             ALTER ROLE tessera_qr_redirect SET default_transaction_isolation = 'serializable'",
        )
        .await?;
    let examined = examine(redirect).await?;
    examined.expect_check("rights", "fail", "scans (INSERT)", "cargo tessera roles sql")?;
    examined.expect_check("isolation", "warn", "serializable", "read committed")?;
    Ok(())
}
