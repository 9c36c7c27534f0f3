//! The function that keeps a statement's plan: its name, its definition, and how it is called.

use std::fmt::Write as _;

use crate::statement::{IdempotentBy, Statement};

/// The function's name, without schema: `qr_redirect_` and 16 hexadecimal digits of a hash of its definition.
#[must_use]
pub(crate) fn name(statement: &Statement) -> String {
    let mut hash = Fnv1a::new();
    hash.update(&types(statement));
    hash.update(&attributes(statement));
    hash.update(&body(statement));
    format!("{}_{:016x}", statement.name.replace('.', "_"), hash.0)
}

/// The statement that calls it with the same parameters, and answers with the same rows.
#[must_use]
pub(crate) fn call(statement: &Statement) -> String {
    let mut call = format!("SELECT * FROM {}(", name(statement));
    for number in 1..=statement.parameters.len() {
        let _ = write!(call, "{}${number}", if number == 1 { "" } else { "," });
    }
    call.push(')');
    call
}

/// The SQL that makes the function and comments on it, for psql's `\\df+`. Repeated, it changes nothing.
#[must_use]
#[cfg(feature = "direct")]
pub(crate) fn definition(statement: &Statement) -> String {
    let Statement { name: operation, .. } = statement;
    let (name, types, attributes, body) =
        (name(statement), types(statement), attributes(statement), body(statement));
    format!(
        "CREATE OR REPLACE FUNCTION {name}({types}) {attributes} AS $function${body}$function$;
COMMENT ON FUNCTION {name}({types}) IS 'Keeps the plan of {operation}';"
    )
}

/// The body, as `pg_proc.prosrc` shows it. The text's columns come before the result's variables of the same name.
#[must_use]
pub(crate) fn body(statement: &Statement) -> String {
    let sql = statement.sql.trim_end();
    let run = if statement.columns.is_empty() { "" } else { "RETURN QUERY\n" };
    format!("\n#variable_conflict use_column\nBEGIN\n{run}{sql};\nEND\n")
}

/// The result and the attributes of the function.
///
/// The plan is generic from the first call on. Otherwise each new session would plan the first five calls for their values
/// before PostgreSQL compares the costs.
fn attributes(statement: &Statement) -> String {
    let result = result(statement);
    let volatility = if statement.idempotent_by == IdempotentBy::Read { "STABLE" } else { "VOLATILE" };
    format!("RETURNS {result} LANGUAGE plpgsql {volatility} SET plan_cache_mode = force_generic_plan")
}

fn types(statement: &Statement) -> String {
    statement.parameters.iter().map(tokio_postgres::types::Type::name).collect::<Vec<_>>().join(", ")
}

fn result(statement: &Statement) -> String {
    if statement.columns.is_empty() {
        return "void".to_owned();
    }
    let columns: Vec<_> =
        statement.columns.iter().map(|(name, kind)| format!("{name} {}", kind.name())).collect();
    format!("TABLE ({})", columns.join(", "))
}

/// FNV-1a of 64 bits (<https://datatracker.ietf.org/doc/draft-eastlake-fnv/>): the same in every build, which the standard
/// library's hashers do not promise.
struct Fnv1a(u64);

impl Fnv1a {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds the text and an end, so that `ab`, `c` differs from `a`, `bc`.
    fn update(&mut self, text: &str) {
        for byte in text.bytes().chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::types::Type;

    use super::*;
    use crate::statement::Plan;

    const STATEMENT: Statement = Statement {
        name: "visit.record",
        sql: "INSERT INTO visits (id, page) VALUES ($1, $2) RETURNING page, 1 AS one\n",
        parameters: &[Type::UUID, Type::TEXT_ARRAY],
        columns: &[("page", Type::TEXT_ARRAY), ("one", Type::INT4)],
        plan: Plan::Kept,
        may_take_long: false,
        idempotent_by: IdempotentBy::UniqueConstraint("visits_pkey"),
    };

    #[test]
    fn the_hash_is_fnv_1a() {
        let of = |text: &str| {
            text.bytes()
                .fold(Fnv1a::new().0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        };
        // The vectors of the draft's appendix.
        assert_eq!(
            (of(""), of("a"), of("foobar")),
            (0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8)
        );
    }

    #[test]
    fn a_name_says_the_operation_and_fits_an_identifier() {
        let name = name(&STATEMENT);
        let hash = name.strip_prefix("visit_record_").expect("the operation comes first");
        assert!(hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(name.len() <= 63, "PostgreSQL cuts longer ones");
        assert_eq!(call(&STATEMENT), format!("SELECT * FROM {name}($1,$2)"));
    }

    #[test]
    fn whatever_changes_the_function_changes_its_name() {
        let others = [
            Statement { sql: "SELECT $1, $2", ..STATEMENT },
            Statement { parameters: &[Type::UUID, Type::TEXT], ..STATEMENT },
            Statement { columns: &[("page", Type::TEXT_ARRAY), ("one", Type::INT8)], ..STATEMENT },
            Statement { columns: &[("page", Type::TEXT_ARRAY), ("two", Type::INT4)], ..STATEMENT },
            Statement { columns: &[], ..STATEMENT },
            Statement { idempotent_by: IdempotentBy::Read, ..STATEMENT },
        ];
        let mut names: Vec<_> = others.iter().map(name).chain([name(&STATEMENT)]).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 7);
    }

    #[cfg(feature = "direct")]
    #[test]
    fn the_definition_wraps_the_text_as_it_is() {
        let name = name(&STATEMENT);
        let definition = definition(&STATEMENT);
        for part in [
            format!(
                "FUNCTION {name}(uuid, _text) RETURNS TABLE (page _text, one int4) LANGUAGE plpgsql VOLATILE"
            ),
            format!("RETURN QUERY\n{};\nEND", STATEMENT.sql.trim_end()),
            format!("COMMENT ON FUNCTION {name}(uuid, _text) IS 'Keeps the plan of visit.record'"),
        ] {
            assert!(definition.contains(&part), "{part}\nis not in\n{definition}");
        }
    }
}
