//! A redirect as the documentation of lambda_http, tokio-postgres and postgres-native-tls leads one to write it: connect
//! once, `query` with the text of the statement. It resolves the code and records the scan in one statement, and does
//! nothing else.

use lambda_http::{Body, Error, Request, RequestExt, Response, run, service_fn};
use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use tokio::sync::OnceCell;
use tokio_postgres::Client;

static CLIENT: OnceCell<Client> = OnceCell::const_new();

async fn connect() -> Result<Client, Error> {
    let ca = Certificate::from_pem(&std::fs::read(std::env::var("DATABASE_CA")?)?)?;
    let tls = MakeTlsConnector::new(TlsConnector::builder().add_root_certificate(ca).build()?);
    let (client, connection) = tokio_postgres::connect(&std::env::var("DATABASE_URL")?, tls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn handle(request: Request) -> Result<Response<Body>, Error> {
    let client = CLIENT.get_or_try_init(connect).await?;
    let id = request.raw_http_path().trim_start_matches("/r/").to_owned();
    let row = client
        .query_opt(
            "WITH code AS (SELECT id, target_url FROM codes WHERE id_key = $1 AND enabled AND deleted_at IS NULL),
                  scan AS (INSERT INTO scans (id, code_id, bot) SELECT gen_random_uuid(), id, false FROM code)
             SELECT target_url FROM code",
            &[&id],
        )
        .await?;
    let response = match row {
        Some(row) => Response::builder().status(302).header("location", row.get::<_, String>(0)),
        None => Response::builder().status(404),
    };
    Ok(response.body(Body::Empty)?)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(handle)).await
}
