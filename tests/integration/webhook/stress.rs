//! Fifty senders, thirty per cent of duplicates, out of order, while containers are killed and the database restarts:
//! each event is kept once, and what is left is what a sequential reading of the events would leave.
//!
//! `TESSERA_FULL=1` sends 10,000 events instead of 1,000.

use std::collections::BTreeMap;
use std::sync::Mutex as SyncMutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::{Database, Lambda, Postgres, Stop};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use super::sender::{sources, standard, webhook};

const SENDERS: usize = 50;
const CONTAINERS: usize = 5;
/// Statuses, by how final they are; an account and a second have at most one of each.
const STATUSES: [&str; 4] = ["pending", "active", "failed", "closed"];

pub(crate) fn size(small: usize, full: usize) -> usize {
    if std::env::var_os("TESSERA_FULL").is_some() { full } else { small }
}

/// A xorshift generator with a fixed seed, so that each run sends the same events.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap_or_default()
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// An event that sets the state of an account or of a transaction.
#[derive(Debug, Clone)]
struct TestEvent {
    id: String,
    row: String,
    second: usize,
    rank: usize,
    amount: Option<usize>,
}

impl TestEvent {
    fn event(&self) -> Value {
        let status = STATUSES[self.rank];
        let data = match self.amount {
            None => json!({"accountId": self.row, "status": status, "by": self.id}),
            Some(amount) => {
                json!({"transactionId": self.row, "accountId": "a", "amount": amount, "currency": "eur",
                       "status": status, "by": self.id})
            }
        };
        let kind = if self.amount.is_none() { "account" } else { "transaction" };
        let time = format!("2026-01-01T00:{:02}:{:02}Z", self.second / 60, self.second % 60);
        json!({"id": self.id, "type": format!("{kind}.updated"), "timestamp": time, "data": data})
    }
}

/// `count` events on so few rows that many meet in one second; of one row, second and rank there is one alone, since
/// between equals it is the arrival that decides.
fn events(count: usize, random: &mut Random) -> Vec<TestEvent> {
    let rows = count / 100;
    let mut places: Vec<(usize, usize, usize)> = (0..rows)
        .flat_map(|row| {
            (0..60).flat_map(move |second| (0..STATUSES.len()).map(move |rank| (row, second, rank)))
        })
        .collect();
    random.shuffle(&mut places);
    let said = |(n, (row, second, rank)): (usize, (usize, usize, usize))| TestEvent {
        id: format!("evt_{n}"),
        row: format!("row_{row}"),
        second,
        rank,
        amount: (row % 2 == 1).then_some(n),
    };
    places.into_iter().take(count).enumerate().map(said).collect()
}

/// What must be left of each row, as if the events had been read one by one: the id of the event that decides.
fn expected_rows(events: &[TestEvent]) -> BTreeMap<String, String> {
    let mut rows: BTreeMap<String, &TestEvent> = BTreeMap::new();
    for said in events {
        let last = rows.entry(said.row.clone()).or_insert(said);
        if (said.second, said.rank) > (last.second, last.rank) {
            *last = said;
        }
    }
    rows.into_iter().map(|(row, said)| (row, format!("{} {}", said.id, STATUSES[said.rank]))).collect()
}

/// Containers that are replaced when they die, as Lambda does.
struct Fleet {
    url: String,
    containers: Vec<RwLock<Lambda>>,
}

impl Fleet {
    async fn start(url: String) -> Result<Self> {
        let mut containers = Vec::new();
        for _ in 0..CONTAINERS {
            containers.push(RwLock::new(Self::container(&url).await?));
        }
        Ok(Self { url, containers })
    }

    async fn container(url: &str) -> Result<Lambda> {
        let builder = webhook(url.to_owned(), sources(&json!({"forwardUrl": "https://app.example/hooks"})));
        builder.concurrency(SENDERS / CONTAINERS).timeout(Duration::from_secs(8)).start().await
    }

