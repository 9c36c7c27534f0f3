//! What to do about a diagnosis, for somebody who runs Tessera.

use tessera_postgres::Diagnosis;

/// Says what to do about `diagnosis`: the advice of `tessera-postgres`, or a better one where a command of Tessera's
/// helps.
#[must_use]
pub fn advice(diagnosis: Diagnosis) -> &'static str {
    match diagnosis {
        Diagnosis::Schema => "run `cargo tessera migrate up` with DIRECT_URL (or DATABASE_URL) set",
        Diagnosis::NamedStatement => {
            "report it: Tessera sends none; another program shares the pooler's connections"
        }
        Diagnosis::Slow => {
            "see who holds locks or all of the CPU (pg_stat_activity, `cargo tessera doctor`); behind a pooler: whether it is in \
             session mode, with all of its server connections taken; or the role's statement_timeout is too short"
        }
        Diagnosis::Other => "the function's log has the whole error, under the request's id",
        _ => diagnosis.advice(),
    }
}
