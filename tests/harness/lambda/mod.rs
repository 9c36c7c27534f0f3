//! A stand-in for one Lambda container: it starts a function's binary as Lambda does, and feeds it events.

mod request;
mod runtime_api;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use local::{Exit, Process};
use rustix::process::Signal;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use request::{Request, Response};
use runtime_api::{Invocation, Outcome, RuntimeApi};

use crate::{Preload, processes};

/// Lambda's limit for the init phase, and what a process is given after SIGTERM
/// (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>).
const INIT_LIMIT: Duration = Duration::from_secs(10);
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(500);

/// A running container. It lives on the runtime of the test that started it.
#[derive(Debug)]
pub struct Lambda {
    name: String,
    timeout: Duration,
    init: Duration,
    process: Process,
    queue: mpsc::UnboundedSender<Invocation>,
    api: Arc<RuntimeApi>,
    server: JoinHandle<()>,
}

/// The configuration of a container that is to be started; see [`Lambda::builder`].
#[derive(Debug)]
pub struct Builder {
    name: String,
    binary: Option<PathBuf>,
    environment: Vec<(String, String)>,
    timeout: Duration,
    memory: u32,
}

/// The result of an invocation that succeeded.
#[derive(Debug, Clone)]
pub struct Invoked {
    /// The function's answer.
    pub payload: Value,
    /// How long it took from handing out the event to having the answer.
    pub took: Duration,
}

impl Lambda {
    /// Begins the configuration of a container of the function whose binary has this name, next to the tests' own
    /// binary or below `TESSERA_BUNDLE`.
    #[must_use]
    pub fn builder(name: &str) -> Builder {
        Builder {
            name: name.to_owned(),
            binary: None,
            environment: Vec::new(),
            timeout: Duration::from_secs(10),
            memory: 128,
        }
    }

    /// Sends an event of any kind, within the function's time limit or `deadline`. As in Lambda, a function that
    /// exceeds its time is killed. Events wait for their turn: one at a time, or [`Builder::concurrency`] at once.
    pub async fn invoke(&self, event: &Value, deadline: Option<Duration>) -> Result<Invoked> {
        let limit = deadline.unwrap_or(self.timeout);
        let (invocation, handed_out, answered) = Invocation::new(serde_json::to_vec(event)?, limit);
        let exited = self.process.exited();
        let answer = async {
            ensure!(self.queue.send(invocation).is_ok(), "the runtime API has ended");
            handed_out.await?;
            match tokio::time::timeout(limit, answered).await {
                Ok(Ok(Outcome::Answer { payload, took })) => {
                    let payload = serde_json::from_slice(&payload).context("the answer is not JSON")?;
                    Ok(Invoked { payload, took })
                }
                Ok(Ok(Outcome::Error(error))) => bail!("{} failed: {error}", self.name),
                Ok(Err(_)) => bail!("{} did not answer and did not end", self.name),
                Err(_) => {
                    self.kill()?;
                    bail!("{} timed out after {limit:?}\n{}", self.name, self.log_text())
                }
            }
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            exit = exited => bail!("{} ended: {exit:?}\n{}", self.name, self.log_text()),
        }
    }

    /// The function's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long it took from executing the binary to its first request for an event.
    #[must_use]
    pub fn init_time(&self) -> Duration {
        self.init
    }

    /// The function's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid().as_raw_nonzero().get().unsigned_abs()
    }

    /// Freezes the process with SIGSTOP, as Lambda does between events.
    pub fn freeze(&self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// Lets a frozen process continue.
    pub fn thaw(&self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }

    /// Ends the process as Lambda does: SIGTERM and half a second if it has registered an extension, then SIGKILL.
    pub async fn terminate(&self) -> Result<Exit> {
        if !self.api.extensions().is_empty() {
            self.thaw()?;
            self.process.signal(Signal::TERM)?;
            if let Ok(exit) = tokio::time::timeout(SHUTDOWN_LIMIT, self.process.exited()).await {
                return Ok(exit);
            }
        }
        self.kill()?;
        Ok(self.process.exited().await)
    }

    /// Kills the process.
    pub fn kill(&self) -> Result<()> {
        self.process.signal(Signal::KILL)
    }

    /// How the process ended, if it has.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        self.process.exit()
    }

    /// The lines on stdout and stderr so far, in the order they were written.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        self.process.lines()
    }

    /// The lines of [`Lambda::logs`] that are JSON objects.
    #[must_use]
    pub fn json_logs(&self) -> Vec<Value> {
        let objects = self.logs().into_iter().filter_map(|line| serde_json::from_str(&line).ok());
        objects.filter(Value::is_object).collect()
    }

    /// The names of the extensions that the function has registered.
    #[must_use]
    pub fn extensions(&self) -> Vec<String> {
        self.api.extensions()
    }

    fn log_text(&self) -> String {
        self.logs().join("\n")
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        let _ = self.kill();
        self.server.abort();
    }
}

