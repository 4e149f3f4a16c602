//! The value types of the configuration and how they are read. Each reader is a visitor, so that an error carries the place of the
//! very element that is wrong, and says what was expected.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::domain;

/// `[::]:port`: every address of both families.
pub(crate) fn any(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}

/// `127.0.0.1:port`.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// What is written as a TOML string.
pub(crate) trait FromText: Sized {
    /// Ends the sentence "expected …".
    const EXPECTED: &'static str;
    fn from_text(text: &str) -> Result<Self, String>;
}

struct Text<T>(PhantomData<T>);

impl<T: FromText> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(E::custom)
    }
}

/// One element of a list, or a map's key, read by its [`FromText`].
struct Item<T>(T);

impl<'de, T: FromText> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(PhantomData)).map(Item)
    }
}

struct List<T> {
    one_is_enough: bool,
    item: PhantomData<T>,
}

impl<'de, T: FromText> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_one = if self.one_is_enough { ", or one of them" } else { "" };
        write!(f, "a list in [ ], each {}{or_one}", T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
        if self.one_is_enough {
            T::from_text(text).map(|value| vec![value]).map_err(E::custom)
        } else {
            Err(E::invalid_type(de::Unexpected::Str(text), &self))
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(Item(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list)
    }
}

/// A list of values.
pub(crate) fn list<'de, D: Deserializer<'de>, T: FromText>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(List { one_is_enough: false, item: PhantomData })
}

/// A list of values, or a single one without brackets.
pub(crate) fn one_or_list<'de, D: Deserializer<'de>, T: FromText>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(List { one_is_enough: true, item: PhantomData })
}

/// A list of domain names, normalised.
pub(crate) fn domains<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    list::<_, DomainName>(deserializer).map(|names| names.into_iter().map(|name| name.0).collect())
}

/// A list of bare JIDs, their domains normalised.
pub(crate) fn bare_jids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    list::<_, BareJid>(deserializer).map(|jids| jids.into_iter().map(|jid| jid.0).collect())
}

/// A domain name or an address.
pub(crate) fn host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_str(Text::<HostName>(PhantomData)).map(|host| Some(host.0))
}

/// See [`crate::Http::public_url`].
pub(crate) fn public_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_str(Text::<PublicUrl>(PhantomData)).map(|url| Some(url.0))
}

/// See [`crate::Storage::url`].
pub(crate) fn database_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(Text::<DatabaseUrl>(PhantomData)).map(|url| url.0)
}

/// A table whose keys are domain names, normalised.
pub(crate) fn domain_map<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error> {
    struct Map<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Map<T> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table whose keys are domain names in quotes")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some(Item(DomainName(name))) = entries.next_key()? {
                let value = entries.next_value()?;
                if map.insert(name.clone(), value).is_some() {
                    return Err(de::Error::custom(format!("`{name}` stands here twice")));
                }
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Map(PhantomData))
}

impl FromText for SocketAddr {
    const EXPECTED: &'static str = "an address and a port such as \"[::]:5222\" or \"127.0.0.1:5222\"";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is not {}", Self::EXPECTED))
    }
}

struct DomainName(String);

impl FromText for DomainName {
    const EXPECTED: &'static str = "a domain name such as \"example.org\"";

    fn from_text(text: &str) -> Result<Self, String> {
        domain::normalise(text).map(Self)
    }
}

struct HostName(String);

impl FromText for HostName {
    const EXPECTED: &'static str = "a host name or address such as \"turn.example.org\"";

    fn from_text(text: &str) -> Result<Self, String> {
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self(address.to_string())),
            Err(_) => domain::normalise(text).map(Self),
        }
    }
}

struct BareJid(String);

