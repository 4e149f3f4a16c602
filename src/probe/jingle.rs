//! An audio call's description, as SDP for the WebRTC stack and as Jingle for the stream.
//!
//! XEP-0166 (session), 0167 (RTP), 0176 (ICE-UDP), 0320 (DTLS), 0338 (grouping), 0339 (sources); SDP per RFC 8866, 8839, 8842, 9143. What an
//! audio call of two of our ends needs, read strictly: an attribute that is missing is an error that says which. Left out: feedback and header
//! extensions, of which the probe negotiates none, and everything of video.

use std::fmt::Write as _;

use anyhow::{Context as _, bail, ensure};
use campanile_signalling::ns;
use campanile_signalling::xml::{Node, XmlWriter};

/// Whose description it is (XEP-0166 §7.3, `creator`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Who called.
    Initiator,
    /// Who was called.
    Responder,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Initiator => "initiator",
            Role::Responder => "responder",
        }
    }
}

/// One audio content with its transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// The content's name: SDP's mid.
    pub name: String,
    /// Who sends: `both`, `initiator`, `responder`, `none`.
    senders: String,
    payload_types: Vec<PayloadType>,
    rtcp_mux: bool,
    sources: Vec<Source>,
    ufrag: String,
    pwd: String,
    fingerprint: Fingerprint,
    /// Candidates known so far.
    pub candidates: Vec<Candidate>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PayloadType {
    id: String,
    name: String,
    clockrate: String,
    channels: Option<String>,
    /// Name and value; a name without a value stands alone in SDP.
    parameters: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    ssrc: String,
    parameters: Vec<(String, Option<String>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fingerprint {
    hash: String,
    setup: String,
    value: String,
}

/// A candidate (RFC 8839 §5.1, XEP-0176 §5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    foundation: String,
    component: String,
    protocol: String,
    priority: String,
    /// Its address.
    pub ip: String,
    /// Its port.
    pub port: String,
    /// `host`, `srflx`, `prflx`, `relay`.
    pub type_: String,
    related: Option<(String, String)>,
}

impl Candidate {
    /// Reads the value of `a=candidate`, with or without the attribute's name.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn from_sdp(value: &str) -> anyhow::Result<Candidate> {
        let words: Vec<&str> = value.strip_prefix("candidate:").unwrap_or(value).split_ascii_whitespace().collect();
        let [foundation, component, protocol, priority, ip, port, "typ", type_, extensions @ ..] = words.as_slice() else {
            bail!("not a candidate: {value}");
        };
        let extension = |name| extensions.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].to_owned());
        Ok(Candidate {
            foundation: (*foundation).to_owned(),
            component: (*component).to_owned(),
            protocol: protocol.to_ascii_lowercase(),
            priority: (*priority).to_owned(),
            ip: (*ip).to_owned(),
            port: (*port).to_owned(),
            type_: (*type_).to_owned(),
            related: extension("raddr").zip(extension("rport")),
        })
    }

    /// The value of `a=candidate`, beginning with `candidate:`.
    pub fn to_sdp(&self) -> String {
        let Candidate { foundation, component, protocol, priority, ip, port, type_, related } = self;
        let mut line = format!("candidate:{foundation} {component} {protocol} {priority} {ip} {port} typ {type_}");
        if let Some((address, port)) = related {
            // Writing to a String cannot fail.
            let _ = write!(line, " raddr {address} rport {port}");
        }
        line
    }

    fn from_jingle(node: &Node<'_>) -> anyhow::Result<Candidate> {
        Ok(Candidate {
            foundation: required(node, "foundation")?,
            component: required(node, "component")?,
            protocol: required(node, "protocol")?,
            priority: required(node, "priority")?,
            ip: required(node, "ip")?,
            port: required(node, "port")?,
            type_: required(node, "type")?,
            related: optional(node, "rel-addr").zip(optional(node, "rel-port")),
        })
    }

    fn write(&self, xml: &mut XmlWriter, number: usize) {
        xml.open("candidate")
            .attr("id", &format!("c{number}"))
            .attr("foundation", &self.foundation)
            .attr("component", &self.component)
            .attr("protocol", &self.protocol)
            .attr("priority", &self.priority)
            .attr("ip", &self.ip)
            .attr("port", &self.port)
            .attr("type", &self.type_)
            .attr("generation", "0")
            .attr("network", "0");
        if let Some((address, port)) = &self.related {
            xml.attr("rel-addr", address).attr("rel-port", port);
        }
        xml.close();
    }
}

