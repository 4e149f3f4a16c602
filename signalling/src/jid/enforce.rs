//! The rules for each part of an address: RFC 7622 §3.2 to §3.4. ASCII, the usual case, is decided in one look at the bytes.
//! What the rules would change once more is refused (RFC 8264 §7), so that an enforced address is read back as it is.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use precis_profiles::precis_core::profile::{PrecisFastInvocation, stabilize};
use precis_profiles::precis_core::{IdentifierClass, StringClass as _};
use precis_profiles::{OpaqueString, UsernameCaseMapped};

use super::JidError;

/// Longest localpart, domainpart or resourcepart in bytes: RFC 7622 §3.2, §3.3, §3.4.
pub const PART_BYTES_MAX: usize = 1023;

/// Longer texts are refused without a closer look: enforcing shortens a character to a third at most (full-width forms to ASCII).
const RAW_BYTES_MAX: usize = 4 * PART_BYTES_MAX;

/// RFC 7622 §3.3.
pub(super) fn enforce_local(local: &str) -> Result<Cow<'_, str>, JidError> {
    /// §3.3.1: what IdentifierClass allows and XMPP does not.
    fn excluded(byte: u8) -> bool {
        matches!(byte, b'"' | b'&' | b'\'' | b'/' | b':' | b'<' | b'>' | b'@')
    }
    if local.is_empty() {
        return Err(JidError::LocalEmpty);
    }
    let (mut ascii, mut lower, mut allowed) = (true, true, true);
    for byte in local.bytes() {
        ascii &= byte < 0x80;
        lower &= !byte.is_ascii_uppercase();
        allowed &= byte > 0x20 && byte != 0x7f && !excluded(byte);
    }
    if local.len() > RAW_BYTES_MAX {
        return Err(JidError::LocalTooLong);
    }
    let enforced = if !ascii {
        stabilize(local, |text| UsernameCaseMapped::enforce(text)).map_err(|_| JidError::LocalInvalid)?
    } else if !allowed {
        return Err(JidError::LocalInvalid);
    } else if lower {
        Cow::Borrowed(local)
    } else {
        Cow::Owned(local.to_ascii_lowercase())
    };
    // Width mapping turns full-width forms into ASCII, so the excluded characters are looked for in the result.
    if !ascii && enforced.bytes().any(excluded) {
        return Err(JidError::LocalInvalid);
    }
    if enforced.len() > PART_BYTES_MAX {
        return Err(JidError::LocalTooLong);
    }
    Ok(enforced)
}

/// RFC 7622 §3.4.
pub(super) fn enforce_resource(resource: &str) -> Result<Cow<'_, str>, JidError> {
    if resource.is_empty() {
        return Err(JidError::ResourceEmpty);
    }
    let (mut ascii, mut allowed) = (true, true);
    for byte in resource.bytes() {
        ascii &= byte < 0x80;
        allowed &= (0x20..0x7f).contains(&byte);
    }
    if resource.len() > RAW_BYTES_MAX {
        return Err(JidError::ResourceTooLong);
    }
    let enforced = if !ascii {
        stabilize(resource, |text| OpaqueString::enforce(text)).map_err(|_| JidError::ResourceInvalid)?
    } else if allowed {
        Cow::Borrowed(resource)
    } else {
        return Err(JidError::ResourceInvalid);
    };
    if enforced.starts_with(' ') {
        return Err(JidError::ResourceInvalid);
    }
    if enforced.len() > PART_BYTES_MAX {
        return Err(JidError::ResourceTooLong);
    }
    Ok(enforced)
}

