//! Parameters that have a say in each other.

use std::net::IpAddr;

use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs};

use super::parameters::Parameters;
use super::provider::{self, Pooler};
use super::{DatabaseUrl, DatabaseUrlError, Host, RootCert, SslMode, Warning};

const DEFAULT_PORT: u16 = 5432;

pub(super) fn resolve(mut asked: Parameters) -> Result<DatabaseUrl, DatabaseUrlError> {
    if asked.password.as_deref().is_some_and(is_placeholder) {
        return Err(DatabaseUrlError::PlaceholderPassword);
    }
    let hosts = hosts(&mut asked)?;
    let pooler = pooler(&asked, &hosts);
    if pooler.is_some() && asked.options.has_settings() {
        let instead = "poolers refuse settings there; set them for the role with ALTER ROLE";
        asked.warnings.push(Warning::Ignored { key: "options".to_owned(), instead });
    }
    Ok(DatabaseUrl {
        ssl_mode: ssl_mode(&asked, &hosts)?,
        any_certificate: asked.any_certificate,
        root_cert: asked.root_cert,
        ssl_negotiation: asked.ssl_negotiation.unwrap_or(SslNegotiation::Postgres),
        channel_binding: asked.channel_binding.unwrap_or(ChannelBinding::Prefer),
        options: asked.options.to_text(pooler.is_some()),
        hosts,
        hostaddrs: asked.hostaddrs,
        user: asked.user,
        password: asked.password,
        dbname: asked.dbname,
        connect_timeout: asked.connect_timeout,
        statement_timeout: asked.statement_timeout,
        keepalives: asked.keepalives,
        target_session_attrs: asked.target_session_attrs.unwrap_or(TargetSessionAttrs::Any),
        load_balance_hosts: asked.load_balance_hosts.unwrap_or(LoadBalanceHosts::Disable),
        pooler,
        warnings: asked.warnings,
    })
}

/// Supabase, Neon, Prisma and others show `[YOUR-PASSWORD]` or stars until the password is filled in.
fn is_placeholder(password: &str) -> bool {
    let in_brackets = password.starts_with('[') && password.ends_with(']') && password.contains("PASSWORD");
    in_brackets || (password.len() >= 4 && password.chars().all(|c| c == '*'))
}

fn hosts(asked: &mut Parameters) -> Result<Vec<Host>, DatabaseUrlError> {
    let mut names = std::mem::take(&mut asked.hosts);
    if names.iter().all(String::is_empty) && !asked.hostaddrs.is_empty() {
        names = asked.hostaddrs.iter().map(IpAddr::to_string).collect();
    }
    if names.is_empty() {
        names.push(String::new());
    }
    if names.iter().any(String::is_empty) {
        asked.warnings.push(Warning::NoHost);
    }
    if !asked.hostaddrs.is_empty() && asked.hostaddrs.len() != names.len() {
        return Err(DatabaseUrlError::CountMismatch { key: "hostaddr" });
    }
    let port = |at: usize| match asked.ports.as_slice() {
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

/// A host's name says most, then the marks that providers and ORMs leave in the URL, then a port alone.
fn pooler(asked: &Parameters, hosts: &[Host]) -> Option<Pooler> {
    let by_host = hosts.iter().find_map(provider::pooler);
    by_host.filter(|pooler| *pooler != Pooler::Unknown).or(asked.pooler_mark).or(by_host)
}

fn ssl_mode(asked: &Parameters, hosts: &[Host]) -> Result<SslMode, DatabaseUrlError> {
    if hosts.iter().all(Host::is_socket) {
        return Ok(SslMode::Disable);
    }
    let mut mode = asked.ssl_mode.or(asked.ssl).unwrap_or(SslMode::Prefer);
    if asked.any_certificate && asked.ssl_mode.is_none() {
        mode = mode.min(SslMode::Require);
    }
    for (key, at_least) in stricter(asked) {
        if mode == SslMode::Disable {
            return Err(DatabaseUrlError::NeedsTls { key });
        }
        mode = mode.max(at_least);
    }
    let publicly_trusted = asked.root_cert.is_none() && hosts.iter().all(provider::is_publicly_trusted);
    if mode == SslMode::Require && publicly_trusted && !asked.any_certificate {
        mode = SslMode::VerifyFull;
    }
    Ok(mode)
}

/// Parameters that are worth nothing under a laxer mode. Where libpq refuses the combination, the mode is raised.
fn stricter(asked: &Parameters) -> impl Iterator<Item = (&'static str, SslMode)> {
    let binding = asked.channel_binding == Some(ChannelBinding::Require);
    let direct = asked.ssl_negotiation == Some(SslNegotiation::Direct);
    let system = asked.root_cert == Some(RootCert::System);
    [
        (binding, "channel_binding", SslMode::Require),
        (direct, "sslnegotiation", SslMode::Require),
        (system, "sslrootcert", SslMode::VerifyFull),
        (asked.strict, "sslaccept", SslMode::VerifyFull),
    ]
    .into_iter()
    .filter_map(|(asked, key, at_least)| asked.then_some((key, at_least)))
}
