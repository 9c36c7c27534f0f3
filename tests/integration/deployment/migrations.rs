//! Migrations: one message each, so nothing is ever half done, or done twice.

use anyhow::Result;
use harness::{CutPoint, Database, PgBouncer, Postgres, Proxy};
use shared::migrations::{self, Migration, MigrationError, State};
use tokio_postgres::{Client, NoTls};

const FIRST: Migration = Migration {
    version: 1,
    name: "0001_a",
    up: "CREATE TABLE a (x integer);\nINSERT INTO a VALUES (1);",
    down: "DROP TABLE a;",
};
const SECOND: Migration = Migration {
    version: 2,
    name: "0002_b",
    up: "CREATE TABLE b (x integer);\nUPDATE a SET x = x + 1;",
    down: "DROP TABLE b;\nUPDATE a SET x = x - 1;",
};
/// The advisory lock that runners wait for: ASCII `tessera`.
const LOCK: i64 = 0x0074_6573_7365_7261;

const BOTH: [Migration; 2] = [FIRST, SECOND];

async fn database() -> Result<Database> {
    Postgres::plain().await?.empty_database().await
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn states(client: &Client, known: &[Migration]) -> Result<Vec<(i32, State)>> {
    let status = migrations::status_with(client, known).await?;
    Ok(status.iter().map(|line| (line.version, line.state)).collect())
}

/// What `0002_b` has counted to: 2 when it was applied once.
async fn count(client: &Client) -> Result<i32> {
    Ok(client.query_typed("SELECT x FROM a", &[]).await?[0].get(0))
}

fn names(migrations: &[Migration]) -> Vec<&str> {
    migrations.iter().map(|migration| migration.name).collect()
}

#[tokio::test]
async fn eight_runners_at_once_apply_each_migration_once() -> Result<()> {
    let database = database().await?;
    let runs = (0..8).map(|_| async {
        let client = database.client().await?;
        anyhow::Ok(migrations::up_with(&client, &BOTH).await?)
    });
    let applied = futures_util::future::try_join_all(runs).await?.concat();
    assert_eq!(names(&applied).len(), 2, "each by one runner alone: {:?}", names(&applied));
    assert_eq!(count(&database.client().await?).await?, 2);
    Ok(())
}

#[tokio::test]
async fn eight_runners_at_once_revert_one_step_together() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    migrations::up_with(&client, &BOTH).await?;
    // All eight have looked, and wait, before the first of them may begin.
    let holder = database.client().await?;
    holder.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
    let runs = (0..8).map(|_| async {
        let client = database.client().await?;
        anyhow::Ok(migrations::down_with(&client, &BOTH, 1).await?)
    });
    let release = async {
        let waiting = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                       WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()";
        while client.query_typed(waiting, &[]).await?[0].get::<_, i64>(0) < 8 {}
        Ok(holder.batch_execute("COMMIT").await?)
    };
    let (reverted, ()) = tokio::try_join!(futures_util::future::try_join_all(runs), release)?;
    assert_eq!(names(&reverted.concat()), ["0002_b"]);
    assert_eq!(states(&client, &BOTH).await?, [(1, State::Applied), (2, State::Pending)]);
    Ok(())
}