/// RFC 7622 §3.2: an IPv6 address in brackets, an IPv4 address, or a domain name of NR-LDH labels and U-labels; a final dot is cut off.
pub(super) fn enforce_domain(domain: &str) -> Result<Cow<'_, str>, JidError> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.is_empty() {
        return Err(JidError::DomainEmpty);
    }
    if domain.len() > PART_BYTES_MAX {
        return Err(JidError::DomainTooLong);
    }
    if let Some(literal) = domain.strip_prefix('[') {
        let address = literal.strip_suffix(']').and_then(|address| address.parse::<Ipv6Addr>().ok()).ok_or(JidError::DomainInvalid)?;
        let text = format!("[{address}]");
        return Ok(if text == domain { Cow::Borrowed(domain) } else { Cow::Owned(text) });
    }
    match ascii_domain(domain)? {
        AsciiDomain::Plain => Ok(Cow::Borrowed(domain)),
        AsciiDomain::Upper => Ok(Cow::Owned(domain.to_ascii_lowercase())),
        AsciiDomain::Idna => {
            let enforced = international_domain(domain)?;
            match ascii_domain(&enforced)? {
                AsciiDomain::Plain => Ok(Cow::Owned(enforced)),
                AsciiDomain::Idna if international_domain(&enforced)? == enforced => Ok(Cow::Owned(enforced)),
                AsciiDomain::Idna | AsciiDomain::Upper => Err(JidError::DomainInvalid),
            }
        }
    }
}

/// What the fast path found.
enum AsciiDomain {
    /// Lower-case NR-LDH labels or an IPv4 address.
    Plain,
    /// The same with upper-case letters.
    Upper,
    /// Not ASCII, or with an A-label: work for `idna`.
    Idna,
}

/// One pass over an ASCII domain: labels of letters, digits and inner hyphens, 63 bytes at most (RFC 5890 §2.3.1).
fn ascii_domain(domain: &str) -> Result<AsciiDomain, JidError> {
    let bytes = domain.as_bytes();
    let (mut ascii, mut upper, mut letters) = (true, false, true);
    let mut label = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => {}
            b'A'..=b'Z' => upper = true,
            // Not at either end of a label.
            b'-' => letters &= at > label && !matches!(bytes.get(at + 1), None | Some(b'.')),
            b'.' => {
                letters &= (1..=63).contains(&(at - label));
                label = at + 1;
            }
            0x80.. => ascii = false,
            _ => letters = false,
        }
    }
    if !ascii {
        return Ok(AsciiDomain::Idna);
    }
    if !letters || !(1..=63).contains(&(bytes.len() - label)) {
        return Err(JidError::DomainInvalid);
    }
    let idna = bytes.split(|byte| *byte == b'.').any(|label| label.len() >= 4 && label[..4].eq_ignore_ascii_case(b"xn--"));
    // A last label of digits only is an IPv4 address or nothing (RFC 3986 §3.2.2, RFC 1123 §2.1).
    let last = &bytes[label..];
    if last.iter().all(u8::is_ascii_digit) && label > 0 && domain.parse::<Ipv4Addr>().is_err() {
        return Err(JidError::DomainInvalid);
    }
    Ok(if idna {
        AsciiDomain::Idna
    } else if upper {
        AsciiDomain::Upper
    } else {
        AsciiDomain::Plain
    })
}

/// RFC 7622 §3.2.1: mapped, normalised, A-labels turned into U-labels; each label must have an A-label of at most 63 bytes, and be letters and
/// digits: RFC 5892, whose characters PRECIS' IdentifierClass has taken over (RFC 8264 §4.2).
fn international_domain(domain: &str) -> Result<String, JidError> {
    use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
    let uts46 = Uts46::new();
    let (unicode, valid) = uts46.to_unicode(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    valid.map_err(|_| JidError::DomainInvalid)?;
    let unicode = unicode.strip_suffix('.').unwrap_or(&unicode);
    if unicode.split('.').any(|label| !label.is_ascii() && IdentifierClass::default().allows(label).is_err()) {
        return Err(JidError::DomainInvalid);
    }
    let ascii = uts46
        .to_ascii(unicode.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore)
        .map_err(|_| JidError::DomainInvalid)?;
    // Mapping may have made anything of the text, such as empty labels or an IPv4 address: the ASCII form must pass the plain rules.
    ascii_domain(&ascii)?;
    if unicode.len() > PART_BYTES_MAX {
        return Err(JidError::DomainTooLong);
    }
    Ok(unicode.to_owned())
}
