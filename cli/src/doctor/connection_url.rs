//! Checks of the connection string: where it was read, which server, pooler and TLS mode it names.

use shared::config::Environment;
use shared::health::{self, Check, Verdict};
use tessera_postgres::url::{DatabaseUrl, Verification};
use tessera_postgres::{DatabaseConfig, Diagnosis, ErrorChain};

use super::{pooler_name, step_deadline};

const WHY: &str = "everything begins with the connection string";

/// Reads the primary's configuration and connection string. Without them, `checks` says why.
pub(super) async fn primary(
    environment: &Environment,
    checks: &mut Vec<Check>,
) -> Option<(DatabaseConfig, DatabaseUrl)> {
    let config = match environment.database() {
        Ok(config) => config,
        Err(error) => {
            checks.push(unreadable("", &error.to_string()));
            return None;
        }
    };
    let url = read(&config, "", checks).await?;
    Some((config, url))
}

/// Reads the connection string of `config`, from a secret as well, and adds a check for it. The prefix tells the checks
/// of a replica from the primary's.
pub(super) async fn read(
    config: &DatabaseConfig,
    prefix: &'static str,
    checks: &mut Vec<Check>,
) -> Option<DatabaseUrl> {
    let text = match config.source.read(step_deadline()).await {
        Ok(text) => text,
        Err(error) => {
            checks.push(unreadable(prefix, &format!("{}: {}", config.variable, ErrorChain(&error))));
            return None;
        }
    };
    match config.parse(&text) {
        Ok(url) => {
            explain(&url, config, prefix, checks);
            Some(url)
        }
        Err(error) => {
            checks.push(unreadable(prefix, &error.to_string()));
            None
        }
    }
}

fn unreadable(prefix: &'static str, problem: &str) -> Check {
    let name = if prefix.is_empty() { "url" } else { "replica_url" };
    Check::ok(name, problem, WHY).when(true, Verdict::Fail, health::advice(Diagnosis::Configuration))
}

fn explain(url: &DatabaseUrl, config: &DatabaseConfig, prefix: &'static str, checks: &mut Vec<Check>) {
    let is_primary = prefix.is_empty();
    let hosts: Vec<_> = url.hosts().iter().map(|host| format!("{}:{}", host.name, host.port)).collect();
    let user = url.user().unwrap_or("the system's user");
    let database = url.dbname().or(url.user()).unwrap_or("that of the user's name");
    let name = if is_primary { "url" } else { "replica_url" };
    let observed = format!("{} names {} at {}, as {user}", config.variable, database, hosts.join(", "));
    let ignored: Vec<_> = url.warnings().iter().map(ToString::to_string).collect();
    let check = match ignored.as_slice() {
        [] => Check::ok(name, observed, WHY),
        ignored => Check::ok(name, format!("{observed}; {}", ignored.join("; ")), WHY),
    };
    checks.push(check);
    if !is_primary {
        return;
    }

    let seen = match pooler_name(url) {
        Some(pooler) => format!("{pooler}; fine, since every statement is sent unnamed"),
        None => "the URL names none".to_owned(),
    };
    checks.push(Check::ok("pooler", seen, "decides how many containers may run at once"));

    let has_ca = config.authorities.is_some();
    let observed = match url.verification(has_ca) {
        None => "off",
        Some(Verification::Unverified) => "on where the server offers it; its certificate is not checked",
        Some(Verification::Authority) => "on; the certificate's authority is checked, its name is not",
        Some(Verification::AuthorityAndName) => "on; the certificate's authority and name are checked",
    };
    let is_remote = url.hosts().iter().any(|host| !is_local(&host.name));
    let is_open = url.verification(has_ca).is_none() && is_remote;
    checks.push(
        Check::ok("tls", observed, "without it, whoever sits in between reads and changes everything").when(
            url.unverified_warning(has_ca).is_some() || is_open,
            Verdict::Warn,
            "set sslmode=verify-full, with the provider's CA certificate in DATABASE_CA where it has one of its own",
        ),
    );
}

fn is_local(host: &str) -> bool {
    host.starts_with('/')
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
