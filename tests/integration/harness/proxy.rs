//! The proxy's counts are exact, and its faults do what they are documented to do.

use std::time::{Duration, Instant};

use anyhow::Result;
use harness::{CutPoint, Database, Disconnect, Message, PASSWORD, Postgres, Proxy, ROLE};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

async fn connect(proxy: &Proxy, database: &Database) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    let port = proxy.address().port();
    config.host("127.0.0.1").port(port).user(ROLE).password(PASSWORD).dbname(&database.name);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn setup() -> Result<(Database, Proxy)> {
    let database = Postgres::plain().await?.empty_database().await?;
    database.client().await?.batch_execute("CREATE TABLE effect (id int)").await?;
    let proxy = Proxy::recording(database.postgres().address()).await?;
    Ok((database, proxy))
}

async fn effects(database: &Database) -> Result<i64> {
    let client = database.client().await?;
    Ok(client.query_typed_one("SELECT count(*) FROM effect", &[]).await?.try_get(0)?)
}

const EFFECT: &str = "INSERT INTO effect VALUES (1)";

#[tokio::test]
async fn round_trips_are_those_of_the_protocol() -> Result<()> {
    let (database, proxy) = setup().await?;
    let client = connect(&proxy, &database).await?;
    assert_eq!(proxy.round_trips(), 2, "TCP, then start-up without a password");
    proxy.reset();
    client.query_typed("SELECT $1::text", &[(&"a", Type::TEXT)]).await?;
    assert_eq!(proxy.round_trips(), 1);
    proxy.reset();
    #[expect(clippy::disallowed_methods, reason = "what the unnamed statements save")]
    client.query("SELECT 1", &[]).await?;
    assert_eq!(proxy.round_trips(), 2);
    proxy.reset();
    let (one, other) = (client.query_typed("SELECT 1", &[]), client.query_typed("SELECT 2", &[]));
    tokio::try_join!(one, other)?;
    assert_eq!(proxy.round_trips(), 1, "pipelined");
    assert_eq!(proxy.open_connections(), 1);
    Ok(())
}

