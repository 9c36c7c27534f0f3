//! One thing that was looked at, and what to think of it.

use std::borrow::Cow;

use serde::Serialize;

/// What to think of it; later ones are worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Cannot be seen with this role's rights, or is not there to be seen. Never counted as trouble.
    NotVisible,
    /// Works, but something should be done.
    Warn,
    /// Users meet errors, or are about to.
    Fail,
}

/// The whole, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing to do.
    Ok,
    /// At least one warning.
    Degraded,
    /// At least one failure.
    Down,
}

impl Status {
    /// Of these checks together.
    #[must_use]
    pub fn from_checks(checks: &[Check]) -> Self {
        match checks.iter().map(|check| check.verdict).max() {
            Some(Verdict::Fail) => Self::Down,
            Some(Verdict::Warn) => Self::Degraded,
            _ => Self::Ok,
        }
    }
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was looked at; stable, in snake case.
    pub name: &'static str,
    /// What to think of it.
    pub verdict: Verdict,
    /// What was seen.
    pub observed: String,
    /// Where trouble begins, where there is such a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Why it matters.
    pub why: &'static str,
    /// What to do; only where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<Cow<'static, str>>,
}

impl Check {
    /// Fine so far.
    pub fn ok(name: &'static str, observed: impl Into<String>, why: &'static str) -> Self {
        Self { name, verdict: Verdict::Ok, observed: observed.into(), limit: None, why, advice: None }
    }

    /// Where trouble begins.
    #[must_use]
    pub fn limit(mut self, limit: impl Into<String>) -> Self {
        self.limit = Some(limit.into());
        self
    }

    /// `verdict`, with this to do, if `is_so` and nothing worse was found before.
    #[must_use]
    pub fn when(mut self, is_so: bool, verdict: Verdict, advice: impl Into<Cow<'static, str>>) -> Self {
        if is_so && verdict > self.verdict {
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
