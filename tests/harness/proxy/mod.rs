//! A TCP proxy that counts network round trips and breaks connections on request.

mod connection;
mod frontend;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use local::port::Port;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub use frontend::Message;

use crate::{Database, Postgres};

/// A proxy in front of one address. It lives on the runtime of the test that started it. A client whose upstream
/// cannot be reached is accepted and hung up on; to have it refused, use [`Proxy::refuse`].
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    /// Held for as long as the proxy is there, listening or not.
    port: Option<Port>,
    shared: Arc<Shared>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

/// What connections, faults and counters share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Watched by connections that are in a black hole.
    black_holes: watch::Sender<BlackHoles>,
}

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    delay: Duration,
    disconnect: Disconnect,
    cut_point: Option<CutPoint>,
    recording: bool,
    messages: Vec<Message>,
    counts: Counts,
    next_connection: u64,
    open: BTreeMap<u64, oneshot::Sender<()>>,
}

/// What has passed since the start or [`Proxy::reset`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: usize,
    /// Bursts of clients that the server answered. A burst is all that a client sends without hearing from the server.
    pub answered: usize,
    /// Bytes from clients to the server.
    pub client_bytes: usize,
    /// Bytes from the server to clients.
    pub server_bytes: usize,
}

/// How a connection that is cut ends for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disconnect {
    /// An orderly end of the stream.
    Eof,
    /// "Connection reset by peer".
    Reset,
}

/// The point of the traffic at which a connection is cut, once. Bytes are counted over all connections from
/// [`Proxy::cut_at`] on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutPoint {
    /// Cut when clients have sent this many more bytes; those are passed on, and nothing after them. With 0 the
    /// next statement never reaches the server.
    ClientBytes(usize),
    /// Cut when this many more bytes have been passed to clients.
    ServerBytes(usize),
    /// Let this many bursts be answered, pass the next one on in full, and cut when its answer begins, of which
    /// the client sees no byte. With 0: the next statement runs and its answer is lost.
    Answer(usize),
}

/// Which connections look open and carry nothing.
#[derive(Debug, Clone, Copy, Default)]
struct BlackHoles {
    all: bool,
    /// Connections with a smaller number.
    before: u64,
}