impl Builder {
    /// Sets an environment variable. The function gets these and Lambda's own, and nothing of the tests' environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the function's time limit, which is 10 s at first.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the memory that the function is told it has, in MB, which is 128 at first. Nothing enforces it.
    #[must_use]
    pub fn memory(mut self, megabytes: u32) -> Self {
        self.memory = megabytes;
        self
    }

    /// Lets the container take several events at once (`AWS_LAMBDA_MAX_CONCURRENCY`).
    #[must_use]
    pub fn concurrency(self, events: usize) -> Self {
        self.env("AWS_LAMBDA_MAX_CONCURRENCY", events.to_string())
    }

    /// Lets the function's process resolve names and read a wall clock as `preload` says.
    #[must_use]
    pub fn preload(mut self, preload: &Preload) -> Self {
        let variables = preload.environment().map(|(name, value)| (name.to_owned(), value));
        self.environment.extend(variables);
        self
    }

    /// Starts this binary instead of the one next to the tests' own.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// Starts the process and waits until it asks for its first event.
    pub async fn start(self) -> Result<Lambda> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (queue, events) = mpsc::unbounded_channel();
        let (api, ready) = RuntimeApi::new(self.name.clone(), events);
        let server = tokio::spawn(Arc::clone(&api).serve(listener));

        let mut command = Command::new(self.find_binary()?);
        command.env_clear().envs(self.lambda_environment(&address.to_string())).envs(self.environment);
        let process = processes::spawn(&mut command)?;
        let exited = process.exited();
        let (name, timeout, init) = (self.name, self.timeout, Duration::ZERO);
        let mut lambda = Lambda { name, timeout, init, process, queue, api, server };
        tokio::select! {
            biased;
            ready = ready => {
                let first = ready?.map_err(|error| anyhow::anyhow!("{} failed in init: {error}", lambda.name))?;
                lambda.init = first.saturating_duration_since(lambda.process.started());
                Ok(lambda)
            }
            exit = exited => bail!("{} ended in init: {exit:?}\n{}", lambda.name, lambda.log_text()),
            () = tokio::time::sleep(INIT_LIMIT) => {
                bail!("{} took over {INIT_LIMIT:?} in init\n{}", lambda.name, lambda.log_text())
            }
        }
    }

    fn find_binary(&self) -> Result<PathBuf> {
        if let Some(binary) = &self.binary {
            return Ok(binary.clone());
        }
        // What is deployed, when `.ci/bundle` has built it.
        if let Some(bundle) = std::env::var_os("TESSERA_BUNDLE") {
            let bootstrap = PathBuf::from(bundle).join(&self.name).join("bootstrap");
            if bootstrap.is_file() {
                return Ok(bootstrap);
            }
        }
        processes::built_binary(&self.name)
    }

    /// The environment variables that Lambda sets
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>).
    fn lambda_environment(&self, runtime_api: &str) -> Vec<(String, String)> {
        let stream = format!(
            "{}[$LATEST]{}",
            jiff::Timestamp::now().strftime("%Y/%m/%d/"),
            uuid::Uuid::new_v4().simple()
        );
        let fixed = [
            ("AWS_LAMBDA_RUNTIME_API", runtime_api),
            ("AWS_LAMBDA_FUNCTION_NAME", &self.name),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &self.memory.to_string()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{}", self.name)),
            ("AWS_LAMBDA_LOG_STREAM_NAME", &stream),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("_HANDLER", "bootstrap"),
            ("LAMBDA_TASK_ROOT", "/var/task"),
            ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
            ("TZ", ":UTC"),
            ("LANG", "en_US.UTF-8"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
        ];
        fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }
}