impl Audio {
    /// Reads a description that has one audio section.
    ///
    /// # Errors
    /// Says which line is missing or wrong.
    pub fn from_sdp(sdp: &str, role: Role) -> anyhow::Result<Audio> {
        let (session, media) = sdp.split_once("\r\nm=").or_else(|| sdp.split_once("\nm=")).context("SDP without m= line")?;
        ensure!(!media.contains("\nm="), "SDP with more than one m= line");
        let mline: Vec<&str> = media.lines().next().unwrap_or_default().split_ascii_whitespace().collect();
        let ["audio", _port, _profile, formats @ ..] = mline.as_slice() else { bail!("SDP without an audio section") };
        // RFC 8839 §5.4, RFC 8122 §5: what stands in the session counts for each section that has none of its own.
        let attributes: Vec<(&str, &str)> =
            media.lines().chain(session.lines()).filter_map(|line| line.trim_end().strip_prefix("a=")).map(split_attribute).collect();
        let first = |name: &str| attributes.iter().find(|(attribute, _)| *attribute == name).map(|(_, value)| *value);
        let must = |name: &str| first(name).map(str::to_owned).with_context(|| format!("SDP without a={name}"));
        let (hash, value) = must("fingerprint")?
            .split_once(' ')
            .map(|(hash, value)| (hash.to_owned(), value.trim().to_owned()))
            .context("a=fingerprint without a value")?;
        Ok(Audio {
            name: must("mid")?,
            senders: senders(&attributes, role).to_owned(),
            payload_types: formats.iter().map(|id| PayloadType::from_sdp(id, &attributes)).collect::<Result<_, _>>()?,
            rtcp_mux: first("rtcp-mux").is_some(),
            sources: sources(&attributes),
            ufrag: must("ice-ufrag")?,
            pwd: must("ice-pwd")?,
            fingerprint: Fingerprint { hash, setup: must("setup")?, value },
            candidates: attributes
                .iter()
                .filter(|(name, _)| *name == "candidate")
                .map(|(_, value)| Candidate::from_sdp(value))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The SDP of this description, without candidates: they are given to the stack one by one.
    pub fn to_sdp(&self, role: Role) -> String {
        let formats = self.payload_types.iter().map(|payload_type| payload_type.id.as_str()).collect::<Vec<_>>().join(" ");
        let mut lines = vec![
            "v=0".to_owned(),
            "o=- 1 1 IN IP4 0.0.0.0".to_owned(),
            "s=-".to_owned(),
            "t=0 0".to_owned(),
            format!("a=group:BUNDLE {}", self.name),
            format!("m=audio 9 UDP/TLS/RTP/SAVPF {formats}"),
            "c=IN IP4 0.0.0.0".to_owned(),
            format!("a=mid:{}", self.name),
            format!("a={}", direction(&self.senders, role)),
            format!("a=ice-ufrag:{}", self.ufrag),
            format!("a=ice-pwd:{}", self.pwd),
            "a=ice-options:trickle".to_owned(),
            format!("a=fingerprint:{} {}", self.fingerprint.hash, self.fingerprint.value),
            format!("a=setup:{}", self.fingerprint.setup),
        ];
        if self.rtcp_mux {
            lines.push("a=rtcp-mux".to_owned());
        }
        lines.extend(self.payload_types.iter().flat_map(PayloadType::to_sdp));
        for source in &self.sources {
            for (name, value) in &source.parameters {
                lines.push(match value {
                    Some(value) => format!("a=ssrc:{} {name}:{value}", source.ssrc),
                    None => format!("a=ssrc:{} {name}", source.ssrc),
                });
            }
        }
        lines.into_iter().flat_map(|line| [line, "\r\n".to_owned()]).collect()
    }

    /// Reads the `<content/>` of a `<jingle/>` that has one.
    ///
    /// # Errors
    /// Says which element or attribute is missing.
    pub fn from_jingle(jingle: &Node<'_>) -> anyhow::Result<Audio> {
        let content = jingle.child(ns::JINGLE, "content").context("<jingle/> without <content/>")?;
        let description = content.child(ns::JINGLE_RTP, "description").context("<content/> without an RTP <description/>")?;
        ensure!(description.attr("media") == Some("audio"), "a <description/> of other media than audio");
        let transport = content.child(ns::JINGLE_ICE_UDP, "transport").context("<content/> without an ICE-UDP <transport/>")?;
        let fingerprint = transport.child(ns::JINGLE_DTLS, "fingerprint").context("<transport/> without <fingerprint/>")?;
        Ok(Audio {
            name: required(&content, "name")?,
            senders: optional(&content, "senders").unwrap_or_else(|| "both".to_owned()),
            payload_types: description
                .children_named(ns::JINGLE_RTP, "payload-type")
                .map(|node| PayloadType::from_jingle(&node))
                .collect::<Result<_, _>>()?,
            rtcp_mux: description.child(ns::JINGLE_RTP, "rtcp-mux").is_some(),
            sources: description
                .children_named(ns::JINGLE_SSMA, "source")
                .map(|node| Source::from_jingle(&node))
                .collect::<Result<_, _>>()?,
            ufrag: required(&transport, "ufrag")?,
            pwd: required(&transport, "pwd")?,
            fingerprint: Fingerprint {
                hash: required(&fingerprint, "hash")?,
                setup: required(&fingerprint, "setup")?,
                value: fingerprint.text().trim().to_owned(),
            },
            candidates: candidates(&transport)?,
        })
    }

    /// Writes `<content/>` and the group that holds it, as in session-initiate and session-accept.
    pub fn write(&self, xml: &mut XmlWriter) {
        self.open_content(xml).attr("senders", &self.senders);
        xml.open("description").ns(ns::JINGLE_RTP).attr("media", "audio");
        for payload_type in &self.payload_types {
            payload_type.write(xml);
        }
        if self.rtcp_mux {
            xml.open("rtcp-mux").close();
        }
        for source in &self.sources {
            source.write(xml);
        }
        xml.close();
        self.open_transport(xml);
        xml.open("fingerprint").ns(ns::JINGLE_DTLS).attr("hash", &self.fingerprint.hash).attr("setup", &self.fingerprint.setup);
        xml.text(&self.fingerprint.value).close();
        for (number, candidate) in self.candidates.iter().enumerate() {
            candidate.write(xml, number);
        }
        xml.close().close();
        xml.open("group").ns(ns::JINGLE_GROUPING).attr("semantics", "BUNDLE");
        xml.open("content").attr("name", &self.name).close().close();
    }

    /// Writes the `<content/>` of a transport-info that tells these candidates (XEP-0176 §5.4).
    pub fn write_candidates(&self, xml: &mut XmlWriter, candidates: &[Candidate]) {
        self.open_content(xml);
        self.open_transport(xml);
        for (number, candidate) in candidates.iter().enumerate() {
            candidate.write(xml, number);
        }
        xml.close().close();
    }

    /// `creator` is the initiator in both directions: it alone adds contents here (XEP-0166 §7.3).
    fn open_content<'a>(&self, xml: &'a mut XmlWriter) -> &'a mut XmlWriter {
        xml.open("content").attr("creator", Role::Initiator.name()).attr("name", &self.name)
    }

    fn open_transport(&self, xml: &mut XmlWriter) {
        xml.open("transport").ns(ns::JINGLE_ICE_UDP).attr("ufrag", &self.ufrag).attr("pwd", &self.pwd);
    }
}

/// The candidates of a transport-info.
///
/// # Errors
/// Says what is missing.
pub fn candidates_of(jingle: &Node<'_>) -> anyhow::Result<Vec<Candidate>> {
    let content = jingle.child(ns::JINGLE, "content").context("<jingle/> without <content/>")?;
    candidates(&content.child(ns::JINGLE_ICE_UDP, "transport").context("<content/> without an ICE-UDP <transport/>")?)
}

fn candidates(transport: &Node<'_>) -> anyhow::Result<Vec<Candidate>> {
    transport.children_named(ns::JINGLE_ICE_UDP, "candidate").map(|node| Candidate::from_jingle(&node)).collect()
}

impl PayloadType {
    fn from_sdp(id: &str, attributes: &[(&str, &str)]) -> anyhow::Result<PayloadType> {
        let of_this = |name: &str| {
            attributes.iter().find_map(|(attribute, value)| (*attribute == name).then(|| value.strip_prefix(id)?.strip_prefix(' '))?)
        };
        let rtpmap = of_this("rtpmap").with_context(|| format!("SDP without a=rtpmap:{id}"))?;
        let mut parts = rtpmap.trim().split('/');
        let name = parts.next().unwrap_or_default().to_owned();
        let clockrate = parts.next().with_context(|| format!("a=rtpmap:{id} without a clock rate"))?.to_owned();
        let parameters =
            of_this("fmtp").into_iter().flat_map(|fmtp| fmtp.split(';')).map(str::trim).filter(|parameter| !parameter.is_empty()).map(
                |parameter| {
                    let (name, value) = parameter.split_once('=').unwrap_or(("", parameter));
                    (name.to_owned(), value.to_owned())
                },
            );
        Ok(PayloadType { id: id.to_owned(), name, clockrate, channels: parts.next().map(str::to_owned), parameters: parameters.collect() })
    }

