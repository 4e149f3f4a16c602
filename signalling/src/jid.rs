//! Addresses: RFC 7622. `Jid` is any address, `BareJid` one without and `FullJid` one with a resourcepart.
//!
//! Localparts are enforced by PRECIS UsernameCaseMapped, resourceparts by OpaqueString (RFC 8265), domains by IDNA as UTS 46 processes it
//! (mapping included), labels kept as U-labels. ASCII, the usual case, takes none of these paths. Addresses are stored enforced, so equality,
//! order and hash are those of the text.

mod enforce;

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

pub use enforce::PART_BYTES_MAX;

use enforce::{enforce_domain, enforce_local, enforce_resource};

/// Why a text is no address: RFC 7622.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JidError {
    /// §3.3.1: `@` with nothing before it.
    #[error("the localpart is empty")]
    LocalEmpty,
    /// §3.3: more than 1023 bytes.
    #[error("the localpart is longer than 1023 bytes")]
    LocalTooLong,
    /// §3.3: a character that PRECIS IdentifierClass or §3.3.1 forbids.
    #[error("the localpart contains a character that is not allowed")]
    LocalInvalid,
    /// §3.2: no domain.
    #[error("the domainpart is empty")]
    DomainEmpty,
    /// §3.2: more than 1023 bytes.
    #[error("the domainpart is longer than 1023 bytes")]
    DomainTooLong,
    /// §3.2: neither a host name nor an IP address.
    #[error("the domainpart is neither a domain name nor an IP address")]
    DomainInvalid,
    /// §3.4: `/` with nothing behind it.
    #[error("the resourcepart is empty")]
    ResourceEmpty,
    /// §3.4: more than 1023 bytes.
    #[error("the resourcepart is longer than 1023 bytes")]
    ResourceTooLong,
    /// §3.4: a character that PRECIS FreeformClass forbids, or a leading space (§3.5, example 18).
    #[error("the resourcepart contains a character that is not allowed")]
    ResourceInvalid,
    /// A bare address was wanted.
    #[error("the address has a resourcepart")]
    NotBare,
    /// A full address was wanted.
    #[error("the address has no resourcepart")]
    NotFull,
}

/// An address, `[localpart@]domainpart[/resourcepart]`, enforced. A clone counts one reference.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// First byte of the domainpart; 0 when there is no localpart.
    domain_start: u16,
    /// Where the bare address ends; the text's length when there is no resourcepart.
    bare_end: u16,
}

impl Jid {
    /// Reads and enforces an address: RFC 7622 §3.
    ///
    /// # Errors
    /// The part that breaks a rule.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let (bare, resource) = match memchr::memchr(b'/', text.as_bytes()) {
            Some(slash) => (&text[..slash], Some(&text[slash + 1..])),
            None => (text, None),
        };
        let (local, domain) = match memchr::memchr(b'@', bare.as_bytes()) {
            Some(at) => (Some(&bare[..at]), &bare[at + 1..]),
            None => (None, bare),
        };
        let local = local.map(enforce_local).transpose()?;
        let domain = enforce_domain(domain)?;
        let resource = resource.map(enforce_resource).transpose()?;

        if let (None | Some(Cow::Borrowed(_)), Cow::Borrowed(d), None | Some(Cow::Borrowed(_))) = (&local, &domain, &resource) {
            // Nothing changed; only a trailing dot may be missing from the domain.
            let local_len = local.as_ref().map_or(0, |local| local.len() + 1);
            if local_len + d.len() == bare.len() {
                return Ok(Self { text: Arc::from(text), domain_start: to_u16(local_len), bare_end: to_u16(bare.len()) });
            }
        }
        Ok(Self::join(local.as_deref(), &domain, resource.as_deref()))
    }

    /// Puts enforced parts together.
    fn join(local: Option<&str>, domain: &str, resource: Option<&str>) -> Self {
        let size = local.map_or(0, |local| local.len() + 1) + domain.len() + resource.map_or(0, |resource| resource.len() + 1);
        let mut text = String::with_capacity(size);
        if let Some(local) = local {
            text.push_str(local);
            text.push('@');
        }
        let domain_start = to_u16(text.len());
        text.push_str(domain);
        let bare_end = to_u16(text.len());
        if let Some(resource) = resource {
            text.push('/');
            text.push_str(resource);
        }
        Self { text: Arc::from(text), domain_start, bare_end }
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The localpart.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        (self.domain_start > 0).then(|| &self.text[..usize::from(self.domain_start) - 1])
    }

    /// The domainpart.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[usize::from(self.domain_start)..usize::from(self.bare_end)]
    }

    /// The resourcepart.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.text.get(usize::from(self.bare_end) + 1..)
    }

    /// The address without its resourcepart, as text.
    #[must_use]
    pub fn bare_str(&self) -> &str {
        &self.text[..usize::from(self.bare_end)]
    }

    /// Whether there is no resourcepart.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        usize::from(self.bare_end) == self.text.len()
    }

    /// The address without its resourcepart.
    #[must_use]
    pub fn to_bare(&self) -> BareJid {
        if self.is_bare() {
            return BareJid(self.clone());
        }
        BareJid(Self { text: Arc::from(self.bare_str()), domain_start: self.domain_start, bare_end: self.bare_end })
    }

    /// The address of the domain alone, which is its server's.
    #[must_use]
    pub fn to_domain(&self) -> BareJid {
        BareJid(Self::join(None, self.domain(), None))
    }

    /// The same bare address with this resourcepart in place of its own.
    ///
    /// # Errors
    /// `resource` breaks RFC 7622 §3.4.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        let resource = enforce_resource(resource)?;
        let bare = self.bare_str();
        let mut text = String::with_capacity(bare.len() + 1 + resource.len());
        text.push_str(bare);
        text.push('/');
        text.push_str(&resource);
        Ok(FullJid(Self { text: Arc::from(text), domain_start: self.domain_start, bare_end: self.bare_end }))
    }
}

