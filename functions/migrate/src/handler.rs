//! Handles `{"command": "up" | "down" | "status"}`, and the requests of CloudFormation when it creates or updates the
//! stack.

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::config::ConfigError;
use shared::migrations::Migration;
use shared::schema;
use tessera_postgres::direct;
use tessera_postgres::{DatabaseConfig, Deadline, ErrorChain, TrustStore};

use crate::stack::{self, RequestType, StackRequest};

/// The limit of connecting to the database: a database that sleeps wakes up in less, and a deployment that cannot work
/// should fail soon.
const CONNECT_LIMIT: Duration = Duration::from_mins(1);

/// What the invocations of a container share.
pub(crate) struct State {
    /// How to reach the database, or what is wrong with the configuration: a function that ended because of it could not
    /// tell CloudFormation, which would wait until its timeout.
    pub(crate) config: Result<DatabaseConfig, ConfigError>,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) client: reqwest::Client,
}

/// An invocation by CloudFormation or by an operator.
#[derive(Deserialize)]
#[serde(untagged)]
enum Event {
    Stack(StackRequest),
    Operator(Command),
}

#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
enum Command {
    Up,
    Down {
        #[serde(default = "one")]
        steps: u16,
    },
    Status,
}

fn one() -> u16 {
    1
}

pub(crate) async fn handle(state: Arc<State>, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let deadline = shared::invocation::scheduled_deadline(event.context.deadline);
    let event = serde_json::from_value(event.payload)
        .map_err(|_| r#"the event must be {"command": "up"}, {"command": "down", "steps": 1} or {"command": "status"}"#)?;
    match event {
        Event::Operator(command) => run(&state, command, deadline).await,
        Event::Stack(request) => {
            let outcome = apply(&state, &request, deadline).await;
            stack::respond(&state.client, &request, &outcome).await?;
            Ok(Value::Null)
        }
    }
}

/// Does what CloudFormation asks for, and leaves the time to tell it. The database is the owner's and outlives the
/// stack, and an older release has nothing to migrate, so that neither needs the database.
async fn apply(state: &State, request: &StackRequest, deadline: Deadline) -> Result<Value, Error> {
    if request.request_type == RequestType::Delete || request.goes_back() {
        return Ok(Value::Null);
    }
    let left = deadline.left();
    let deadline = deadline.within(left.saturating_sub(stack::RESPONSE_RESERVE.min(left / 4)));
    run(state, Command::Up, deadline).await
}

async fn run(state: &State, command: Command, deadline: Deadline) -> Result<Value, Error> {
    let in_time = tokio::time::timeout_at(deadline.instant(), run_unbounded(state, command, deadline)).await;
    let outcome = in_time.unwrap_or_else(|_| {
        Err("the database did not finish in time; deploy again: a migration that still runs is waited for"
            .into())
    });
    outcome.inspect_err(|error| tracing::error!(%error, "migrate"))
}

async fn run_unbounded(state: &State, command: Command, deadline: Deadline) -> Result<Value, Error> {
    let config = state.config.as_ref().map_err(ToString::to_string)?;
    let client = direct::open(config, &state.trust, deadline.within(CONNECT_LIMIT)).await;
    let client = client.map_err(|failure| {
        let diagnosis = failure.diagnosis();
        let (summary, advice) = (diagnosis.summary(), diagnosis.advice());
        format!("no connection to the database: {summary}; {advice} ({failure})")
    })?;
    Ok(match command {
        Command::Up => {
            let up = schema::up(&client, deadline).await.map_err(with_causes)?;
            json!({"applied": names(&up.applied)})
        }
        Command::Down { steps } => {
            let reverted = schema::down(&client, steps.into(), deadline).await.map_err(with_causes)?;
            json!({"reverted": names(&reverted)})
        }
        Command::Status => {
            let status = schema::status(&client).await.map_err(with_causes)?;
            json!({"migrations": status.migrations, "plans": status.plans})
        }
    })
}

fn names(migrations: &[Migration]) -> Vec<&str> {
    migrations.iter().map(|migration| migration.name).collect()
}

/// An error with PostgreSQL's own message, which is its cause. It is for operators: it goes to the function's log, and
/// to the stack's events, since the log is deleted with a stack that could not be created.
#[expect(clippy::needless_pass_by_value, reason = "an adapter for map_err")]
fn with_causes(error: schema::SchemaError) -> Error {
    ErrorChain(&error).to_string().into()
}
