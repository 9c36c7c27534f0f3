//! Benchmarks cold starts of `qr-redirect` and its peers, under the same stand-in for Lambda, over TLS with SCRAM.
//! `cold.sh` builds them all and runs this.
//!
//! Each run starts a new process of each function in turn and sends it one request that resolves a code and records a
//! scan, and then some more. Prints medians as a Markdown table.

#![expect(clippy::print_stdout, reason = "a benchmark reports on standard output")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use harness::{Database, Lambda, LambdaBuilder, PASSWORD, Postgres, Proxy, ROLE, SecretsManager};

/// How often each function is started cold, unless `COLD_RUNS` says otherwise.
const RUNS: usize = 21;
/// How many requests a container gets after its first.
const WARM: usize = 20;
const PATH: &str = "/r/C0DE7";

/// A function that is measured.
struct Candidate {
    name: &'static str,
    start: fn(&Path) -> LambdaBuilder,
    database: DatabaseSetting,
    times: Vec<Times>,
}

/// How a candidate is told its database.
#[derive(PartialEq)]
enum DatabaseSetting {
    /// It has none.
    None,
    /// `DATABASE_URL` as this project takes it, with `sslmode=verify-full` and `sslrootcert`.
    LibpqUrl,
    /// The same URL, in Secrets Manager, which moto imitates without TLS.
    Secret,
    /// `DATABASE_URL` as tokio-postgres and node-postgres take it, and the authority in `DATABASE_CA`.
    BareUrl,
}

/// The measurements of one cold start and the requests after it.
struct Times {
    init: Duration,
    first: Duration,
    warm: Duration,
    memory_kb: u64,
}

fn candidates() -> Vec<Candidate> {
    let candidate = |name, database, start| Candidate { name, start, database, times: Vec::new() };
    vec![
        candidate("hello world, lambda_http", DatabaseSetting::None, |bin| lambda(bin, "cold-hello")),
        candidate("**qr-redirect**", DatabaseSetting::LibpqUrl, |bin| lambda(bin, "qr-redirect")),
        candidate("qr-redirect, URL in Secrets Manager", DatabaseSetting::Secret, |bin| {
            lambda(bin, "qr-redirect")
        }),
        candidate("naive Rust, the system's OpenSSL", DatabaseSetting::BareUrl, |bin| {
            lambda(bin, "naive-system")
        }),
        candidate("naive Rust, vendored OpenSSL", DatabaseSetting::BareUrl, |bin| {
            lambda(bin, "naive-vendored")
        }),
        candidate("Node and pg", DatabaseSetting::BareUrl, |bin| lambda(bin, "node-pg")),
    ]
}

fn lambda(binaries: &Path, name: &str) -> LambdaBuilder {
    Lambda::builder(name).binary(binaries.join(name))
}

impl Candidate {
    async fn start(&self, binaries: &Path, database: &Database, address: SocketAddr) -> Result<Lambda> {
        let postgres = database.postgres();
        let function = (self.start)(binaries);
        let function = match self.database {
            DatabaseSetting::None => function,
            DatabaseSetting::LibpqUrl => {
                function.env("DATABASE_URL", postgres.url_at(address, &database.name))
            }
            DatabaseSetting::Secret => {
                let secrets = SecretsManager::shared().await?;
                // Each address has a secret of its own.
                let name = address.to_string();
                secrets.put(&name, &postgres.url_at(address, &database.name)).await?;
                function
                    .env("DATABASE_SECRET_ARN", name)
                    .env("AWS_ENDPOINT_URL", format!("http://{}", secrets.address()))
                    .env("AWS_ACCESS_KEY_ID", "test")
                    .env("AWS_SECRET_ACCESS_KEY", "test")
            }
            DatabaseSetting::BareUrl => {
                let ca = postgres.ca_pem_path().context("a cluster with TLS")?;
                let url =
                    format!("postgres://{ROLE}:{PASSWORD}@localhost:{}/{}", address.port(), database.name);
                function.env("DATABASE_URL", url).env("DATABASE_CA", ca.display().to_string())
            }
        };
        function.start().await
    }

    async fn measure(&mut self, binaries: &Path, database: &Database) -> Result<()> {
        let lambda = self.start(binaries, database, database.postgres().address()).await?;
        let first = self.request(&lambda).await?;
        let mut warm = Vec::new();
        for _ in 0..WARM {
            warm.push(self.request(&lambda).await?);
        }
        let (init, warm, memory_kb) = (lambda.init_time(), median(warm), peak_memory(lambda.pid())?);
        self.times.push(Times { init, first, warm, memory_kb });
        Ok(())
    }