#[tokio::test]
async fn a_migration_whose_answer_was_lost_is_not_applied_twice() -> Result<()> {
    let database = database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    let client = connect(&proxy.url(&database)).await?;
    migrations::up_with(&client, &[FIRST]).await?;
    // The first answer is that to the list of applied migrations, the second that to the migration.
    proxy.cut_at(CutPoint::Answer(1));
    let lost = migrations::up_with(&client, &BOTH).await.expect_err("the answer was lost");
    assert!(matches!(lost, MigrationError::Failed { ref file, .. } if file == "0002_b.up.sql"), "{lost:?}");

    let client = connect(&proxy.url(&database)).await?;
    migrations::up_with(&client, &BOTH).await?;
    assert_eq!(count(&client).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_failed_migration_leaves_nothing_and_names_its_line() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    let bad =
        Migration { up: "CREATE TABLE b (x integer);\n-- ä\nINSERT INTO a\nVALUES (nosuch);", ..SECOND };
    let error = migrations::up_with(&client, &[FIRST, bad]).await.expect_err("there is no such column");
    assert_eq!(error.to_string(), "migration 0002_b.up.sql failed at line 4");
    let chain = format!("{:#}", anyhow::Error::from(error));
    assert!(chain.contains("column \"nosuch\" does not exist"), "{chain}");
    assert_eq!(states(&client, &BOTH).await?, [(1, State::Applied), (2, State::Pending)]);
    assert_eq!(names(&migrations::up_with(&client, &BOTH).await?), ["0002_b"]);
    Ok(())
}

#[tokio::test]
async fn what_was_applied_is_reverted_newest_first() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    migrations::up_with(&client, &BOTH).await?;
    assert_eq!(names(&migrations::down_with(&client, &BOTH, 9).await?), ["0002_b", "0001_a"]);
    assert_eq!(states(&client, &BOTH).await?, [(1, State::Pending), (2, State::Pending)]);
    assert!(migrations::down_with(&client, &BOTH, 1).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_newer_releases_migration_is_shown_and_left_alone() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    migrations::up_with(&client, &BOTH).await?;
    assert_eq!(states(&client, &[FIRST]).await?, [(1, State::Applied), (2, State::Unknown)]);
    assert!(migrations::up_with(&client, &[FIRST]).await?.is_empty());
    let error = migrations::down_with(&client, &[FIRST], 1).await.expect_err("only the newer release can");
    assert!(matches!(error, MigrationError::Unknown(ref name) if name == "0002_b"), "{error:?}");
    assert_eq!(count(&client).await?, 2);
    Ok(())
}

#[tokio::test]
async fn an_edited_migration_stops_the_next_one_and_can_be_reverted() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    migrations::up_with(&client, &[FIRST]).await?;
    let edited = Migration { up: "CREATE TABLE a (x bigint);", ..FIRST };
    assert_eq!(states(&client, &[edited, SECOND]).await?, [(1, State::Changed), (2, State::Pending)]);
    let error = migrations::up_with(&client, &[edited, SECOND]).await.expect_err("0001_a was edited");
    assert!(matches!(error, MigrationError::Changed(ref name) if name == "0001_a"), "{error:?}");
    assert_eq!(names(&migrations::down_with(&client, &[edited], 1).await?), ["0001_a"]);
    Ok(())
}

#[tokio::test]
async fn a_transaction_pooler_may_stand_in_between() -> Result<()> {
    let database = database().await?;
    let pgbouncer = PgBouncer::in_front_of(database.postgres()).start().await?;
    let url = pgbouncer.url(&database);
    let (one, other) = tokio::try_join!(connect(&url), connect(&url))?;
    tokio::try_join!(migrations::up_with(&one, &BOTH), migrations::up_with(&other, &BOTH))?;
    assert_eq!(count(&one).await?, 2);
    migrations::down_with(&other, &BOTH, 2).await?;
    assert_eq!(states(&one, &BOTH).await?, [(1, State::Pending), (2, State::Pending)]);
    Ok(())
}

#[tokio::test]
async fn a_database_that_prefers_serializable_is_no_obstacle() -> Result<()> {
    let database = database().await?;
    let set = format!("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'", database.name);
    database.client().await?.batch_execute(&set).await?;
    let runs = (0..4).map(|_| async {
        let client = database.client().await?;
        anyhow::Ok(migrations::up_with(&client, &BOTH).await?)
    });
    assert_eq!(futures_util::future::try_join_all(runs).await?.concat().len(), 2);
    Ok(())
}

/// Tables, indexes, functions and types that are not PostgreSQL's own.
async fn schema(client: &Client) -> Result<Vec<String>> {
    let sql = "SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
               UNION SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
               UNION SELECT oid::regtype::text FROM pg_type WHERE typnamespace = 'public'::regnamespace
               ORDER BY name";
    Ok(client.query_typed(sql, &[]).await?.iter().map(|row| row.get("name")).collect())
}

#[tokio::test]
async fn every_migration_of_this_release_can_be_reverted_and_leaves_no_trace() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    // The table of applied migrations is made with the first one, and stays.
    migrations::up_with(&client, &[FIRST]).await?;
    migrations::down_with(&client, &[FIRST], 1).await?;
    for known in 1..=migrations::MIGRATIONS.len() {
        let known = &migrations::MIGRATIONS[..known];
        migrations::up_with(&client, &known[..known.len() - 1]).await?;
        let before = schema(&client).await?;
        migrations::up_with(&client, known).await?;
        let with = schema(&client).await?;
        migrations::down_with(&client, known, 1).await?;
        assert_eq!(schema(&client).await?, before);
        migrations::up_with(&client, known).await?;
        assert_eq!(schema(&client).await?, with);
    }
    Ok(())
}
