//! Whether the tables exist, and whether the role has the privileges that it needs on them.

use crate::health::check::Check;
use crate::health::check::Verdict::{Fail, NotVisible, Warn};
use crate::health::expected_schema::{MIGRATIONS, TABLES};
use crate::health::facts::{Facts, QueryResult, SchemaOutsideSearchPath, Table};
use crate::roles::{self, ROLES};

/// What `report.sql` puts before the name of a sequence on which the role lacks `USAGE`.
const USAGE_OF: &str = "USAGE of ";

pub(super) fn migrations(facts: &Facts) -> Check {
    let why = "the functions name tables and columns that a migration makes";
    let missing: Vec<_> =
        TABLES.iter().filter(|name| facts.tables.iter().all(|table| table.name != **name)).collect();
    let applied: &[String] = match &facts.results.migrations {
        QueryResult::Value(applied) => applied,
        QueryResult::Locked => {
            return Check::ok("migrations", "somebody has locked tessera_migrations", why).when(
                true,
                NotVisible,
                "look again when `cargo tessera migrate` has ended, or see `locks`",
            );
        }
        QueryResult::NotReadable => {
            return Check::ok("migrations", "the role may not read tessera_migrations", why)
                .when(true, NotVisible, "");
        }
        QueryResult::NoTable | QueryResult::NotRequested => &[],
    };
    if let (QueryResult::NoTable, Some(found)) =
        (&facts.results.migrations, &facts.schema_outside_search_path)
    {
        return outside_search_path(found, &facts.server.role, why);
    }
    let pending: Vec<_> = MIGRATIONS.iter().filter(|name| !applied.iter().any(|a| a == *name)).collect();
    let newer = applied.iter().filter(|name| !MIGRATIONS.contains(&name.as_str())).count();
    let observed = match (pending.as_slice(), missing.as_slice()) {
        ([], []) if newer > 0 => format!("all applied, and {newer} of a newer release"),
        ([], []) => "all applied".to_owned(),
        ([], missing) => format!("all applied, but these tables are missing: {missing:?}"),
        (pending, []) => format!("pending: {}", join(pending)),
        (pending, missing) => format!("pending: {}; {} tables missing", join(pending), missing.len()),
    };
    let advice = "run `cargo tessera migrate up` with DIRECT_URL (or DATABASE_URL) set; if it has run, check that the URL \
                  names the same database and schema";
    Check::ok("migrations", observed, why).when(!missing.is_empty(), Fail, advice).when(
        !pending.is_empty(),
        Warn,
        advice,
    )
}

/// The migrations have been applied in a schema that the role does not look into. The advice is not to migrate again:
/// that would create a second, empty set of tables.
fn outside_search_path(found: &SchemaOutsideSearchPath, role: &str, why: &'static str) -> Check {
    let SchemaOutsideSearchPath { schema, may_use, search_path } = found;
    let (observed, advice) = if *may_use {
        (
            format!(
                "applied in the schema {schema}, which is not in the search_path of {role}: {search_path}"
            ),
            format!(
                "ALTER ROLE \"{role}\" SET search_path = {schema}; or connect as the role that ran the migrations"
            ),
        )
    } else {
        (
            format!("applied in the schema {schema}, which {role} may not use"),
            format!("as the schema's owner: GRANT USAGE ON SCHEMA {schema} TO \"{role}\""),
        )
    };
    Check::ok("migrations", observed, why).when(true, Fail, advice)
}

fn join(names: &[&&str]) -> String {
    names.iter().map(|name| **name).collect::<Vec<_>>().join(", ")
}

/// The tables on which the role lacks a privilege that it needs: a function's role what that function needs, any other one
/// what all functions need together.
fn lacking_tables(facts: &Facts) -> Vec<Table> {
    let needing = roles::find(&facts.server.role).map_or(ROLES, std::slice::from_ref);
    let is_needed = |table: &str, right: &str| match right.strip_prefix(USAGE_OF) {
        None => needing.iter().any(|role| role.needs(table, right)),
        Some(sequence) => needing.iter().any(|role| role.sequences.contains(&sequence)),
    };
    let mut tables = facts.tables.clone();
    for table in &mut tables {
        let name = table.name.clone();
        table.lacks.retain(|right| is_needed(&name, right));
    }
    tables.retain(|table| !table.lacks.is_empty());
    tables
}

pub(super) fn rights(facts: &Facts) -> Check {
    let role = &facts.server.role;
    let tables = lacking_tables(facts);
    let lacking: Vec<_> =
        tables.iter().map(|table| format!("{} ({})", table.name, table.lacks.join(", "))).collect();
    let observed = match lacking.as_slice() {
        [] => format!("role {role} is granted what it needs on every table"),
        lacking => format!("role {role} lacks rights on {}", lacking.join(", ")),
    };
    // Only the worker deletes, and only what has expired, so that users do not notice when it cannot.
    let is_needed = |right: &String| right != "DELETE";
    let is_refused = tables.iter().any(|table| table.lacks.iter().any(is_needed));
    let advice = format!(
        "as the tables' owner: {}; or connect as the role that ran the migrations",
        grants(role, &tables)
    );
    let why = "each operation is one statement over several tables; without a right on one of them it is refused whole";
    Check::ok("rights", observed, why).when(is_refused, Fail, advice.clone()).when(
        !lacking.is_empty(),
        Warn,
        advice,
    )
}

/// The `GRANT` statements for the privileges that the role lacks. A few are granted one by one, because somebody may
/// have had a reason to withhold the others.
fn grants(role: &str, lacking: &[Table]) -> String {
    if roles::find(role).is_some() {
        return "cargo tessera roles sql | psql".to_owned();
    }
    if lacking.len() > 3 {
        return format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"{role}\"; GRANT USAGE ON ALL SEQUENCES IN \
             SCHEMA public TO \"{role}\"; and ALTER DEFAULT PRIVILEGES, for the tables of later releases"
        );
    }
    let grant = |table: &Table| {
        let (sequences, rights): (Vec<_>, Vec<_>) =
            table.lacks.iter().map(String::as_str).partition(|right| right.starts_with(USAGE_OF));
        let rights = (!rights.is_empty())
            .then(|| format!("GRANT {} ON {} TO \"{role}\"", rights.join(", "), table.name));
        let sequences = sequences.into_iter().map(|right| {
            let sequence = right.trim_start_matches(USAGE_OF);
            format!("GRANT USAGE ON SEQUENCE {sequence} TO \"{role}\"")
        });
        rights.into_iter().chain(sequences).collect::<Vec<_>>()
    };
    lacking.iter().flat_map(grant).collect::<Vec<_>>().join("; ")
}
