//! A server that refuses every connection with the same error.

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Speaks as much of PostgreSQL's protocol as it takes to refuse a connection. Stops when it is dropped.
#[derive(Debug)]
pub struct RefusingServer {
    url: String,
    task: JoinHandle<()>,
}

impl RefusingServer {
    /// Starts a server that refuses with this SQLSTATE and message, as `FATAL`.
    pub async fn start(sqlstate: &str, message: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("postgres://u:p@127.0.0.1:{}/d?sslmode=disable", listener.local_addr()?.port());
        let refusal = error_response(sqlstate, message);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that hangs up before it is refused needs no answer.
                let _ = refuse(stream, &refusal).await;
            }
        });
        Ok(Self { url, task })
    }

    /// The connection string of this server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for RefusingServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn refuse(mut stream: TcpStream, refusal: &[u8]) -> std::io::Result<()> {
    let length = stream.read_u32().await?;
    let mut startup = vec![0; usize::try_from(length).unwrap_or_default().saturating_sub(4)];
    stream.read_exact(&mut startup).await?;
    stream.write_all(refusal).await?;
    stream.shutdown().await
}

/// Encodes an [`ErrorResponse`](https://www.postgresql.org/docs/current/protocol-message-formats.html).
fn error_response(sqlstate: &str, message: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (code, value) in [('S', "FATAL"), ('V', "FATAL"), ('C', sqlstate), ('M', message)] {
        fields.extend_from_slice(format!("{code}{value}\0").as_bytes());
    }
    fields.push(0);
    let length = u32::try_from(fields.len() + 4).expect("an error message is short");
    [b"E", &length.to_be_bytes()[..], &fields].concat()
}
