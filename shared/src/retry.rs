//! Which failures are worth another try, after how long, and with what first.
//!
//! A pure predicate ([`classify`]) and a schedule ([`Backoff`]); `database` does the rest. Every declared statement is
//! safe to send twice, so a failure of which nobody knows whether the statement ran is retried like one that never ran.

use std::time::Duration;

/// What a failure means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// No server took the statement: connect again.
    NeverRan,
    /// The server or pooler is starting, full or waking up: wait, connect again.
    Busy,
    /// It ran and was undone; the connection is still good.
    Undone,
    /// It ran and was undone; this server or connection will not do: connect again.
    UndoneElsewhere,
    /// The connection went after bytes had left: connect again and send it again.
    Unknown,
    /// The credentials were refused: read the secret again, once.
    Credentials,
    /// A named statement slipped through a pooler. Never retried: it is a defect to be counted and mended.
    NamedStatement,
    /// The server stopped the statement. Worth another try only when it was not this request that asked for it.
    Cancelled,
    /// Trying again changes nothing.
    Permanent,
}

impl Class {
    /// Whether another try may end differently.
    #[must_use]
    pub fn is_transient(self) -> bool {
        !matches!(self, Class::NamedStatement | Class::Permanent)
    }

    /// Whether the connection must be given up before the next try.
    #[must_use]
    pub fn ends_connection(self) -> bool {
        matches!(
            self,
            Class::NeverRan | Class::Busy | Class::UndoneElsewhere | Class::Unknown | Class::Credentials
        )
    }

    /// A word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Class::NeverRan => "never_ran",
            Class::Busy => "busy",
            Class::Undone => "undone",
            Class::UndoneElsewhere => "undone_elsewhere",
            Class::Unknown => "unknown",
            Class::Credentials => "credentials",
            Class::NamedStatement => "named_statement",
            Class::Cancelled => "cancelled",
            Class::Permanent => "permanent",
        }
    }
}

/// What was under way when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Resolving, TCP, TLS, authentication: no statement has left.
    Connect,
    /// The statement was handed to the connection.
    Run,
}

/// A failure, reduced to what decides.
#[derive(Debug, Clone, Copy)]
pub enum Symptom<'a> {
    /// PostgreSQL or a pooler answered with an error.
    Server {
        /// Five characters, [appendix A](https://www.postgresql.org/docs/current/errcodes-appendix.html).
        sqlstate: &'a str,
        /// The primary message, which alone tells some poolers' errors apart.
        message: &'a str,
        /// Whether it ended the connection (`FATAL` or `PANIC`), not the statement alone.
        fatal: bool,
    },
    /// The socket failed or was closed, name resolution included.
    Io,
    /// TLS could not be agreed on or the certificate was refused.
    Tls,
    /// No answer in the time allowed for one.
    Timeout,
    /// The driver could not encode, decode or understand something.
    Driver,
}

/// Texts by which poolers say "not now" under a code that means something else. Lower case.
const BUSY_POOLER: &[&str] = &[
    // PgBouncer, 08P01
    "query_wait_timeout",
    "no more connections allowed",
    "server_login_retry",
    "server login has been failing",
    "server conn crashed",
    "pgbouncer cannot connect to server",
    "client_login_timeout",
    "closing because",
    "server closed the connection",
    "server connection closed",
    "server dns lookup failed",
    "invalid server parameter",
    "connect failed",
    "connect timeout",
    "server lifetime over",
    "pooler is shut down",
    "the database system is starting up",
    // Supavisor, XX000
    "max client connections reached",
    "max clients reached",
    "unable to check out",
    // Neon, XX000
    "couldn't connect to compute node",
    "too many database connection attempts",
    "control plane request failed",
    // RDS Proxy
    "timed-out waiting to acquire database connection",
];

/// Texts of failures that stay, under codes that may mean "not now". Lower case.
const PERMANENT_POOLER: &[&str] =
    &["endpoint is disabled", "unsupported startup parameter", "no such database"];

/// Decides what a failure means. Pure; the table test below is its specification.
#[must_use]
pub fn classify(phase: Phase, symptom: Symptom<'_>) -> Class {
    match (symptom, phase) {
        (Symptom::Io | Symptom::Timeout, Phase::Connect) => Class::NeverRan,
        (Symptom::Io | Symptom::Timeout, Phase::Run) => Class::Unknown,
        (Symptom::Tls | Symptom::Driver, _) => Class::Permanent,
        (Symptom::Server { sqlstate, message, fatal }, phase) => {
            classify_server(phase, sqlstate, message, fatal)
        }
    }
}

