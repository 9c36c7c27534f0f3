//! Which server's certificate a function accepts. `shared/postgres/tests/trust` tests the system's authorities, their
//! cost, and SNI.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use harness::{
    Certificate, Database, DirectTls, Lambda, LambdaBuilder, Message, PASSWORD, Postgres, Preload, Proxy,
    ROLE,
};

use super::containers::{create, create_ok, generate, wait_for_log};

async fn database_with(certificate: Certificate) -> Result<Database> {
    Postgres::builder().certificate(certificate).start().await?.database().await
}

fn url(database: &Database, parameters: &str) -> String {
    let port = database.postgres().address().port();
    format!("postgres://{ROLE}:{PASSWORD}@localhost:{port}/{}?{parameters}", database.name)
}

fn generate_with_ca(database: &Database, parameters: &str) -> LambdaBuilder {
    let authority = database.postgres().authority().expect("it has TLS").pem().to_owned();
    generate(url(database, parameters)).env("DATABASE_CA", authority)
}

/// Refused at once: trying again would change nothing, and an attacker is not asked twice.
async fn expect_refused(lambda: &Lambda) -> Result<()> {
    let answer = create(lambda).await?;
    ensure!(answer.status == 503, "{}", answer.status);
    wait_for_log(lambda, "certificate verify failed").await?;
    ensure!(!lambda.logs().join("\n").contains("trying again"), "{:?}", lambda.logs());
    ensure!(!answer.text().contains("certificate"), "callers are told nothing of it");
    Ok(())
}

#[tokio::test]
async fn the_right_server_is_trusted() -> Result<()> {
    let database = database_with(Certificate::Good).await?;
    for parameters in ["sslmode=verify-full", "sslmode=verify-ca", "sslmode=require", ""] {
        create_ok(&generate_with_ca(&database, parameters).start().await?).await?;
    }
    create_ok(&generate_with_ca(&database, "sslmode=verify-full&channel_binding=require").start().await?)
        .await?;
    Ok(())
}

#[tokio::test]
async fn another_name_is_refused_where_names_are_checked() -> Result<()> {
    let database = database_with(Certificate::WrongName).await?;
    expect_refused(&generate_with_ca(&database, "sslmode=verify-full").start().await?).await?;
    create_ok(&generate_with_ca(&database, "sslmode=verify-ca").start().await?).await?;
    Ok(())
}

#[tokio::test]
async fn an_expired_certificate_is_refused() -> Result<()> {
    let database = database_with(Certificate::Expired).await?;
    for parameters in ["sslmode=verify-full", "sslmode=verify-ca"] {
        expect_refused(&generate_with_ca(&database, parameters).start().await?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_authority_is_refused() -> Result<()> {
    let database = database_with(Certificate::Good).await?;
    let stranger = harness::Authority::new()?;
    let lambda = generate(url(&database, "sslmode=verify-full")).env("DATABASE_CA", stranger.pem());
    expect_refused(&lambda.start().await?).await?;
    // The system's authorities did not sign it either.
    expect_refused(&generate(url(&database, "sslmode=verify-full")).start().await?).await?;
    Ok(())
}

/// As libpq and Prisma have it: `require` without an authority encrypts and verifies nothing, and that is logged.
#[tokio::test]
async fn require_alone_verifies_nothing_and_says_so() -> Result<()> {
    let database = database_with(Certificate::WrongName).await?;
    let preload = Preload::new().await?;
    preload.resolve("db.test", Some(IpAddr::V4(Ipv4Addr::LOCALHOST)))?;
    // Not `localhost`, where there is nobody in between to warn of.
    let url = url(&database, "sslmode=require").replace("localhost", "db.test");
    let lambda = generate(url).preload(&preload).start().await?;
    create_ok(&lambda).await?;
    wait_for_log(&lambda, "not verified").await?;
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

/// The proxy does what PostgreSQL 17 does: it takes direct TLS and TLS requests.
#[tokio::test]
async fn direct_tls_saves_a_round_trip() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let tls_proxy = DirectTls::in_front_of(database.postgres()).await?;
    let mut round_trips = Vec::new();
    for negotiation in ["postgres", "direct"] {
        let proxy = Proxy::start(tls_proxy.address()).await?;
        let url = format!(
            "postgres://{ROLE}:{PASSWORD}@localhost:{}/{}?sslmode=verify-full&sslnegotiation={negotiation}",
            proxy.address().port(),
            database.name
        );
        let lambda = generate(url).env("DATABASE_CA", tls_proxy.authority().pem()).start().await?;
        create_ok(&lambda).await?;
        ensure!(proxy.counts().connections == 1, "{}", lambda.logs().join("\n"));
        round_trips.push(proxy.round_trips());
    }
    assert_eq!(round_trips[0] - 1, round_trips[1], "{round_trips:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_speak_direct_tls_is_asked_for_tls_as_ever() -> Result<()> {
    let database = database_with(Certificate::Good).await?;
    let lambda = generate_with_ca(&database, "sslmode=verify-full&sslnegotiation=direct").start().await?;
    create_ok(&lambda).await?;
    database.postgres().terminate_sessions(&database.name).await?;
    create_ok(&lambda).await?;
    wait_for_log(&lambda, "does not speak direct TLS").await?;
    Ok(())
}