/// Offsets fit: three parts of at most 1023 bytes and two separators.
fn to_u16(offset: usize) -> u16 {
    u16::try_from(offset).expect("an enforced address has at most 3071 bytes")
}

impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Jid {}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialEq<str> for Jid {
    fn eq(&self, other: &str) -> bool {
        &*self.text == other
    }
}

impl PartialEq<&str> for Jid {
    fn eq(&self, other: &&str) -> bool {
        &*self.text == *other
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.text)
    }
}

/// A map keyed by addresses can be asked with the text of one: its hash and order are those of the text.
impl Borrow<str> for Jid {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::parse(text)
    }
}

/// An address without a resourcepart: an account, a room, or a domain alone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BareJid(Jid);

impl BareJid {
    /// Reads a bare address.
    ///
    /// # Errors
    /// No address, or one with a resourcepart.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Jid::parse(text)?.try_into()
    }

    /// The address `local@domain`, both parts enforced.
    ///
    /// # Errors
    /// The part that breaks a rule.
    pub fn new(local: &str, domain: &str) -> Result<Self, JidError> {
        Ok(Self(Jid::join(Some(&enforce_local(local)?), &enforce_domain(domain)?, None)))
    }
}

/// An address with a resourcepart: a connected resource or a room's occupant.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FullJid(Jid);

impl FullJid {
    /// Reads a full address.
    ///
    /// # Errors
    /// No address, or one without a resourcepart.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Jid::parse(text)?.try_into()
    }

    /// The resourcepart, which a full address always has.
    #[must_use]
    pub fn resource_str(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }
}

impl TryFrom<Jid> for BareJid {
    type Error = JidError;

    fn try_from(jid: Jid) -> Result<Self, JidError> {
        if jid.is_bare() { Ok(Self(jid)) } else { Err(JidError::NotBare) }
    }
}

impl TryFrom<Jid> for FullJid {
    type Error = JidError;

    fn try_from(jid: Jid) -> Result<Self, JidError> {
        if jid.is_bare() { Err(JidError::NotFull) } else { Ok(Self(jid)) }
    }
}

