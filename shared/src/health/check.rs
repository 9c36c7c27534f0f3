//! A check: what was observed, and the verdict on it.

use std::borrow::Cow;

use serde::Serialize;

/// The verdict of a check; later variants are worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Nothing is wrong.
    Ok,
    /// The role lacks the right to see it, or it does not exist. This never counts as trouble.
    NotVisible,
    /// It works, but something should be done.
    Warn,
    /// Users get errors, or are about to.
    Fail,
}

/// The status of the whole installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// No check has warned or failed.
    Ok,
    /// At least one check has warned.
    Degraded,
    /// At least one check has failed.
    Down,
}

impl Status {
    /// The status of the worst of `checks`.
    #[must_use]
    pub fn from_checks(checks: &[Check]) -> Self {
        match checks.iter().map(|check| check.verdict).max() {
            Some(Verdict::Fail) => Self::Down,
            Some(Verdict::Warn) => Self::Degraded,
            _ => Self::Ok,
        }
    }
}

/// One check of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The check's name, which is stable and in snake case.
    pub name: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// What was observed.
    pub observed: String,
    /// The limit from which something is wrong, for checks that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Why it matters.
    pub why: &'static str,
    /// What to do about it; `None` where nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<Cow<'static, str>>,
}

impl Check {
    /// Makes a check with the verdict [`Ok`](Verdict::Ok).
    pub fn ok(name: &'static str, observed: impl Into<String>, why: &'static str) -> Self {
        Self { name, verdict: Verdict::Ok, observed: observed.into(), limit: None, why, advice: None }
    }

    /// Sets the limit from which something is wrong.
    #[must_use]
    pub fn limit(mut self, limit: impl Into<String>) -> Self {
        self.limit = Some(limit.into());
        self
    }

    /// Sets `verdict` and `advice` if `condition` holds and the verdict so far is not as bad.
    #[must_use]
    pub fn when(mut self, condition: bool, verdict: Verdict, advice: impl Into<Cow<'static, str>>) -> Self {
        if condition && verdict > self.verdict {
            self.verdict = verdict;
            self.advice = Some(advice.into());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_that_of_the_worst_check() {
        let check = |verdict| Check::ok("x", "", "").when(true, verdict, "do");
        for (verdicts, status) in [
            (vec![], Status::Ok),
            (vec![Verdict::Ok, Verdict::NotVisible], Status::Ok),
            (vec![Verdict::NotVisible, Verdict::Warn, Verdict::Ok], Status::Degraded),
            (vec![Verdict::Warn, Verdict::Fail], Status::Down),
        ] {
            let checks: Vec<_> = verdicts.into_iter().map(check).collect();
            assert_eq!(Status::from_checks(&checks), status, "{checks:?}");
        }
    }

    #[test]
    fn a_worse_finding_replaces_a_lighter_one_and_not_the_other_way() {
        let check =
            Check::ok("x", "", "").when(true, Verdict::Fail, "first").when(true, Verdict::Warn, "second");
        assert_eq!((check.verdict, check.advice.as_deref()), (Verdict::Fail, Some("first")));
    }
}
