//! Whom a function believes to be its database. `shared/postgres/tests/trust` has the system's authorities, their cost,
//! and SNI.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use harness::{
    Certificate, Database, DirectTls, Lambda, LambdaBuilder, Message, PASSWORD, Postgres, Preload, Proxy,
    ROLE,
};

use super::containers::{create, created, generate, says};

async fn with(certificate: Certificate) -> Result<Database> {
    Postgres::builder().certificate(certificate).start().await?.database().await
}

fn url(database: &Database, parameters: &str) -> String {
    let port = database.postgres().address().port();
    format!("postgres://{ROLE}:{PASSWORD}@localhost:{port}/{}?{parameters}", database.name)
}

fn trusting(database: &Database, parameters: &str) -> LambdaBuilder {
    let authority = database.postgres().authority().expect("it has TLS").pem().to_owned();
    generate(url(database, parameters)).env("DATABASE_CA", authority)
}

/// Refused at once: trying again would change nothing, and an attacker is not asked twice.
async fn refused(lambda: &Lambda) -> Result<()> {
    let answer = create(lambda).await?;
    ensure!(answer.status == 503, "{}", answer.status);
    says(lambda, "certificate verify failed").await?;
    ensure!(!lambda.logs().join("\n").contains("trying again"), "{:?}", lambda.logs());
    ensure!(!answer.text().contains("certificate"), "callers are told nothing of it");
    Ok(())
}

#[tokio::test]
async fn the_right_server_is_trusted() -> Result<()> {
    let database = with(Certificate::Good).await?;
    for parameters in ["sslmode=verify-full", "sslmode=verify-ca", "sslmode=require", ""] {
        created(&trusting(&database, parameters).start().await?).await?;
    }
    created(&trusting(&database, "sslmode=verify-full&channel_binding=require").start().await?).await?;
    Ok(())
}

#[tokio::test]
async fn another_name_is_refused_where_names_are_checked() -> Result<()> {
    let database = with(Certificate::WrongName).await?;
    refused(&trusting(&database, "sslmode=verify-full").start().await?).await?;
    created(&trusting(&database, "sslmode=verify-ca").start().await?).await?;
    Ok(())
}

#[tokio::test]
async fn an_expired_certificate_is_refused() -> Result<()> {
    let database = with(Certificate::Expired).await?;
    for parameters in ["sslmode=verify-full", "sslmode=verify-ca"] {
        refused(&trusting(&database, parameters).start().await?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_authority_is_refused() -> Result<()> {
    let database = with(Certificate::Good).await?;
    let stranger = harness::Authority::new()?;
    let lambda = generate(url(&database, "sslmode=verify-full")).env("DATABASE_CA", stranger.pem());
    refused(&lambda.start().await?).await?;
    // The system's authorities did not sign it either.
    refused(&generate(url(&database, "sslmode=verify-full")).start().await?).await?;
    Ok(())
}

/// As libpq and Prisma have it: `require` without an authority encrypts and verifies nothing, and that is logged.
#[tokio::test]
async fn require_alone_verifies_nothing_and_says_so() -> Result<()> {
    let database = with(Certificate::WrongName).await?;
    let preload = Preload::new().await?;
    preload.resolve("db.test", Some(IpAddr::V4(Ipv4Addr::LOCALHOST)))?;
    // Not `localhost`, where there is nobody in between to warn of.
    let url = url(&database, "sslmode=require").replace("localhost", "db.test");
    let lambda = generate(url).preload(&preload).start().await?;
    created(&lambda).await?;
    says(&lambda, "not verified").await?;
    Ok(())
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let proxy = Proxy::recording(database.postgres().address()).await?;
    let url = proxy.url(&database).replace("sslmode=disable", "sslmode=require");
    let lambda = generate(url).start().await?;
    assert_eq!(create(&lambda).await?.status, 503);
    let passwords = proxy.messages().iter().any(|message| matches!(message, Message::Startup(_)));
    assert!(!passwords, "nothing is said in the clear");
    Ok(())
}

/// PostgreSQL 17, as far as TLS goes: a front that takes both ways of asking for it.
#[tokio::test]
async fn direct_tls_saves_a_round_trip() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let front = DirectTls::in_front_of(database.postgres()).await?;
    let mut round_trips = Vec::new();
    for negotiation in ["postgres", "direct"] {
        let proxy = Proxy::start(front.address()).await?;
        let url = format!(
            "postgres://{ROLE}:{PASSWORD}@localhost:{}/{}?sslmode=verify-full&sslnegotiation={negotiation}",
            proxy.address().port(),
            database.name
        );
        let lambda = generate(url).env("DATABASE_CA", front.authority().pem()).start().await?;
        created(&lambda).await?;
        ensure!(proxy.counts().connections == 1, "{}", lambda.logs().join("\n"));
        round_trips.push(proxy.round_trips());
    }
    assert_eq!(round_trips[0] - 1, round_trips[1], "{round_trips:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_speak_direct_tls_is_asked_for_tls_as_ever() -> Result<()> {
    let database = with(Certificate::Good).await?;
    let lambda = trusting(&database, "sslmode=verify-full&sslnegotiation=direct").start().await?;
    created(&lambda).await?;
    database.postgres().terminate_sessions(&database.name).await?;
    created(&lambda).await?;
    says(&lambda, "does not speak direct TLS").await?;
    Ok(())
}