    async fn request(&self, lambda: &Lambda) -> Result<Duration> {
        let answer = lambda.get(PATH).send().await?;
        let expected = if self.database == DatabaseSetting::None { 200 } else { 302 };
        ensure!(answer.status == expected, "{}: {} {}", self.name, answer.status, answer.text());
        Ok(answer.took)
    }

    /// Counts the round trips of the first request, connecting included, and of the next.
    async fn round_trips(&self, binaries: &Path, database: &Database) -> Result<[usize; 2]> {
        let proxy = Proxy::of(database.postgres()).await?;
        let lambda = self.start(binaries, database, proxy.address()).await?;
        let mut counts = [0; 2];
        for count in &mut counts {
            proxy.reset();
            self.request(&lambda).await?;
            *count = proxy.round_trips();
        }
        Ok(counts)
    }

    /// The median time from starting the process to the first answer.
    fn total(&self) -> Duration {
        median(self.times.iter().map(|times| times.init + times.first))
    }
}

fn median<T: Ord>(times: impl IntoIterator<Item = T>) -> T {
    let mut times: Vec<T> = times.into_iter().collect();
    times.sort();
    let middle = times.len() / 2;
    times.swap_remove(middle)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The peak resident memory of a process, in KB.
fn peak_memory(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").parse()?)
}

async fn insert_code(database: &Database) -> Result<()> {
    let insert = "INSERT INTO codes (id_key, short_id, owner, target_url, created_by, last_edit)
                  VALUES ('C0DE7', 'C0DE7', 'me', 'https://example.com', gen_random_uuid(), gen_random_uuid())";
    database.client().await?.execute_typed(insert, &[]).await?;
    Ok(())
}

/// How long moto takes to answer without the SDK, to be subtracted from the time of a cold start with it.
async fn moto_alone(runs: usize) -> Result<Duration> {
    let secrets = SecretsManager::shared().await?;
    secrets.put("alone", "secret").await?;
    let mut times = Vec::new();
    for _ in 0..runs {
        let begun = Instant::now();
        secrets.get("alone").await?;
        times.push(begun.elapsed());
    }
    Ok(median(times))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let binaries = std::env::var_os("COLD_BINARIES").context("COLD_BINARIES is set by cold.sh")?;
    let binaries = Path::new(&binaries);
    let runs = std::env::var("COLD_RUNS").ok().map_or(Ok(RUNS), |runs| runs.parse())?;
    let database = Postgres::tls().await?.database().await?;
    insert_code(&database).await?;
    let mut candidates = candidates();
    for _ in 0..runs {
        for candidate in &mut candidates {
            candidate.measure(binaries, &database).await?;
        }
    }

    println!("Medians of {runs} cold starts each, in turn, over TLS and SCRAM on loopback.\n");
    println!(
        "| | init ms | first request ms | cold total ms | warm ms | memory MB | round trips first, warm |"
    );
    println!("|---|---|---|---|---|---|---|");
    for candidate in &candidates {
        let median_ms = |time: fn(&Times) -> Duration| milliseconds(median(candidate.times.iter().map(time)));
        let [first, warm] = candidate.round_trips(binaries, &database).await?;
        println!(
            "| {} | {:.1} | {:.1} | {:.1} | {:.2} | {} | {first}, {warm} |",
            candidate.name,
            median_ms(|times| times.init),
            median_ms(|times| times.first),
            milliseconds(candidate.total()),
            median_ms(|times| times.warm),
            median(candidate.times.iter().map(|times| times.memory_kb)) / 1024,
        );
    }
    println!("\nMoto alone takes {:.1} ms for a secret.", milliseconds(moto_alone(runs).await?));

    let total =
        |name: &str| candidates.iter().find(|candidate| candidate.name.contains(name)).map(Candidate::total);
    let ours = total("**qr-redirect**").context("ours")?;
    for peer in ["the system's OpenSSL", "vendored OpenSSL", "Node"] {
        let theirs = total(peer).context("a peer")?;
        println!("\nqr-redirect takes {:.0} % of {peer}.", 100.0 * ours.as_secs_f64() / theirs.as_secs_f64());
    }
    Ok(())
}
