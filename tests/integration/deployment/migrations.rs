//! Migrations: one message each, so nothing is ever half done, or done twice; nor does traffic stand still for them.

use std::time::Duration;

use anyhow::Result;
use harness::{CutPoint, Database, PgBouncer, Postgres, Proxy};
use shared::migrations::{self, Migration, MigrationError, State};
use tessera_postgres::Deadline;
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
/// The advisory lock that lets one runner at a time change the schema: ASCII `tessera`.
const LOCK: i64 = 0x0074_6573_7365_7261;

const BOTH: [Migration; 2] = [FIRST, SECOND];

async fn database() -> Result<Database> {
    Postgres::plain().await?.empty_database().await
}

/// Long enough for whatever is not meant to be waited for in vain.
pub(crate) fn within_a_minute() -> Deadline {
    Deadline::after(Duration::from_mins(1))
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
        anyhow::Ok(migrations::up_with(&client, &BOTH, within_a_minute()).await?)
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
    migrations::up_with(&client, &BOTH, within_a_minute()).await?;
    // All eight have looked, and been turned away, before the first of them may begin.
    let holder = database.client().await?;
    holder.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
    let runs = (0..8).map(|_| async {
        let client = database.client().await?;
        anyhow::Ok(migrations::down_with(&client, &BOTH, 1, within_a_minute()).await?)
    });
    let release = async {
        let turned_away = "SELECT count(*) FROM pg_stat_activity
                           WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%already reverted%'";
        while client.query_typed(turned_away, &[]).await?[0].get::<_, i64>(0) < 8 {}
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
    migrations::up_with(&client, &[FIRST], within_a_minute()).await?;
    // The first answer is that to the list of applied migrations, the second that to the migration.
    proxy.cut_at(CutPoint::Answer(1));
    let lost = migrations::up_with(&client, &BOTH, within_a_minute()).await.expect_err("the answer was lost");
    assert!(matches!(lost, MigrationError::Failed { ref file, .. } if file == "0002_b.up.sql"), "{lost:?}");

    let client = connect(&proxy.url(&database)).await?;
    migrations::up_with(&client, &BOTH, within_a_minute()).await?;
    assert_eq!(count(&client).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_failed_migration_leaves_nothing_and_names_its_line() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    let bad =
        Migration { up: "CREATE TABLE b (x integer);\n-- ä\nINSERT INTO a\nVALUES (nosuch);", ..SECOND };
    let error = migrations::up_with(&client, &[FIRST, bad], within_a_minute())
        .await
        .expect_err("there is no such column");
    assert_eq!(error.to_string(), "migration 0002_b.up.sql failed at line 4");
    let chain = format!("{:#}", anyhow::Error::from(error));
    assert!(chain.contains("column \"nosuch\" does not exist"), "{chain}");
    assert_eq!(states(&client, &BOTH).await?, [(1, State::Applied), (2, State::Pending)]);
    assert_eq!(names(&migrations::up_with(&client, &BOTH, within_a_minute()).await?), ["0002_b"]);
    Ok(())
}

#[tokio::test]
async fn what_was_applied_is_reverted_newest_first() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    migrations::up_with(&client, &BOTH, within_a_minute()).await?;
    assert_eq!(
        names(&migrations::down_with(&client, &BOTH, 9, within_a_minute()).await?),
        ["0002_b", "0001_a"]
    );
    assert_eq!(states(&client, &BOTH).await?, [(1, State::Pending), (2, State::Pending)]);
    assert!(migrations::down_with(&client, &BOTH, 1, within_a_minute()).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_newer_releases_migration_is_shown_and_left_alone() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    migrations::up_with(&client, &BOTH, within_a_minute()).await?;
    assert_eq!(states(&client, &[FIRST]).await?, [(1, State::Applied), (2, State::Unknown)]);
    assert!(migrations::up_with(&client, &[FIRST], within_a_minute()).await?.is_empty());
    let error = migrations::down_with(&client, &[FIRST], 1, within_a_minute())
        .await
        .expect_err("only the newer release can");
    assert!(matches!(error, MigrationError::Unknown(ref name) if name == "0002_b"), "{error:?}");
    assert_eq!(count(&client).await?, 2);
    Ok(())
}

#[tokio::test]
async fn an_edited_migration_stops_the_next_one_and_can_be_reverted() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    migrations::up_with(&client, &[FIRST], within_a_minute()).await?;
    let edited = Migration { up: "CREATE TABLE a (x bigint);", ..FIRST };
    assert_eq!(states(&client, &[edited, SECOND]).await?, [(1, State::Changed), (2, State::Pending)]);
    let error = migrations::up_with(&client, &[edited, SECOND], within_a_minute())
        .await
        .expect_err("0001_a was edited");
    assert!(matches!(error, MigrationError::Changed(ref name) if name == "0001_a"), "{error:?}");
    assert_eq!(names(&migrations::down_with(&client, &[edited], 1, within_a_minute()).await?), ["0001_a"]);
    Ok(())
}

#[tokio::test]
async fn a_transaction_pooler_may_stand_in_between() -> Result<()> {
    let database = database().await?;
    let pgbouncer = PgBouncer::in_front_of(database.postgres()).start().await?;
    let url = pgbouncer.url(&database);
    let (one, other) = tokio::try_join!(connect(&url), connect(&url))?;
    tokio::try_join!(
        migrations::up_with(&one, &BOTH, within_a_minute()),
        migrations::up_with(&other, &BOTH, within_a_minute())
    )?;
    assert_eq!(count(&one).await?, 2);
    migrations::down_with(&other, &BOTH, 2, within_a_minute()).await?;
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
        anyhow::Ok(migrations::up_with(&client, &BOTH, within_a_minute()).await?)
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
    migrations::up_with(&client, &[FIRST], within_a_minute()).await?;
    migrations::down_with(&client, &[FIRST], 1, within_a_minute()).await?;
    for known in 1..=migrations::MIGRATIONS.len() {
        let known = &migrations::MIGRATIONS[..known];
        migrations::up_with(&client, &known[..known.len() - 1], within_a_minute()).await?;
        let before = schema(&client).await?;
        migrations::up_with(&client, known, within_a_minute()).await?;
        let with = schema(&client).await?;
        migrations::down_with(&client, known, 1, within_a_minute()).await?;
        assert_eq!(schema(&client).await?, before);
        migrations::up_with(&client, known, within_a_minute()).await?;
        assert_eq!(schema(&client).await?, with);
    }
    Ok(())
}

const ADDS_A_COLUMN: Migration = Migration {
    version: 2,
    name: "0002_column",
    up: "ALTER TABLE a ADD COLUMN y integer;",
    down: "ALTER TABLE a DROP COLUMN y;",
};
const MAKES_AN_INDEX: Migration = Migration {
    version: 2,
    name: "0002_index",
    up: "-- For those who look for x.\nCREATE UNIQUE INDEX CONCURRENTLY a_x ON a (x);\n",
    down: "DROP INDEX CONCURRENTLY a_x;\n",
};

/// A client that has begun a transaction with `sql` and holds it open.
async fn transaction(database: &Database, sql: &str) -> Result<Client> {
    let client = database.client().await?;
    client.batch_execute(&format!("BEGIN; {sql}")).await?;
    Ok(client)
}

/// The transactions that wait for a lock of this kind.
async fn waiting(client: &Client, lock: &str) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT virtualtransaction FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE NOT granted AND datname = current_database() AND {lock}"
    );
    Ok(client.query_typed(&sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// Returns the transaction that waits for such a lock, once there is one that is not `known`.
async fn wait_for_another(client: &Client, lock: &str, known: &[String]) -> Result<Vec<String>> {
    loop {
        let waiting = waiting(client, lock).await?;
        if waiting.iter().any(|transaction| !known.contains(transaction)) {
            return Ok(waiting);
        }
    }
}

/// The index `a_x`: its number, and whether it is valid.
async fn index(client: &Client) -> Result<Option<(u32, bool)>> {
    let sql = "SELECT indexrelid, indisvalid FROM pg_index WHERE indexrelid = to_regclass('a_x')";
    Ok(client.query_typed(sql, &[]).await?.first().map(|row| (row.get(0), row.get(1))))
}

#[tokio::test]
async fn a_migration_that_waits_for_a_reader_lets_others_through_and_tries_again() -> Result<()> {
    let database = database().await?;
    let (client, other) = (database.client().await?, database.client().await?);
    let known = [FIRST, ADDS_A_COLUMN];
    migrations::up_with(&client, &[FIRST], within_a_minute()).await?;
    let reader = transaction(&database, "SELECT FROM a").await?;
    let exclusive = "mode = 'AccessExclusiveLock'";
    let traffic = async {
        let observer = database.client().await?;
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.extend(wait_for_another(&observer, exclusive, &seen).await?);
            // It stands behind the migration, until that gives way.
            other.batch_execute("INSERT INTO a VALUES (7)").await?;
        }
        reader.batch_execute("COMMIT").await?;
        anyhow::Ok(())
    };
    let up = async { Ok(migrations::up_with(&client, &known, within_a_minute()).await?) };
    let (applied, ()) = tokio::try_join!(up, traffic)?;
    assert_eq!(names(&applied), ["0002_column"]);
    Ok(())
}

#[tokio::test]
async fn a_migration_that_cannot_have_its_lock_gives_up_at_the_deadline() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    migrations::up_with(&client, &[FIRST], within_a_minute()).await?;
    let _reader = transaction(&database, "SELECT FROM a").await?;
    let known = [FIRST, ADDS_A_COLUMN];
    let error = migrations::up_with(&client, &known, Deadline::after(Duration::ZERO)).await;
    let error = format!("{:#}", anyhow::Error::from(error.expect_err("the reader is still there")));
    assert!(error.contains("0002_column.up.sql") && error.contains("lock timeout"), "{error}");
    assert_eq!(states(&client, &known).await?, [(1, State::Applied), (2, State::Pending)]);
    Ok(())
}

