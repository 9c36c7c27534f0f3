//! Servers for the tests: real PostgreSQL and PgBouncer, a stand-in for Lambda, and a TCP proxy that counts round trips
//! and breaks connections.
//!
//! Everything listens on a free port of 127.0.0.1 and is gone at the end of the test process, however it ends.
//! [`Postgres`] and [`PgBouncer`] may be shared between tests; [`Lambda`] and [`Proxy`] run on the runtime of
//! their test, so a test that blocks its thread (`Command::output`) stops them too: use `spawn_blocking`.
//!
//! ```no_run
//! # async fn test() -> anyhow::Result<()> {
//! let database = harness::Postgres::plain().await?.database().await?;
//! let lambda = harness::Lambda::builder("qr-redirect").env("DATABASE_URL", database.url()).start().await?;
//! let response = lambda.get("/r/ABC").header("accept", "application/json").send().await?;
//! assert_eq!(response.status, 404);
//! # Ok(())
//! # }
//! ```

mod certificates;
mod direct_tls;
mod gateway;
mod lambda;
mod pgbouncer;
mod postgres;
mod preload;
mod processes;
mod proxy;
mod python;
mod refusing_server;
mod scratch;
mod secrets_manager;

pub use certificates::{Authority, Certificate};
pub use direct_tls::DirectTls;
pub use gateway::Gateway;
pub use lambda::{Builder as LambdaBuilder, Invoked, Lambda, Request, Response};
pub use pgbouncer::{Builder as PgBouncerBuilder, PgBouncer, Row};
pub use postgres::{Builder as PostgresBuilder, Database, LogEntry, Migrate, PASSWORD, Postgres, ROLE, Stop};
pub use preload::Preload;
pub use proxy::{Counts, CutPoint, Disconnect, Message, Proxy};
pub use python::python_environment;
pub use refusing_server::RefusingServer;
pub use secrets_manager::SecretsManager;

pub use local::Exit;
pub use local::command::run_to_end;
