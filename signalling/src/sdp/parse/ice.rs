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
    while let Some(name) = words.next() {
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
                let Some(value) = words.next() else { return Err(Wrong::new("a value after each extension's name", name)) };
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
    while let Some(option) = words.next() {
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
