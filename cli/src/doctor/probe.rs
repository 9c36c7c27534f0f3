//! Checks over an open connection: its latency, its server's settings, and whether there is room for more connections.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use shared::health::{Check, Facts, Verdict};
use tessera_postgres::url::{DatabaseUrl, Host};
use tessera_postgres::{DatabaseConfig, Diagnosis, Phase, TrustStore};
use tokio::time::timeout;
use tokio_postgres::Client;

use super::connection_budget::ConnectionBudget;
use super::connection_steps;
use crate::check_output::{format_duration, percentile};

/// How many round trips are timed.
const SAMPLES: usize = 20;
/// A median above this is slow: a request waits for at least one round trip.
const LATENCY_LIMIT: Duration = Duration::from_millis(100);
/// How many connections are opened at once, as by a burst of containers.
const BURST: usize = 5;
/// How long `SELECT 1` may wait for its answer. A server answers at once; a pooler without a free server connection
/// does not.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Times round trips of one statement each.
pub(super) async fn latency(client: &Client) -> Check {
    let why = "every request to Tessera is one such round trip";
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let begun = Instant::now();
        match timeout(ANSWER_TIMEOUT, client.query_typed("SELECT 1", &[])).await {
            Ok(Ok(_)) => times.push(begun.elapsed()),
            Ok(Err(error)) => return super::check_from_error("latency", why, &error),
            // A server that has let us in answers this. A pooler lets us in before it has a server connection for us.
            Err(_) => {
                let observed = format!(
                    "logged in, but `SELECT 1` got no answer within {}: what let us in is probably a pooler without a free \
                     server connection. Nothing else was tried",
                    format_duration(ANSWER_TIMEOUT)
                );
                return Check::ok("latency", observed, why).when(
                    true,
                    Verdict::Fail,
                    "see at the pooler (SHOW POOLS, SHOW SERVERS, its log) whether all of its server connections are taken: then \
                     set it to transaction mode, as in session mode each container holds one, or raise its pool size; and \
                     whether it reaches its server",
                );
            }
        }
    }
    let (p50, p95) = (percentile(&mut times, 50), percentile(&mut times, 95));
    Check::ok(
        "latency",
        format!("p50 {}, p95 {} over {SAMPLES} round trips", format_duration(p50), format_duration(p95)),
        why,
    )
    .limit(format!("p50 {}", format_duration(LATENCY_LIMIT)))
    .when(
        p50 > LATENCY_LIMIT,
        Verdict::Warn,
        "deploy the functions in the database's region; from a laptop far away this is only the distance",
    )
}

/// Checks that others leave no named statements on the server connections that a pooler hands out.
pub(super) async fn named_statements(client: &Client, url: &DatabaseUrl) -> Check {
    let why = "Tessera sends none; those of others break them behind a transaction pooler";
    let sql = "SELECT count(*) FROM pg_prepared_statements";
    match client.query_typed_one(sql, &[]).await {
        Ok(row) => {
            let count: i64 = row.get(0);
            let observed = format!("{count} on the server connection that we were given");
            Check::ok("named_statements", observed, why).limit("0").when(
                count > 0 && url.pooler().is_some(),
                Verdict::Warn,
                "another program prepares statements through this pooler: turn its statement cache off (pgbouncer=true, \
                 prepareThreshold=0), or set max_prepared_statements at PgBouncer 1.21 or later",
            )
        }
        Err(error) => super::check_from_error("named_statements", why, &error),
    }
}

/// Checks that several connections are served at once: a session pooler serves only as many as its pool is large.
pub(super) async fn burst(url: &DatabaseUrl, config: &DatabaseConfig, trust: &TrustStore) -> Check {
    let why = "each warm container holds a connection; a burst of visitors starts several";
    let Some(host) = url.hosts().first() else { return Check::ok("burst", "no host", why) };
    let begun = Instant::now();
    // All are kept open until the last has been answered.
    let outcomes = join_all((0..BURST).map(|_| connect_and_ask(url, host, config, trust))).await;
    let took = begun.elapsed();
    let failures: Vec<Diagnosis> =
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err().copied()).collect();
    let servers: HashSet<i32> = outcomes.iter().flatten().map(|(_, server)| *server).collect();
    let observed = match failures.first() {
        None if servers.len() < BURST => format!(
            "{BURST} connections at once, all served within {}, by {} connections of the server's: a pooler shares them",
            format_duration(took),
            servers.len()
        ),
        None => format!("{BURST} connections at once, all served within {}", format_duration(took)),
        Some(first) => {
            format!("{} of {BURST} connections at once got no turn: {}", failures.len(), first.summary())
        }
    };
    let advice = failures.first().copied().unwrap_or(Diagnosis::Other).advice();
    Check::ok("burst", observed, why).when(!failures.is_empty(), Verdict::Fail, advice)
}

