//! Reads the certificate authorities that `DATABASE_CA` or `sslrootcert` names.

use std::fs;
use std::path::Path;

use native_tls::Certificate;

use super::error::{CaSource, TlsError};
use super::pem;
use crate::url::{DatabaseUrl, RootCert};

/// Reads the authorities that the configuration names; `None` means the system's. `DATABASE_CA` has precedence over
/// `sslrootcert`, which may name a file on the machine where the connection string was copied.
pub(super) fn given(
    url: &DatabaseUrl,
    database_ca: Option<&str>,
) -> Result<Option<Vec<Certificate>>, TlsError> {
    let (source_name, text) = match (database_ca, url.root_cert()) {
        (Some(ca), _) if ca.contains("-----BEGIN") => (CaSource::DatabaseCa, unescape(ca)),
        (Some(path), _) => (CaSource::DatabaseCa, read(Path::new(path.trim()), CaSource::DatabaseCa)?),
        (None, Some(RootCert::File(path))) => (CaSource::SslRootCert, read(path, CaSource::SslRootCert)?),
        (None, Some(RootCert::System) | None) => return Ok(None),
    };
    let certificates: Result<Vec<_>, _> =
        relevant(&text, url).into_iter().map(|pem| Certificate::from_pem(pem.as_bytes())).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(Some(certificates)),
        _ => Err(TlsError::CaNotPem { source_name }),
    }
}

/// Parses all certificates of a PEM text.
pub(super) fn all(text: &str) -> Vec<Certificate> {
    pem::certificates(text).filter_map(|pem| Certificate::from_pem(pem.as_bytes()).ok()).collect()
}

fn read(path: &Path, source_name: CaSource) -> Result<String, TlsError> {
    let bytes = fs::read(path).map_err(|error| TlsError::CaUnreadable { source_name, kind: error.kind() })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Replaces `\n` by line ends in a text of one line, since many tools can only put one line into a variable.
fn unescape(text: &str) -> String {
    if text.trim().contains('\n') { text.to_owned() } else { text.replace("\\n", "\n") }
}

/// Selects the certificates that may have signed the server's. RDS's global bundle has over a hundred, of which three
/// are for a database's region, and name it.
fn relevant<'a>(text: &'a str, url: &DatabaseUrl) -> Vec<&'a str> {
    let all: Vec<&str> = pem::certificates(text).collect();
    let regions: Option<Vec<&str>> = url.hosts().iter().map(|host| rds_region(&host.name)).collect();
    let Some(regions) = regions.filter(|_| all.len() > 10) else { return all };
    let names_region = |certificate: &&str| {
        pem::subject(certificate)
            .is_some_and(|subject| regions.iter().any(|region| contains(&subject, region)))
    };
    let regional: Vec<&str> = all.iter().copied().filter(names_region).collect();
    if regional.is_empty() { all } else { regional }
}

/// The region in the host name of an RDS instance, as in `NAME.ID.eu-west-1.rds.amazonaws.com`.
fn rds_region(host: &str) -> Option<&str> {
    let (before, after) = host.split_once(".rds.amazonaws.com")?;
    matches!(after, "" | ".cn").then(|| before.rsplit('.').next()).flatten()
}

fn contains(subject: &[u8], region: &str) -> bool {
    let region_in_words = format!(" {region} ");
    subject.windows(region_in_words.len()).any(|window| window == region_in_words.as_bytes())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn authority(name: &str) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn names(text: &str, host: &str) -> usize {
        relevant(text, &DatabaseUrl::parse(&format!("postgres://u:p@{host}/d")).unwrap()).len()
    }

    #[test]
    fn of_a_large_bundle_only_the_authorities_of_an_rds_databases_region_are_taken() {
        let regions = ["eu-west-1", "eu-west-2", "eu-west-12", "us-east-1"];
        let kinds = ["RSA2048 G1", "RSA4096 G1", "ECC384 G1"];
        let authorities: Vec<String> = regions
            .iter()
            .flat_map(|region| kinds.map(|kind| authority(&format!("Amazon RDS {region} Root CA {kind}"))))
            .collect();
        let (global, regional) = (authorities.concat(), authorities[..3].concat());
        assert_eq!(names(&global, "a.b.eu-west-1.rds.amazonaws.com"), 3);
        assert_eq!(names(&global, "a.b.eu-west-1.rds.amazonaws.com,a.c.us-east-1.rds.amazonaws.com"), 6);
        assert_eq!(names(&global, "a.b.ap-south-1.rds.amazonaws.com"), 12);
        assert_eq!(names(&global, "a.b.eu-west-1.rds.amazonaws.com.example.com"), 12);
        assert_eq!(names(&global, "a.b.eu-west-1.rds.amazonaws.com,db.example.com"), 12);
        assert_eq!(names(&regional, "a.b.us-east-1.rds.amazonaws.com"), 3);
    }
}
