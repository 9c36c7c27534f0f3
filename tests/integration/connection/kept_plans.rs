//! The plans of statements are kept in the database: made once a session, found by each release, and never missed.

use anyhow::{Context as _, Result, ensure};
use harness::{Lambda, PgBouncer, Postgres, Proxy};
use serde_json::json;
use shared::schema;
use shared::statements::ALL;
use tessera_postgres::plans::{self, PlanState, PlanStatus};
use tessera_postgres::{Plan, Statement};
use tokio_postgres::Client;

use super::containers::wait_for_log;
use crate::api::functions::{create_code, generate, redirect, short_id};
use crate::deployment::migrations::within_a_minute;
use crate::operator::doctor::examine;
use crate::operator::doctor_and_health::{dedicated_database, has_pg_stat_statements};

fn kept() -> Vec<&'static Statement> {
    ALL.iter().copied().filter(|statement| statement.plan == Plan::Kept).collect()
}

async fn missing(client: &Client) -> Result<Vec<&'static str>> {
    let missing = |plan: PlanStatus| (plan.state == PlanState::Missing).then_some(plan.statement);
    Ok(plans::status(client, ALL).await?.into_iter().filter_map(missing).collect())
}

async fn function_of(client: &Client, statement: &str) -> Result<String> {
    let status = plans::status(client, ALL).await?;
    Ok(status.into_iter().find(|plan| plan.statement == statement).context("it is kept")?.function)
}

#[tokio::test]
async fn a_function_that_the_role_may_not_call_costs_no_error_either() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let client = database.client().await?;
    let (codes, redirects) =
        (generate(database.url()).start().await?, redirect(database.url()).start().await?);
    let code = create_code(&codes, json!({"targetUrl": "https://example.com/"})).await?;
    let function = function_of(&client, "qr.redirect").await?;
    client.batch_execute(&format!("REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC, tessera")).await?;
    follow(&redirects, short_id(&code), 3).await
}

