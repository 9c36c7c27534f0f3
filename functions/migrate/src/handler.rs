//! Handles `{"command": "up" | "down" | "status"}`, and the requests of CloudFormation when it creates or updates the
//! stack.

use std::error::Error as _;
use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::migrations::Migration;
use shared::schema::{self, SchemaError};
use tessera_postgres::direct;
use tessera_postgres::{DatabaseConfig, Deadline, TrustStore};

use crate::stack::{self, RequestType, StackRequest};

/// What the invocations of a container share.
pub(crate) struct State {
    pub(crate) config: DatabaseConfig,
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
            let outcome = match request.request_type {
                RequestType::Create | RequestType::Update => run(&state, Command::Up, deadline).await,
                // The database is the owner's, and outlives the stack.
                RequestType::Delete => Ok(Value::Null),
            };
            stack::respond(&state.client, &request, &outcome).await?;
            Ok(Value::Null)
        }
    }
}

async fn run(state: &State, command: Command, deadline: Deadline) -> Result<Value, Error> {
    let client = direct::open(&state.config, &state.trust, deadline).await.map_err(|failure| {
        tracing::error!(error = %failure, "migrate: no connection");
        "the database cannot be reached, or does not let us in; the function's log says why"
    })?;
    Ok(match command {
        Command::Up => {
            let up = schema::up(&client, deadline).await.map_err(log_with_cause)?;
            json!({"applied": names(&up.applied)})
        }
        Command::Down { steps } => {
            let reverted = schema::down(&client, steps.into(), deadline).await.map_err(log_with_cause)?;
            json!({"reverted": names(&reverted)})
        }
        Command::Status => {
            let status = schema::status(&client).await.map_err(log_with_cause)?;
            json!({"migrations": status.migrations, "plans": status.plans})
        }
    })
}

fn names(migrations: &[Migration]) -> Vec<&str> {
    migrations.iter().map(|migration| migration.name).collect()
}

/// Logs an error with its cause, which has PostgreSQL's own message.
fn log_with_cause(error: SchemaError) -> Error {
    let cause = error.source().map(ToString::to_string);
    tracing::error!(%error, cause, "migrate");
    error.into()
}
