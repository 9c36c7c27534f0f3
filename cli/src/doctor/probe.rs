//! Looking at an open connection, and at what it takes to have more of them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use shared::health::{Check, Facts, Verdict};
use tessera_postgres::url::{DatabaseUrl, Host};
use tessera_postgres::{DatabaseConfig, Diagnosis, Phase, TrustStore};
use tokio::time::timeout;
use tokio_postgres::Client;

use super::path;
use super::plan::Plan;
use crate::check_output::{ms, percentile};

const SAMPLES: usize = 20;
/// Beyond this a create, which is one round trip, is felt.
const LATENCY_LIMIT: Duration = Duration::from_millis(100);
/// Connections tried at once: a burst of containers.
const AT_ONCE: usize = 5;
/// How long a statement that needs nothing may wait for its turn.
const TURN: Duration = Duration::from_secs(3);

/// Round trips, one statement each.
pub(super) async fn latency(client: &Client) -> Check {
    let why = "every request to Tessera is one such round trip";
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let begun = Instant::now();
        match timeout(TURN, client.query_typed("SELECT 1", &[])).await {
            Ok(Ok(_)) => times.push(begun.elapsed()),
            Ok(Err(error)) => return super::refused("latency", why, &error),
            // A server that has let us in answers this. A pooler lets us in before it has a server connection for us.
            Err(_) => {
                let observed = format!(
                    "logged in, but `SELECT 1` got no answer within {}: what let us in is probably a pooler without a free \
                     server connection. Nothing else was tried",
                    ms(TURN)
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
    Check::ok("latency", format!("p50 {}, p95 {} over {SAMPLES} round trips", ms(p50), ms(p95)), why)
        .limit(format!("p50 {}", ms(LATENCY_LIMIT)))
        .when(
            p50 > LATENCY_LIMIT,
            Verdict::Warn,
            "deploy the functions in the database's region; from a laptop far away this is only the distance",
        )
}

/// Whether others leave named statements on the connections that a pooler hands out.
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
        Err(error) => super::refused("named_statements", why, &error),
    }
}

/// Whether several containers get their turn at once: a session pooler with few slots lets only so many through.
pub(super) async fn several(url: &DatabaseUrl, config: &DatabaseConfig, trust: &TrustStore) -> Check {
    let why = "each warm container holds a connection; a burst of visitors starts several";
    let Some(host) = url.hosts().first() else { return Check::ok("burst", "no host", why) };
    let begun = Instant::now();
    // All are kept open until the last has had its turn.
    let outcomes = join_all((0..AT_ONCE).map(|_| one_more(url, host, config, trust))).await;
    let took = begun.elapsed();
    let failures: Vec<Diagnosis> =
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err().copied()).collect();
    let servers: HashSet<i32> = outcomes.iter().flatten().map(|(_, server)| *server).collect();
    let observed = match failures.first() {
        None if servers.len() < AT_ONCE => format!(
            "{AT_ONCE} connections at once, all served within {}, by {} connections of the server's: a pooler shares them",
            ms(took),
            servers.len()
        ),
        None => format!("{AT_ONCE} connections at once, all served within {}", ms(took)),
        Some(first) => {
            format!("{} of {AT_ONCE} connections at once got no turn: {}", failures.len(), first.seen())
        }
    };
    let advice = failures.first().copied().unwrap_or(Diagnosis::Other).advice();
    Check::ok("burst", observed, why).when(!failures.is_empty(), Verdict::Fail, advice)
}

/// Another connection, and the server's process behind it.
async fn one_more(
    url: &DatabaseUrl,
    host: &Host,
    config: &DatabaseConfig,
    trust: &TrustStore,
) -> Result<(Client, i32), Diagnosis> {
    let (client, _) = path::connect(url, host, config, trust).await.map_err(|failure| failure.diagnosis)?;
    match timeout(TURN, client.query_typed_one("SELECT pg_backend_pid()", &[])).await {
        Ok(Ok(row)) => Ok((client, row.get(0))),
        Ok(Err(error)) => Err(Diagnosis::from_driver(&error, Phase::Run)),
        // As above: no server would leave this unanswered.
        Err(_) => Err(Diagnosis::PoolerFull),
    }
}

/// Settings of the server that have a say.
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

/// How many containers the database has room for.
pub(super) fn budget(facts: &Facts, url: &DatabaseUrl, plan: Option<&Plan>) -> Check {
    let why = "the sum of the functions' reserved concurrency must fit, or a burst meets `too many clients`";
    let Facts { limits, used, sessions, .. } = facts;
    let free = [
        Some(limits.server - sessions.total),
        limits.role.map(|limit| limit - used.role),
        limits.database.map(|limit| limit - used.database),
    ];
    // Those of functions that run already count as room for them; this examination holds one itself.
    let room = free.into_iter().flatten().min().unwrap_or_default() + sessions.ours + 1;
    let planned = match plan {
        Some(Plan { containers: Some(number), origin }) => format!("{number} planned ({origin})"),
        Some(Plan { containers: None, origin }) => {
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
    let containers = plan.and_then(|plan| plan.containers);
    let is_short = url.pooler().is_none() && containers.is_some_and(|planned| i64::from(planned) > room);
    Check::ok("budget", observed, why).limit(format!("{room}")).when(
        is_short || room < 10,
        Verdict::Warn,
        "lower the functions' reserved concurrency (the template's connection budget), connect through a transaction \
         pooler, or raise the limit: max_connections, or the CONNECTION LIMIT of the role or database",
    )
}