fn classify_server(phase: Phase, sqlstate: &str, message: &str, fatal: bool) -> Class {
    let message = message.to_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    match sqlstate {
        "42P05" | "26000" => Class::NamedStatement,
        "28P01" | "28000" => Class::Credentials,
        _ if says(PERMANENT_POOLER) => Class::Permanent,
        // cannot_connect_now, too_many_connections, lock_not_available
        "57P03" | "53300" | "55P03" => Class::Busy,
        "08P01" | "08000" | "08001" | "08004" | "XX000" | "58000" if says(BUSY_POOLER) => Class::Busy,
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => Class::Undone,
        // admin_shutdown, idle_session_timeout, read_only_sql_transaction, in_failed_sql_transaction (another client's,
        // left on a server connection by a broken pooler)
        "57P01" | "57P05" | "25006" | "25P02" => Class::UndoneElsewhere,
        // crash_shutdown, statement_completion_unknown, connection_failure, connection_does_not_exist
        "57P02" | "40003" | "08006" | "08003" => match phase {
            Phase::Connect => Class::NeverRan,
            Phase::Run => Class::Unknown,
        },
        "57014" => Class::Cancelled,
        // The connection ended for a reason that is not the statement's: PgBouncer passes on whatever it has against its
        // server connection. If the reason lasts, connecting will tell.
        _ if fatal && phase == Phase::Run => Class::Unknown,
        _ => Class::Permanent,
    }
}

/// Exponential backoff with [full jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/):
/// the wait before try *n* is uniform in `0 ..= min(CAP, BASE * 2^n)`.
///
/// Upper bounds of the waits are 0.1, 0.2, 0.4, 0.8, 1.6 s and 2 s from then on: 5.1 s at most before the sixth retry, half
/// of that on average. There is no count of tries; the invocation's deadline ends them.
///
/// What this adds to a request: after the database is back, at most one more wait, so 2 s and a connect. What it spares the
/// database: a fleet of 1,000 containers, each with a request that fails all the time, opens one connection a container,
/// fewer than 900 of them in the first second after an outage and fewer than 220 in any tenth of a second; without jitter all
/// would come at once. The tests below hold both.
#[derive(Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// Upper bound of the first wait.
    pub const BASE: Duration = Duration::from_millis(100);
    /// Upper bound of every wait.
    pub const CAP: Duration = Duration::from_secs(2);

    /// The next wait. Each call widens the range.
    pub fn next_wait(&mut self) -> Duration {
        let bound = Self::bound(self.tries);
        self.tries += 1;
        bound.mul_f64(random_fraction())
    }

    fn bound(tries: u32) -> Duration {
        Self::CAP.min(Self::BASE.saturating_mul(2_u32.saturating_pow(tries)))
    }
}

