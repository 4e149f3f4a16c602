//! Attributes of ICE: RFC 8839 §5, RFC 6544 §4.5; and RTCP's port, RFC 3605.

use smol_str::SmolStr;

use super::attribute::numbered;
use super::{connection, number, pieces};
use crate::jingle::candidate::{Candidate, CandidateType};
use crate::jingle::transport::RemoteCandidate;
use crate::sdp::line::Connection;

/// Always with its generation, since some clients drop a candidate without; what Jingle's model leaves open is written as its default.
pub(super) fn candidate(out: &mut String, candidate: &Candidate) {
    pieces(out, &["candidate:", candidate.foundation.as_deref().unwrap_or("0"), " "]);
    number(out, candidate.component.into());
    pieces(out, &[" ", &candidate.protocol, " "]);
    number(out, candidate.priority.unwrap_or_default());
    pieces(out, &[" ", &candidate.ip, " "]);
    number(out, candidate.port.into());
    pieces(out, &[" typ ", candidate.kind.unwrap_or(CandidateType::Host).as_str()]);
    if let Some((address, port)) = &candidate.related {
        pieces(out, &[" raddr ", address, " rport "]);
        number(out, (*port).into());
    }
    if let Some(kind) = &candidate.tcp_type {
        pieces(out, &[" tcptype ", kind]);
    }
    out.push_str(" generation ");
    number(out, candidate.generation.into());
    for extension in &candidate.extensions {
        pieces(out, &[" ", &extension.name, " ", extension.value.as_deref().unwrap_or("-")]);
    }
    if let Some(network) = &candidate.network {
        pieces(out, &[" network-id ", network]);
    }
}

pub(super) fn remote_candidates(out: &mut String, candidates: &[RemoteCandidate]) {
    out.push_str("remote-candidates:");
    for (index, candidate) in candidates.iter().enumerate() {
        numbered(out, if index == 0 { "" } else { " " }, candidate.component.into());
        pieces(out, &[" ", &candidate.ip]);
        numbered(out, " ", candidate.port.into());
    }
}

pub(super) fn options(out: &mut String, options: &[SmolStr]) {
    out.push_str("ice-options:");
    for (index, option) in options.iter().enumerate() {
        pieces(out, &[if index == 0 { "" } else { " " }, option]);
    }
}

pub(super) fn rtcp(out: &mut String, port: u16, address: Option<&Connection>) {
    numbered(out, "rtcp:", port.into());
    if let Some(address) = address {
        out.push(' ');
        connection(out, address);
    }
}