#[tokio::test]
async fn two_runners_make_one_index_while_a_writer_is_open_and_others_write() -> Result<()> {
    let database = database().await?;
    let (one, another) = (database.client().await?, database.client().await?);
    let (observer, other) = (database.client().await?, database.client().await?);
    let known = [FIRST, MAKES_AN_INDEX];
    migrations::up_with(&one, &[FIRST], within_a_minute()).await?;
    let writer = transaction(&database, "INSERT INTO a VALUES (7)").await?;
    let traffic = async {
        wait_for_another(&observer, "locktype = 'virtualxid'", &[]).await?;
        other.batch_execute("INSERT INTO a VALUES (8)").await?;
        assert_eq!(states(&observer, &known).await?, [(1, State::Applied), (2, State::Unfinished)]);
        let at_once = migrations::up_with(&other, &known, Deadline::after(Duration::ZERO)).await;
        let error = format!("{:#}", anyhow::Error::from(at_once.expect_err("another run is under way")));
        assert!(error.contains("another run of migrate is under way"), "{error}");
        writer.batch_execute("COMMIT").await?;
        anyhow::Ok(())
    };
    let up = async |client: &Client| Ok(migrations::up_with(client, &known, within_a_minute()).await?);
    let (first, second, ()) = tokio::try_join!(up(&one), up(&another), traffic)?;
    assert_eq!(names(&[first, second].concat()), ["0002_index"]);
    assert!(index(&observer).await?.is_some_and(|(_, is_valid)| is_valid));
    assert_eq!(states(&observer, &known).await?, [(1, State::Applied), (2, State::Applied)]);
    Ok(())
}