/// Uniform in 0 to 1, from the operating system: containers thawed from one snapshot must not agree.
fn random_fraction() -> f64 {
    let random = getrandom::u32().expect("the operating system has randomness");
    f64::from(random) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_failure_has_its_class() {
        use Class::{
            Busy, Cancelled, Credentials, NamedStatement, NeverRan, Permanent, Undone, UndoneElsewhere,
            Unknown,
        };
        use Phase::{Connect, Run};
        let server = |sqlstate, message| Symptom::Server { sqlstate, message, fatal: false };
        let fatal = |sqlstate, message| Symptom::Server { sqlstate, message, fatal: true };
        let table = [
            (Connect, Symptom::Io, NeverRan),
            (Connect, Symptom::Timeout, NeverRan),
            (Run, Symptom::Io, Unknown),
            (Run, Symptom::Timeout, Unknown),
            (Connect, Symptom::Tls, Permanent),
            (Run, Symptom::Driver, Permanent),
            (Connect, server("57P03", "the database system is starting up"), Busy),
            (Connect, server("53300", "sorry, too many clients already"), Busy),
            (Run, server("08P01", "query_wait_timeout"), Busy),
            (Connect, server("08P01", "no more connections allowed (max_client_conn)"), Busy),
            (
                Connect,
                server("08P01", "server login has been failing, try again later (server_login_retry)"),
                Busy,
            ),
            (Connect, server("08P01", "pgbouncer cannot connect to server"), Busy),
            (Run, server("08P01", "server conn crashed?"), Busy),
            (Connect, server("XX000", "Couldn't connect to compute node"), Busy),
            (Connect, server("XX000", "Max client connections reached"), Busy),
            (Connect, fatal("08P01", "invalid server parameter"), Busy),
            (Run, fatal("08P01", "server connection closed"), Busy),
            (Run, fatal("08P01", "unknown pkt"), Unknown),
            (Run, server("08P01", "bind message supplies 1 parameters"), Permanent),
            (Run, fatal("57P04", "the database was dropped"), Unknown),
            (Run, fatal("3D000", "database \"x\" does not exist"), Unknown),
            (Run, server("40001", "could not serialize access"), Undone),
            (Run, server("40P01", "deadlock detected"), Undone),
            (Run, server("57P01", "terminating connection due to administrator command"), UndoneElsewhere),
            (Run, server("25006", "cannot execute INSERT in a read-only transaction"), UndoneElsewhere),
            (Run, server("57P02", "terminating connection because of crash"), Unknown),
            (Connect, server("57P02", "terminating connection because of crash"), NeverRan),
            (Run, server("40003", "statement completion unknown"), Unknown),
            (Run, server("57014", "canceling statement due to user request"), Cancelled),
            (Connect, server("28P01", "password authentication failed"), Credentials),
            (Connect, server("28000", "no pg_hba.conf entry"), Credentials),
            (Connect, server("3D000", "database \"x\" does not exist"), Permanent),
            (Connect, server("08P01", "unsupported startup parameter: options"), Permanent),
            (Connect, server("08P01", "no such database: x"), Permanent),
            (Connect, server("XX000", "The endpoint is disabled"), Permanent),
            (Run, server("XX000", "cache lookup failed"), Permanent),
            (Run, server("42P01", "relation does not exist"), Permanent),
            (Run, server("42601", "syntax error"), Permanent),
            (Run, server("23505", "duplicate key"), Permanent),
            (Run, server("42P05", "prepared statement \"s0\" already exists"), NamedStatement),
            (Run, server("26000", "prepared statement \"s0\" does not exist"), NamedStatement),
        ];
        for (phase, symptom, class) in table {
            assert_eq!(classify(phase, symptom), class, "{phase:?} {symptom:?}");
        }
    }

    #[test]
    fn waits_are_bounded_by_a_doubling_range_up_to_the_cap() {
        let bounds: Vec<_> = (0..7).map(|tries| Backoff::bound(tries).as_millis()).collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(Backoff::bound(u32::MAX), Backoff::CAP);
        let mut backoff = Backoff::default();
        for tries in 0..20 {
            assert!(backoff.next_wait() <= Backoff::bound(tries));
        }
    }

    /// When a container tries to connect, in seconds: at once when a request loses its connection, then as [`Backoff`] says,
    /// and from the start again when the request is given up and the next one comes at once.
    fn tries_until(outage: f64) -> f64 {
        let mut now = 0.0;
        loop {
            let deadline = now + 9.25;
            let mut backoff = Backoff::default();
            while now < deadline {
                if now >= outage {
                    return now;
                }
                now += backoff.next_wait().as_secs_f64();
            }
            now = deadline;
        }
    }

    /// The promise to the database: a thousand containers that all lost their connection in the same instant do not all
    /// come back in the same instant.
    #[test]
    fn a_fleet_that_lost_its_database_spreads_its_connections() {
        for outage in [1.0, 2.5, 5.0, 8.0, 15.0, 30.0] {
            let (mut tenths, mut first_second) = ([0_u32; 25], 0);
            for _ in 0..1000 {
                let late = tries_until(outage) - outage;
                first_second += u32::from(late < 1.0);
                let tenth = Duration::from_secs_f64(late).as_millis() / 100;
                tenths[usize::try_from(tenth).expect("small").min(24)] += 1;
            }
            let most = *tenths.iter().max().expect("there are 25");
            assert!(most < 220, "{most} connections within 100 ms after {outage} s: {tenths:?}");
            assert!(first_second < 900, "{first_second} in the first second after {outage} s");
        }
    }

    /// The promise to the caller.
    #[test]
    fn a_request_hears_of_the_end_of_an_outage_within_one_wait() {
        for outage in 0..90 {
            let outage = f64::from(outage) / 10.0;
            let late = tries_until(outage) - outage;
            assert!(late <= Backoff::CAP.as_secs_f64(), "{late} s after {outage} s");
        }
    }
}