/// What PostgreSQL says of a redirect's text: calls, and how often it was planned.
async fn calls_and_plans(admin: &Client) -> Result<Vec<(i64, i64)>> {
    let sql = "SELECT sum(calls)::bigint, sum(plans)::bigint FROM pg_stat_statements
               WHERE query LIKE '%UPDATE scan_quotas q SET%' AND query NOT LIKE '%FUNCTION%' GROUP BY toplevel";
    Ok(admin.query_typed(sql, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn follow(redirects: &Lambda, id: &str, times: usize) -> Result<()> {
    for _ in 0..times {
        assert_eq!(redirects.get(&format!("/r/{id}")).send().await?.status, 302);
    }
    Ok(())
}

#[tokio::test]
async fn a_redirect_is_planned_once_a_session_and_never_by_its_text_again() -> Result<()> {
    if !has_pg_stat_statements().await? {
        return Ok(());
    }
    let database = dedicated_database(&[
        ("shared_preload_libraries", "pg_stat_statements"),
        ("pg_stat_statements.track", "all"),
        ("pg_stat_statements.track_planning", "on"),
    ])
    .await?;
    let admin = database.postgres().admin(&database.name).await?;
    admin.batch_execute("CREATE EXTENSION pg_stat_statements").await?;
    let (codes, redirects) =
        (generate(database.url()).start().await?, redirect(database.url()).start().await?);
    let made = create_code(&codes, json!({"targetUrl": "https://example.com/"})).await?;
    follow(&redirects, short_id(&made), 21).await?;
    let mut seen = calls_and_plans(&admin).await?;
    seen.sort_unstable();
    // The first statement of the session as text, the others inside the function, which plans once.
    assert_eq!(seen, [(1, 1), (20, 1)]);
    Ok(())
}

#[tokio::test]
async fn each_function_says_in_psql_which_operation_it_is() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let client = database.client().await?;
    assert_eq!(missing(&client).await?, [""; 0]);
    for plan in plans::status(&client, ALL).await? {
        let sql = "SELECT obj_description(oid, 'pg_proc') FROM pg_proc WHERE proname = $1";
        let rows = client.query_typed(sql, &[(&plan.function, tessera_postgres::Type::TEXT)]).await?;
        ensure!(rows.len() == 1, "{} is there once", plan.function);
        assert_eq!(rows[0].get::<_, &str>(0), format!("Keeps the plan of {}", plan.statement));
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_function_costs_one_round_trip_and_no_error() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let client = database.client().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let (codes, redirects) =
        (generate(database.url()).start().await?, redirect(proxy.url(&database)).start().await?);
    let made = create_code(&codes, json!({"targetUrl": "https://example.com/"})).await?;
    follow(&redirects, short_id(&made), 2).await?;
    client.batch_execute(&format!("DROP FUNCTION {}", function_of(&client, "qr.redirect").await?)).await?;
    let mut round_trips = Vec::new();
    for _ in 0..3 {
        proxy.reset();
        follow(&redirects, short_id(&made), 1).await?;
        round_trips.push(proxy.round_trips());
    }
    assert_eq!(round_trips, [2, 1, 1], "the function is not asked for each time");
    assert_eq!(missing(&client).await?, ["qr.redirect"]);
    assert_eq!(schema::up(&client, within_a_minute()).await?.plans.len(), 1);
    assert_eq!(missing(&client).await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_column_of_another_type_than_declared_is_an_error_and_no_panic() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let made = create_code(&codes, json!({"targetUrl": "https://example.com/"})).await?;
    database.client().await?.batch_execute("ALTER TABLE codes ALTER target_url TYPE varchar").await?;
    let redirects = redirect(database.url()).start().await?;
    for sent_as in ["text", "a call"] {
        assert_eq!(redirects.get(&format!("/r/{}", short_id(&made))).send().await?.status, 500, "{sent_as}");
    }
    wait_for_log(&redirects, "the answer is not of the declared shape").await?;
    wait_for_log(&redirects, "structure of query does not match function result type").await?;
    let log = redirects.logs().join("\n");
    assert!(!log.contains("panicked"), "{log}");
    Ok(())
}

#[tokio::test]
async fn the_functions_of_two_releases_are_there_side_by_side_and_those_of_a_third_are_gone() -> Result<()> {
    static OLDER: Statement = Statement { name: "older.read", sql: "SELECT 1 AS one", ..ONE };
    static OLDEST: Statement = Statement { name: "oldest.read", sql: "SELECT 1 AS one", ..ONE };
    let database = Postgres::plain().await?.empty_database().await?;
    let client = database.client().await?;
    let is_there = async |statement: &'static Statement| {
        Ok::<_, anyhow::Error>(plans::status(&client, &[statement]).await?[0].state == PlanState::Kept)
    };
    plans::install(&client, &[&OLDEST]).await?;
    plans::install(&client, &[&OLDER]).await?;
    assert_eq!((is_there(&OLDEST).await?, is_there(&OLDER).await?), (true, true));
    plans::install(&client, &[&OLDER]).await?;
    assert!(is_there(&OLDEST).await?, "the same release again is no new one");
    plans::install(&client, &[&ONE, &OLDER]).await?;
    let there = (is_there(&OLDEST).await?, is_there(&OLDER).await?, is_there(&ONE).await?);
    assert_eq!(there, (false, true, true));
    plans::install(&client, &[&OLDER]).await?;
    assert!(is_there(&ONE).await?, "rolled back, with the newer release's code still running");
    plans::remove(&client).await?;
    let there = (is_there(&OLDER).await?, is_there(&ONE).await?);
    assert_eq!(there, (false, false));
    Ok(())
}

const ONE: Statement = Statement {
    name: "one.read",
    sql: "SELECT 1 AS one",
    parameters: &[],
    columns: &[("one", tessera_postgres::Type::INT4)],
    plan: Plan::Kept,
    may_take_long: false,
    idempotent_by: tessera_postgres::IdempotentBy::Read,
};

#[tokio::test]
async fn four_installers_at_once_leave_every_function_once() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    let up = async || {
        let client = database.client().await?;
        anyhow::Ok(schema::up(&client, within_a_minute()).await?)
    };
    tokio::try_join!(up(), up(), up(), up())?;
    let client = database.client().await?;
    assert_eq!(missing(&client).await?, [""; 0]);
    let row = client.query_typed_one("SELECT count(*), max(release) FROM tessera_plans", &[]).await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1)), (i64::try_from(kept().len())?, 1));
    Ok(())
}

#[tokio::test]
async fn behind_a_pooler_the_first_statement_is_already_a_call() -> Result<()> {
    let postgres = Postgres::plain().await?;
    let database = postgres.database().await?;
    let pgbouncer = PgBouncer::in_front_of(postgres).start().await?;
    let proxy = Proxy::recording(pgbouncer.address()).await?;
    let url = format!("{}&pgbouncer=true", postgres.url_at(proxy.address(), &database.name));
    let redirects = redirect(&url).start().await?;
    assert_eq!(redirects.get("/r/none").send().await?.status, 404);
    let function = function_of(&database.client().await?, "qr.redirect").await?;
    let sent: Vec<String> = proxy.messages().iter().map(|message| format!("{message:?}")).collect();
    assert!(sent.iter().any(|message| message.contains(&function)), "{sent:?}");
    Ok(())
}

#[tokio::test]
async fn doctor_names_plans_that_are_missing_or_changed() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let client = database.client().await?;
    assert_eq!(examine(database.url()).await?.check("kept_plans")?["verdict"], "ok");
    let (redirect, get) = (function_of(&client, "qr.redirect").await?, function_of(&client, "qr.get").await?);
    let admin = database.postgres().admin(&database.name).await?;
    admin
        .batch_execute(&format!(
            "DROP FUNCTION {redirect}; UPDATE pg_proc SET prosrc = prosrc || ' ' WHERE proname = '{get}'"
        ))
        .await?;
    let examined = examine(database.url()).await?;
    examined.expect_check("kept_plans", "warn", "missing: qr.redirect", "migrate up")?;
    examined.expect_check("kept_plans", "warn", "changed by somebody: qr.get", "migrate up")?;
    schema::up(&client, within_a_minute()).await?;
    assert_eq!(examine(database.url()).await?.check("kept_plans")?["verdict"], "ok");
    Ok(())
}
