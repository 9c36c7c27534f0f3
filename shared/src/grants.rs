//! The SQL that makes the functions' [`roles`](crate::roles) and gives them their rights.

use std::fmt::Write as _;

use tessera_postgres::plans;

use crate::health::TABLES;
use crate::roles::{OWNER, ROLES, Role};
use crate::statements::ALL;

/// The tables that are the migrations' own.
const OWN_TABLES: [&str; 2] = ["tessera_migrations", "tessera_plans"];

/// The table that the last migration makes: when it is there, all are.
const NEWEST_TABLE: &str = TABLES[TABLES.len() - 1];

/// Makes every role with its settings, gives the schema to its owner, and each role its rights, taking away what it has
/// besides on the tables. Run again, it changes nothing. Before the first migration it gives no rights: [`grants`] does so
/// with each `migrate up`.
#[must_use]
pub fn script() -> String {
    let mut script = format!(
        "-- One role a function, with the least that it needs, and {OWNER}, which owns the schema.
-- For psql, as a superuser or whoever owns the database and may create roles. It may run again at any time.
-- Whoever owned the tables before is made a member of {OWNER}, so that functions which still connect as that role go
-- on. When they no longer do: REVOKE {OWNER} FROM that role.
-- It sets no passwords. In psql, \\password asks for one and sends its hash alone:
"
    );
    for role in ROLES.iter().map(|role| role.name).chain([OWNER]) {
        let _ = writeln!(script, "--   \\password {role}");
    }
    script.push_str("\nBEGIN;\n");
    for role in ROLES {
        script.push_str(&make_role(role.name, role.statement_timeout, "5s", "10s"));
        let _ = writeln!(script, "GRANT USAGE ON SCHEMA public TO {};", role.name);
    }
    script.push_str(&make_role(OWNER, "0", "30s", "1min"));
    script.push_str(&own_schema());
    for role in ROLES {
        let _ = write!(script, "\n-- {}", role.function);
        let revoke = format!("    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {};", role.name);
        script.push_str(&grant_to(role, Some(revoke)));
    }
    script.push_str("\nCOMMIT;\n");
    script
}

/// Gives each role that [`script`] has let into this schema its rights on what is there: on the tables that a migration
/// has added, and on the functions that keep the plans of this release, which nobody else may call then. Where there
/// are no such roles, it changes nothing.
#[must_use]
pub fn grants() -> String {
    ROLES.iter().map(|role| grant_to(role, None)).collect()
}

fn make_role(name: &str, statement_timeout: &str, lock_timeout: &str, idle_timeout: &str) -> String {
    format!(
        "
DO $role$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN CREATE ROLE {name} LOGIN; END IF;
END $role$;
ALTER ROLE {name} SET statement_timeout = '{statement_timeout}';
ALTER ROLE {name} SET lock_timeout = '{lock_timeout}';
ALTER ROLE {name} SET idle_in_transaction_session_timeout = '{idle_timeout}';
ALTER ROLE {name} SET default_transaction_isolation = 'read committed';
"
    )
}

/// Gives the owner what the migrations have made before there was this role, and the former owner a part in it.
fn own_schema() -> String {
    let tables = TABLES.iter().copied().chain(OWN_TABLES).map(|table| format!("'{table}'"));
    let tables = tables.collect::<Vec<_>>().join(", ");
    format!(
        "GRANT USAGE, CREATE ON SCHEMA public TO {OWNER};
GRANT {OWNER} TO CURRENT_USER;
DO $owner$
DECLARE
    former text;
    what   text;
BEGIN
    FOR former IN
        SELECT relowner::regrole FROM pg_class
        WHERE oid = to_regclass('tessera_migrations') AND relowner <> '{OWNER}'::regrole
    LOOP
        EXECUTE format('GRANT {OWNER} TO %s', former);
    END LOOP;
    FOR what IN
        SELECT format('TABLE %s', oid::regclass) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname IN ({tables})
        UNION ALL
        SELECT format('FUNCTION %s', oid::regprocedure) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
          AND (proname = 'code_json' OR obj_description(oid, 'pg_proc') LIKE 'Keeps the plan of %')
    LOOP
        EXECUTE format('ALTER %s OWNER TO {OWNER}', what);
    END LOOP;
END $owner$;
"
    )
}

/// Gives the role its rights once all tables are there and it has been let into the schema; `first` is done before.
fn grant_to(role: &Role, first: Option<String>) -> String {
    let Role { name, .. } = role;
    let tables = role.tables.iter().map(|(table, privileges)| {
        let privileges = privileges.join(", ");
        format!("    GRANT {privileges} ON {table} TO {name};")
    });
    let sequences =
        role.sequences.iter().map(|sequence| format!("    GRANT USAGE ON SEQUENCE {sequence} TO {name};"));
    let functions = functions_of(role).map(|function| {
        format!(
            "    IF to_regproc('{function}') IS NOT NULL THEN
        REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION {function} TO {name};
    END IF;"
        )
    });
    let lines: Vec<_> = first.into_iter().chain(tables).chain(sequences).chain(functions).collect();
    format!(
        "
DO $grants$ BEGIN
    IF to_regclass('{NEWEST_TABLE}') IS NULL OR NOT EXISTS (
        SELECT FROM pg_namespace, aclexplode(nspacl) AS acl JOIN pg_roles ON pg_roles.oid = acl.grantee
        WHERE nspname = current_schema() AND rolname = '{name}'
    ) THEN
        RETURN;
    END IF;
{}
END $grants$;
",
        lines.join("\n")
    )
}

/// The functions that keep the plans of the role's statements.
fn functions_of(role: &Role) -> impl Iterator<Item = String> {
    let statements = ALL.iter().filter(|statement| role.statements.contains(&statement.name));
    statements.filter_map(|statement| plans::function_of(statement))
}
