//! The output of `doctor` and `smoke`: their checks as lines for a person or as JSON, and the exit code.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use shared::health::{Check, Status, Verdict};

/// Prints the checks, as JSON or as lines for a person, and returns the exit code: 0 if all are fine, 1 after warnings,
/// 2 after failures.
pub fn print(checks: &[Check], as_json: bool) -> Result<ExitCode> {
    let status = Status::from_checks(checks);
    if as_json {
        println!("{}", serde_json::to_string_pretty(&json!({"status": status, "checks": checks}))?);
    } else {
        print_lines(checks);
    }
    Ok(ExitCode::from(match status {
        Status::Ok => 0,
        Status::Degraded => 1,
        Status::Down => 2,
    }))
}

/// Prints a line for each check in the order in which they were made, with reason and advice below a bad one, and a
/// summary.
fn print_lines(checks: &[Check]) {
    let colours = Colours { on: std::io::stdout().is_terminal() };
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    for check in checks {
        let Check { name, verdict, observed, limit, why, advice } = check;
        println!("{}  {name:width$}  {observed}", colours.word(*verdict));
        if *verdict < Verdict::Warn {
            continue;
        }
        let indent = " ".repeat(8 + width);
        if let Some(limit) = limit {
            println!("{indent}limit: {limit}");
        }
        println!("{indent}why:   {why}");
        if let Some(advice) = advice {
            println!("{indent}do:    {advice}");
        }
    }
    println!("\n{}", summary(checks));
}

/// Counts and names the bad checks: `1 failure (connect), 2 warnings (idle, bloat)`.
fn summary(checks: &[Check]) -> String {
    let names = |verdict| -> Vec<_> {
        checks.iter().filter(|check| check.verdict == verdict).map(|check| check.name).collect()
    };
    let (failures, warnings) = (names(Verdict::Fail), names(Verdict::Warn));
    let part = |names: Vec<&str>, one: &str| match names.len() {
        0 => None,
        1 => Some(format!("1 {one} ({})", names[0])),
        count => Some(format!("{count} {one}s ({})", names.join(", "))),
    };
    let parts: Vec<_> =
        [part(failures, "failure"), part(warnings, "warning")].into_iter().flatten().collect();
    if parts.is_empty() { format!("All {} checks are fine", checks.len()) } else { parts.join(", ") }
}

/// Whether verdicts are coloured: only on a terminal, since escape codes are noise in a file or a log.
struct Colours {
    on: bool,
}

impl Colours {
    fn word(&self, verdict: Verdict) -> String {
        let (word, colour) = match verdict {
            Verdict::Ok => ("ok  ", 32),
            Verdict::NotVisible => ("-   ", 2),
            Verdict::Warn => ("warn", 33),
            Verdict::Fail => ("FAIL", 31),
        };
        if self.on { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() }
    }
}

/// A duration as people read it: `0.4 ms`, `23 ms`, `1.7 s`.
#[must_use]
pub fn format_duration(time: Duration) -> String {
    match time.as_secs_f64() * 1000.0 {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

/// The shortest of the times that `percent` of all times do not exceed; zero if there are none.
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let of = |numbers: &[u64], percent| {
            let mut times: Vec<_> = numbers.iter().copied().map(Duration::from_millis).collect();
            percentile(&mut times, percent).as_millis()
        };
        assert_eq!(of(&[], 95), 0);
        assert_eq!(of(&[7], 50), 7);
        assert_eq!(of(&[4, 1, 3, 2], 50), 2);
        assert_eq!(of(&[4, 1, 3, 2], 95), 4);
    }

    #[test]
    fn the_summary_names_what_is_wrong() {
        let check = |name, verdict| Check::ok(name, "", "").when(true, verdict, "do");
        let checks = [
            check("a", Verdict::Warn),
            check("b", Verdict::Fail),
            check("c", Verdict::Warn),
            check("d", Verdict::Ok),
        ];
        assert_eq!(summary(&checks), "1 failure (b), 2 warnings (a, c)");
        assert_eq!(summary(&checks[3..]), "All 1 checks are fine");
    }
}
