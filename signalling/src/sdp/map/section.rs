//! An m= section and a content.

use smol_str::SmolStr;

use super::dtls::{self, DtlsBuilder};
use super::ice::{self, IceBuilder};
use super::names::{self, Name};
use super::outline::Outline;
use super::protocol::Kind;
use super::rtp::{self, RtpBuilder};
use super::session::Level;
use super::words::{is_token, once};
use super::{MapError, Quoted, carried, data, destination, protocol, refused, senders};
use crate::jingle::content::{Carried, Content, Description, Party, Senders};
use crate::jingle::rtp::Rtp;
use crate::jingle::transport::{Method, Transport};
use crate::sdp::description::{Section, State};
use crate::sdp::line::{Attribute, Connection, Direction, MediaDescription, Numbered};
use crate::sdp::warning::Warnings;

/// What a section is read with.
pub(super) struct Reading<'a> {
    pub party: Party,
    pub session: &'a Level,
    pub outline: &'a Outline,
    pub name: Name,
    /// The section that was here before.
    pub before: Option<&'a Section>,
}

/// The content that a section says.
///
/// # Errors
/// RFC 8866 §5.7: there is no address.
pub(super) fn read(mut media: MediaDescription, context: Reading<'_>, warnings: &mut Warnings) -> Result<Section, MapError> {
    let Reading { party, session, outline, name, before } = context;
    if outline.refused {
        if outline.has_port {
            let (word, protocol) = (Quoted(&media.media), Quoted(&media.protocol));
            warnings.at(media.line, format_args!("{word} by {protocol} is refused: Jingle has no content for it"));
        } else if before.is_none() && party == Party::Initiator {
            warnings.at(media.line, format_args!("this section has port 0 from the beginning: no content is made of it"));
        }
        return Ok(Section::new(refused::read(&media, name), State::Refused));
    }
    let mut read = Read::new(outline.kind, party, &mut media, warnings);
    for Numbered { line, attribute } in std::mem::take(&mut media.attributes) {
        read.take(line, attribute, outline, warnings);
    }
    read.extend(session, warnings);
    let mut direction = read.direction.or(session.direction).unwrap_or(Direction::SendRecv);
    let mut transport = if outline.is_ice {
        let is_before = || before.and_then(|section| section.content.method()) == Some(&Method::Ice);
        let is_ice = read.method.take_if(|(_, method)| *method == Method::Ice).is_some() || is_before();
        read.ice.finish(if is_ice { Method::Ice } else { Method::IceUdp }, session, warnings)
    } else {
        read.ice.unused(warnings);
        let connection = address(&media, session, warnings)?;
        let destination =
            if outline.has_port { destination::Destination { connection, port: media.port } } else { destination::Destination::none() };
        direction = destination::held(direction, &destination);
        let mut transport = destination::read(destination, read.rtcp, warnings);
        if transport.candidates.is_empty() {
            // Who has no address yet goes on with the method that there was.
            let before = before.and_then(|section| section.content.method());
            let said = read.method.take().map(|(_, method)| method);
            transport.method = said.or(before.cloned()).unwrap_or(transport.method);
        }
        transport
    };
    if let Some((line, _)) = read.method.filter(|(_, method)| *method != transport.method) {
        warnings.at(line, format_args!("a={} is left out: the other lines say another one", names::TRANSPORT));
    }
    transport.dtls = read.dtls.finish(party, session, warnings);
    transport.sctp = read.data.map(|data| data.finish(media.line, media.formats, warnings));
    let content = Content {
        creator: name.creator,
        name: name.name,
        senders: Some(senders::from_direction(direction, party)),
        disposition: read.disposition,
        description: read.rtp.map(|rtp| Description::Rtp(Box::new(rtp.finish(warnings)))),
        transport: Some(transport),
        protocol: Some(media.protocol),
        carried: read.carried,
    };
    Ok(Section::new(content, State::Active))
}

/// What a section's lines have said so far.
struct Read {
    rtp: Option<RtpBuilder>,
    data: Option<data::DataBuilder>,
    ice: IceBuilder,
    dtls: DtlsBuilder,
    direction: Option<Direction>,
    rtcp: Option<destination::Rtcp>,
    method: Option<(u32, Method)>,
    disposition: Option<SmolStr>,
    carried: Vec<Carried>,
}

