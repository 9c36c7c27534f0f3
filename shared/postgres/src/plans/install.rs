//! Making the functions that keep plans, removing those of releases gone by, and telling what is there.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::function;
use crate::statement::{Plan, Statement};

/// ASCII `tesplans`: the advisory lock that those who install at the same time wait for.
const LOCK: i64 = 0x7465_7370_6c61_6e73;

/// Whether a plan is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanState {
    /// The function is there, as this release has it.
    Kept,
    /// There is no such function: the statement is sent as text.
    Missing,
    /// The function is there, but somebody has changed it.
    Changed,
}

/// One line of [`status`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PlanStatus {
    /// The statement's name.
    pub statement: &'static str,
    /// The function's name.
    pub function: String,
    /// Whether its plan is kept.
    pub state: PlanState,
}

/// Why plans could not be installed, removed or listed. The source carries PostgreSQL's own message.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A function was not taken, or not removed. Nothing was changed.
    #[error("the kept plans could not be installed")]
    Install(#[source] tokio_postgres::Error),
    /// The catalogue could not be read.
    #[error("the kept plans could not be read")]
    Read(#[source] tokio_postgres::Error),
}

/// Makes the function of each statement whose plan is kept, unless it is there, and returns their names.
///
/// Functions that neither these statements nor those of the release before call are removed: the code of both may be
/// running. It is one transaction, so all or nothing is changed; two who install at once wait for each other.
pub async fn install(
    client: &Client,
    statements: &[&'static Statement],
) -> Result<Vec<String>, InstallError> {
    let mut missing = status(client, statements).await?;
    missing.retain(|line| line.state != PlanState::Kept);
    let definitions = kept(statements)
        .filter(|statement| missing.iter().any(|line| line.statement == statement.name))
        .map(function::definition);
    let script = [preamble()].into_iter().chain(definitions).chain([note_release(statements)]);
    client.batch_execute(&script.collect::<Vec<_>>().join("\n")).await.map_err(InstallError::Install)?;
    Ok(missing.into_iter().map(|line| line.function).collect())
}

/// Removes every function that was installed: until the next [`install`], statements are sent as text.
pub async fn remove(client: &Client) -> Result<(), InstallError> {
    let script = format!(
        "{}
DO $plans$
DECLARE outdated text;
BEGIN
    FOR outdated IN SELECT DISTINCT function FROM tessera_plans LOOP
        EXECUTE format('DROP FUNCTION IF EXISTS %I', outdated);
    END LOOP;
END $plans$;
DROP TABLE tessera_plans;",
        preamble()
    );
    client.batch_execute(&script).await.map_err(InstallError::Install)
}

/// What precedes every change, in the same message and so in the same transaction.
fn preamble() -> String {
    format!(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
SELECT pg_advisory_xact_lock({LOCK});
SET LOCAL client_min_messages = warning;
CREATE TABLE IF NOT EXISTS tessera_plans (
    release      integer,
    function     text,
    installed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (release, function)
);"
    )
}

/// Notes these statements' functions as the newest release's, unless they are, and forgets all but the one before.
fn note_release(statements: &[&'static Statement]) -> String {
    let mut names: Vec<_> =
        kept(statements).map(|statement| format!("'{}'", function::name(statement))).collect();
    names.sort();
    format!(
        r#"DO $plans$
DECLARE
    current  text[] := ARRAY[{}]::text[];
    newest   integer := (SELECT coalesce(max(release), 0) FROM tessera_plans);
    outdated text;
BEGIN
    IF current = (SELECT array_agg(function ORDER BY function COLLATE "C") FROM tessera_plans WHERE release = newest) THEN
        RETURN;
    END IF;
    INSERT INTO tessera_plans (release, function) SELECT newest + 1, unnest(current);
    FOR outdated IN
        SELECT function FROM tessera_plans GROUP BY function HAVING max(release) < newest
    LOOP
        EXECUTE format('DROP FUNCTION IF EXISTS %I', outdated);
    END LOOP;
    DELETE FROM tessera_plans WHERE release < newest;
END $plans$;"#,
        names.join(", ")
    )
}

/// Tells of each statement whose plan is to be kept whether it is.
pub async fn status(
    client: &Client,
    statements: &[&'static Statement],
) -> Result<Vec<PlanStatus>, InstallError> {
    let names: Vec<_> = kept(statements).map(function::name).collect();
    let sql = "SELECT proname::text, prosrc FROM pg_proc
               WHERE proname = ANY ($1::text[]) AND pg_function_is_visible(oid)";
    let rows = client.query_typed(sql, &[(&names, Type::TEXT_ARRAY)]).await.map_err(InstallError::Read)?;
    Ok(kept(statements)
        .zip(names)
        .map(|(statement, function)| {
            let found = rows.iter().find(|row| row.get::<_, &str>(0) == function);
            let state = match found.map(|row| row.get::<_, &str>(1) == function::body(statement)) {
                None => PlanState::Missing,
                Some(false) => PlanState::Changed,
                Some(true) => PlanState::Kept,
            };
            PlanStatus { statement: statement.name, function, state }
        })
        .collect())
}

fn kept<'a>(statements: &'a [&'static Statement]) -> impl Iterator<Item = &'static Statement> + use<'a> {
    statements.iter().copied().filter(|statement| statement.plan == Plan::Kept)
}
