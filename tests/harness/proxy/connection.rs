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

use super::frontend::FrontendParser;
use super::tls::RoundTripDetector;
use super::{CutPoint, Disconnect, Shared};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Client,
    Server,
}

/// What happens to a chunk: this many of its bytes are forwarded, and then the connection may be cut.
struct Verdict {
    forward: usize,
    cut: bool,
}

/// How one direction of a connection ended.
#[derive(PartialEq, Eq)]
enum Ended {
    /// The client or the server closed it.
    Closed,
    /// The proxy cut it.
    Cut,
}

struct Connection<'a> {
    number: u64,
    shared: &'a Shared,
    exchange: Mutex<Exchange>,
}

/// Whether the client waits for the server.
#[derive(Default)]
struct Exchange {
    detector: RoundTripDetector,
    /// The client waits for an answer, of which nothing has come yet.
    unanswered: bool,
}

/// Relays a connection between client and server until it ends.
pub(super) async fn relay(
    mut client: TcpStream,
    number: u64,
    cut: oneshot::Receiver<()>,
    shared: &Arc<Shared>,
) -> Result<()> {
    let connection = Connection { number, shared, exchange: Mutex::default() };
    client.set_nodelay(true)?;
    let ended = tokio::select! {
        ended = connection.relay(&mut client) => ended,
        _ = cut => Ok(Ended::Cut),
    };
    if shared.state().disconnect == Disconnect::Reset && !matches!(ended, Ok(Ended::Closed)) {
        client.set_zero_linger()?;
    }
    Ok(())
}

impl Connection<'_> {
    async fn relay(&self, client: &mut TcpStream) -> Result<Ended> {
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

    /// Relays one direction. Reading and writing are apart, so that a delay does not hold up reading: it adds latency
    /// and takes no bandwidth.
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
        let mut frontend = FrontendParser::default();
        loop {
            let length = source.read(&mut buffer).await?;
            self.end_of_black_hole().await;
            if length == 0 {
                return Ok(Ended::Closed);
            }
            let chunk = &buffer[..length];
            let verdict = match from {
                From::Client => self.judge_client(chunk, &mut frontend),
                From::Server => self.judge_server(chunk),
            };
            let arrival = Instant::now() + self.delay();
            if chunks.send((arrival, Bytes::copy_from_slice(&chunk[..verdict.forward]))).await.is_err() {
                return Ok(Ended::Closed);
            }
            if verdict.cut {
                return Ok(Ended::Cut);
            }
        }
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn end_of_black_hole(&self) {
        let mut black_holes = self.shared.black_holes.subscribe();
        let _ = black_holes.wait_for(|holes| !holes.all && self.number >= holes.before).await;
    }

    fn judge_client(&self, chunk: &[u8], frontend: &mut FrontendParser) -> Verdict {
        let mut state = self.shared.state();
        let verdict = match state.cut_point {
            Some(CutPoint::ClientBytes(left)) => {
                count_down(&mut state.cut_point, CutPoint::ClientBytes, left, chunk.len())
            }
            _ => Verdict { forward: chunk.len(), cut: false },
        };
        state.counts.client_bytes += verdict.forward;
        let mut exchange = self.exchange();
        exchange.unanswered |= exchange.detector.client_sent(&chunk[..verdict.forward]);
        if state.recording {
            state.messages.extend(frontend.read(&chunk[..verdict.forward]));
        }
        verdict
    }

    fn judge_server(&self, chunk: &[u8]) -> Verdict {
        let mut state = self.shared.state();
        let mut exchange = self.exchange();
        let answer = exchange.detector.server_sent(chunk) && std::mem::take(&mut exchange.unanswered);
        let verdict = match state.cut_point {
            Some(CutPoint::Answer(0)) if answer => {
                state.cut_point = None;
                return Verdict { forward: 0, cut: true };
            }
            Some(CutPoint::Answer(left)) if answer => {
                state.cut_point = Some(CutPoint::Answer(left - 1));
                Verdict { forward: chunk.len(), cut: false }
            }
            Some(CutPoint::ServerBytes(left)) => {
                count_down(&mut state.cut_point, CutPoint::ServerBytes, left, chunk.len())
            }
            _ => Verdict { forward: chunk.len(), cut: false },
        };
        state.counts.server_bytes += verdict.forward;
        state.counts.answered += usize::from(answer && verdict.forward > 0);
        verdict
    }
}

/// Counts a chunk against the bytes that are left until the cut; the connection that sends the last of them is cut.
fn count_down(
    cut_point: &mut Option<CutPoint>,
    again: fn(usize) -> CutPoint,
    left: usize,
    length: usize,
) -> Verdict {
    let cut = length >= left;
    *cut_point = (!cut).then(|| again(left - length));
    Verdict { forward: length.min(left), cut }
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