impl Read {
    fn new(kind: Kind, party: Party, media: &mut MediaDescription, warnings: &mut Warnings) -> Self {
        if media.ports.is_some() {
            warnings.at(media.line, format_args!("the number of ports is left out: Jingle has no such thing"));
        }
        let mut carried = Vec::new();
        carried::keep_lines(std::mem::take(&mut media.others), &mut carried, warnings);
        if kind == Kind::Data {
            carried.extend(media.bandwidths.iter().map(carried::bandwidth));
        }
        Self {
            rtp: (kind == Kind::Rtp).then(|| RtpBuilder::new(party, media, warnings)),
            data: (kind == Kind::Data).then(data::DataBuilder::default),
            ice: IceBuilder::default(),
            dtls: DtlsBuilder::default(),
            direction: None,
            rtcp: None,
            method: None,
            disposition: None,
            carried,
        }
    }

    fn take(&mut self, line: u32, attribute: Attribute, outline: &Outline, warnings: &mut Warnings) {
        match attribute {
            // Read with the outline, which has refused what is wrong.
            Attribute::Mid(_) => {}
            Attribute::Direction(direction) => once(&mut self.direction, direction, line, "direction", warnings),
            Attribute::Rtcp { port, address } => once(&mut self.rtcp, destination::Rtcp { line, port, address }, line, "a=rtcp", warnings),
            Attribute::Fingerprint(fingerprint) => self.dtls.fingerprint(line, fingerprint, warnings),
            Attribute::Setup(setup) => self.dtls.setup(line, setup, warnings),
            Attribute::Other { name, value } => match &*name {
                names::NAME if outline.name.is_some() => {}
                names::CREATOR if outline.creator.is_some() => {}
                names::DISPOSITION if self.disposition.is_none() && value.as_deref().and_then(names::decode).is_some() => {
                    self.disposition = value.as_deref().and_then(names::decode);
                }
                names::TRANSPORT if self.method.is_none() && value.as_deref().and_then(ice::method).is_some() => {
                    self.method = value.as_deref().and_then(ice::method).map(|method| (line, method));
                }
                _ => carried::keep_attribute(&name, value.as_deref(), line, &mut self.carried, warnings),
            },
            other => self.take_media(line, other, warnings),
        }
    }

    fn take_media(&mut self, line: u32, attribute: Attribute, warnings: &mut Warnings) {
        // Most lines are the codecs'.
        let rest = match (&mut self.rtp, &mut self.data) {
            (Some(rtp), _) => rtp.take(line, attribute, warnings),
            (None, Some(data)) => data.take(line, attribute, warnings),
            (None, None) => Some(attribute),
        };
        let rest = rest.and_then(|attribute| self.ice.take(line, attribute, warnings));
        if let Some(attribute) = rest {
            warnings.at(line, format_args!("a={} is left out: it does not belong into such a section", carried::name(&attribute)));
        }
    }

    /// What the session level says of header extensions goes to who has none.
    fn extend(&mut self, session: &Level, warnings: &mut Warnings) {
        let Some(rtp) = &mut self.rtp else { return };
        let has_extensions = rtp.has_extensions();
        for Numbered { line, attribute } in &session.extensions {
            if !has_extensions || *attribute == Attribute::ExtmapAllowMixed {
                rtp.take(*line, attribute.clone(), warnings);
            } else {
                warnings.at(*line, format_args!("a=extmap is left out: a section has its own (RFC 8285 §6)"));
            }
        }
    }
}

/// `c=`, without which there is nothing to send to.
fn address(media: &MediaDescription, session: &Level, warnings: &mut Warnings) -> Result<Connection, MapError> {
    if media.connections.len() > 1 {
        warnings.at(media.line, format_args!("all c= lines but the first are left out: Jingle has no multicast"));
    }
    let Some(connection) = media.connections.first().or(session.connection.as_ref()) else {
        return Err(MapError::line(media.line, format_args!("there is no c= line for this section (RFC 8866 §5.7)")));
    };
    Ok(destination::unicast(connection.clone(), warnings))
}

