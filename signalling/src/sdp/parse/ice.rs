//! Attributes of ICE: RFC 8839 §5, RFC 6544 §4.5, RFC 8840 §8; and RTCP's port, RFC 3605.

use smol_str::SmolStr;

use super::attribute::other;
use super::session::connection;
use super::words::{Words, Wrong, is_address, is_ice, is_token, number};
use crate::jingle::candidate::{Candidate, CandidateType};
use crate::jingle::rtp::Parameter;
use crate::jingle::transport::RemoteCandidate;
use crate::sdp::line::Attribute;

const COMPONENT: &str = "a component from 1 to 255";
const ADDRESS: &str = "an IP address or a name";
const PORT: &str = "a port from 0 to 65535";

fn component<'a>(words: &mut Words<'a>) -> Result<u8, Wrong<'a>> {
    let word = words.any(COMPONENT)?;
    number(word).filter(|component| *component > 0).ok_or(Wrong::new(COMPONENT, word))
}

/// RFC 8839 §5.1. A candidate of a type that is not one of the four is grammatical, and only carried.
pub(super) fn candidate(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let whole = words.rest();
    let foundation = words.token("a foundation")?;
    let component = component(&mut words)?;
    let protocol = lower(words.token("a transport protocol")?);
    let priority = words.word("a priority of at most ten digits", |word| word.len() <= 10 && number::<u64>(word).is_some())?;
    let ip = words.word(ADDRESS, is_address)?;
    let port = words.number(PORT)?;
    words.word("typ", |word| word == "typ")?;
    let kind = words.token("a type: host, srflx, prflx or relay")?;
    let mut candidate = Box::new(Candidate {
        component,
        foundation: Some(foundation.into()),
        ip: ip.into(),
        port,
        priority: number(priority),
        protocol,
        kind: CandidateType::parse(&lower(kind)),
        ..Candidate::default()
    });
    extensions(&mut candidate, words)?;
    Ok(if candidate.kind.is_some() { Attribute::Candidate(candidate) } else { other("candidate", Some(whole)) })
}

/// Pairs of name and value.
fn extensions<'a>(candidate: &mut Candidate, mut words: Words<'a>) -> Result<(), Wrong<'a>> {
    let (mut related, mut related_port) = (None, None);
    while let Some(name) = words.next_short()? {
        match name {
            "raddr" => related = Some(words.word(ADDRESS, is_address)?),
            "rport" => related_port = Some(words.number(PORT)?),
            "tcptype" => {
                let kind = words.word("active, passive or so", |word| matches!(word, "active" | "passive" | "so"))?;
                candidate.tcp_type = Some(kind.into());
            }
            "generation" => candidate.generation = words.number("a generation from 0 to 255")?,
            "network-id" => candidate.network = Some(words.any("a network")?.into()),
            _ => {
                let Some(value) = words.next_short()? else { return Err(Wrong::new("a value after each extension's name", name)) };
                candidate.extensions.push(Parameter { name: name.into(), value: Some(value.into()) });
            }
        }
    }
    candidate.related = match (related, related_port) {
        (Some(address), Some(port)) => Some((address.into(), port)),
        (None, None) => None,
        (Some(address), None) => return Err(Wrong::new("rport with raddr", address)),
        (None, Some(_)) => return Err(Wrong::new("raddr with rport", "")),
    };
    Ok(())
}

/// In lower case, as browsers and Jingle write it.
pub(super) fn lower(word: &str) -> SmolStr {
    if word.bytes().any(|byte| byte.is_ascii_uppercase()) { word.to_ascii_lowercase().into() } else { word.into() }
}

/// RFC 8839 §5.2.
pub(super) fn remote_candidates(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let mut candidates = Vec::new();
    while candidates.is_empty() || !words.rest().is_empty() {
        let component = component(&mut words)?;
        let ip = words.word(ADDRESS, is_address)?.into();
        let port = words.number(PORT)?;
        candidates.push(RemoteCandidate { component, ip, port });
    }
    Ok(Attribute::RemoteCandidates(candidates))
}

