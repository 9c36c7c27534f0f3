//! Recognises poolers and providers by host name and port.

use super::Host;

/// The connection pooler in front of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// `PgBouncer`, recognised by its port or by `pgbouncer=true`.
    PgBouncer,
    /// Supavisor, the pooler of Supabase.
    Supavisor,
    /// The pooled endpoint of Neon.
    Neon,
    /// Amazon RDS Proxy.
    RdsProxy,
    /// A pooler of an unknown kind, recognised by its host name or port.
    Unknown,
}

/// Recognises a pooler by its host name and port.
pub(super) fn pooler(host: &Host) -> Option<Pooler> {
    let name = host.name.to_ascii_lowercase();
    let has_pooler_label = name.split('.').any(|label| label.ends_with("-pooler"));
    if name.ends_with(".pooler.supabase.com") {
        Some(Pooler::Supavisor)
    } else if is_neon(&name) {
        has_pooler_label.then_some(Pooler::Neon)
    } else if is_rds_proxy(&name) {
        Some(Pooler::RdsProxy)
    } else if is_pgbouncer(&name, host.port) {
        Some(Pooler::PgBouncer)
    } else if has_pooler_label || host.port == 6543 || name == "pooled.db.prisma.io" {
        Some(Pooler::Unknown)
    } else {
        None
    }
}

/// Recognises `PgBouncer` by its default port, 6432, or by the port that a provider uses for it.
fn is_pgbouncer(name: &str, port: u16) -> bool {
    match port {
        6432 => true,
        6543 => name.ends_with(".supabase.co"),
        5431 => name.ends_with(".postgresbridge.com"),
        25061 => name.ends_with(".db.ondigitalocean.com"),
        _ => false,
    }
}

/// Whether the provider documents that its certificates chain to a root every system trusts, under this name.
///
/// - Neon: <https://neon.com/docs/connect/connect-securely>
/// - `PlanetScale`: <https://planetscale.com/docs/postgres/connecting/quickstart>
/// - RDS Proxy: <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.howitworks.html>
///
/// RDS itself, Supabase, Crunchy Bridge, Heroku and Railway sign with authorities of their own.
pub(super) fn is_publicly_trusted(host: &Host) -> bool {
    let name = host.name.to_ascii_lowercase();
    is_neon(&name) || name.ends_with(".psdb.cloud") || is_rds_proxy(&name)
}

/// Whether this is an instance or a cluster of RDS, which always speaks TLS.
pub(super) fn is_rds(name: &str) -> bool {
    name.ends_with(".rds.amazonaws.com") || name.ends_with(".rds.amazonaws.com.cn")
}

fn is_neon(name: &str) -> bool {
    name.ends_with(".neon.tech")
}

fn is_rds_proxy(name: &str) -> bool {
    is_rds(name) && name.split('.').any(|label| label.starts_with("proxy-"))
}
