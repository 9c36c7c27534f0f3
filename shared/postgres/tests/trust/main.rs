//! Whom a connector trusts, and what that leaves behind, in processes that begin with a single thread as a function's
//! does. `cargo test -p tessera-postgres --test trust [PART OF A NAME]`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test, which clippy does not see without the harness"
)]

mod server;

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use postgres_native_tls::MakeTlsConnector;
use tempfile::TempDir;
use tessera_postgres::tls::{CaSource, CertificatePaths, TlsError, TrustStore};
use tessera_postgres::url::DatabaseUrl;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

use server::{AUTHORITY_HASH, Authority, Server};

const NAME: &str = "db.example.com";

const CASES: &[(&str, fn())] = &[
    ("verify_full_accepts_the_right_name_only", verify_full_accepts_the_right_name_only),
    ("verify_full_refuses_another_authority", verify_full_refuses_another_authority),
    ("an_expired_certificate_is_refused", an_expired_certificate_is_refused),
    ("an_address_is_verified_as_an_address", an_address_is_verified_as_an_address),
    (
        "verify_ca_accepts_any_name_from_the_authority_only",
        verify_ca_accepts_any_name_from_the_authority_only,
    ),
    (
        "require_accepts_any_certificate_unless_an_authority_is_given",
        require_accepts_any_unless_an_authority_is_given,
    ),
    ("disable_has_no_connector", disable_has_no_connector),
    ("a_given_authority_is_the_only_one_trusted", a_given_authority_is_the_only_one_trusted),
    ("authorities_are_given_as_text_or_path", authorities_are_given_as_text_or_path),
    ("unusable_authorities_are_named_by_their_source", unusable_authorities_are_named_by_their_source),
    ("a_hashed_directory_is_searched", a_hashed_directory_is_searched),
    ("a_bundle_is_split_and_searched", a_bundle_is_split_and_searched),
    ("a_second_store_trusts_the_same_bundle", a_second_store_trusts_the_same_bundle),
    ("without_any_authority_verification_is_an_error", without_any_authority_verification_is_an_error),
    ("a_bundle_set_by_variable_is_obeyed", a_bundle_set_by_variable_is_obeyed),
    ("a_directory_set_by_variable_is_obeyed", a_directory_set_by_variable_is_obeyed),
    ("variables_are_as_before", variables_are_as_before),
    ("with_other_threads_variables_are_left_alone", with_other_threads_variables_are_left_alone),
    ("the_name_is_sent_and_an_address_is_not", the_name_is_sent_and_an_address_is_not),
    ("direct_negotiation_names_the_protocol", direct_negotiation_names_the_protocol),
];

/// Runs one case when its name is given in this variable, otherwise each in its own process.
const CASE: &str = "TRUST_TEST_CASE";

