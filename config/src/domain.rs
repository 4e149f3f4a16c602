//! Domain names: validated and normalised as RFC 7622 §3.2 wants them (lower case, U-labels), and the form certificates and DNS use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The normal form of a domain: U-labels in lower case without a final dot, or an IP literal (IPv6 in brackets).
///
/// # Errors
/// A sentence that says what is wrong with the name.
pub fn normalise(text: &str) -> Result<String, String> {
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address.map(|address| format!("[{address}]")).ok_or_else(|| format!("`{text}` is not an IPv6 address in brackets"));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(address.to_string());
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("the IPv6 address `{text}` needs brackets here: `[{text}]`"));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err("a domain name may not be empty".to_owned());
    }
    let ascii = idna::domain_to_ascii_strict(name).map_err(|_| {
        let reason = match name {
            _ if name.contains("://") || name.contains('/') => "it is not a URL",
            _ if name.contains(':') => "it has no port",
            _ if name.contains('@') => "it has no local part",
            _ if name.contains('*') => "wildcards have no place here",
            _ => "it has labels of letters, digits and inner hyphens with dots between, up to 63 bytes each and 253 together",
        };
        format!("`{text}` is not a domain name: {reason}")
    })?;
    let (unicode, validity) = idna::domain_to_unicode(&ascii);
    validity.map_err(|_| format!("`{text}` is not a valid internationalised domain name"))?;
    Ok(unicode)
}

/// The A-label form that DNS, TLS and certificates use; an IP literal loses its brackets.
#[must_use]
pub fn ascii(domain: &str) -> String {
    let bare = domain.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(domain);
    idna::domain_to_ascii(bare).unwrap_or_else(|_| bare.to_owned())
}

/// The address a domain consists of, if it is an IP literal.
#[must_use]
pub fn literal(domain: &str) -> Option<IpAddr> {
    ascii(domain).parse().ok()
}

/// Whether the world may look this domain up: not a single label, an IP literal of a private network, or a special-use name
/// (RFC 6761, RFC 6762, RFC 8375, and what home routers use).
#[must_use]
pub fn is_public(domain: &str) -> bool {
    if let Some(address) = literal(domain) {
        return reach(address) == Reach::Public;
    }
    let Some((_, top)) = domain.rsplit_once('.') else { return false };
    const LOCAL: [&str; 11] =
        ["localhost", "local", "test", "invalid", "example", "internal", "lan", "home", "corp", "localdomain", "intranet"];
    !LOCAL.contains(&top) && !domain.ends_with(".home.arpa") && domain != "home.arpa"
}

/// How far an address reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// From anywhere.
    Public,
    /// Only inside the network or machine; the word says which kind.
    Local(&'static str),
}

/// Who can reach `address` (RFC 6890).
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match address.to_canonical() {
        IpAddr::V4(v4) => match v4.octets() {
            [0, ..] => Reach::Local("unspecified"),
            [127, ..] => Reach::Local("loopback"),
            [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => Reach::Local("private"),
            [100, 64..=127, ..] => Reach::Local("shared (carrier-grade NAT)"),
            [169, 254, ..] => Reach::Local("link-local"),
            [224..=255, ..] => Reach::Local("multicast or reserved"),
            _ => Reach::Public,
        },
        IpAddr::V6(v6) if v6.is_loopback() => Reach::Local("loopback"),
        IpAddr::V6(v6) if v6.is_unspecified() => Reach::Local("unspecified"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Reach::Local("link-local"),
        IpAddr::V6(v6) if v6.is_unique_local() => Reach::Local("private (unique local)"),
        IpAddr::V6(v6) if v6.is_multicast() => Reach::Local("multicast or reserved"),
        IpAddr::V6(_) => Reach::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        for (given, expected) in [
            ("Example.ORG", "example.org"),
            ("example.org.", "example.org"),
            ("localhost", "localhost"),
            ("BÜCHER.example", "bücher.example"),
            ("xn--bcher-kva.example", "bücher.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(normalise(given).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn what_is_no_domain_is_refused_with_a_reason() {
        for (given, word) in [
            ("", "empty"),
            (".", "empty"),
            ("a b", "labels"),
            ("-a.example", "labels"),
            ("a..b", "labels"),
            ("https://example.org", "URL"),
            ("example.org:5222", "port"),
            ("admin@example.org", "local part"),
            ("*.example.org", "wildcards"),
            ("2001:db8::1", "brackets"),
            ("[example.org]", "IPv6"),
        ] {
            let error = normalise(given).expect_err(given);
            assert!(error.contains(word), "{given}: {error}");
        }
        assert!(normalise(&format!("{}.example", "a".repeat(64))).is_err());
    }

    #[test]
    fn ascii_form_is_what_dns_knows() {
        assert_eq!(ascii("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(ascii("[2001:db8::1]"), "2001:db8::1");
    }

    #[test]
    fn public_domains_are_told_from_local_ones() {
        for (domain, expected) in [
            ("example.org", true),
            ("chat.example.org", true),
            ("localhost", false),
            ("chat.localhost", false),
            ("nas.local", false),
            ("box.home.arpa", false),
            ("xmpp", false),
            ("10.0.0.1", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(is_public(domain), expected, "{domain}");
        }
    }

    #[test]
    fn addresses_are_told_apart_by_reach() {
        for (address, public) in [
            ("8.8.8.8", true),
            ("203.0.113.7", true),
            ("10.1.2.3", false),
            ("172.31.0.1", false),
            ("172.32.0.1", true),
            ("100.64.0.1", false),
            ("169.254.169.254", false),
            ("::ffff:192.168.0.1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("2001:db8::7", true),
            ("::1", false),
        ] {
            assert_eq!(reach(address.parse().unwrap()) == Reach::Public, public, "{address}");
        }
    }
}