impl Proxy {
    /// Listens on a free port and passes everything on to `upstream`.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        Self::start_with(upstream, false).await
    }

    /// As [`Proxy::start`], at an address of the test's choosing: the same port of 127.0.0.2, say.
    pub async fn start_at(address: SocketAddr, upstream: SocketAddr) -> Result<Self> {
        Self::listen(address, upstream, false).await
    }

    /// As [`Proxy::start`], and keeps the messages that clients send without TLS: see [`Proxy::messages`].
    pub async fn recording(upstream: SocketAddr) -> Result<Self> {
        Self::start_with(upstream, true).await
    }

    /// Starts a proxy in front of a cluster.
    pub async fn of(postgres: &Postgres) -> Result<Self> {
        Self::start(postgres.address()).await
    }

    async fn start_with(upstream: SocketAddr, recording: bool) -> Result<Self> {
        // Reserved, so that nobody else is given the port while the proxy refuses connections.
        let port = Port::reserve()?;
        let mut proxy = Self::listen(port.address(), upstream, recording).await?;
        proxy.port = Some(port);
        Ok(proxy)
    }

    async fn listen(address: SocketAddr, upstream: SocketAddr, recording: bool) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let state = State {
            upstream,
            delay: Duration::ZERO,
            disconnect: Disconnect::Eof,
            cut_point: None,
            recording,
            messages: Vec::new(),
            counts: Counts::default(),
            next_connection: 0,
            open: BTreeMap::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), black_holes: watch::Sender::default() });
        let address = listener.local_addr()?;
        let acceptor = Mutex::new(Some(tokio::spawn(accept(listener, Arc::clone(&shared)))));
        Ok(Self { address, port: None, shared, acceptor })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a database through this proxy.
    #[must_use]
    pub fn url(&self, database: &Database) -> String {
        database.postgres().url_at(self.address, &database.name)
    }

    /// What has passed since the start or [`Proxy::reset`].
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.state().counts
    }

    /// Network round trips since the start or [`Proxy::reset`]: one for each TCP connection, one for each burst of
    /// the client that was answered. Counted before the client sees the answer.
    #[must_use]
    pub fn round_trips(&self) -> usize {
        let counts = self.counts();
        counts.connections + counts.answered
    }

    /// The number of connections open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.state().open.len()
    }

    /// Sets all counters to zero and forgets recorded messages.
    pub fn reset(&self) {
        let mut state = self.shared.state();
        state.counts = Counts::default();
        state.messages.clear();
    }

    /// The messages clients sent, if started by [`Proxy::recording`].
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.shared.state().messages.clone()
    }

    /// The names of all named statements that clients asked for, if started by [`Proxy::recording`].
    #[must_use]
    pub fn named_statements(&self) -> Vec<String> {
        let named = |message| match message {
            Message::Parse { statement, .. } if !statement.is_empty() => Some(statement),
            _ => None,
        };
        self.messages().into_iter().filter_map(named).collect()
    }

    /// Refuses new connections; those that are open stay.
    pub async fn refuse(&self) {
        let acceptor = self.acceptor().take();
        if let Some(acceptor) = acceptor {
            acceptor.abort();
            let _ = acceptor.await;
        }
    }

    /// Takes new connections again after [`Proxy::refuse`].
    pub async fn accept(&self) -> Result<()> {
        if self.acceptor().is_none() {
            let listener = TcpListener::bind(self.address).await?;
            *self.acceptor() = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        }
        Ok(())
    }

    /// Adds this much to each direction, so twice this to a round trip, a TCP connect included. Holds for traffic
    /// from now on.
    pub fn delay(&self, each_way: Duration) {
        self.shared.state().delay = each_way;
    }

    /// Sends new connections elsewhere, as a DNS name that changes would.
    pub fn switch_upstream(&self, upstream: SocketAddr) {
        self.shared.state().upstream = upstream;
    }

    /// Chooses how connections that are cut end for clients; [`Disconnect::Eof`] at first.
    pub fn disconnect_by(&self, disconnect: Disconnect) {
        self.shared.state().disconnect = disconnect;
    }

    /// Cuts all open connections.
    pub fn cut_all(&self) {
        self.shared.state().open.clear();
    }

    /// Cuts the newest open connection.
    pub fn cut_newest(&self) {
        self.shared.state().open.pop_last();
    }

    /// Cuts one connection, as soon as the traffic reaches this point. Replaces a point that has not been reached.
    pub fn cut_at(&self, cut_point: CutPoint) {
        self.shared.state().cut_point = Some(cut_point);
    }

    /// Whether the point of [`Proxy::cut_at`] has not been reached yet.
    #[must_use]
    pub fn cut_is_pending(&self) -> bool {
        self.shared.state().cut_point.is_some()
    }

    /// Forwards nothing any more, on open and on new connections, until [`Proxy::end_black_holes`]; for
    /// TCP they are all alive. What is sent meanwhile arrives late.
    pub fn black_hole(&self) {
        self.shared.black_holes.send_modify(|holes| holes.all = true);
    }

    /// Forwards nothing on the connections that are open now, as a NAT gateway that forgot them; new ones work.
    pub fn black_hole_open_connections(&self) {
        let before = self.shared.state().next_connection;
        self.shared.black_holes.send_modify(|holes| holes.before = before);
    }

    /// Ends all black holes.
    pub fn end_black_holes(&self) {
        self.shared.black_holes.send_replace(BlackHoles::default());
    }

    fn acceptor(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.acceptor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(acceptor) = self.acceptor().take() {
            acceptor.abort();
        }
        self.cut_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self) -> (u64, oneshot::Receiver<()>) {
        let mut state = self.state();
        let number = state.next_connection;
        state.next_connection += 1;
        state.counts.connections += 1;
        // Dropping the sender is the cut.
        let (open, cut) = oneshot::channel();
        state.open.insert(number, open);
        (number, cut)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(serve(client, Arc::clone(&shared)));
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let (number, cut) = shared.admit();
    let relayed = connection::relay(client, number, cut, &shared).await;
    drop(relayed);
    shared.state().open.remove(&number);
}
