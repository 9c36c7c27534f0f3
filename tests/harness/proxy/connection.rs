//! One connection through the proxy: both directions, their delay, and what may end them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::frontend::Frontend;
use super::tls::Waiting;
use super::{Ending, Shared, Trap};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Client,
    Server,
}

/// What becomes of a chunk: this many of its bytes go on, and then perhaps the connection ends.
struct Verdict {
    pass: usize,
    cut: bool,
}

/// How one direction came to its end.
#[derive(PartialEq, Eq)]
enum Ended {
    ByItself,
    Cut,
}

struct Connection<'a> {
    number: u64,
    shared: &'a Shared,
    exchange: Mutex<Exchange>,
}

/// Whose turn it is.
#[derive(Default)]
struct Exchange {
    waiting: Waiting,
    /// The client waits for an answer, and none of it has come.
    unanswered: bool,
}

/// Carries a connection to its end.
pub(super) async fn pass(
    mut client: TcpStream,
    number: u64,
    cut: oneshot::Receiver<()>,
    shared: &Arc<Shared>,
) -> Result<()> {
    let connection = Connection { number, shared, exchange: Mutex::default() };
    client.set_nodelay(true)?;
    let carried = tokio::select! {
        carried = connection.carry(&mut client) => carried,
        _ = cut => Ok(Ended::Cut),
    };
    if shared.state().ending == Ending::Reset && !matches!(carried, Ok(Ended::ByItself)) {
        client.set_zero_linger()?;
    }
    Ok(())
}

impl Connection<'_> {
    async fn carry(&self, client: &mut TcpStream) -> Result<Ended> {
        // The TCP handshake with a server this far away.
        sleep(2 * self.delay()).await;
        let upstream = self.shared.state().upstream;
        let mut server = TcpStream::connect(upstream).await?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = self.pump(From::Client, from_client, to_server);
        let down = self.pump(From::Server, from_server, to_client);
        let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
        let (first, other_is_up) = tokio::select! {
            ended = &mut up => (ended?, false),
            ended = &mut down => (ended?, true),
        };
        if first == Ended::Cut {
            return Ok(Ended::Cut);
        }
        if other_is_up { up.await } else { down.await }
    }

    fn delay(&self) -> Duration {
        self.shared.state().delay
    }

    /// One direction. Reading and writing are apart, so that a delay holds up no reading: it is a distance, not a
    /// narrow pipe.
    async fn pump(&self, from: From, source: ReadHalf<'_>, target: WriteHalf<'_>) -> Result<Ended> {
        let (chunks, arriving) = mpsc::channel(1024);
        let (read, written) = tokio::join!(self.read(from, source, chunks), write(target, arriving));
        written.and(read)
    }

    async fn read(
        &self,
        from: From,
        mut source: ReadHalf<'_>,
        chunks: mpsc::Sender<(Instant, Bytes)>,
    ) -> Result<Ended> {
        let mut buffer = vec![0; 16 * 1024];
        let mut frontend = Frontend::default();
        loop {
            let length = source.read(&mut buffer).await?;
            self.out_of_the_hole().await;
            if length == 0 {
                return Ok(Ended::ByItself);
            }
            let chunk = &buffer[..length];
            let verdict = match from {
                From::Client => self.judge_client(chunk, &mut frontend),
                From::Server => self.judge_server(chunk),
            };
            let arrival = Instant::now() + self.delay();
            if chunks.send((arrival, Bytes::copy_from_slice(&chunk[..verdict.pass]))).await.is_err() {
                return Ok(Ended::ByItself);
            }
            if verdict.cut {
                return Ok(Ended::Cut);
            }
        }
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn out_of_the_hole(&self) {
        let mut holes = self.shared.holes.subscribe();
        let _ = holes.wait_for(|holes| !holes.all && self.number >= holes.before).await;
    }

    fn judge_client(&self, chunk: &[u8], frontend: &mut Frontend) -> Verdict {
        let mut state = self.shared.state();
        let verdict = match state.trap {
            Some(Trap::ClientBytes(left)) => spend(&mut state.trap, Trap::ClientBytes, left, chunk.len()),
            _ => Verdict { pass: chunk.len(), cut: false },
        };
        state.counts.client_bytes += verdict.pass;
        let mut exchange = self.exchange();
        exchange.unanswered |= exchange.waiting.client_sent(&chunk[..verdict.pass]);
        if state.recording {
            state.messages.extend(frontend.read(&chunk[..verdict.pass]));
        }
        verdict
    }

    fn judge_server(&self, chunk: &[u8]) -> Verdict {
        let mut state = self.shared.state();
        let mut exchange = self.exchange();
        let answer = exchange.waiting.server_sent(chunk) && std::mem::take(&mut exchange.unanswered);
        let verdict = match state.trap {
            Some(Trap::Answer(0)) if answer => {
                state.trap = None;
                return Verdict { pass: 0, cut: true };
            }
            Some(Trap::Answer(left)) if answer => {
                state.trap = Some(Trap::Answer(left - 1));
                Verdict { pass: chunk.len(), cut: false }
            }
            Some(Trap::ServerBytes(left)) => spend(&mut state.trap, Trap::ServerBytes, left, chunk.len()),
            _ => Verdict { pass: chunk.len(), cut: false },
        };
        state.counts.server_bytes += verdict.pass;
        state.counts.answered += usize::from(answer && verdict.pass > 0);
        verdict
    }
}

/// Takes a chunk off a budget of bytes; the connection that uses it up is cut.
fn spend(trap: &mut Option<Trap>, again: fn(usize) -> Trap, left: usize, length: usize) -> Verdict {
    let cut = length >= left;
    *trap = (!cut).then(|| again(left - length));
    Verdict { pass: length.min(left), cut }
}

async fn write(mut target: WriteHalf<'_>, mut arriving: mpsc::Receiver<(Instant, Bytes)>) -> Result<()> {
    while let Some((arrival, chunk)) = arriving.recv().await {
        if arrival > Instant::now() {
            sleep_until(arrival).await;
        }
        target.write_all(&chunk).await?;
    }
    target.shutdown().await?;
    Ok(())
}