impl FromText for BareJid {
    const EXPECTED: &'static str = "a bare JID such as \"admin@example.org\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let Some((local, domain)) = text.split_once('@') else {
            return Err(format!("`{text}` is not {}: it has no `@`", Self::EXPECTED));
        };
        if domain.contains('/') {
            return Err(format!("`{text}` is not {}: it may not have a resource", Self::EXPECTED));
        }
        // RFC 7622 §3.3.1
        if local.is_empty() || local.len() > 1023 || local.contains(|c: char| c.is_whitespace() || c.is_control() || "\"&'/:<>".contains(c))
        {
            return Err(format!("`{text}` is not {}: its local part is not valid", Self::EXPECTED));
        }
        Ok(Self(format!("{local}@{}", domain::normalise(domain)?)))
    }
}

struct PublicUrl(String);

impl FromText for PublicUrl {
    const EXPECTED: &'static str = "an address such as \"https://chat.example.org\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` is not {}: {why}", Self::EXPECTED));
        let Some((scheme, rest)) = text.split_once("://") else { return wrong("no `https://` in front") };
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "https" && scheme != "http" {
            return wrong("only https and http are served");
        }
        if rest.contains(['?', '#']) || rest.contains(char::is_whitespace) {
            return wrong("a query, a fragment or white space");
        }
        let rest = rest.trim_end_matches('/');
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => (name, Some(port)),
            _ => (authority, None),
        };
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return wrong("the port is not a number below 65536");
        }
        let name = domain::normalise(name)?;
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let name = if name.starts_with('[') { name } else { domain::ascii(&name) };
        Ok(Self(format!("{scheme}://{name}{port}{path}")))
    }
}

struct DatabaseUrl(String);

impl FromText for DatabaseUrl {
    const EXPECTED: &'static str = "\"sqlite:PATH\" or \"postgres://user:password@host/database\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
        // the address may hold a password: it is not repeated
        if known { Ok(Self(text.to_owned())) } else { Err(format!("not a database this server knows, expected {}", Self::EXPECTED)) }
    }
}

/// One of `server.public_address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicAddress {
    /// An address.
    Ip(IpAddr),
    /// A host name, looked up when the server starts and reloads.
    Name(String),
}

impl FromText for PublicAddress {
    const EXPECTED: &'static str = "an address or host name such as \"203.0.113.7\" or \"turn.example.org\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
        match bare.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() || address.is_multicast() => {
                Err(format!("`{text}` is not an address clients can send to; leave the key out to use the address they came to"))
            }
            Ok(address) => Ok(Self::Ip(address.to_canonical())),
            Err(_) if text.parse::<SocketAddr>().is_ok() => Err(format!("`{text}` has a port; only the address belongs here")),
            Err(_) => domain::normalise(text).map(Self::Name),
        }
    }
}

impl fmt::Display for PublicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Serialize for PublicAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One of `server.contact`: a URI (RFC 3986), such as `mailto:abuse@{domain}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactAddress(String);

impl ContactAddress {
    /// The address for one domain of the server.
    #[must_use]
    pub fn for_domain(&self, domain: &str) -> String {
        self.0.replace("{domain}", domain)
    }
}

impl FromStr for ContactAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_text(text)
    }
}

impl FromText for ContactAddress {
    const EXPECTED: &'static str = "a URI such as \"mailto:abuse@example.org\", \"xmpp:admin@{domain}\" or \"https://status.example.org\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` is not {}: {why}", Self::EXPECTED));
        let Some((scheme, rest)) = text.split_once(':') else { return wrong("it has no scheme, the part before `:`") };
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        if !is_scheme || rest.is_empty() {
            return wrong("a scheme, `:` and an address are needed");
        }
        if rest.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"\\^`|".contains(c)) {
            return wrong("white space and some signs have to be escaped");
        }
        Ok(Self(text.to_owned()))
    }
}