fn main() -> ExitCode {
    if let Ok(name) = env::var(CASE) {
        let (_, case) = CASES.iter().find(|(known, _)| *known == name).expect("a known case");
        case();
        return ExitCode::SUCCESS;
    }
    let filter = env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut failed = 0;
    for (name, _) in CASES.iter().filter(|(name, _)| name.contains(&filter)) {
        let mut command = Command::new(env::current_exe().unwrap());
        command.env(CASE, name).env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        let output = command.output().unwrap();
        println!("test {name} ... {}", if output.status.success() { "ok" } else { "FAILED" });
        if !output.status.success() {
            failed += 1;
            println!("{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    println!("\ntest result: {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn verify_full_accepts_the_right_name_only() {
    let (store, authority) = (prepare_empty(), Authority::new());
    let connector = connector(&store, "sslmode=verify-full", Some(&authority.pem()));
    assert_accepted(&connector, NAME, authority.serve(NAME));
    assert_accepted(&connector, NAME, authority.serve("*.example.com"));
    assert_refused(&connector, NAME, authority.serve("other.example.com"));
    assert_refused(&connector, NAME, authority.serve("example.com"));
}

fn verify_full_refuses_another_authority() {
    let (store, authority) = (prepare_empty(), Authority::new());
    let connector = connector(&store, "sslmode=verify-full", Some(&authority.pem()));
    assert_refused(&connector, NAME, Authority::new().serve(NAME));
    assert_refused(&connector, NAME, Authority::named("Another").serve(NAME));
}

fn an_expired_certificate_is_refused() {
    let (store, authority) = (prepare_empty(), Authority::new());
    for mode in ["sslmode=verify-full", "sslmode=verify-ca"] {
        let connector = connector(&store, mode, Some(&authority.pem()));
        assert_refused(&connector, NAME, authority.serve_until(NAME, 2020));
    }
}

fn an_address_is_verified_as_an_address() {
    let (store, authority) = (prepare_empty(), Authority::new());
    let connector = connector(&store, "sslmode=verify-full", Some(&authority.pem()));
    assert_accepted(&connector, "127.0.0.1", authority.serve("127.0.0.1"));
    assert_refused(&connector, "127.0.0.1", authority.serve("127.0.0.2"));
    assert_refused(&connector, "127.0.0.1", authority.serve(NAME));
}

fn verify_ca_accepts_any_name_from_the_authority_only() {
    let (store, authority) = (prepare_empty(), Authority::new());
    let connector = connector(&store, "sslmode=verify-ca", Some(&authority.pem()));
    assert_accepted(&connector, NAME, authority.serve("other.example.com"));
    assert_refused(&connector, NAME, Authority::new().serve(NAME));
}

fn require_accepts_any_unless_an_authority_is_given() {
    let (store, authority) = (prepare_empty(), Authority::new());
    for mode in ["sslmode=require", "sslmode=prefer", "sslmode=no-verify"] {
        let connector = connector(&store, mode, None);
        assert_accepted(&connector, NAME, Authority::new().serve("other.example.com"));
        assert_accepted(&connector, NAME, Authority::new().serve_until(NAME, 2020));
    }
    let given = connector(&store, "sslmode=require", Some(&authority.pem()));
    assert_accepted(&given, NAME, authority.serve("other.example.com"));
    assert_refused(&given, NAME, Authority::new().serve(NAME));
    let not_wanted = connector(&store, "sslmode=no-verify", Some(&authority.pem()));
    assert_accepted(&not_wanted, NAME, Authority::new().serve(NAME));
}

fn disable_has_no_connector() {
    assert!(prepare_empty().connector(&url("sslmode=disable"), None).unwrap().is_none());
}

fn a_given_authority_is_the_only_one_trusted() {
    let (authority, system) = (Authority::named("Given"), Authority::new());
    let directory = hashed_directory(&system);
    let store = TrustStore::prepare_from(&certificate_paths(Some(directory.path()), None));
    let connector = connector(&store, "sslmode=verify-full", Some(&authority.pem()));
    assert_accepted(&connector, NAME, authority.serve(NAME));
    assert_refused(&connector, NAME, system.serve(NAME));
}

fn authorities_are_given_as_text_or_path() {
    let store = prepare_empty();
    let (one, other) = (Authority::new(), Authority::named("Other"));
    let text = format!("# One\n{}\n# Other\n{}", one.pem(), other.pem());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    fs::write(&path, &text).unwrap();
    let path = path.to_str().unwrap();
    let in_one_line = text.replace('\n', "\\n");
    let by_url = format!("sslmode=verify-full&sslrootcert={path}");
    for (query, database_ca) in [
        ("sslmode=verify-full", Some(text.as_str())),
        ("sslmode=verify-full", Some(in_one_line.as_str())),
        ("sslmode=verify-full", Some(path)),
        ("sslmode=verify-full&sslrootcert=/not/there", Some(path)),
        ("sslrootcert=system", Some(path)),
        (by_url.as_str(), None),
    ] {
        let connector = connector(&store, query, database_ca);
        assert_accepted(&connector, NAME, one.serve(NAME));
        assert_accepted(&connector, NAME, other.serve(NAME));
    }
}

fn unusable_authorities_are_named_by_their_source() {
    let store = prepare_empty();
    let error = |query: &str, ca: Option<&str>| store.connector(&url(query), ca).err().expect("an error");
    let (database_ca, ssl_root_cert) = (CaSource::DatabaseCa, CaSource::SslRootCert);
    assert!(matches!(error("", Some("/not/there")),
        TlsError::CaUnreadable { source_name, kind: ErrorKind::NotFound } if source_name == database_ca));
    assert!(matches!(error("sslmode=require&sslrootcert=/not/there", None),
        TlsError::CaUnreadable { source_name, kind: ErrorKind::NotFound } if source_name == ssl_root_cert));
    assert!(matches!(error("sslrootcert=/dev/null", None),
        TlsError::CaNotPem { source_name } if source_name == ssl_root_cert));
    for text in
        ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----", ""]
    {
        let text = if text.is_empty() { "/dev/null" } else { text };
        let error = error("", Some(text));
        assert!(matches!(error, TlsError::CaNotPem { source_name } if source_name == database_ca));
        assert_eq!(error.to_string(), "DATABASE_CA holds no usable certificate: expected PEM, one or more");
    }
}

fn a_hashed_directory_is_searched() {
    let authority = Authority::new();
    let directory = hashed_directory(&authority);
    let store = TrustStore::prepare_from(&certificate_paths(Some(directory.path()), None));
    for _ in 0..2 {
        let connector = connector(&store, "sslrootcert=system", None);
        assert_accepted(&connector, NAME, authority.serve(NAME));
        assert_refused(&connector, NAME, authority.serve("other.example.com"));
        assert_refused(&connector, NAME, Authority::new().serve(NAME));
    }
}

fn a_bundle_is_split_and_searched() {
    // Two authorities of one name share a hash; the second certificate has to be found as well.
    let authorities = [Authority::new(), Authority::named("Ő, Other  authority"), Authority::new()];
    let bundle = bundle(&authorities);
    let store = TrustStore::prepare_from(&certificate_paths(None, Some(bundle.path())));
    let connector = connector(&store, "sslrootcert=system", None);
    for authority in &authorities {
        assert_accepted(&connector, NAME, authority.serve(NAME));
    }
    assert_refused(&connector, NAME, Authority::new().serve(NAME));
}

fn a_second_store_trusts_the_same_bundle() {
    let authority = Authority::new();
    let bundle = bundle(std::slice::from_ref(&authority));
    let paths = certificate_paths(None, Some(bundle.path()));
    drop(TrustStore::prepare_from(&paths));
    let store = TrustStore::prepare_from(&paths);
    assert_accepted(&connector(&store, "sslrootcert=system", None), NAME, authority.serve(NAME));
}

fn without_any_authority_verification_is_an_error() {
    let store = prepare_empty();
    assert!(matches!(store.connector(&url("sslmode=verify-full"), None), Err(TlsError::NoSystemRoots)));
    assert!(store.connector(&url("sslmode=require"), None).unwrap().is_some());
}

fn a_bundle_set_by_variable_is_obeyed() {
    let authority = Authority::new();
    let bundle = bundle(std::slice::from_ref(&authority));
    set_variable("SSL_CERT_FILE", bundle.path());
    let store = TrustStore::prepare();
    assert_eq!(env::var_os("SSL_CERT_FILE").as_deref(), Some(bundle.path().as_os_str()));
    assert_accepted(&connector(&store, "sslrootcert=system", None), NAME, authority.serve(NAME));
}

fn a_directory_set_by_variable_is_obeyed() {
    let authority = Authority::new();
    let directory = hashed_directory(&authority);
    set_variable("SSL_CERT_DIR", directory.path());
    let store = TrustStore::prepare();
    assert_eq!(env::var_os("SSL_CERT_DIR").as_deref(), Some(directory.path().as_os_str()));
    assert_accepted(&connector(&store, "sslrootcert=system", None), NAME, authority.serve(NAME));
}

fn variables_are_as_before() {
    let set = || ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(env::var_os);
    let directory = hashed_directory(&Authority::new());
    let _store = TrustStore::prepare_from(&certificate_paths(Some(directory.path()), None));
    assert_eq!(set(), [None, None]);
}

fn with_other_threads_variables_are_left_alone() {
    let authority = Authority::new();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receiver.recv());
    let store = TrustStore::prepare();
    assert_accepted(
        &connector(&store, "sslmode=verify-full", Some(&authority.pem())),
        NAME,
        authority.serve(NAME),
    );
    drop(sender);
    assert!(thread.join().unwrap().is_err());
}

fn the_name_is_sent_and_an_address_is_not() {
    let (store, authority) = (prepare_empty(), Authority::new());
    for mode in ["sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"] {
        let connector = connector(&store, mode, Some(&authority.pem()));
        let server = authority.serve(NAME);
        connect(&connector, NAME, &server).unwrap();
        assert!(contains(&server.client_hello(), NAME), "{mode}");
    }
    let server = authority.serve("127.0.0.1");
    connect(&connector(&store, "sslmode=require", None), "127.0.0.1", &server).unwrap();
    assert!(!contains(&server.client_hello(), "127.0.0.1"));
}

fn direct_negotiation_names_the_protocol() {
    let store = prepare_empty();
    for (query, expected) in [("sslnegotiation=direct", true), ("sslmode=require", false)] {
        let server = Authority::new().serve(NAME);
        connect(&connector(&store, query, None), NAME, &server).unwrap();
        assert_eq!(contains(&server.client_hello(), "postgresql"), expected, "{query}");
    }
}

/// A system without any authority.
fn prepare_empty() -> TrustStore {
    TrustStore::prepare_from(&certificate_paths(None, None))
}

fn certificate_paths(directory: Option<&Path>, bundle: Option<&Path>) -> CertificatePaths {
    let list = |path: Option<&Path>| path.map(PathBuf::from).into_iter().collect();
    CertificatePaths { builtin_directories: Vec::new(), directories: list(directory), bundles: list(bundle) }
}

fn hashed_directory(authority: &Authority) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(format!("{AUTHORITY_HASH}.0")), authority.pem()).unwrap();
    directory
}

fn bundle(authorities: &[Authority]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text: Vec<String> = authorities.iter().map(Authority::pem).collect();
    fs::write(&file, text.join("\n# An authority\n")).unwrap();
    file
}

#[expect(
    unsafe_code,
    reason = "the process has one thread: each case is a process, and has started none yet"
)]
fn set_variable(name: &str, value: &Path) {
    // SAFETY: see above.
    unsafe { env::set_var(name, value) }
}

