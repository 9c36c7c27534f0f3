//! Random faults at random times under eight containers, whose acknowledgements are recorded and compared with the
//! database at the end. It takes 20 s, or as many as `TESSERA_SOAK_SECONDS` says:
//! `TESSERA_SOAK_SECONDS=600 cargo test -p tessera-tests --test integration soak`.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::future::try_join_all;
use harness::{CutPoint, Database, Disconnect, Lambda, PgBouncer, Postgres, Proxy, Response, Stop};
use serde_json::Value;

use super::containers::{create, generate, redirect, wait_until};

/// What callers were told, to be compared with what is stored.
#[derive(Debug, Default)]
struct Ledger {
    /// Acknowledged codes, and the acknowledged scans of each.
    codes: HashMap<String, i64>,
    /// Answers that left open whether it was done.
    refused: usize,
    answered: usize,
    slowest: Duration,
}

impl Ledger {
    /// What a caller was told who followed `id`, or made a code.
    fn record(&mut self, id: Option<String>, answer: &Response) -> Result<()> {
        self.answered += 1;
        self.slowest = self.slowest.max(answer.took);
        match (answer.status, id) {
            (302, Some(id)) => *self.codes.entry(id).or_default() += 1,
            (201, None) => {
                let made = answer.json()?;
                let id = made["shortId"].as_str().context("no shortId")?.to_owned();
                ensure!(self.codes.insert(id, 0).is_none(), "an id was given out twice");
            }
            (503, _) => self.refused += 1,
            (status, _) => bail!("{status}: {}", answer.text()),
        }
        Ok(())
    }
}

struct Environment {
    postgres: Postgres,
    database: Database,
    pooler: PgBouncer,
    direct: Proxy,
    /// The pooler is behind it.
    behind: Proxy,
}

impl Environment {
    async fn new() -> Result<Self> {
        let postgres = Postgres::builder().settings([("log_statement", "none")]).start().await?;
        let database = postgres.database().await?;
        let pooler = PgBouncer::in_front_of(&postgres)
            .setting("default_pool_size", 3)
            .setting("server_login_retry", 1)
            .start()
            .await?;
        let (direct, behind) = (Proxy::of(&postgres).await?, Proxy::start(pooler.address()).await?);
        Ok(Self { postgres, database, pooler, direct, behind })
    }

    /// Breaks something, for a second at most.
    async fn fault(&self, containers: &[Lambda]) -> Result<&'static str> {
        let proxy = if random(2) == 0 { &self.direct } else { &self.behind };
        proxy.disconnect_by(if random(2) == 0 { Disconnect::Eof } else { Disconnect::Reset });
        let a_while = Duration::from_millis(random(1000));
        Ok(match random(10) {
            0 => {
                proxy.cut_all();
                "cut"
            }
            1 => {
                proxy.black_hole_open_connections();
                "path dropped"
            }
            2 => {
                proxy.cut_at(CutPoint::Answer(usize::try_from(random(4))?));
                "answer lost"
            }
            3 => {
                proxy.cut_at(CutPoint::ClientBytes(usize::try_from(random(2000))?));
                "cut on the way"
            }
            4 => {
                proxy.refuse().await;
                proxy.cut_all();
                tokio::time::sleep(a_while).await;
                proxy.accept().await?;
                "refused"
            }
            5 => {
                proxy.black_hole();
                tokio::time::sleep(a_while).await;
                proxy.end_black_holes();
                "hung"
            }
            6 => {
                self.postgres.terminate_sessions(&self.database.name).await?;
                "terminated"
            }
            7 => {
                self.postgres.restart(if random(2) == 0 { Stop::Fast } else { Stop::Immediate }).await?;
                "restarted"
            }
            8 => {
                self.pooler.kill().await?;
                self.pooler.start_again().await?;
                "pooler restarted"
            }
            _ => {
                let at = usize::try_from(random(containers.len() as u64))?;
                containers[at].freeze()?;
                self.postgres.terminate_sessions(&self.database.name).await?;
                tokio::time::sleep(a_while).await;
                containers[at].thaw()?;
                "frozen and terminated"
            }
        })
    }
}

fn random(below: u64) -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1 % below
}

/// One caller after the other: makes codes, or follows one of those that were made.
async fn work(lambda: &Lambda, creates: bool, ledger: &Mutex<Ledger>, over: &AtomicBool) -> Result<()> {
    while !over.load(Ordering::Relaxed) {
        let known = || -> Option<String> {
            let ledger = ledger.lock().ok()?;
            let at = usize::try_from(random(ledger.codes.len().max(1) as u64)).ok()?;
            ledger.codes.keys().nth(at).cloned()
        };
        let id = if creates { None } else { known() };
        let answer = match &id {
            Some(id) => lambda.get(&format!("/r/{id}")).send().await?,
            None if creates => create(lambda).await?,
            None => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let recorded = ledger.lock().expect("nobody panics with the ledger").record(id, &answer);
        if recorded.is_err() {
            over.store(true, Ordering::Relaxed);
        }
        recorded.with_context(|| errors(lambda))?;
        tokio::time::sleep(Duration::from_millis(random(20))).await;
    }
    Ok(())
}

/// The end of what the function had to say.
fn errors(lambda: &Lambda) -> String {
    let logs = lambda.logs();
    logs[logs.len().saturating_sub(8)..].join("\n")
}

/// Resident memory in KB, as Linux tells it.
fn memory(lambda: &Lambda) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", lambda.pid()))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS")).context("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
}