    /// Sends a body until it is accepted, and returns how often that took.
    async fn send_until_taken(&self, slot: usize, id: &str, body: &[u8]) -> Result<usize> {
        for tries in 1..200 {
            let slot = &self.containers[(slot + tries) % CONTAINERS];
            let container = slot.read().await;
            let answer = standard(&container, id, body).send().await;
            let died = container.exit().is_some();
            drop(container);
            if answer.is_ok_and(|answer| (200..300).contains(&answer.status)) {
                return Ok(tries);
            }
            if died {
                let mut container = slot.write().await;
                if container.exit().is_some() {
                    *container = Self::container(&self.url).await?;
                }
            }
        }
        anyhow::bail!("not taken after 200 tries")
    }
}

/// Single events and small batches, 30 % of the events twice, in any order.
fn requests(events: &[TestEvent], random: &mut Random) -> Vec<Value> {
    let mut sent: Vec<Value> = events.iter().map(TestEvent::event).collect();
    let duplicates = events.len() * 3 / 10;
    sent.extend((0..duplicates).map(|_| events[random.below(events.len())].event()));
    random.shuffle(&mut sent);
    let mut requests = Vec::new();
    while let Some(event) = sent.pop() {
        if random.below(20) == 0 {
            let mut batch = vec![event];
            batch.extend(sent.drain(sent.len().saturating_sub(random.below(20))..));
            requests.push(json!(batch));
        } else {
            requests.push(event);
        }
    }
    requests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_senders_leave_what_a_sequential_reading_leaves() -> Result<()> {
    let count = size(1_000, 10_000);
    let mut random = Random(0x7E55_E7A5);
    let events = events(count, &mut random);
    let requests = requests(&events, &mut random);

    let postgres = Postgres::builder().settings([("log_statement", "none")]).start().await?;
    let database = postgres.database().await?;
    let fleet = Fleet::start(database.url()).await?;
    let (next, taken, sendings) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let failure = SyncMutex::new(None);
    let sender = async |sender: usize| {
        while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let id = format!("msg_{sender}");
            match fleet.send_until_taken(sender, &id, request.to_string().as_bytes()).await {
                Ok(tries) => sendings.fetch_add(tries, Ordering::Relaxed),
                Err(error) => return *failure.lock().expect("nobody panicked") = Some(error),
            };
            taken.fetch_add(1, Ordering::Relaxed);
        }
    };
    let trouble = async {
        let at = async |share: usize| {
            while taken.load(Ordering::Relaxed) < requests.len() * share / 100 {
                if failure.lock().expect("nobody panicked").is_some() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        for (share, slot) in [(10, 0), (20, 1), (30, 2), (50, 3), (60, 4), (80, 0), (90, 1)] {
            at(share).await;
            fleet.containers[slot].read().await.kill()?;
            match share {
                30 => postgres.restart(Stop::Immediate).await?,
                60 => postgres.restart(Stop::Fast).await?,
                _ => {}
            }
        }
        anyhow::Ok(())
    };
    let (_, trouble) = tokio::join!(futures_util::future::join_all((0..SENDERS).map(sender)), trouble);
    trouble?;
    if let Some(error) = failure.into_inner().expect("nobody panicked") {
        return Err(error);
    }
    check(&database, &events).await?;
    assert!(sendings.into_inner() > requests.len(), "the trouble was felt");
    Ok(())
}

async fn check(database: &Database, events: &[TestEvent]) -> Result<()> {
    let client = database.client().await?;
    let counts = "SELECT count(*), count(DISTINCT event_id), (SELECT count(*) FROM jobs),
        (SELECT count(*) FROM alerts), count(*) FILTER (WHERE state = 'applied') FROM events";
    let row = client.query_typed_one(counts, &[]).await?;
    let count = i64::try_from(events.len())?;
    let counts: Vec<i64> = (0..5).map(|column| row.get(column)).collect();
    assert_eq!(counts, [count, count, count, 0, count], "events, ids, jobs, alerts, applied");
    let states = "SELECT external_id, attributes->>'by' || ' ' || status FROM accounts
        UNION ALL SELECT external_id, attributes->>'by' || ' ' || status FROM transactions";
    let rows = client.query_typed(states, &[]).await.context("states")?;
    let states: BTreeMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(states, expected_rows(events));
    Ok(())
}