/// What `BareJid` and `FullJid` have in common.
macro_rules! wrapper {
    ($name:ident) => {
        impl Deref for $name {
            type Target = Jid;

            fn deref(&self) -> &Jid {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.0.as_str()
            }
        }

        impl AsRef<Jid> for $name {
            fn as_ref(&self) -> &Jid {
                &self.0
            }
        }

        impl From<$name> for Jid {
            fn from(jid: $name) -> Self {
                jid.0
            }
        }

        impl From<&$name> for Jid {
            fn from(jid: &$name) -> Self {
                jid.0.clone()
            }
        }

        impl PartialEq<Jid> for $name {
            fn eq(&self, other: &Jid) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<$name> for Jid {
            fn eq(&self, other: &$name) -> bool {
                *self == other.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == **other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = JidError;

            fn from_str(text: &str) -> Result<Self, JidError> {
                Self::parse(text)
            }
        }
    };
}

wrapper!(BareJid);
wrapper!(FullJid);

#[cfg(test)]
mod tests {
    use precis_profiles::UsernameCaseMapped;
    use precis_profiles::precis_core::profile::PrecisFastInvocation;
    use proptest::prelude::*;

    use super::*;

    /// RFC 7622 §3.5, tables 1 and 2; row 12 with its misprinted character reference mended.
    const S3_5: &[(&str, bool)] = &[
        ("juliet@example.com", true),
        ("juliet@example.com/foo", true),
        ("juliet@example.com/foo bar", true),
        ("juliet@example.com/foo@bar", true),
        ("foo\\20bar@example.com", true),
        ("fussball@example.com", true),
        ("fußball@example.com", true),
        ("π@example.com", true),
        ("Σ@example.com/foo", true),
        ("σ@example.com/foo", true),
        ("ς@example.com/foo", true),
        ("king@example.com/♚", true),
        ("example.com", true),
        ("example.com/foobar", true),
        ("a.example.com/b@example.net", true),
        ("\"juliet\"@example.com", false),
        ("foo bar@example.com", false),
        ("juliet@example.com/ foo", false),
        ("@example.com/", false),
        ("henryⅣ@example.com", false),
        ("♚@example.com", false),
        ("juliet@", false),
        ("/foobar", false),
    ];

    fn check(text: &str, expected: Result<&str, JidError>) {
        let parsed = Jid::parse(text);
        assert_eq!(parsed.as_ref().map(Jid::as_str).map_err(|error| *error), expected, "{text:?}");
    }

    #[test]
    fn s3_5_examples() {
        for (text, valid) in S3_5 {
            assert_eq!(Jid::parse(text).is_ok(), *valid, "{text:?}: {:?}", Jid::parse(text));
        }
        // "The ninth and tenth are the same after case mapping"; the eleventh is another.
        let jid = |row: usize| Jid::parse(S3_5[row - 1].0).unwrap();
        assert_eq!(jid(9), jid(10));
        assert_ne!(jid(9), jid(11));
    }

    #[test]
    fn parts_are_found() {
        for (text, local, domain, resource) in [
            ("juliet@example.com/foo@bar/baz", Some("juliet"), "example.com", Some("foo@bar/baz")),
            ("a.example.com/b@example.net", None, "a.example.com", Some("b@example.net")),
            ("juliet@example.com", Some("juliet"), "example.com", None),
            ("example.com", None, "example.com", None),
            ("Juliet@EXAMPLE.com./Balcony", Some("juliet"), "example.com", Some("Balcony")),
        ] {
            let jid = Jid::parse(text).unwrap();
            assert_eq!((jid.local(), jid.domain(), jid.resource()), (local, domain, resource), "{text:?}");
            assert_eq!(jid.is_bare(), resource.is_none());
            assert_eq!(jid.to_bare().as_str(), jid.bare_str());
        }
    }

    #[test]
    fn s3_2_domains() {
        for (text, expected) in [
            ("example.com.", Ok("example.com")),
            ("example.com..", Err(JidError::DomainInvalid)),
            (".", Err(JidError::DomainEmpty)),
            ("", Err(JidError::DomainEmpty)),
            ("EXAMPLE.com", Ok("example.com")),
            ("localhost", Ok("localhost")),
            ("127.0.0.1", Ok("127.0.0.1")),
            ("127.0.0.256", Err(JidError::DomainInvalid)),
            ("[::1]", Ok("[::1]")),
            ("[0:0::1]", Ok("[::1]")),
            ("[::1", Err(JidError::DomainInvalid)),
            ("[fe80::1%eth0]", Err(JidError::DomainInvalid)),
            ("::1", Err(JidError::DomainInvalid)),
            ("example.com:5222", Err(JidError::DomainInvalid)),
            ("exa mple.com", Err(JidError::DomainInvalid)),
            ("exa_mple.com", Err(JidError::DomainInvalid)),
            ("-example.com", Err(JidError::DomainInvalid)),
            ("example-.com", Err(JidError::DomainInvalid)),
            // A-labels and other spellings become the same U-labels.
            ("bücher.example", Ok("bücher.example")),
            ("BÜCHER.example", Ok("bücher.example")),
            ("xn--bcher-kva.example", Ok("bücher.example")),
            ("XN--BCHER-KVA.example", Ok("bücher.example")),
            ("ｅｘａｍｐｌｅ。com", Ok("example.com")),
            ("xn--a.example", Err(JidError::DomainInvalid)),
            // What mapping turns into an address, a port, a path or an address part is none of these.
            ("１２７．０．０．３００", Err(JidError::DomainInvalid)),
            ("a\u{2100}b.example", Err(JidError::DomainInvalid)),
            ("\u{ff20}example", Err(JidError::DomainInvalid)),
            ("a\u{fe6b}example", Err(JidError::DomainInvalid)),
        ] {
            check(text, expected);
        }
        let label = "a".repeat(63);
        check(&label, Ok(&label));
        check(&format!("{label}a"), Err(JidError::DomainInvalid));
        let long = vec![label.as_str(); 16].join(".");
        check(&long[..1022], Ok(&long[..1022]));
        check(&long, Ok(&long));
        check(&vec![label.as_str(); 17].join("."), Err(JidError::DomainTooLong));
    }

    #[test]
    fn s3_3_localparts() {
        for byte in b"\"&'/:<>@ \t\x7f" {
            let text = format!("a{}b@example.com", char::from(*byte));
            // `/` is a separator: what stands before it is the domain.
            assert_eq!(Jid::parse(&text).is_err(), *byte != b'/', "{text:?}");
            assert!(BareJid::new(&format!("a{}b", char::from(*byte)), "example.com").is_err(), "{text:?}");
        }
        check("JULIET@example.com", Ok("juliet@example.com"));
        // Full-width forms become ASCII and are then looked at again.
        check("ｊｕｌｉｅｔ@example.com", Ok("juliet@example.com"));
        check("a\u{ff20}b@example.com", Err(JidError::LocalInvalid));
        check("a\u{ff0f}b@example.com", Err(JidError::LocalInvalid));
        // RFC 8264 §7: mapped to lower case, which is a character that the string class does not know.
        check("\u{13a0}@example.com", Err(JidError::LocalInvalid));
        let longest = "a".repeat(PART_BYTES_MAX);
        assert!(Jid::parse(&format!("{longest}@example.com")).is_ok());
        check(&format!("{longest}a@example.com"), Err(JidError::LocalTooLong));
    }

    #[test]
    fn s3_4_resourceparts() {
        check("example.com/", Err(JidError::ResourceEmpty));
        check("example.com/ foo", Err(JidError::ResourceInvalid));
        check("example.com/a\u{a0}b", Ok("example.com/a b"));
        check("example.com/\u{a0}b", Err(JidError::ResourceInvalid));
        check("example.com/a\u{7}b", Err(JidError::ResourceInvalid));
        check("example.com/Henry Ⅳ", Ok("example.com/Henry Ⅳ"));
        check("example.com/e\u{301}", Ok("example.com/é"));
        let longest = "r".repeat(PART_BYTES_MAX);
        assert!(Jid::parse(&format!("example.com/{longest}")).is_ok());
        check(&format!("example.com/{longest}r"), Err(JidError::ResourceTooLong));
    }

    /// The rules of the PRECIS classes and profiles that RFC 7622 builds upon, a row for each.
    #[test]
    fn rfc8264_and_rfc8265_each_rule_of_the_localpart() {
        for (local, expected) in [
            // RFC 8265 §3.3: width mapping, case mapping, normalization.
            ("ｆｏｏ", Some("foo")),
            ("ÅNGSTRÖM", Some("ångström")),
            ("a\u{30a}", Some("å")),
            // §3.3, directionality: RFC 5893. Hebrew with digits at its end, but nothing that begins with one or mixes with Latin.
            ("שלום", Some("שלום")),
            ("שלום1", Some("שלום1")),
            ("1שלום", None),
            ("aש", None),
            ("שa", None),
            // RFC 8264 §9.9 and RFC 5892 appendix A: characters that need their context.
            ("l·l", Some("l·l")),
            ("a·b", None),
            ("カタ・カナ", Some("カタ・カナ")),
            ("a・b", None),
            ("क\u{94d}\u{200d}ष", Some("क\u{94d}\u{200d}ष")),
            ("a\u{200d}b", None),
            ("a\u{200c}b", None),
            ("א\u{5f3}", Some("א\u{5f3}")),
            ("a\u{5f3}", None),
            ("١٢", None),
            ("ا١", Some("ا١")),
            ("ا١۱", None),
            // §9: what the class has no place for: controls, spaces, symbols, compatibility forms, old Hangul, unassigned, private use.
            ("a\u{80}", None),
            ("a\u{3000}b", None),
            ("a\u{a0}b", None),
            ("€", None),
            ("a😀", None),
            ("ﬁ", None),
            ("\u{1100}", None),
            ("\u{378}", None),
            ("\u{e000}", None),
            ("\u{ad}a", None),
            // Exceptions of §9.6: allowed ones.
            ("straße", Some("straße")),
            ("ς", Some("ς")),
        ] {
            let address = BareJid::new(local, "example.com");
            assert_eq!(address.ok().as_ref().and_then(|jid| jid.local()), expected, "{local:?}");
        }
    }

    #[test]
    fn rfc8265_s4_2_each_rule_of_the_resourcepart() {
        for (resource, expected) in [
            ("Zimmer ♚", Some("Zimmer ♚")),
            // Case and width stay, other spaces become U+0020, normalization is NFC.
            ("ＡbC", Some("ＡbC")),
            ("a\u{3000}b", Some("a b")),
            ("A\u{30a}", Some("Å")),
            ("ﬁ", Some("ﬁ")),
            // No directionality rule.
            ("1שa", Some("1שa")),
            ("a\u{80}", None),
            ("\u{378}", None),
            ("\u{e000}", None),
            ("a\u{200d}b", None),
        ] {
            let address = BareJid::parse("a@b").unwrap().with_resource(resource);
            assert_eq!(address.ok().as_ref().map(FullJid::resource_str), expected, "{resource:?}");
        }
    }

    /// RFC 7622 §3.2 wants labels of IDNA2008 (RFC 5892), which knows letters and digits and no symbols.
    #[test]
    fn rfc5892_labels_are_letters_and_digits() {
        for (domain, valid) in [
            ("faß.example", true),
            ("日本語.example", true),
            ("क\u{94d}\u{200d}ष.example", true),
            ("♚.example", false),
            ("i❤.example", false),
            ("xn--i-7iq.example", false),
            ("a·b.example", false),
            ("l·l.example", true),
            ("1שלום.example", false),
            ("aש.example", false),
        ] {
            assert_eq!(Jid::parse(domain).is_ok(), valid, "{domain:?}: {:?}", Jid::parse(domain));
        }
    }

    #[test]
    fn bare_and_full_are_told_apart() {
        assert_eq!(BareJid::parse("a@b/c"), Err(JidError::NotBare));
        assert_eq!(FullJid::parse("a@b"), Err(JidError::NotFull));
        let bare = BareJid::new("A", "B").unwrap();
        let full = bare.with_resource("c").unwrap();
        assert_eq!(full, FullJid::parse("a@b/c").unwrap());
        assert_eq!(full.with_resource("d").unwrap().as_str(), "a@b/d");
        assert_eq!(full.to_bare(), bare);
        assert_eq!(full.resource_str(), "c");
    }

    #[test]
    fn a_map_is_asked_with_text() {
        let map = std::collections::HashMap::from([(BareJid::parse("a@b").unwrap(), 1)]);
        assert_eq!(map.get(Jid::parse("a@b/c").unwrap().bare_str()), Some(&1));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// What has been enforced is not changed by enforcing it again: stored addresses stay equal.
        #[test]
        fn enforcing_is_idempotent(text in "(\\PC{1,8}@)?[\\PC&&[^/@]]{1,8}(/\\PC{1,8})?") {
            if let Ok(jid) = Jid::parse(&text) {
                let again = Jid::parse(jid.as_str());
                prop_assert_eq!(again.as_ref(), Ok(&jid));
                let again = again.unwrap();
                prop_assert_eq!((again.local(), again.domain(), again.resource()), (jid.local(), jid.domain(), jid.resource()));
            }
        }

        #[test]
        fn ascii_takes_the_same_decision_as_precis(local in "[ -~]{1,6}") {
            let excluded = local.contains(['"', '&', '\'', '/', ':', '<', '>', '@']);
            let expected = UsernameCaseMapped::enforce(local.as_str()).ok().filter(|_| !excluded);
            prop_assert_eq!(enforce_local(&local).ok(), expected);
        }
    }
}