/// The contents of a stanza that SDP can say.
///
/// # Errors
/// There is none, or one lacks what SDP needs.
pub(super) fn sayable(contents: Vec<Content>, warnings: &mut Warnings) -> Result<Vec<Content>, MapError> {
    let mut said: Vec<Content> = Vec::with_capacity(contents.len());
    for content in contents {
        warnings.enter(&content.name);
        let is_alternative = |other: &Content| !content.name.is_empty() && (other.creator, &other.name) == (content.creator, &content.name);
        if let Some(reason) = unsayable(&content) {
            warnings.add(format_args!("the content is left out: {reason}"));
        } else if said.iter().any(is_alternative) {
            warnings.add(format_args!("the content is left out: SDP has no alternatives of one name (XEP-0166 §7.3)"));
        } else {
            match &content.description {
                _ if !data::is_content(&content) => check(&content)?,
                None | Some(Description::Rtp(_)) => {}
                Some(Description::FileTransfer | Description::Other(_)) => {
                    warnings.add(format_args!("SDP says the data channel, and not what it is for"));
                }
            }
            said.push(content);
        }
    }
    warnings.leave();
    if said.is_empty() {
        return Err(MapError::stanza(format_args!("there is no content that SDP could say")));
    }
    Ok(said)
}

/// Why a content has no m= line.
pub(in crate::sdp) fn unsayable(content: &Content) -> Option<&'static str> {
    match (&content.description, content.method()) {
        (_, Some(Method::Other(_))) => Some("SDP has no such transport"),
        _ if data::is_content(content) => None,
        (Some(Description::Rtp(rtp)), _) if is_token(&rtp.media) => None,
        (Some(Description::Rtp(_)), _) => Some("its media has no name that SDP could say"),
        (Some(Description::FileTransfer | Description::Other(_)), _) => Some("SDP has no such application"),
        (None, _) => Some("it has no description"),
    }
}

fn check(content: &Content) -> Result<(), MapError> {
    match &content.description {
        Some(Description::Rtp(rtp)) if rtp::formats(rtp).is_empty() => {
            Err(MapError::stanza(format_args!("content {}: a <payload-type/> was expected (XEP-0167 §4)", Quoted(&content.name))))
        }
        _ => Ok(()),
    }
}

/// The section of a content.
pub(super) fn write(content: &Content, mid: SmolStr, party: Party, warnings: &mut Warnings) -> MediaDescription {
    let none = Transport::default();
    let transport = content.transport.as_ref().unwrap_or(&none);
    if let Some(reason) = unsayable(content) {
        warnings.add(format_args!("the section is refused: {reason}"));
        return refused::write(content, mid, warnings);
    }
    let rtp = match &content.description {
        Some(Description::Rtp(rtp)) if !data::is_content(content) => Some(&**rtp),
        _ => None,
    };
    let protocol = protocol::of(content, warnings);
    let is_raw = transport.method == Method::RawUdp;
    let mut attributes = Vec::with_capacity(16 + rtp.map_or(0, |rtp| 4 * rtp.payload_types.len()));
    let out = &mut attributes;
    let mut remote_candidates = None;
    if !is_raw {
        ice::write_candidates(transport, out, warnings);
        remote_candidates = ice::remote_candidates(transport, warnings);
    }
    let place = place(content, rtp, out);
    destination::left_out(transport, &place.default, place.rtcp.is_some(), warnings);
    if !is_raw {
        ice::write(transport, remote_candidates.is_some() || !out.is_empty(), out, warnings);
    }
    out.splice(0..0, place.rtcp.map(Numbered::from));
    if let Some(dtls) = &transport.dtls {
        dtls::write(dtls, party, out, warnings);
    }
    names::write(content, mid, out);
    if let Some(disposition) = content.disposition.as_ref().filter(|disposition| *disposition != "session") {
        let value = Some(names::encode(disposition));
        out.push(Attribute::Other { name: SmolStr::new_static(names::DISPOSITION), value }.into());
    }
    let method = match transport.method {
        Method::Ice => Some("ice"),
        Method::RawUdp if place.default.is_none() => Some("raw-udp"),
        _ => None,
    };
    let method = method.map(|method| Attribute::Other { name: SmolStr::new_static(names::TRANSPORT), value: Some(method.into()) });
    out.extend(method.map(Numbered::from));
    let mut direction = senders::to_direction(content.senders.unwrap_or(Senders::Both), party);
    if is_raw {
        direction = destination::held(direction, &place.default);
    }
    let formats = write_media(rtp, transport, Context { party, protocol: &protocol, direction }, out, warnings);
    out.extend(remote_candidates);
    let mut section = MediaDescription {
        media: refused::media(content),
        port: if place.bundle_only { 0 } else { place.default.port },
        protocol,
        formats,
        connections: vec![if place.bundle_only { destination::no_address() } else { place.default.connection }],
        bandwidths: rtp.map_or_else(Vec::new, |rtp| rtp::bandwidths(rtp, warnings)),
        attributes,
        ..MediaDescription::default()
    };
    for line in &content.carried {
        write_carried(line, rtp.is_none(), &mut section, warnings);
    }
    section
}

