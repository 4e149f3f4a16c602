//! `a=candidate`: RFC 8839 §5.1, RFC 6544 §4.5.

use super::{number, pieces};
use crate::jingle::candidate::{Candidate, CandidateType};

/// Always with its generation, since some clients drop a candidate without; what Jingle's model leaves open is written as its default.
pub(super) fn write(candidate: &Candidate, out: &mut String) {
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