    fn to_sdp(&self) -> Vec<String> {
        let PayloadType { id, name, clockrate, channels, parameters } = self;
        let channels = channels.as_ref().map(|channels| format!("/{channels}")).unwrap_or_default();
        let mut lines = vec![format!("a=rtpmap:{id} {name}/{clockrate}{channels}")];
        if !parameters.is_empty() {
            let parameters: Vec<String> =
                parameters.iter().map(|(name, value)| if name.is_empty() { value.clone() } else { format!("{name}={value}") }).collect();
            lines.push(format!("a=fmtp:{id} {}", parameters.join(";")));
        }
        lines
    }

    fn from_jingle(node: &Node<'_>) -> anyhow::Result<PayloadType> {
        Ok(PayloadType {
            id: required(node, "id")?,
            name: required(node, "name")?,
            clockrate: required(node, "clockrate")?,
            // XEP-0167 §4: one channel unless said otherwise, which SDP leaves out.
            channels: optional(node, "channels").filter(|channels| channels != "1"),
            parameters: node
                .children_named(ns::JINGLE_RTP, "parameter")
                .map(|parameter| (optional(&parameter, "name").unwrap_or_default(), optional(&parameter, "value").unwrap_or_default()))
                .collect(),
        })
    }

    fn write(&self, xml: &mut XmlWriter) {
        xml.open("payload-type").attr("id", &self.id).attr("name", &self.name).attr("clockrate", &self.clockrate);
        if let Some(channels) = &self.channels {
            xml.attr("channels", channels);
        }
        for (name, value) in &self.parameters {
            xml.open("parameter").attr("name", name).attr("value", value).close();
        }
        xml.close();
    }
}

impl Source {
    fn from_jingle(node: &Node<'_>) -> anyhow::Result<Source> {
        let parameters = node
            .children_named(ns::JINGLE_SSMA, "parameter")
            .map(|parameter| Ok((required(&parameter, "name")?, optional(&parameter, "value"))));
        Ok(Source { ssrc: required(node, "ssrc")?, parameters: parameters.collect::<anyhow::Result<_>>()? })
    }