/// Where a section's media goes.
struct Place {
    default: destination::Destination,
    rtcp: Option<Attribute>,
    /// RFC 8843 §6: it has no port of its own.
    bundle_only: bool,
}

/// `candidates`: those that are written.
fn place(content: &Content, rtp: Option<&Rtp>, candidates: &[Numbered]) -> Place {
    let none = Transport::default();
    let Transport { method, candidates: raw, .. } = content.transport.as_ref().unwrap_or(&none);
    let written = || {
        let raw = raw.iter().filter(|_| *method == Method::RawUdp);
        let written = candidates
            .iter()
            .filter_map(|line| if let Attribute::Candidate(candidate) = &line.attribute { Some(&**candidate) } else { None });
        raw.chain(written)
    };
    let bundle_only = content.carried.iter().any(|line| line.kind == 'a' && line.value == "bundle-only");
    let default = destination::default(written(), method);
    let rtcp = rtp.filter(|_| !bundle_only).and_then(|rtp| destination::rtcp(written(), method, rtp.rtcp_mux, &default));
    Place { default, rtcp, bundle_only }
}

/// What media is written with.
struct Context<'a> {
    party: Party,
    protocol: &'a str,
    direction: Direction,
}

/// The lines of RTP or SCTP, and the formats of `m=`.
fn write_media(
    rtp: Option<&Rtp>,
    transport: &Transport,
    context: Context<'_>,
    out: &mut Vec<Numbered>,
    warnings: &mut Warnings,
) -> Vec<SmolStr> {
    let Context { party, protocol, direction } = context;
    if let Some(rtp) = rtp {
        rtp::write_extensions(rtp, party, out, warnings);
        out.push(Attribute::Direction(direction).into());
        rtp::write_media(rtp, out, warnings);
        return rtp::formats(rtp);
    }
    // A data channel has no direction (RFC 8864), and Firefox writes one.
    out.push(Attribute::Direction(direction).into());
    let Some(sctp) = &transport.sctp else { return Vec::new() };
    data::write(sctp, protocol, out, warnings);
    data::formats(sctp, protocol)
}

