//! PostgreSQL's log, as far as tests ask it.

/// What each line starts with: time, process, SQLSTATE, user, database, application.
pub(super) const PREFIX: &str = "%m [%p] %e %u@%d <%a> ";

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The backend that wrote it.
    pub process: u32,
    /// `00000` where it is no error.
    pub sqlstate: String,
    /// Empty for the server itself.
    pub database: String,
    /// The session's `application_name`.
    pub application: String,
    /// The severity and the text, several lines for a long statement: `LOG:  execute <unnamed>: SELECT 1`.
    pub text: String,
}

impl LogEntry {
    /// The name of the named prepared statement that this entry reports the execution of.
    #[must_use]
    pub fn named_statement(&self) -> Option<&str> {
        let (name, _) = self.text.strip_prefix("LOG:  execute ")?.split_once(": ")?;
        (!name.starts_with("<unnamed>")).then_some(name)
    }
}

/// Lines that continue an entry start with a tab.
pub(super) fn parse(log: &str) -> Vec<LogEntry> {
    let mut entries: Vec<LogEntry> = Vec::new();
    for line in log.lines() {
        match (line.strip_prefix('\t'), entries.last_mut()) {
            (Some(more), Some(entry)) => {
                entry.text.push('\n');
                entry.text.push_str(more);
            }
            _ => entries.extend(parse_line(line)),
        }
    }
    entries
}

fn parse_line(line: &str) -> Option<LogEntry> {
    let (_, rest) = line.split_once(" [")?;
    let (process, rest) = rest.split_once("] ")?;
    let (sqlstate, rest) = rest.split_once(' ')?;
    let (session, rest) = rest.split_once(" <")?;
    let (application, text) = rest.split_once("> ")?;
    Some(LogEntry {
        process: process.parse().ok()?,
        sqlstate: sqlstate.to_owned(),
        database: session.split_once('@')?.1.to_owned(),
        application: application.to_owned(),
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_with_their_continuations() {
        let log = "2026-01-02 03:04:05.678 UTC [42] 00000 tessera@test_1 <qr redirect/1> LOG:  execute s0: SELECT\n\
                   \t1\n\
                   2026-01-02 03:04:05.679 UTC [7] 00000 @ <> LOG:  checkpoint starting: time\n\
                   2026-01-02 03:04:05.680 UTC [43] 57P01 tessera@test_1 <> FATAL:  terminating connection\n";
        let entries = parse(log);
        let texts: Vec<_> = entries.iter().map(|entry| entry.text.as_str()).collect();
        let expected = [
            "LOG:  execute s0: SELECT\n1",
            "LOG:  checkpoint starting: time",
            "FATAL:  terminating connection",
        ];
        assert_eq!(texts, expected);
        assert_eq!(entries[0].named_statement(), Some("s0"));
        assert_eq!((entries[0].process, entries[0].application.as_str()), (42, "qr redirect/1"));
        assert_eq!((entries[1].database.as_str(), entries[2].database.as_str()), ("", "test_1"));
        assert_eq!(entries[2].sqlstate, "57P01");
    }
}