    fn write(&self, xml: &mut XmlWriter) {
        xml.open("source").ns(ns::JINGLE_SSMA).attr("ssrc", &self.ssrc);
        for (name, value) in &self.parameters {
            xml.open("parameter").attr("name", name);
            if let Some(value) = value {
                xml.attr("value", value);
            }
            xml.close();
        }
        xml.close();
    }
}

/// `a=ssrc` lines by ssrc, in their order (XEP-0339 §2).
fn sources(attributes: &[(&str, &str)]) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for (ssrc, attribute) in attributes.iter().filter(|(name, _)| *name == "ssrc").filter_map(|(_, value)| value.split_once(' ')) {
        let (name, value) = split_attribute(attribute);
        let value = attribute.contains(':').then(|| value.to_owned());
        let parameter = (name.to_owned(), value);
        match sources.iter_mut().find(|source| source.ssrc == ssrc) {
            Some(source) => source.parameters.push(parameter),
            None => sources.push(Source { ssrc: ssrc.to_owned(), parameters: vec![parameter] }),
        }
    }
    sources
}

fn split_attribute(attribute: &str) -> (&str, &str) {
    attribute.split_once(':').unwrap_or((attribute, ""))
}

/// XEP-0166 §7.3: by the role of the party whose description it is.
fn senders(attributes: &[(&str, &str)], role: Role) -> &'static str {
    let other = if role == Role::Initiator { Role::Responder } else { Role::Initiator };
    let direction =
        attributes.iter().map(|(name, _)| *name).find(|name| matches!(*name, "sendrecv" | "sendonly" | "recvonly" | "inactive"));
    match direction {
        Some("sendonly") => role.name(),
        Some("recvonly") => other.name(),
        Some("inactive") => "none",
        _ => "both",
    }
}

