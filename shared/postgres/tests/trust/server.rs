//! A certificate authority, and a TLS server with a certificate from it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use native_tls::{Identity, TlsAcceptor};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

/// OpenSSL's hash of the subject `CN=Tessera Test Authority`, by `openssl x509 -hash`.
pub(crate) const AUTHORITY_HASH: &str = "d8d52ddd";

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("Tessera Test Authority")
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Serves one connection under this name.
    pub(crate) fn serve(&self, name: &str) -> Server {
        self.serve_until(name, 2999)
    }

    /// With a certificate that ends with this year's beginning.
    pub(crate) fn serve_until(&self, name: &str, year: i32) -> Server {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        // Tells authorities of one name apart.
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Server::start(&certificate.pem(), &key.serialize_pem())
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    thread: JoinHandle<Vec<u8>>,
}

impl Server {
    fn start(certificate: &str, key: &str) -> Self {
        let identity = Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes()).unwrap();
        let acceptor = TlsAcceptor::new(identity).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut hello = vec![0; 4096];
            let length = stream.peek(&mut hello).unwrap();
            hello.truncate(length);
            if let Ok(mut stream) = acceptor.accept(stream) {
                let _ = stream.write_all(b"!");
                let _ = stream.read(&mut [0]);
            }
            hello
        });
        Self { address, thread }
    }

    /// The first bytes that the client sent, which hold what it sent in the clear.
    pub(crate) fn client_hello(self) -> Vec<u8> {
        self.thread.join().unwrap()
    }
}
