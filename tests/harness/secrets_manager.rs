//! AWS Secrets Manager, as moto imitates it (<https://docs.getmoto.org>).

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use local::Process;
use local::port::{Port, wait_until_listening};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::processes;
use crate::python::python_environment;

const START_LIMIT: Duration = Duration::from_mins(1);
/// Moto does not check it, but reads from it which service is meant.
const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/secretsmanager/aws4_request, \
                         SignedHeaders=host, Signature=0";

/// A server that all tests of this process share; each test uses secrets with names of its own.
#[derive(Debug)]
pub struct SecretsManager {
    port: Port,
    client: reqwest::Client,
    _server: Process,
}

impl SecretsManager {
    /// Installs moto under the target directory if it is not there, and starts it.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<SecretsManager> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn start() -> Result<Self> {
        let tools = tokio::task::spawn_blocking(|| python_environment("secrets_manager")).await??;
        let port = Port::reserve()?;
        let mut command = Command::new(tools.join("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.number().to_string()]);
        let server = processes::spawn(&mut command)?;
        wait_until_listening(port.address(), START_LIMIT, "moto").await?;
        Ok(Self { port, client: reqwest::Client::new(), _server: server })
    }

    /// The address that the server listens at.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Creates the secret `name`, or replaces its value.
    pub async fn put(&self, name: &str, text: &str) -> Result<()> {
        let made = self.call("CreateSecret", &json!({"Name": name, "SecretString": text})).await?;
        if !made.is_success() {
            let changed =
                self.call("PutSecretValue", &json!({"SecretId": name, "SecretString": text})).await?;
            ensure!(changed.is_success(), "moto does not take {name}");
        }
        Ok(())
    }

    /// Reads the secret `name` by a bare HTTP request, without the SDK.
    pub async fn get(&self, name: &str) -> Result<()> {
        let found = self.call("GetSecretValue", &json!({"SecretId": name})).await?;
        ensure!(found.is_success(), "moto does not give {name}");
        Ok(())
    }

    async fn call(&self, action: &str, body: &Value) -> Result<reqwest::StatusCode> {
        let request = self
            .client
            .post(format!("http://{}/", self.address()))
            .header("x-amz-target", format!("secretsmanager.{action}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", SIGNATURE)
            .body(body.to_string());
        Ok(request.send().await?.status())
    }
}
