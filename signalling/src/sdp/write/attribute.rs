//! `a=`: each attribute as its specification has it.

use super::{candidate, connection, cut, number, pieces};
use crate::jingle::rtp::{Feedback, Parameter};
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
        Attribute::Group { semantics, mids } => list(out, &["group:", semantics], mids),
        Attribute::Direction(direction) => out.push_str(direction.as_str()),
        Attribute::Rtpmap { payload, name, clockrate, channels } => {
            of_payload(out, "rtpmap:", Some(*payload));
            pieces(out, &[" ", name]);
            if let Some(clockrate) = clockrate {
                out.push('/');
                number(out, (*clockrate).into());
                if let Some(channels) = channels {
                    out.push('/');
                    number(out, (*channels).into());
                }
            }
        }
        Attribute::Fmtp { payload, parameters } => {
            of_payload(out, "fmtp:", Some(*payload));
            for (index, parameter) in parameters.iter().enumerate() {
                out.push(if index == 0 { ' ' } else { ';' });
                self::parameter(out, parameter, '=');
            }
        }
        Attribute::Ptime(value) => numbered(out, "ptime:", *value),
        Attribute::Maxptime(value) => numbered(out, "maxptime:", *value),
        Attribute::RtcpFb { payload, feedback } => {
            of_payload(out, "rtcp-fb:", *payload);
            self::feedback(out, feedback);
        }
        Attribute::RtcpFbTrrInt { payload, value } => {
            of_payload(out, "rtcp-fb:", *payload);
            numbered(out, " trr-int ", *value);
        }
        Attribute::Rtcp { port, address } => {
            numbered(out, "rtcp:", (*port).into());
            if let Some(address) = address {
                out.push(' ');
                connection(out, address);
            }
        }
        Attribute::RtcpMux => out.push_str("rtcp-mux"),
        Attribute::RtcpRsize => out.push_str("rtcp-rsize"),
        Attribute::Extmap { id, direction, uri, parameters } => {
            numbered(out, "extmap:", (*id).into());
            if let Some(direction) = direction {
                pieces(out, &["/", direction.as_str()]);
            }
            pieces(out, &[" ", uri]);
            self::parameters(out, parameters);
        }
        Attribute::ExtmapAllowMixed => out.push_str("extmap-allow-mixed"),
        Attribute::Ssrc { ssrc, parameter } => {
            numbered(out, "ssrc:", *ssrc);
            if !parameter.name.is_empty() {
                out.push(' ');
                self::parameter(out, parameter, ':');
            }
        }
        Attribute::SsrcGroup { semantics, sources } => {
            pieces(out, &["ssrc-group:", semantics]);
            for source in sources {
                numbered(out, " ", *source);
            }
        }
        Attribute::Msid(msid) => list(out, &["msid:", &msid.stream], msid.track.as_slice()),
        Attribute::Setup(setup) => pieces(out, &["setup:", setup.as_str()]),
        Attribute::Fingerprint(fingerprint) => pieces(out, &["fingerprint:", &fingerprint.hash, " ", &fingerprint.value]),
        Attribute::IceUfrag(ufrag) => pieces(out, &["ice-ufrag:", ufrag]),
        Attribute::IcePwd(pwd) => pieces(out, &["ice-pwd:", pwd]),
        Attribute::IceOptions(options) => {
            out.push_str("ice-options:");
            for (index, option) in options.iter().enumerate() {
                pieces(out, &[if index == 0 { "" } else { " " }, option]);
            }
        }
        Attribute::Candidate(candidate) => candidate::write(candidate, out),
        Attribute::RemoteCandidates(candidates) => {
            out.push_str("remote-candidates:");
            for (index, candidate) in candidates.iter().enumerate() {
                numbered(out, if index == 0 { "" } else { " " }, candidate.component.into());
                pieces(out, &[" ", &candidate.ip]);
                numbered(out, " ", candidate.port.into());
            }
        }
        Attribute::EndOfCandidates => out.push_str("end-of-candidates"),
        Attribute::Crypto(crypto) => {
            pieces(out, &["crypto:", &crypto.tag, " ", &crypto.suite, " ", &crypto.key_params]);
            if let Some(parameters) = &crypto.session_params {
                pieces(out, &[" ", parameters]);
            }
        }
        Attribute::ZrtpHash(hash) => pieces(out, &["zrtp-hash:", &hash.version, " ", &hash.hash]),
        Attribute::SctpPort(port) => numbered(out, "sctp-port:", (*port).into()),
        Attribute::Sctpmap { port, protocol, streams } => {
            numbered(out, "sctpmap:", (*port).into());
            pieces(out, &[" ", protocol]);
            if let Some(streams) = streams {
                numbered(out, " ", (*streams).into());
            }
        }
        Attribute::Other { name, value } => {
            out.push_str(name);
            if let Some(value) = value {
                pieces(out, &[":", value]);
            }
        }
    }
}

fn numbered(out: &mut String, start: &str, value: u32) {
    out.push_str(start);
    number(out, value.into());
}

/// `None` is `*`.
fn of_payload(out: &mut String, start: &str, payload: Option<u8>) {
    out.push_str(start);
    match payload {
        Some(payload) => number(out, payload.into()),
        None => out.push('*'),
    }
}

fn list(out: &mut String, start: &[&str], more: &[smol_str::SmolStr]) {
    pieces(out, start);
    for word in more {
        pieces(out, &[" ", word]);
    }
}

/// `name`, `name=value` or, without a name, `value`.
fn parameter(out: &mut String, parameter: &Parameter, separator: char) {
    out.push_str(&parameter.name);
    if let Some(value) = &parameter.value {
        if !parameter.name.is_empty() {
            out.push(separator);
        }
        out.push_str(value);
    }
}

fn parameters(out: &mut String, parameters: &[Parameter]) {
    for parameter in parameters {
        out.push(' ');
        self::parameter(out, parameter, '=');
    }
}

fn feedback(out: &mut String, feedback: &Feedback) {
    pieces(out, &[" ", &feedback.kind]);
    if let Some(subtype) = &feedback.subtype {
        pieces(out, &[" ", subtype]);
    }
    parameters(out, &feedback.parameters);
}