impl Serialize for ContactAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// An IP network, `10.0.0.0/8`; an address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of `prefix` bits that holds `address`; bits beyond the prefix are cleared. `None` if the family has fewer bits.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(v4) if prefix <= 32 => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask_v4(prefix))),
            IpAddr::V6(v6) if prefix <= 128 => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask_v6(prefix))),
            _ => return None,
        };
        Some(Self { address, prefix })
    }

    pub(crate) const fn loopback_v4() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), prefix: 32 }
    }

    pub(crate) const fn loopback_v6() -> Self {
        Self { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 }
    }

    /// The lowest address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The number of leading bits that count.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether `address` lies inside; IPv4 in IPv6 (`::ffff:0:0/96`) counts as the IPv4 address that it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => network.to_bits() == address.to_bits() & mask_v4(self.prefix),
            (IpAddr::V6(network), IpAddr::V6(address)) => network.to_bits() == address.to_bits() & mask_v6(self.prefix),
            _ => false,
        }
    }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl FromText for Network {
    const EXPECTED: &'static str = "an address or network such as \"10.0.0.0/8\" or \"2001:db8::/32\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not {}", Self::EXPECTED);
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(whole), str::parse).map_err(|_| wrong())?;
        let network = Self::new(address, prefix).ok_or_else(|| format!("`{text}`: the prefix is longer than {whole} bits"))?;
        if network.address != address {
            return Err(format!("`{text}` has bits beyond its prefix; `{network}` would be right"));
        }
        Ok(network)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_text(text)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Ports from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest port, at least 1.
    pub first: u16,
    /// The highest port, not below `first`.
    pub last: u16,
}

impl PortRange {
    pub(crate) const fn new(first: u16, last: u16) -> Self {
        Self { first, last }
    }

    /// Number of ports, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.last - self.first) + 1
    }

    /// Whether `port` lies inside.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.first, self.last].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;

        impl<'de> Visitor<'de> for Pair {
            type Value = PortRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the lowest and the highest port such as [49152, 65535]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut ports: A) -> Result<PortRange, A::Error> {
                let first = ports.next_element::<u16>()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let last = ports.next_element::<u16>()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
                if ports.next_element::<de::IgnoredAny>()?.is_some() {
                    return Err(de::Error::invalid_length(3, &self));
                }
                if first == 0 {
                    return Err(de::Error::custom("port 0 cannot begin a range; the lowest possible port is 1"));
                }
                if first > last {
                    return Err(de::Error::custom(format!("the range is reversed, [{last}, {first}] would be right")));
                }
                Ok(PortRange { first, last })
            }
        }

        deserializer.deserialize_seq(Pair)
    }
}

/// The domain of a service; `{domain}` in it stands for each of `server.domains`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct HostTemplate(String);

impl HostTemplate {
    const DOMAIN: &str = "{domain}";

    /// `label.{domain}`.
    pub(crate) fn below(label: &str) -> Self {
        Self(format!("{label}.{}", Self::DOMAIN))
    }

    /// The service's domain on the virtual host `domain`.
    #[must_use]
    pub fn host(&self, domain: &str) -> String {
        self.0.replace(Self::DOMAIN, domain)
    }
}

impl FromText for HostTemplate {
    const EXPECTED: &'static str = "a domain name in which {domain} stands for each of server.domains, such as \"conference.{domain}\"";

    fn from_text(text: &str) -> Result<Self, String> {
        const STAND_IN: &str = "stand-in.example";
        if text == Self::DOMAIN {
            return Err("a service cannot have the domain of the accounts; `conference.{domain}` would be right".to_owned());
        }
        if text.replace(Self::DOMAIN, "").contains(['{', '}']) {
            return Err(format!("`{text}` is not {}", Self::EXPECTED));
        }
        let name = domain::normalise(&text.replace(Self::DOMAIN, STAND_IN))?;
        Ok(Self(name.replace(STAND_IN, Self::DOMAIN)))
    }
}