fn url(query: &str) -> DatabaseUrl {
    DatabaseUrl::parse(&format!("postgres://u:p@{NAME}/d?{query}")).unwrap()
}

fn connector(store: &TrustStore, query: &str, database_ca: Option<&str>) -> MakeTlsConnector {
    store.connector(&url(query), database_ca).unwrap().expect("TLS")
}

/// One handshake and one byte from the server, as it would come after PostgreSQL's own request for TLS.
fn connect(connector: &MakeTlsConnector, name: &str, server: &Server) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let stream = TcpStream::connect(server.address).await?;
        let mut connector = connector.clone();
        let tls =
            MakeTlsConnect::<TcpStream>::make_tls_connect(&mut connector, name).map_err(io::Error::other)?;
        tls.connect(stream).await.map_err(io::Error::other)?.read_u8().await
    })
}

#[track_caller]
fn assert_accepted(connector: &MakeTlsConnector, name: &str, server: Server) {
    assert_eq!(connect(connector, name, &server).unwrap(), b'!');
    server.client_hello();
}

#[track_caller]
fn assert_refused(connector: &MakeTlsConnector, name: &str, server: Server) {
    let error = connect(connector, name, &server).unwrap_err().to_string();
    assert!(error.contains("certificate verify failed"), "{error}");
    server.client_hello();
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
