//! Whether the database keeps the plans of the functions' statements.

use shared::health::{Check, Verdict};
use shared::statements::ALL;
use tessera_postgres::plans::{self, PlanState, PlanStatus};
use tokio_postgres::Client;

const WHY: &str =
    "a statement whose plan is not kept is planned with every call, which takes longer than to carry it out";

pub(super) async fn check(client: &Client) -> Check {
    match plans::status(client, ALL).await {
        Ok(plans) => judge(&plans),
        Err(error) => {
            let observed = format!("not to be seen: {}", tessera_postgres::ErrorChain(&error));
            Check::ok("kept_plans", observed, WHY).when(true, Verdict::NotVisible, "")
        }
    }
}

fn judge(plans: &[PlanStatus]) -> Check {
    let in_state = |state| {
        let names: Vec<_> =
            plans.iter().filter(|plan| plan.state == state).map(|plan| plan.statement).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let missing = in_state(PlanState::Missing).map(|names| format!("missing: {names}"));
    let changed = in_state(PlanState::Changed).map(|names| format!("changed by somebody: {names}"));
    let faults: Vec<_> = missing.into_iter().chain(changed).collect();
    let observed =
        if faults.is_empty() { format!("all {} are kept", plans.len()) } else { faults.join("; ") };
    Check::ok("kept_plans", observed, WHY).when(
        !faults.is_empty(),
        Verdict::Warn,
        "run `cargo tessera migrate up` of the release that is deployed, with the same search_path",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(statement: &'static str, state: PlanState) -> PlanStatus {
        PlanStatus { statement, function: statement.replace('.', "_"), state }
    }

    #[test]
    fn what_is_missing_and_what_was_changed_is_named() {
        let kept = judge(&[plan("qr.get", PlanState::Kept), plan("qr.redirect", PlanState::Kept)]);
        assert_eq!((kept.verdict, kept.observed.as_str()), (Verdict::Ok, "all 2 are kept"));
        let faulty = judge(&[
            plan("qr.get", PlanState::Missing),
            plan("qr.redirect", PlanState::Changed),
            plan("qr.image", PlanState::Missing),
        ]);
        assert_eq!(faulty.verdict, Verdict::Warn);
        assert_eq!(faulty.observed, "missing: qr.get, qr.image; changed by somebody: qr.redirect");
    }
}
