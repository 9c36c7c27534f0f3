//! Asks a server to cancel a statement, over a connection of its own, and waits until the server has read the request.
//!
//! The driver closes the connection as soon as the request is written, upon which PgBouncer drops the request. libpq
//! waits until the server closes the connection, and so does this module.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use postgres_native_tls::MakeTlsConnector;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::config::Host;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{CancelToken, Config, Error, NoTls, Socket};

/// Sends the request and waits until the server closes the connection. The caller limits the time.
pub(crate) async fn cancel(
    config: &Config,
    tls: Option<&MakeTlsConnector>,
    token: CancelToken,
) -> Result<(), Error> {
    match (tls, config.get_hosts()) {
        (Some(tls), _) => token.cancel_query(WaitForEofTls(tls.clone())).await,
        // Of several hosts, the driver alone knows which it is connected to.
        (None, [Host::Tcp(host)]) => {
            let port = config.get_ports().first().copied().unwrap_or(5432);
            match TcpStream::connect((host.as_str(), port)).await {
                Ok(socket) => token.cancel_query_raw(WaitForEof(socket), NoTls).await,
                // The driver's own attempt returns the error.
                Err(_) => token.cancel_query(NoTls).await,
            }
        }
        _ => token.cancel_query(NoTls).await,
    }
}

/// A stream whose shutdown waits until the peer closes it.
struct WaitForEof<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for WaitForEof<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WaitForEof<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut bytes = [0; 64];
            let mut buffer = ReadBuf::new(&mut bytes);
            // An error means that the peer has closed the connection, too.
            if ready!(Pin::new(&mut self.0).poll_read(context, &mut buffer)).is_err()
                || buffer.filled().is_empty()
            {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: TlsStream + Unpin> TlsStream for WaitForEof<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.0.channel_binding()
    }
}

type Connector = <MakeTlsConnector as MakeTlsConnect<Socket>>::TlsConnect;
type Encrypted = <MakeTlsConnector as MakeTlsConnect<Socket>>::Stream;
type ConnectError = <Connector as TlsConnect<Socket>>::Error;

/// Makes connectors for streams whose shutdown waits until the peer closes them.
struct WaitForEofTls(MakeTlsConnector);

struct WaitForEofConnector(Connector);

impl MakeTlsConnect<Socket> for WaitForEofTls {
    type Stream = WaitForEof<Encrypted>;
    type TlsConnect = WaitForEofConnector;
    type Error = <MakeTlsConnector as MakeTlsConnect<Socket>>::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<WaitForEofConnector, Self::Error> {
        MakeTlsConnect::<Socket>::make_tls_connect(&mut self.0, domain).map(WaitForEofConnector)
    }
}

impl TlsConnect<Socket> for WaitForEofConnector {
    type Stream = WaitForEof<Encrypted>;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Stream, ConnectError>>;

    fn connect(self, socket: Socket) -> Self::Future {
        let connecting = self.0.connect(socket);
        Box::pin(async move { connecting.await.map(WaitForEof) })
    }
}
