//! Protects against server-side request forgery: deliveries go to public addresses only, whatever a host name resolves
//! to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The host has no address to which deliveries are allowed.
#[derive(Debug, thiserror::Error)]
#[error("the host's address is not one to deliver to")]
pub(crate) struct ForbiddenAddress;

/// Resolves host names to public addresses only. The connection is made to the very address that was checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicAddressResolver {
    pub(crate) allow_loopback: bool,
}

impl PublicAddressResolver {
    /// Whether the host in `url` is an address to which deliveries are not allowed; names are checked when they are
    /// resolved.
    pub(crate) fn forbids(self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Ipv4(address)) => !self.allows(address.into()),
            Some(Host::Ipv6(address)) => !self.allows(address.into()),
            Some(Host::Domain(_)) => false,
            None => true,
        }
    }

    fn allows(self, address: IpAddr) -> bool {
        if address.to_canonical().is_loopback() {
            return self.allow_loopback;
        }
        match address.to_canonical() {
            IpAddr::V4(address) => is_public_v4(address),
            IpAddr::V6(address) => is_public_v6(address),
        }
    }
}

impl Resolve for PublicAddressResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| resolver.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(ForbiddenAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether the address is not in IANA's [special-purpose
/// registry](https://www.iana.org/assignments/iana-ipv4-special-registry).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        0 | 10 | 127 | 224.. => true,
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => b == 168 || b == 0 && matches!(c, 0 | 2) || b == 88 && c == 99,
        198 => matches!(b, 18 | 19) || b == 51 && c == 100,
        203 => b == 0 && c == 113,
        _ => false,
    };
    !special
}

/// Whether the address is global unicast,
/// [2000::/3](https://www.iana.org/assignments/ipv6-unicast-address-assignments), and neither for documentation nor one
/// that embeds an IPv4 address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let special = match (a, b) {
        // Teredo and other protocol assignments; documentation; 6to4.
        (0x2001, 0..0x200 | 0xdb8) | (0x2002, _) | (0x3fff, 0..0x1000) => true,
        _ => false,
    };
    (0x2000..0x4000).contains(&a) && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_delivered_to() {
        let resolver = PublicAddressResolver { allow_loopback: false };
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "192.1.0.1",
            "223.255.255.255",
            "2606:4700::1",
            "::ffff:1.1.1.1",
        ] {
            assert!(resolver.allows(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:a00:1::",
        ] {
            assert!(!resolver.allows(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn loopback_addresses_are_allowed_only_where_configured() {
        let resolver = PublicAddressResolver { allow_loopback: true };
        for (address, allowed) in
            [("127.0.0.1", true), ("::1", true), ("10.0.0.1", false), ("169.254.169.254", false)]
        {
            assert_eq!(resolver.allows(address.parse().unwrap()), allowed, "{address}");
        }
    }

    #[test]
    fn an_address_in_the_url_is_checked_in_every_spelling() {
        let resolver = PublicAddressResolver { allow_loopback: false };
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:a00:1]/",
        ] {
            assert!(resolver.forbids(&url.parse().unwrap()), "{url}");
        }
        assert!(!resolver.forbids(&"https://1.1.1.1/".parse().unwrap()));
    }
}