/// Opens a connection and asks which server process is behind it.
async fn connect_and_ask(
    url: &DatabaseUrl,
    host: &Host,
    config: &DatabaseConfig,
    trust: &TrustStore,
) -> Result<(Client, i32), Diagnosis> {
    let (client, _) =
        connection_steps::connect(url, host, config, trust).await.map_err(|failure| failure.diagnosis)?;
    match timeout(ANSWER_TIMEOUT, client.query_typed_one("SELECT pg_backend_pid()", &[])).await {
        Ok(Ok(row)) => Ok((client, row.get(0))),
        Ok(Err(error)) => Err(Diagnosis::from_driver(&error, Phase::Run)),
        // As above: no server would leave this unanswered.
        Err(_) => Err(Diagnosis::PoolerFull),
    }
}

/// Checks the server's version, and shows the settings that matter to connections.
pub(super) fn settings(facts: &Facts) -> Check {
    let server = &facts.server;
    let off = |value: &str| if value == "0" { "off".to_owned() } else { value.to_owned() };
    let observed = format!(
        "PostgreSQL {}, role {}, time zone {}, statement_timeout {}, idle_in_transaction_session_timeout {}, \
         idle_session_timeout {}",
        server.version,
        server.role,
        server.time_zone,
        off(&server.statement_timeout),
        off(&server.idle_in_transaction_timeout),
        off(&server.idle_session_timeout),
    );
    let major: u32 =
        server.version.split(['.', ' ']).next().and_then(|major| major.parse().ok()).unwrap_or(0);
    Check::ok("settings", observed, "Tessera needs PostgreSQL 14 or later; it depends on no other of these")
        .when(major < 14, Verdict::Fail, "upgrade the server")
}

/// Checks that the database has room for the planned number of containers.
pub(super) fn budget(facts: &Facts, url: &DatabaseUrl, budget: Option<&ConnectionBudget>) -> Check {
    let why = "the sum of the functions' reserved concurrency must fit, or a burst meets `too many clients`";
    let Facts { connection_limits: limits, connections_used: used, sessions, .. } = facts;
    let free = [
        Some(limits.server - sessions.total),
        limits.role.map(|limit| limit - used.role),
        limits.database.map(|limit| limit - used.database),
    ];
    // Those of functions that run already count as room for them; this examination holds one itself.
    let room = free.into_iter().flatten().min().unwrap_or_default() + sessions.ours + 1;
    let planned = match budget {
        Some(ConnectionBudget { containers: Some(number), origin }) => format!("{number} planned ({origin})"),
        Some(ConnectionBudget { containers: None, origin }) => {
            format!(
                "no number planned ({origin} reserves nothing), so that the account's limit alone holds them"
            )
        }
        None => "--containers N holds a plan against it".to_owned(),
    };
    let observed = match url.pooler() {
        Some(_) => format!(
            "room for {room} server connections; the pooler shares them, so its own client limit counts; {planned}"
        ),
        None => format!("room for {room} containers; {planned}"),
    };
    let containers = budget.and_then(|budget| budget.containers);
    let is_short = url.pooler().is_none() && containers.is_some_and(|planned| i64::from(planned) > room);
    Check::ok("budget", observed, why).limit(format!("{room}")).when(
        is_short || room < 10,
        Verdict::Warn,
        "lower the functions' reserved concurrency (the template's connection budget), connect through a transaction \
         pooler, or raise the limit: max_connections, or the CONNECTION LIMIT of the role or database",
    )
}
