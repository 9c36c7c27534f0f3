//! The connection string is a secret in Secrets Manager, and changes there while containers live.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use harness::{Database, LambdaBuilder, PASSWORD, Postgres, Proxy, ROLE, SecretsManager};
use serde_json::json;

use super::containers::{
    count_codes_and_scans, create, create_ok, create_within, generate, wait_for_log, wait_for_retries,
};

const NEW_PASSWORD: &str = "another-Passw0rd";

/// A secret and a function that reads it. The proxy in between counts the reads.
struct TestSecret {
    secrets: &'static SecretsManager,
    name: String,
    proxy: Proxy,
}

impl TestSecret {
    async fn new(database: &Database, name: &str) -> Result<Self> {
        let secrets = SecretsManager::shared().await?;
        let name = format!("{}/{name}", database.postgres().address().port());
        Ok(Self { secrets, name, proxy: Proxy::start(secrets.address()).await? })
    }

    async fn put(&self, text: &str) -> Result<()> {
        self.secrets.put(&self.name, text).await
    }

    fn read_count(&self) -> usize {
        self.proxy.counts().answered
    }

    fn function(&self) -> LambdaBuilder {
        generate("")
            .env("DATABASE_SECRET_ARN", &self.name)
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.proxy.address()))
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
    }
}

/// A cluster of its own, since passwords are the cluster's.
async fn database() -> Result<Database> {
    Postgres::builder().tls(true).start().await?.database().await
}

async fn change_password(database: &Database) -> Result<()> {
    let change = format!("ALTER ROLE {ROLE} PASSWORD '{NEW_PASSWORD}'");
    database.postgres().admin("postgres").await?.batch_execute(&change).await?;
    database.postgres().terminate_sessions(&database.name).await?;
    Ok(())
}

#[tokio::test]
async fn a_secret_may_have_any_of_its_shapes_and_is_read_once() -> Result<()> {
    let database = database().await?;
    let port = database.postgres().address().port();
    let authority = database.postgres().ca_pem_path().map(|path| path.display().to_string());
    let rds = |port: serde_json::Value| {
        json!({"host": "localhost", "port": port, "username": ROLE, "password": PASSWORD,
            "dbname": database.name, "engine": "postgres"})
        .to_string()
    };
    let url = database.url();
    for (at, text) in [
        url.clone(),
        json!({"DATABASE_URL": url}).to_string(),
        rds(json!(port)),
        rds(json!(port.to_string())),
    ]
    .iter()
    .enumerate()
    {
        let secret = TestSecret::new(&database, &format!("shape-{at}")).await?;
        secret.put(text).await?;
        let lambda =
            secret.function().env("DATABASE_CA", authority.clone().unwrap_or_default()).start().await?;
        assert_eq!(secret.read_count(), 0, "not before it is needed");
        create_ok(&lambda).await?;
        create_ok(&lambda).await?;
        assert_eq!(secret.read_count(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_password_that_changed_is_read_again_once() -> Result<()> {
    let database = database().await?;
    let secret = TestSecret::new(&database, "rotated").await?;
    secret.put(&database.url()).await?;
    let lambda = secret.function().start().await?;
    create_ok(&lambda).await?;
    secret.put(&database.url().replace(PASSWORD, NEW_PASSWORD)).await?;
    change_password(&database).await?;
    create_ok(&lambda).await?;
    create_ok(&lambda).await?;
    assert_eq!(secret.read_count(), 2);
    assert_eq!(count_codes_and_scans(&database).await?.0, 3);
    Ok(())
}

/// A rotation changes the database first and the secret a moment later.
#[tokio::test]
async fn a_secret_may_change_after_the_password() -> Result<()> {
    let database = database().await?;
    let secret = TestSecret::new(&database, "late").await?;
    secret.put(&database.url()).await?;
    let lambda = secret.function().start().await?;
    create_ok(&lambda).await?;
    change_password(&database).await?;
    let rotate = async {
        wait_for_retries(&lambda, 3).await?;
        secret.put(&database.url().replace(PASSWORD, NEW_PASSWORD)).await
    };
    let (answer, rotated) = tokio::join!(create_ok(&lambda), rotate);
    rotated?;
    answer?;
    assert_eq!(count_codes_and_scans(&database).await?.0, 2);
    Ok(())
}

/// How many reads of a secret that stays wrong fit into this time: one at once, and the others after pauses of 0, 1, 2,
/// 4… up to 60 s. On a busy machine 30 requests last longer, so that more reads are due.
fn max_reads(time: Duration) -> usize {
    let pauses = [0, 0, 1, 2, 4, 8, 16, 32].into_iter().chain(std::iter::repeat(60));
    let due = pauses.scan(0, |due, pause| {
        *due += pause;
        Some(*due)
    });
    due.take_while(|due| *due <= time.as_secs()).count()
}

#[tokio::test]
async fn a_secret_that_stays_wrong_is_one_clear_error_and_no_storm() -> Result<()> {
    let database = database().await?;
    let secret = TestSecret::new(&database, "wrong").await?;
    secret.put(&database.url().replace(PASSWORD, "wr0ng")).await?;
    let lambda = secret.function().timeout(Duration::from_secs(12)).start().await?;
    let begun = Instant::now();
    for request in 0..30 {
        // The first reads the secret until the next pause, of 8 s, is longer than its time. The others have less.
        let limit = (request > 0).then_some(Duration::from_secs(3));
        let answer = create_within(&lambda, limit).await?;
        ensure!(answer.status == 503 && answer.header("retry-after") == "2", "{}", answer.text());
    }
    let (reads, most) = (secret.read_count(), max_reads(begun.elapsed()));
    assert!(reads <= most, "{reads} reads for 30 requests, and at most {most} in this time");
    let logins =
        database.postgres().log()?.iter().filter(|entry| entry.text.starts_with("FATAL:  password")).count();
    assert!((1..=reads).contains(&logins), "{logins} logins after {reads} reads");
    wait_for_log(&lambda, "DATABASE_SECRET_ARN: the database refuses the secret's user or password").await?;
    assert!(!lambda.logs().join("\n").contains("wr0ng"), "the password is in the log");
    Ok(())
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_names_the_variable() -> Result<()> {
    let database = database().await?;
    let secret = TestSecret::new(&database, "missing").await?;
    let lambda = secret.function().start().await?;
    assert_eq!(create(&lambda).await?.status, 503);
    wait_for_log(&lambda, "DATABASE_SECRET_ARN: Secrets Manager did not give the secret").await?;
    secret.put("mysql://me:hunter2@localhost/db").await?;
    assert_eq!(create(&lambda).await?.status, 503);
    assert!(!lambda.logs().join("\n").contains("hunter2"));
    // Mended, it is taken without a restart.
    secret.put(&database.url()).await?;
    create_ok(&lambda).await?;
    Ok(())
}