fn write_carried(line: &Carried, is_data: bool, section: &mut MediaDescription, warnings: &mut Warnings) {
    match line.kind {
        'a' => section.attributes.extend(carried::to_attribute(line, warnings)),
        'i' => section.others.extend(carried::to_other(line, warnings)),
        'b' if is_data => section.bandwidths.extend(carried::to_bandwidth(line, warnings)),
        _ => carried::unknown(line, warnings),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{AUDIO, content, only, read, said, through, written};
    use super::*;
    use crate::jingle::transport::Sctp;

    #[test]
    fn xep_0166_s7_3_senders_are_always_said() {
        let table = [
            ("", Senders::Both, "a=sendrecv"),
            ("\na=sendonly", Senders::Initiator, "a=sendonly"),
            ("\na=inactive", Senders::None, "a=inactive"),
        ];
        for (line, senders, expected) in table {
            assert_eq!(content(&format!("{AUDIO}{line}")).senders, Some(senders));
            assert_eq!(only(&through(&format!("{AUDIO}{line}")), &["a=send", "a=recv", "a=inactive"]), [expected]);
        }
        let (description, _) = read(Party::Responder, &format!("{AUDIO}\na=sendonly"));
        assert_eq!(description.sections[0].content.senders, Some(Senders::Responder));
        let (_, warnings) = read(Party::Initiator, &format!("{AUDIO}\na=sendonly\na=sendrecv"));
        assert_eq!(warnings, ["line 10: a second direction is left out"]);
    }

    #[test]
    fn a_section_in_the_order_of_its_lines() {
        let body = "a=group:BUNDLE 0
            m=video 8998 UDP/TLS/RTP/SAVPF 96
            i=my desk
            c=IN IP4 10.0.1.1
            b=AS:256
            a=candidate:1 1 udp 2130706431 10.0.1.1 8998 typ host generation 0 network-id 1
            a=end-of-candidates
            a=ice-ufrag:8hhY
            a=ice-pwd:asd88fgpdd777uzjYhagZg
            a=ice-options:trickle
            a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB
            a=setup:actpass
            a=mid:0
            a=jingle-creator:responder
            a=jingle-disposition:early-session
            a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
            a=extmap-allow-mixed
            a=sendonly
            a=msid:s t
            a=rtcp-mux
            a=rtcp-rsize
            a=rtpmap:96 VP8/90000
            a=rtcp-fb:96 nack pli
            a=fmtp:96 max-fr=30
            a=ssrc-group:FID 1 2
            a=ssrc:1 msid:s t
            a=ssrc:2 msid:s t
            a=remote-candidates:1 192.0.2.1 9001
            a=rid:hi send
            a=simulcast:send hi
            a=tls-id:91bbf309c0990a6bec11e38ba2933cee";
        let lines: Vec<&str> = body.lines().map(str::trim).collect();
        assert_eq!(through(body), lines.join("\n"));
    }

    #[test]
    fn what_does_not_belong_there_is_said() {
        let table = [
            ("a=sctp-port:5000", "line 9: a=sctp-port is left out: it does not belong into such a section"),
            ("a=group:LS", "line 9: a=group is left out: it does not belong into such a section"),
            ("a=jingle-name:%", "line 9: a=jingle-name is left out: it has no place here, or no value that it could have"),
            ("a=jingle-creator:me", "line 9: a=jingle-creator is left out: it has no place here, or no value that it could have"),
            ("a=jingle-whole", "line 9: a=jingle-whole is left out: it has no place here, or no value that it could have"),
            ("k=prompt", "line 9: k= is left out: RFC 8866 §5.12"),
        ];
        for (line, expected) in table {
            assert_eq!(read(Party::Initiator, &format!("{AUDIO}\n{line}")).1, [expected], "{line}");
        }
    }

    #[test]
    fn xep_0166_s7_3_alternatives_and_what_sdp_cannot_say() {
        let named = |name: &str| Content { name: name.into(), ..content(AUDIO) };
        let file = Content { description: Some(Description::FileTransfer), ..named("f") };
        let bytes = Content {
            transport: Some(Transport { method: Method::Other("urn:xmpp:jingle:transports:s5b:1".into()), ..Transport::default() }),
            ..named("b")
        };
        let empty = Content { description: None, ..named("e") };
        let contents = vec![named("a"), named("a"), file.clone(), bytes, empty];
        let (description, warnings) = said(contents).unwrap();
        assert_eq!(description.sections.len(), 1);
        assert_eq!(
            warnings,
            [
                "content 'a': the content is left out: SDP has no alternatives of one name (XEP-0166 §7.3)",
                "content 'f': the content is left out: SDP has no such application",
                "content 'b': the content is left out: SDP has no such transport",
                "content 'e': the content is left out: it has no description",
            ]
        );
        assert_eq!(said(vec![file]).unwrap_err(), "there is no content that SDP could say");
        let mut bare = named("a");
        bare.description = Some(Description::Rtp(Box::new(Rtp { media: "audio".into(), ..Rtp::default() })));
        assert_eq!(said(vec![bare]).unwrap_err(), "content 'a': a <payload-type/> was expected (XEP-0167 §4)");
    }

    #[test]
    fn xep_0343_a_data_channel_for_an_application() {
        let sctp = Some(Sctp { port: 5000, protocol: "webrtc-datachannel".into(), streams: None });
        let transport = Some(Transport { sctp, ..content(AUDIO).transport.unwrap() });
        let movim = Some(Description::Rtp(Box::new(Rtp { media: "application".into(), ..Rtp::default() })));
        for (description, count) in
            [(None, 0), (movim, 0), (Some(Description::FileTransfer), 1), (Some(Description::Other("urn:x".into())), 1)]
        {
            let (description, warnings) = said(vec![Content { description, transport: transport.clone(), ..content(AUDIO) }]).unwrap();
            assert_eq!(warnings.len(), count, "{warnings:?}");
            assert!(written(&description).0.starts_with("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n"));
        }
    }
}
