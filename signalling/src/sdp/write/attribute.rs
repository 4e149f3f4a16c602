//! `a=`: which attribute has which form.

use super::{codec, cut, ice, number, pieces, security, stream};
use crate::jingle::rtp::Parameter;
use crate::sdp::line::Attribute;

/// Appends what stands behind `a=`. It is cut at a CR, LF or NUL.
pub fn write_attribute(attribute: &Attribute, out: &mut String) {
    let from = out.len();
    write(attribute, out);
    cut(out, from);
}

/// Without the cut.
pub(super) fn write(attribute: &Attribute, out: &mut String) {
    match attribute {
        Attribute::Mid(mid) => pieces(out, &["mid:", mid]),
        Attribute::Group { semantics, mids } => stream::group(out, semantics, mids),
        Attribute::Direction(direction) => out.push_str(direction.as_str()),
        Attribute::Rtpmap { payload, name, clockrate, channels } => codec::rtpmap(out, *payload, name, *clockrate, *channels),
        Attribute::Fmtp { payload, parameters } => codec::fmtp(out, *payload, parameters),
        Attribute::Ptime(value) => numbered(out, "ptime:", *value),
        Attribute::Maxptime(value) => numbered(out, "maxptime:", *value),
        Attribute::RtcpFb { payload, feedback } => codec::rtcp_fb(out, *payload, feedback),
        Attribute::RtcpFbTrrInt { payload, value } => codec::trr_int(out, *payload, *value),
        Attribute::Rtcp { port, address } => ice::rtcp(out, *port, address.as_ref()),
        Attribute::RtcpMux => out.push_str("rtcp-mux"),
        Attribute::RtcpRsize => out.push_str("rtcp-rsize"),
        Attribute::Extmap { id, direction, uri, parameters } => codec::extmap(out, *id, *direction, uri, parameters),
        Attribute::ExtmapAllowMixed => out.push_str("extmap-allow-mixed"),
        Attribute::Ssrc { ssrc, parameter } => stream::ssrc(out, *ssrc, parameter),
        Attribute::SsrcGroup { semantics, sources } => stream::ssrc_group(out, semantics, sources),
        Attribute::Msid(msid) => stream::msid(out, msid),
        Attribute::Setup(setup) => pieces(out, &["setup:", setup.as_str()]),
        Attribute::Fingerprint(fingerprint) => security::fingerprint(out, fingerprint),
        Attribute::IceUfrag(ufrag) => pieces(out, &["ice-ufrag:", ufrag]),
        Attribute::IcePwd(pwd) => pieces(out, &["ice-pwd:", pwd]),
        Attribute::IceOptions(options) => ice::options(out, options),
        Attribute::Candidate(candidate) => ice::candidate(out, candidate),
        Attribute::RemoteCandidates(candidates) => ice::remote_candidates(out, candidates),
        Attribute::EndOfCandidates => out.push_str("end-of-candidates"),
        Attribute::Crypto(crypto) => security::crypto(out, crypto),
        Attribute::ZrtpHash(hash) => security::zrtp_hash(out, hash),
        Attribute::SctpPort(port) => numbered(out, "sctp-port:", (*port).into()),
        Attribute::Sctpmap { port, protocol, streams } => stream::sctpmap(out, *port, protocol, *streams),
        Attribute::Other { name, value } => {
            out.push_str(name);
            if let Some(value) = value {
                pieces(out, &[":", value]);
            }
        }
    }
}

/// A number behind a text.
pub(super) fn numbered(out: &mut String, start: &str, value: u32) {
    out.push_str(start);
    number(out, value.into());
}

/// `name`, `name=value` or, without a name, `value`.
pub(super) fn parameter(out: &mut String, parameter: &Parameter, separator: char) {
    out.push_str(&parameter.name);
    if let Some(value) = &parameter.value {
        if !parameter.name.is_empty() {
            out.push(separator);
        }
        out.push_str(value);
    }
}