#[tokio::test]
async fn soak_whatever_was_acknowledged_is_there_once() -> Result<()> {
    let seconds = std::env::var("TESSERA_SOAK_SECONDS").map_or(Ok(20), |text| text.parse())?;
    let environment = Environment::new().await?;
    let mut starting = Vec::new();
    for proxy in [&environment.direct, &environment.behind] {
        let url = proxy.url(&environment.database);
        starting.extend([generate(&url), redirect(&url), generate(&url), redirect(&url)]);
    }
    let starting = starting.into_iter().map(|container| container.timeout(Duration::from_secs(20)).start());
    let containers = try_join_all(starting).await?;

    let (ledger, over) = (Mutex::new(Ledger::default()), AtomicBool::new(false));
    let workers = containers.iter().enumerate();
    let workers =
        try_join_all(workers.map(|(at, lambda)| work(lambda, at.is_multiple_of(2), &ledger, &over)));
    let faults = async {
        let (begun, length) = (Instant::now(), Duration::from_secs(seconds));
        let (mut faults, mut early) = (HashMap::<_, usize>::new(), None);
        while begun.elapsed() < length && !over.load(Ordering::Relaxed) {
            *faults.entry(environment.fault(&containers).await?).or_default() += 1;
            tokio::time::sleep(Duration::from_millis(200 + random(1500))).await;
            if early.is_none() && begun.elapsed() > length / 4 {
                early = Some(containers.iter().map(memory).collect::<Result<Vec<_>>>()?);
            }
        }
        over.store(true, Ordering::Relaxed);
        anyhow::Ok((faults, early.unwrap_or_default()))
    };
    let (worked, faults) = tokio::join!(workers, faults);
    let (faults, early) = faults?;
    worked?;

    let ledger = ledger.into_inner().expect("nobody panics with the ledger");
    let late = containers.iter().map(memory).collect::<Result<Vec<_>>>()?;
    check(&environment.database, &ledger).await?;
    for (early, late) in early.iter().zip(&late) {
        ensure!(*late < early + early / 4 + 4096, "memory grew from {early} to {late} KB");
    }
    for lambda in containers {
        lambda.terminate().await?;
    }
    environment.pooler.kill().await?;
    wait_until("no session is left", async || {
        Ok(environment.postgres.sessions(Some(&environment.database.name)).await? == 0)
    })
    .await?;
    report(&ledger, &faults, &early, &late)?;
    ensure!(ledger.refused == 0, "{} callers were refused", ledger.refused);
    Ok(())
}

/// Each acknowledged code and scan is there; nothing is there that nobody asked for.
async fn check(database: &Database, ledger: &Ledger) -> Result<()> {
    let client = database.client().await?;
    let stored = "SELECT c.short_id, count(s.code_id) FROM codes c LEFT JOIN scans s ON s.code_id = c.id GROUP BY c.id";
    let mut stored: HashMap<String, i64> = client
        .query_typed(stored, &[])
        .await?
        .into_iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_>>()?;

    let mut excess = 0;
    for (id, followed) in &ledger.codes {
        let found = stored.remove(id).with_context(|| format!("{id} was acknowledged and is not stored"))?;
        ensure!(found >= *followed, "{id}: {followed} scans acknowledged, {found} stored");
        excess += found - followed;
    }
    // What was refused may have been done all the same, once.
    let unasked = excess + stored.values().sum::<i64>() + i64::try_from(stored.len())?;
    ensure!(
        unasked <= i64::try_from(ledger.refused)?,
        "{} refused, but {excess} scans and {stored:?} beyond what was acknowledged",
        ledger.refused
    );
    Ok(())
}

/// Figures for whoever looks: `cargo test … soak -- --nocapture`.
fn report(ledger: &Ledger, faults: &HashMap<&str, usize>, early: &[u64], late: &[u64]) -> Result<()> {
    use std::io::Write as _;
    let scans: i64 = ledger.codes.values().sum();
    let figures = serde_json::json!({
        "answered": ledger.answered, "codes": ledger.codes.len(), "scans": scans, "refused": ledger.refused,
        "slowest": ledger.slowest.as_secs_f64(), "memoryEarlyKb": early, "memoryLateKb": late,
        "faults": faults.iter().map(|(name, count)| ((*name).to_owned(), Value::from(*count))).collect::<serde_json::Map<_, _>>(),
    });
    Ok(writeln!(std::io::stdout(), "soak: {figures}")?)
}