fn direction(senders: &str, role: Role) -> &'static str {
    match senders {
        "none" => "inactive",
        "initiator" | "responder" if senders == role.name() => "sendonly",
        "initiator" | "responder" => "recvonly",
        _ => "sendrecv",
    }
}

fn required(node: &Node<'_>, name: &str) -> anyhow::Result<String> {
    optional(node, name).with_context(|| format!("<{}/> without {name}", node.name()))
}

fn optional(node: &Node<'_>, name: &str) -> Option<String> {
    node.attr(name).map(|value| value.to_string())
}

#[cfg(test)]
mod tests {
    use campanile_signalling::xml::{Bindings, Element};

    use super::*;

    const OFFER: &str = "v=0\r\no=- 3190583822949824813 410403575 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=extmap-allow-mixed\r\na=group:BUNDLE 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=mid:0\r\na=ice-ufrag:Zxeg\r\na=ice-pwd:fjkFePwrclIDBBUipJzDOV\r\n\
        a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:0 PCMU/8000\r\n\
        a=ssrc:286331153 cname:<&'>\r\na=ssrc:286331153 msid:probe one\r\na=sendonly\r\na=fingerprint:sha-256 98:CF:E9\r\n\
        a=candidate:2763025403 1 udp 16777215 127.0.0.1 50855 typ relay raddr 127.0.0.1 rport 35116\r\n";

    fn to_element(audio: &Audio, write: impl Fn(&Audio, &mut XmlWriter)) -> Element {
        let mut xml = XmlWriter::new();
        xml.open("jingle").ns(ns::JINGLE).attr("action", "session-initiate").attr("sid", "a");
        write(audio, &mut xml);
        xml.close();
        Element::parse(&xml.finish(), &Bindings::default()).expect("well-formed")
    }

    #[test]
    fn a_description_survives_jingle_and_sdp() {
        for (role, senders) in [(Role::Initiator, "initiator"), (Role::Responder, "responder")] {
            let audio = Audio::from_sdp(OFFER, role).expect("readable");
            assert_eq!(audio.senders, senders);
            let element = to_element(&audio, Audio::write);
            let again = Audio::from_jingle(&element.root()).expect("readable");
            assert_eq!(again, audio);
            let sdp = again.to_sdp(role);
            let third = Audio::from_sdp(&sdp, role).expect("readable");
            assert_eq!(third, Audio { candidates: vec![], ..audio });
            assert!(sdp.contains("a=sendonly\r\n") && sdp.contains("a=fmtp:111 minptime=10;useinbandfec=1\r\n"), "{sdp}");
        }
    }

    #[test]
    fn xep0176_s5_4_candidates_travel_alone() {
        let audio = Audio::from_sdp(OFFER, Role::Initiator).expect("readable");
        let element = to_element(&audio, |audio, xml| audio.write_candidates(xml, &audio.candidates));
        assert_eq!(candidates_of(&element.root()).expect("readable"), audio.candidates);
        assert_eq!(
            audio.candidates[0].to_sdp(),
            "candidate:2763025403 1 udp 16777215 127.0.0.1 50855 typ relay raddr 127.0.0.1 rport 35116"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for name in ["setup", "mid", "ice-ufrag", "ice-pwd", "fingerprint", "rtpmap:0"] {
            let sdp: String = OFFER.split_inclusive("\r\n").filter(|line| !line.starts_with(&format!("a={name}"))).collect();
            let error = Audio::from_sdp(&sdp, Role::Initiator).expect_err("incomplete").to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(Audio::from_sdp("v=0\r\n", Role::Initiator).is_err());
        assert!(Candidate::from_sdp("candidate:1 1 udp 1 127.0.0.1").is_err());
    }
}