#[tokio::test]
async fn round_trips_are_counted_through_tls() -> Result<()> {
    let database = Postgres::tls().await?.empty_database().await?;
    let proxy = Proxy::of(database.postgres()).await?;
    for _ in 0..5 {
        proxy.reset();
        let url = proxy.url(&database);
        let psql = move || std::process::Command::new("psql").args([&url, "-c", "SELECT 1"]).output();
        let psql = tokio::task::spawn_blocking(psql).await??;
        assert!(psql.status.success(), "{psql:?}");
        // TCP, SSLRequest, TLS, start-up, two of SCRAM, the query; and one more in TLS where the client's first
        // guess of a curve is not the server's, as up to PostgreSQL 17.
        assert!((7..=8).contains(&proxy.round_trips()), "{}", proxy.round_trips());
        while proxy.open_connections() > 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn messages_are_recorded() -> Result<()> {
    let (database, proxy) = setup().await?;
    let client = connect(&proxy, &database).await?;
    client.query_typed("SELECT 1", &[]).await?;
    client.simple_query("SELECT 2").await?;
    assert_eq!(proxy.named_statements(), [""; 0]);
    #[expect(clippy::disallowed_methods, reason = "the named statement that must be seen")]
    client.query("SELECT 3", &[]).await?;
    assert_eq!(proxy.named_statements().len(), 1, "{:?}", proxy.named_statements());
    let messages = proxy.messages();
    assert!(matches!(&messages[0], Message::Startup(pairs) if pairs.contains(&("user".into(), ROLE.into()))));
    assert!(
        messages.contains(&Message::Parse { statement: String::new(), sql: "SELECT 1".into() }),
        "{messages:?}"
    );
    assert!(messages.contains(&Message::Query("SELECT 2".into())), "{messages:?}");
    Ok(())
}

#[tokio::test]
async fn new_connections_can_be_refused() -> Result<()> {
    let (database, proxy) = setup().await?;
    let open = connect(&proxy, &database).await?;
    proxy.refuse().await;
    let refused = tokio::net::TcpStream::connect(proxy.address()).await.expect_err("refused");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    open.simple_query("SELECT 1").await?;
    proxy.accept().await?;
    connect(&proxy, &database).await?;
    Ok(())
}

#[tokio::test]
async fn a_delay_is_added_to_each_direction() -> Result<()> {
    let (database, proxy) = setup().await?;
    proxy.delay(Duration::from_millis(20));
    let start = Instant::now();
    let client = connect(&proxy, &database).await?;
    assert!(start.elapsed() >= Duration::from_millis(80), "two round trips: {:?}", start.elapsed());
    let start = Instant::now();
    let queries = (0..20).map(|_| client.query_typed("SELECT 1", &[]));
    futures_util::future::try_join_all(queries).await?;
    assert!(start.elapsed() >= Duration::from_millis(40), "{:?}", start.elapsed());
    Ok(())
}

#[tokio::test]
async fn cuts_end_connections_as_told() -> Result<()> {
    let (database, proxy) = setup().await?;
    for disconnect in [Disconnect::Eof, Disconnect::Reset] {
        proxy.disconnect_by(disconnect);
        let older = connect(&proxy, &database).await?;
        let newer = connect(&proxy, &database).await?;
        proxy.cut_newest();
        newer.simple_query("SELECT 1").await.expect_err("cut");
        older.simple_query("SELECT 1").await?;
        proxy.cut_all();
        older.simple_query("SELECT 1").await.expect_err("cut");
    }
    Ok(())
}

#[tokio::test]
async fn a_reset_is_seen_as_one() -> Result<()> {
    use tokio::io::AsyncReadExt as _;
    let (_database, proxy) = setup().await?;
    for (disconnect, kind) in
        [(Disconnect::Eof, None), (Disconnect::Reset, Some(std::io::ErrorKind::ConnectionReset))]
    {
        proxy.disconnect_by(disconnect);
        let mut stream = tokio::net::TcpStream::connect(proxy.address()).await?;
        while proxy.open_connections() == 0 {
            tokio::task::yield_now().await;
        }
        proxy.cut_all();
        assert_eq!(
            stream.read_u8().await.map_err(|error| error.kind()).err(),
            Some(kind.unwrap_or(std::io::ErrorKind::UnexpectedEof))
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_statement_cut_on_its_way_does_not_run() -> Result<()> {
    let (database, proxy) = setup().await?;
    for bytes in [0, 5] {
        let client = connect(&proxy, &database).await?;
        proxy.cut_at(CutPoint::ClientBytes(bytes));
        client.execute_typed(EFFECT, &[]).await.expect_err("cut");
        assert!(!proxy.cut_is_pending());
    }
    assert_eq!(effects(&database).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_statement_whose_answer_is_lost_has_run() -> Result<()> {
    let (database, proxy) = setup().await?;
    let client = connect(&proxy, &database).await?;
    proxy.cut_at(CutPoint::Answer(1));
    client.execute_typed(EFFECT, &[]).await?;
    client.execute_typed(EFFECT, &[]).await.expect_err("cut");
    assert_eq!(effects(&database).await?, 2);
    Ok(())
}

#[tokio::test]
async fn an_answer_can_be_cut_in_its_middle() -> Result<()> {
    let (database, proxy) = setup().await?;
    let client = connect(&proxy, &database).await?;
    proxy.reset();
    proxy.cut_at(CutPoint::ServerBytes(3));
    client.execute_typed(EFFECT, &[]).await.expect_err("cut");
    assert_eq!(proxy.counts().server_bytes, 3);
    assert_eq!(effects(&database).await?, 1);
    Ok(())
}

#[tokio::test]
async fn black_holes_hold_connections_open_and_silent() -> Result<()> {
    let (database, proxy) = setup().await?;
    let client = connect(&proxy, &database).await?;
    proxy.black_hole_open_connections();
    let mut lost = std::pin::pin!(client.simple_query("SELECT 1"));
    // A whole new connection comes and goes while the old one hears nothing.
    let fresh = async { connect(&proxy, &database).await?.simple_query("SELECT 1").await };
    tokio::select! {
        biased;
        answer = &mut lost => panic!("out of a black hole: {answer:?}"),
        fresh = fresh => { fresh?; }
    }
    proxy.black_hole();
    let stuck = tokio::time::timeout(Duration::from_millis(50), connect(&proxy, &database)).await;
    assert!(stuck.is_err(), "the connection is accepted, and nothing comes of it");
    proxy.end_black_holes();
    lost.await?;
    Ok(())
}

#[tokio::test]
async fn new_connections_follow_the_upstream() -> Result<()> {
    let (database, proxy) = setup().await?;
    let other = Postgres::builder().start().await?;
    let old = connect(&proxy, &database).await?;
    other.admin("postgres").await?.batch_execute(&format!("CREATE DATABASE {}", database.name)).await?;
    proxy.switch_upstream(other.address());
    let port = async |client: &Client| -> Result<i32> {
        Ok(client.query_typed_one("SELECT inet_server_port()", &[]).await?.try_get(0)?)
    };
    assert_eq!(port(&old).await?, i32::from(database.postgres().address().port()));
    assert_eq!(port(&connect(&proxy, &database).await?).await?, i32::from(other.address().port()));
    Ok(())
}