/// RFC 8839 §5.4.
pub(super) fn ufrag(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let ufrag = words.word("4 to 256 letters, digits, + and /", |word| (4..=256).contains(&word.len()) && is_ice(word))?.into();
    words.end()?;
    Ok(Attribute::IceUfrag(ufrag))
}

/// RFC 8839 §5.4.
pub(super) fn pwd(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let pwd = words.word("22 to 256 letters, digits, + and /", |word| (22..=256).contains(&word.len()) && is_ice(word))?.into();
    words.end()?;
    Ok(Attribute::IcePwd(pwd))
}

/// RFC 8839 §5.6.
pub(super) fn options(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let mut options = vec![words.token("options of ICE")?.into()];
    while let Some(option) = words.next_short()? {
        if !is_token(option) {
            return Err(Wrong::new("options of ICE", option));
        }
        options.push(option.into());
    }
    Ok(Attribute::IceOptions(options))
}

/// RFC 3605 §2.1.
pub(super) fn rtcp(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let port = words.number(PORT)?;
    let address = if words.rest().is_empty() { None } else { Some(connection(words)?) };
    Ok(Attribute::Rtcp { port, address })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::line::Connection;
    use crate::sdp::parse::testing::{becomes, carried, read, stays, wrong};

    #[test]
    fn rfc_8839_s5_1_candidate() {
        stays(
            "candidate",
            &[
                "1 1 udp 2130706431 203.0.113.141 8998 typ host generation 0",
                "2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998 generation 0",
                "1 2 udp 2130706431 fe80::6676:baff:fe9c:ee4a 8998 typ relay raddr :: rport 9 generation 3",
                "3 255 udp 0 4fd2b1a0-5e6c.local 0 typ prflx generation 255",
                "f957a2332b1715da3b0ef8ba684454eb 1 udp 9999999999 host.example.com 65535 typ host generation 0",
                "1 1 udp 1 fe80::1%eth0 9 typ host generation 0 ufrag 8hhY network-cost 999 network-id 1",
            ],
        );
        becomes(
            "candidate",
            &[
                ("1 1 UDP 2130706431 203.0.113.141 8998 typ host", "1 1 udp 2130706431 203.0.113.141 8998 typ host generation 0"),
                (
                    "842163049 1 udp 1677729535 192.0.2.1 60000 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag sXP5 network-id 3 network-cost 10",
                    "842163049 1 udp 1677729535 192.0.2.1 60000 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag sXP5 network-cost 10 network-id 3",
                ),
                (
                    "1 1 udp 1 192.0.2.1 9 typ HOST x y rport 1 z 5 raddr ::",
                    "1 1 udp 1 192.0.2.1 9 typ host raddr :: rport 1 generation 0 x y z 5",
                ),
            ],
        );
        // A type or a transport of tomorrow.
        carried("candidate", &["1 1 udp 1 192.0.2.1 9 typ hologram raddr 192.0.2.2 rport 9"]);
        stays("candidate", &["1 1 ssltcp 1 192.0.2.1 443 typ host generation 0"]);
    }

    #[test]
    fn rfc_6544_s4_5_tcp_candidates() {
        stays(
            "candidate",
            &[
                "1 1 tcp 1518214911 192.0.2.1 9 typ host tcptype active generation 0",
                "2 1 tcp 1692401663 192.0.2.3 45687 typ srflx raddr 10.0.1.1 rport 8999 tcptype so generation 0",
            ],
        );
        let Attribute::Candidate(candidate) = read("candidate", "1 1 TCP 2105458943 192.0.2.1 9 typ host tcptype passive") else {
            panic!()
        };
        assert_eq!((&*candidate.protocol, candidate.tcp_type.as_deref()), ("tcp", Some("passive")));
    }

    #[test]
    fn rfc_8839_s5_1_every_part_has_its_place() {
        let expected = Candidate {
            component: 2,
            foundation: Some("f".into()),
            generation: 1,
            id: None,
            ip: "192.0.2.3".into(),
            port: 45664,
            priority: Some(1_694_498_815),
            protocol: "udp".into(),
            kind: Some(CandidateType::ServerReflexive),
            related: Some(("10.0.1.1".into(), 8998)),
            tcp_type: None,
            network: Some("7".into()),
            extensions: vec![Parameter { name: "ufrag".into(), value: Some("8hhY".into()) }],
        };
        let text = "f 2 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8998 generation 1 network-id 7 ufrag 8hhY";
        assert_eq!(read("candidate", text), Attribute::Candidate(Box::new(expected)));
    }

    #[test]
    fn rfc_8839_s5_1_malformed_candidates() {
        wrong(
            "candidate",
            &[
                ("", "a foundation, found nothing"),
                ("é 1 udp 1 192.0.2.1 9 typ host", "a foundation, found \"é\""),
                ("1", "a component from 1 to 255, found nothing"),
                ("1 0 udp 1 192.0.2.1 9 typ host", "a component from 1 to 255, found \"0\""),
                ("1 256 udp 1 192.0.2.1 9 typ host", "a component from 1 to 255, found \"256\""),
                ("1 1", "a transport protocol, found nothing"),
                ("1 1 udp", "a priority of at most ten digits, found nothing"),
                ("1 1 udp 12345678901 192.0.2.1 9 typ host", "a priority of at most ten digits, found \"12345678901\""),
                ("1 1 udp -1 192.0.2.1 9 typ host", "a priority of at most ten digits, found \"-1\""),
                ("1 1 udp 1", "an IP address or a name, found nothing"),
                ("1 1 udp 1 192.0.2.256 9 typ host", "an IP address or a name, found \"192.0.2.256\""),
                ("1 1 udp 1 2001:db8::g 9 typ host", "an IP address or a name, found \"2001:db8::g\""),
                ("1 1 udp 1 [2001:db8::1] 9 typ host", "an IP address or a name, found \"[2001:db8::1]\""),
                ("1 1 udp 1 192.0.2.1:9 9 typ host", "an IP address or a name, found \"192.0.2.1:9\""),
                ("1 1 udp 1 a_b/c 9 typ host", "an IP address or a name, found \"a_b/c\""),
                ("1 1 udp 1 192.0.2.1", "a port from 0 to 65535, found nothing"),
                ("1 1 udp 1 192.0.2.1 65536 typ host", "a port from 0 to 65535, found \"65536\""),
                ("1 1 udp 1 192.0.2.1 9", "typ, found nothing"),
                ("1 1 udp 1 192.0.2.1 9 type host", "typ, found \"type\""),
                ("1 1 udp 1 192.0.2.1 9 typ", "a type: host, srflx, prflx or relay, found nothing"),
                ("1 1 udp 1 192.0.2.1 9 typ h/t", "a type: host, srflx, prflx or relay, found \"h/t\""),
                ("1 1 udp 1 192.0.2.1 9 typ srflx raddr", "an IP address or a name, found nothing"),
                ("1 1 udp 1 192.0.2.1 9 typ srflx raddr 1.2.3 rport 9", "an IP address or a name, found \"1.2.3\""),
                ("1 1 udp 1 192.0.2.1 9 typ srflx raddr 192.0.2.2", "rport with raddr, found \"192.0.2.2\""),
                ("1 1 udp 1 192.0.2.1 9 typ srflx rport 9", "raddr with rport, found nothing"),
                ("1 1 udp 1 192.0.2.1 9 typ srflx rport x", "a port from 0 to 65535, found \"x\""),
                ("1 1 tcp 1 192.0.2.1 9 typ host tcptype open", "active, passive or so, found \"open\""),
                ("1 1 udp 1 192.0.2.1 9 typ host generation 256", "a generation from 0 to 255, found \"256\""),
                ("1 1 udp 1 192.0.2.1 9 typ host network-id", "a network, found nothing"),
                ("1 1 udp 1 192.0.2.1 9 typ host generation 0 ufrag", "a value after each extension's name, found \"ufrag\""),
                ("1 1 udp 1 192.0.2.1 9 typ hologram ufrag", "a value after each extension's name, found \"ufrag\""),
            ],
        );
    }

    #[test]
    fn rfc_8839_s5_2_remote_candidates() {
        stays("remote-candidates", &["1 192.0.2.3 45664", "1 192.0.2.2 2730 2 fd00::2 2731"]);
        wrong(
            "remote-candidates",
            &[
                ("", "a component from 1 to 255, found nothing"),
                ("1", "an IP address or a name, found nothing"),
                ("1 192.0.2.3 45664 2", "an IP address or a name, found nothing"),
                ("1 192.0.2.3 45664 2 192.0.2.3 x", "a port from 0 to 65535, found \"x\""),
            ],
        );
    }

    #[test]
    fn rfc_8839_s5_4_ufrag_and_pwd() {
        stays("ice-ufrag", &["8hhY", "a+/b", &"u".repeat(256), "a-_#="]);
        stays("ice-pwd", &["asd88fgpdd777uzjYhagZg", &"p".repeat(256)]);
        let expected = "4 to 256 letters, digits, + and /";
        for value in ["abc", "ab:cd", "abcdé"] {
            wrong("ice-ufrag", &[(value, &format!("{expected}, found \"{value}\""))]);
        }
        wrong("ice-ufrag", &[("", &format!("{expected}, found nothing")), ("8hhY 9", "the end of the line, found \"9\"")]);
        wrong("ice-ufrag", &[(&"u".repeat(257), &format!("{expected}, found \"{}…\"", "u".repeat(64)))]);
        let secret = "22 to 256 letters, digits, + and /, found something else, which is secret";
        for value in ["", "asd88fgpdd777uzjYhagZ", "asd88fgpdd777uzj:hagZg", &"p".repeat(257)] {
            wrong("ice-pwd", &[(value, secret)]);
        }
        wrong("ice-pwd", &[("asd88fgpdd777uzjYhagZg x", "the end of the line, found something else, which is secret")]);
    }

    #[test]
    fn rfc_8839_s5_6_ice_options() {
        stays("ice-options", &["trickle", "trickle ice2 renomination", "rtp+ecn"]);
        wrong("ice-options", &[("", "options of ICE, found nothing"), ("trickle a:b", "options of ICE, found \"a:b\"")]);
    }

    #[test]
    fn rfc_8840_s8_2_end_of_candidates() {
        stays("end-of-candidates", &[""]);
        wrong("end-of-candidates", &[("1", "no value, found \"1\"")]);
    }

    #[test]
    fn rfc_3605_s2_1_rtcp() {
        stays("rtcp", &["53020", "53020 IN IP4 126.16.64.4", "53020 IN IP6 2001:2345:6789:ABCD:EF01:2345:6789:ABCD", "9 IN IP4 0.0.0.0"]);
        let address = Some(Connection { is_ipv6: false, address: "host.example.com".into() });
        assert_eq!(read("rtcp", "0 in ip4 host.example.com"), Attribute::Rtcp { port: 0, address });
        wrong(
            "rtcp",
            &[
                ("", "a port from 0 to 65535, found nothing"),
                ("65536", "a port from 0 to 65535, found \"65536\""),
                ("9 192.0.2.1", "IN, found \"192.0.2.1\""),
                ("9 IN 192.0.2.1", "IP4 or IP6, found \"192.0.2.1\""),
                ("9 IN IP4", "an IPv4 address or a name, found nothing"),
                ("9 IN IP4 ::", "an IPv4 address or a name, found \"::\""),
                ("9 IN IP6 0.0.0.0", "an IPv6 address or a name, found \"0.0.0.0\""),
                ("9 IN IP4 0.0.0.0 x", "the end of the line, found \"x\""),
            ],
        );
    }
}
