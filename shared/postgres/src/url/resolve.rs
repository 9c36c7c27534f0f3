//! Resolves conflicts between the parameters of a connection string.

use std::net::IpAddr;

use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs};

use super::parameters::Parameters;
use super::provider::{self, Pooler};
use super::{DatabaseUrl, DatabaseUrlError, Host, RootCert, SslMode, Warning};

const DEFAULT_PORT: u16 = 5432;

pub(super) fn resolve(mut parameters: Parameters) -> Result<DatabaseUrl, DatabaseUrlError> {
    if parameters.password.as_deref().is_some_and(is_placeholder) {
        return Err(DatabaseUrlError::PlaceholderPassword);
    }
    let hosts = hosts(&mut parameters)?;
    let pooler = pooler(&parameters, &hosts);
    if pooler.is_some() && parameters.options.has_settings() {
        let instead = "poolers refuse settings there; set them for the role with ALTER ROLE";
        parameters.warnings.push(Warning::Ignored { key: "options".to_owned(), instead });
    }
    Ok(DatabaseUrl {
        ssl_mode: ssl_mode(&parameters, &hosts)?,
        any_certificate: parameters.any_certificate,
        root_cert: parameters.root_cert,
        ssl_negotiation: parameters.ssl_negotiation.unwrap_or(SslNegotiation::Postgres),
        channel_binding: parameters.channel_binding.unwrap_or(ChannelBinding::Prefer),
        options: parameters.options.to_text(pooler.is_some()),
        hosts,
        hostaddrs: parameters.hostaddrs,
        user: parameters.user,
        password: parameters.password,
        dbname: parameters.dbname,
        connect_timeout: parameters.connect_timeout,
        statement_timeout: parameters.statement_timeout,
        keepalives: parameters.keepalives,
        target_session_attrs: parameters.target_session_attrs.unwrap_or(TargetSessionAttrs::Any),
        load_balance_hosts: parameters.load_balance_hosts.unwrap_or(LoadBalanceHosts::Disable),
        pooler,
        warnings: parameters.warnings,
    })
}

/// Whether this is the `[YOUR-PASSWORD]` or the asterisks that the consoles of Supabase, Neon, Prisma and others show
/// in place of the password.
fn is_placeholder(password: &str) -> bool {
    let in_brackets = password.starts_with('[') && password.ends_with(']') && password.contains("PASSWORD");
    in_brackets || (password.len() >= 4 && password.chars().all(|c| c == '*'))
}

fn hosts(parameters: &mut Parameters) -> Result<Vec<Host>, DatabaseUrlError> {
    let mut names = std::mem::take(&mut parameters.hosts);
    if names.iter().all(String::is_empty) && !parameters.hostaddrs.is_empty() {
        names = parameters.hostaddrs.iter().map(IpAddr::to_string).collect();
    }
    if names.is_empty() {
        names.push(String::new());
    }
    if names.iter().any(String::is_empty) {
        parameters.warnings.push(Warning::NoHost);
    }
    if !parameters.hostaddrs.is_empty() && parameters.hostaddrs.len() != names.len() {
        return Err(DatabaseUrlError::CountMismatch { key: "hostaddr" });
    }
    let port = |at: usize| match parameters.ports.as_slice() {
        [] => Ok(DEFAULT_PORT),
        [one] => Ok(one.unwrap_or(DEFAULT_PORT)),
        many if many.len() == names.len() => Ok(many[at].unwrap_or(DEFAULT_PORT)),
        _ => Err(DatabaseUrlError::CountMismatch { key: "port" }),
    };
    let host = |(at, name): (usize, &String)| {
        let name = if name.is_empty() { "localhost" } else { name };
        Ok(Host { name: name.to_owned(), port: port(at)? })
    };
    names.iter().enumerate().map(host).collect()
}

/// Recognises the pooler: best by the host name, then by parameters of providers and ORMs, then by the port.
fn pooler(parameters: &Parameters, hosts: &[Host]) -> Option<Pooler> {
    let by_host = hosts.iter().find_map(provider::pooler);
    by_host.filter(|pooler| *pooler != Pooler::Unknown).or(parameters.pooler_mark).or(by_host)
}

fn ssl_mode(parameters: &Parameters, hosts: &[Host]) -> Result<SslMode, DatabaseUrlError> {
    if hosts.iter().all(Host::is_socket) {
        return Ok(SslMode::Disable);
    }
    let mut mode = parameters.ssl_mode.or(parameters.ssl).unwrap_or(SslMode::Prefer);
    if parameters.any_certificate && parameters.ssl_mode.is_none() {
        mode = mode.min(SslMode::Require);
    }
    for (key, at_least) in minimum_modes(parameters) {
        if mode == SslMode::Disable {
            return Err(DatabaseUrlError::NeedsTls { key });
        }
        mode = mode.max(at_least);
    }
    let publicly_trusted = parameters.root_cert.is_none() && hosts.iter().all(provider::is_publicly_trusted);
    if mode == SslMode::Require && publicly_trusted && !parameters.any_certificate {
        mode = SslMode::VerifyFull;
    }
    Ok(mode)
}

/// The modes that other parameters need at least to have an effect. libpq refuses such a combination; here the mode is
/// raised.
fn minimum_modes(parameters: &Parameters) -> impl Iterator<Item = (&'static str, SslMode)> {
    let binding = parameters.channel_binding == Some(ChannelBinding::Require);
    let direct = parameters.ssl_negotiation == Some(SslNegotiation::Direct);
    let system = parameters.root_cert == Some(RootCert::System);
    [
        (binding, "channel_binding", SslMode::Require),
        (direct, "sslnegotiation", SslMode::Require),
        (system, "sslrootcert", SslMode::VerifyFull),
        (parameters.strict, "sslaccept", SslMode::VerifyFull),
    ]
    .into_iter()
    .filter_map(|(is_set, key, at_least)| is_set.then_some((key, at_least)))
}