#[tokio::test]
async fn an_index_that_a_failed_try_left_invalid_is_made_anew() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    let known = [FIRST, MAKES_AN_INDEX];
    migrations::up_with(&client, &[FIRST], within_a_minute()).await?;
    client.batch_execute("INSERT INTO a VALUES (1)").await?;
    let failed = migrations::up_with(&client, &known, within_a_minute()).await.expect_err("1 is there twice");
    assert_eq!(failed.to_string(), "migration 0002_index.up.sql failed");
    let left = index(&client).await?;
    assert!(left.is_some_and(|(_, is_valid)| !is_valid));
    assert_eq!(states(&client, &known).await?, [(1, State::Applied), (2, State::Unfinished)]);

    client.batch_execute("DELETE FROM a").await?;
    assert_eq!(names(&migrations::up_with(&client, &known, within_a_minute()).await?), ["0002_index"]);
    let made = index(&client).await?;
    assert!(made.is_some_and(|(_, is_valid)| is_valid) && made != left);
    assert_eq!(states(&client, &known).await?, [(1, State::Applied), (2, State::Applied)]);
    Ok(())
}

#[tokio::test]
async fn an_index_that_is_still_being_made_at_the_deadline_is_given_up() -> Result<()> {
    let database = database().await?;
    let client = database.client().await?;
    let known = [FIRST, MAKES_AN_INDEX];
    migrations::up_with(&client, &[FIRST], within_a_minute()).await?;
    let writer = transaction(&database, "INSERT INTO a VALUES (7)").await?;
    let given_up = migrations::up_with(&client, &known, Deadline::after(Duration::from_millis(50))).await;
    assert!(given_up.is_err(), "the writer is still there");
    writer.batch_execute("COMMIT").await?;
    let timeout = client.query_typed("SHOW statement_timeout", &[]).await?;
    assert_eq!(timeout[0].get::<_, &str>(0), "0", "the session is as it was");
    assert_eq!(names(&migrations::up_with(&client, &known, within_a_minute()).await?), ["0002_index"]);
    Ok(())
}

#[tokio::test]
async fn an_index_whose_answer_was_lost_is_made_and_dropped_once() -> Result<()> {
    let database = database().await?;
    let observer = database.client().await?;
    let known = [FIRST, MAKES_AN_INDEX];
    migrations::up_with(&observer, &[FIRST], within_a_minute()).await?;
    // Before it are the answers to the list, to a look for the index, to the lock, to the list, to the settings and to
    // another look.
    let change = CutPoint::Answer(6);
    let proxy = Proxy::of(database.postgres()).await?;
    let client = connect(&proxy.url(&database)).await?;
    proxy.cut_at(change);
    migrations::up_with(&client, &known, within_a_minute()).await.expect_err("the answer was lost");
    assert_eq!(states(&observer, &known).await?, [(1, State::Applied), (2, State::Pending)]);
    let made = index(&observer).await?;
    assert!(made.is_some_and(|(_, is_valid)| is_valid));
    assert_eq!(names(&migrations::up_with(&observer, &known, within_a_minute()).await?), ["0002_index"]);
    assert_eq!(index(&observer).await?, made, "it is the same one");

    let client = connect(&proxy.url(&database)).await?;
    proxy.cut_at(change);
    migrations::down_with(&client, &known, 1, within_a_minute()).await.expect_err("the answer was lost");
    assert_eq!(index(&observer).await?, None);
    assert_eq!(names(&migrations::down_with(&observer, &known, 1, within_a_minute()).await?), ["0002_index"]);
    assert_eq!(states(&observer, &known).await?, [(1, State::Applied), (2, State::Pending)]);
    Ok(())
}