impl<'de> Deserialize<'de> for HostTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(PhantomData))
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromText for Secret {
    const EXPECTED: &'static str = "a secret text in quotes";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("an empty secret protects nothing".to_owned()) } else { Ok(Self(text.to_owned())) }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(PhantomData))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_they_say() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("::1/128", "::1", true),
        ] {
            let parsed = Network::from_str(network).unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), inside, "{network} {address}");
        }
    }

    #[test]
    fn wrong_networks_say_what_would_be_right() {
        for (given, word) in
            [("10.0.0.1/8", "10.0.0.0/8"), ("10.0.0.0/33", "32"), ("10.0.0", "10.0.0.0/8"), ("::/129", "128"), ("10.0.0.0/x", "2001")]
        {
            let error = Network::from_str(given).expect_err(given);
            assert!(error.contains(word), "{given}: {error}");
        }
    }

    #[test]
    fn public_addresses_are_addresses_or_names() {
        assert_eq!(PublicAddress::from_text("203.0.113.7"), Ok(PublicAddress::Ip("203.0.113.7".parse().unwrap())));
        assert_eq!(PublicAddress::from_text("[2001:db8::7]"), Ok(PublicAddress::Ip("2001:db8::7".parse().unwrap())));
        assert_eq!(PublicAddress::from_text("TURN.example.org"), Ok(PublicAddress::Name("turn.example.org".to_owned())));
        for (given, word) in [("0.0.0.0", "leave the key out"), ("203.0.113.7:3478", "port"), ("not a name", "domain name")] {
            let error = PublicAddress::from_text(given).expect_err(given);
            assert!(error.contains(word), "{given}: {error}");
        }
    }

    #[test]
    fn public_urls_are_normalised() {
        for (given, expected) in [
            ("https://chat.example.org", "https://chat.example.org"),
            ("HTTPS://Chat.Example.org/", "https://chat.example.org"),
            ("https://chat.example.org:8443/xmpp/", "https://chat.example.org:8443/xmpp"),
            ("http://[::1]:5280", "http://[::1]:5280"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(PublicUrl::from_text(given).map(|url| url.0).as_deref(), Ok(expected), "{given}");
        }
        for given in ["chat.example.org", "ftp://example.org", "https://", "https://example.org:port", "https://example.org/?a=b"] {
            assert!(PublicUrl::from_text(given).is_err(), "{given}");
        }
    }

    #[test]
    fn host_templates_name_a_domain_per_virtual_host() {
        let template = HostTemplate::from_text("Conference.{domain}").unwrap();
        assert_eq!(template.host("example.org"), "conference.example.org");
        assert_eq!(HostTemplate::from_text("rooms.example.net").unwrap().host("example.org"), "rooms.example.net");
        for given in ["{domain}", "{host}.example.org", "a b.{domain}", "conference.{domain", ""] {
            assert!(HostTemplate::from_text(given).is_err(), "{given}");
        }
    }

    #[test]
    fn administrators_are_bare_jids() {
        assert_eq!(BareJid::from_text("admin@LOCALHOST").map(|jid| jid.0).as_deref(), Ok("admin@localhost"));
        for given in ["admin", "@localhost", "a b@localhost", "admin@localhost/phone", "admin@"] {
            assert!(BareJid::from_text(given).is_err(), "{given}");
        }
    }

    #[test]
    fn contact_addresses_are_uris_of_a_domain() {
        for given in ["mailto:abuse@{domain}", "xmpp:admins@{domain}?message", "https://status.example.org/a?b#c"] {
            let address: ContactAddress = given.parse().unwrap();
            assert_eq!(address.for_domain("example.org"), given.replace("{domain}", "example.org"));
        }
        for given in ["abuse@example.org", "", ":x", "mailto:", "1a:b", "mailto:a b@c", "mailto:<a@b>"] {
            assert!(given.parse::<ContactAddress>().is_err(), "{given}");
        }
    }

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let secret = Secret::from_text("open sesame").unwrap();
        assert!(!format!("{secret:?}").contains("sesame"));
        let storage = crate::Storage { url: "postgres://me:sesame@host/db".to_owned() };
        assert!(!format!("{storage:?}").contains("sesame"));
    }
}
