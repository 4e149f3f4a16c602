//! Stanzas in the normal form.

use std::collections::HashSet;

use smol_str::SmolStr;

use super::rtp::static_type;
use crate::jingle::candidate::{Candidate, CandidateType};
use crate::jingle::content::{Action, Carried, Content, Description, Jingle, Party, Senders};
use crate::jingle::rtp::{Encryption, Feedbacks, Msid, Parameter, PayloadType, Rtp, Source};
use crate::jingle::transport::{Method, Sctp, Setup, Transport};

/// What Jingle → SDP → Jingle gives of a session-initiate or session-accept by this party. It is for stanzas all of whose words a line of SDP can
/// say: others are left out, with warnings.
///
/// - SDP has no reason.
/// - Contents that SDP cannot say are left out: other applications and transports, and all but the first of several under one name.
/// - A group has only names of contents that are there, each once.
/// - Carried lines are in the order in which SDP has its lines. `t=0 0` and an empty `s=` need not be said.
#[must_use]
pub fn normal_jingle(jingle: Jingle, party: Party) -> Jingle {
    let mut normal = Jingle { initiator: jingle.initiator, responder: jingle.responder, ..Jingle::new(jingle.action, &jingle.sid) };
    let is_jid = |jid: &SmolStr| (1..=3071).contains(&jid.len());
    normal.initiator.take_if(|jid| !is_jid(jid));
    normal.responder.take_if(|jid| !is_jid(jid));
    let mut seen = HashSet::new();
    let is_first = |content: &Content| content.name.is_empty() || seen.insert((content.creator, content.name.clone()));
    normal.contents = jingle.contents.into_iter().filter(is_said).filter(is_first).collect();
    trickle(&mut normal.contents);
    let is_member = |contents: &[Content], name: &SmolStr| contents.iter().any(|content| content.name == *name);
    for mut group in jingle.groups {
        let mut seen = HashSet::new();
        group.contents.retain(|name| is_member(&normal.contents, name) && seen.insert(name.clone()));
        if group.semantics == "BUNDLE" {
            share(&mut normal.contents, &group.contents);
        }
        normal.groups.push(group);
    }
    for content in &mut normal.contents {
        self::content(content, party);
    }
    let is_unbounded = jingle.carried.iter().filter(|line| line.kind == 't').all(|line| line.value == "0 0");
    let is_said = |line: &Carried| !(line.kind == 't' && is_unbounded || line.kind == 's' && matches!(line.value.trim(), "" | "-"));
    normal.carried = in_order(jingle.carried.into_iter().filter(is_said).collect(), "siueprzbta");
    normal
}

/// The session's number in `o=`: an id of up to 19 digits is its own, any other has 63 bits of its FNV-1a.
pub(super) fn number(sid: &str) -> SmolStr {
    if sid.len() < 20 && !sid.is_empty() && sid.chars().all(|char| char.is_ascii_digit()) {
        return sid.into();
    }
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(1_099_511_628_211);
    (sid.as_bytes().iter().fold(14_695_981_039_346_656_037, fnv) / 2).to_string().into()
}

fn in_order(mut lines: Vec<Carried>, kinds: &str) -> Vec<Carried> {
    lines.retain(|line| kinds.contains(line.kind));
    lines.sort_by_key(|line| kinds.find(line.kind));
    lines
}

fn is_said(content: &Content) -> bool {
    let is_transport = !matches!(content.transport.as_ref().map(|transport| &transport.method), Some(Method::Other(_)));
    is_transport && (is_data(content) || matches!(&content.description, Some(Description::Rtp(_))))
}

/// XEP-0343 has no description, and some clients write one without payload types.
fn is_data(content: &Content) -> bool {
    let has_codecs = matches!(&content.description, Some(Description::Rtp(rtp)) if !rtp.payload_types.is_empty());
    !has_codecs && content.transport.as_ref().is_some_and(|transport| transport.sctp.is_some())
}

/// Clients trickle without saying it.
fn trickle(contents: &mut [Content]) {
    let known: HashSet<SmolStr> = contents
        .iter()
        .filter_map(|content| content.transport.as_ref())
        .filter(|transport| !transport.candidates.is_empty() || transport.gathering_complete)
        .filter_map(|transport| transport.ufrag.clone())
        .collect();
    for transport in contents.iter_mut().filter_map(|content| content.transport.as_mut()) {
        let is_silent = transport.options.is_empty() && transport.ufrag.as_ref().is_some_and(|ufrag| !known.contains(ufrag));
        if is_silent && transport.method != Method::RawUdp {
            transport.options.push("trickle".into());
        }
    }
}

fn has_ice(transport: &Transport) -> bool {
    let is_empty = transport.candidates.is_empty() && transport.remote_candidates.is_empty();
    transport.method != Method::RawUdp && (transport.ufrag.is_some() || transport.pwd.is_some() || !is_empty)
}

/// What is bundled has the credentials and fingerprints of the first of the group, if it has none (RFC 8843 §7.1.3); raw UDP has no place beside ICE.
fn share(contents: &mut [Content], names: &[SmolStr]) {
    let mut places = names.iter().filter_map(|name| contents.iter().position(|content| content.name == *name));
    let Some(first) = places.next() else { return };
    let places: Vec<usize> = places.filter(|place| *place != first).collect();
    let Some(tagged) = contents[first].transport.clone() else { return };
    for place in places {
        let transport = contents[place].transport.get_or_insert_default();
        let is_shared = tagged.method != Method::RawUdp && (tagged.ufrag.is_some() || tagged.pwd.is_some());
        if is_shared && !has_ice(transport) {
            (transport.ufrag, transport.pwd) = (tagged.ufrag.clone(), tagged.pwd.clone());
            if transport.method == Method::RawUdp {
                (transport.method, transport.candidates) = (tagged.method.clone(), Vec::new());
            }
            if transport.options.is_empty() {
                transport.options.clone_from(&tagged.options);
            }
        }
        if transport.dtls.is_none() {
            transport.dtls.clone_from(&tagged.dtls);
        }
    }
}

/// - Senders are always said; the disposition `session` never is, since it is the default.
/// - A data channel has no description. How many streams it has is only in the drafts' `DTLS/SCTP`.
/// - The protocol is said where it is none that follows from the rest (`map::protocol`).
/// - Encryption is required by the protocol, and not there without a key.
fn content(content: &mut Content, party: Party) {
    let is_data = is_data(content);
    content.senders = Some(content.senders.unwrap_or(Senders::Both));
    content.disposition = content.disposition.take().filter(|disposition| disposition != "session");
    let transport = content.transport.get_or_insert_default();
    if is_held(transport) {
        content.senders = content.senders.map(|senders| hold(senders, party));
    }
    self::transport(transport, party);
    let derived = if is_data {
        content.description = None;
        "UDP/DTLS/SCTP"
    } else {
        derived(content)
    };
    let is_raw = content.transport.as_ref().is_some_and(|transport| transport.method == Method::RawUdp);
    let fits = |protocol: &SmolStr| {
        let is_of_kind = if is_data { protocol.ends_with("DTLS/SCTP") } else { protocol.split('/').any(|word| word == "RTP") };
        is_of_kind && !(is_raw && protocol.starts_with("TCP/")) && protocol != derived
    };
    content.protocol = content.protocol.take().filter(fits);
    let protocol = content.protocol.as_deref().unwrap_or(derived);
    if let Some(sctp) = content.transport.as_mut().and_then(|transport| transport.sctp.as_mut()).filter(|_| is_data) {
        *sctp = Sctp { streams: sctp.streams.filter(|_| protocol == "DTLS/SCTP"), ..sctp.clone() };
    }
    if let Some(Description::Rtp(rtp)) = &mut content.description {
        self::rtp(rtp, protocol.contains("SAVP"));
        if let Some(transport) = &mut content.transport {
            transport.sctp = None;
        }
    }
    content.carried = in_order(std::mem::take(&mut content.carried), if is_data { "iba" } else { "ia" });
}

fn derived(content: &Content) -> &'static str {
    let Some(Description::Rtp(rtp)) = &content.description else { return "" };
    let has_feedback = |of: &Feedbacks| of.trr_int.is_some() || !of.messages.is_empty();
    let has_feedback = has_feedback(&rtp.feedback) || rtp.payload_types.iter().any(|payload| has_feedback(&payload.feedback));
    let has_keys = rtp.encryption.as_ref().is_some_and(|encryption| !encryption.cryptos.is_empty());
    let has_dtls = content.transport.as_ref().is_some_and(|transport| transport.dtls.is_some());
    match (has_dtls, has_keys, has_feedback) {
        (true, ..) => "UDP/TLS/RTP/SAVPF",
        (_, true, true) => "RTP/SAVPF",
        (_, true, false) => "RTP/SAVP",
        (_, _, true) => "RTP/AVPF",
        _ => "RTP/AVP",
    }
}

/// RFC 3264 §8.4: who gives 0.0.0.0 does not receive.
fn is_held(transport: &Transport) -> bool {
    let first = transport.candidates.iter().find(|candidate| candidate.component == 1 && candidate.port != 0);
    let is_nowhere = |candidate: &Candidate| matches!(&*candidate.ip, "0.0.0.0" | "::") && candidate.port != 9;
    transport.method == Method::RawUdp && first.is_some_and(is_nowhere)
}

fn hold(senders: Senders, party: Party) -> Senders {
    let is_sending = match party {
        Party::Initiator => matches!(senders, Senders::Both | Senders::Initiator),
        Party::Responder => matches!(senders, Senders::Both | Senders::Responder),
    };
    match party {
        _ if !is_sending => Senders::None,
        Party::Initiator => Senders::Initiator,
        Party::Responder => Senders::Responder,
    }
}

/// - Candidates are called `c1`, `c2`… by their place; foundation and priority are always said (RFC 8445 §5.1.2).
/// - Without ICE there are two addresses at most, of RTP and of RTCP, and nothing else of them.
/// - Without credentials and candidates there is nothing else of ICE either.
/// - A fingerprint has a role; `actpass` is the initiator's, `active` the responder's.
fn transport(transport: &mut Transport, party: Party) {
    transport.candidates_left_out = 0;
    if let Some(dtls) = &mut transport.dtls {
        dtls.setup.get_or_insert(if party == Party::Initiator { Setup::Actpass } else { Setup::Active });
    }
    let (dtls, sctp) = (transport.dtls.clone(), transport.sctp.clone());
    if transport.method == Method::RawUdp {
        let component =
            |component: u8| transport.candidates.iter().find(|candidate| candidate.component == component && candidate.port != 0);
        let is_somewhere = |candidate: &&Candidate| !(candidate.port == 9 && matches!(&*candidate.ip, "0.0.0.0" | "::"));
        let first = component(1).filter(is_somewhere);
        let candidates: Vec<Candidate> = [first, first.and_then(|_| component(2))].into_iter().flatten().map(raw).collect();
        *transport = Transport { method: Method::RawUdp, candidates, dtls, sctp, ..Transport::default() };
        return;
    }
    if !has_ice(transport) {
        *transport = Transport { method: transport.method.clone(), dtls, sctp, ..Transport::default() };
        return;
    }
    for (place, candidate) in transport.candidates.iter_mut().enumerate() {
        candidate.id = Some(format!("c{}", place + 1).into());
        candidate.foundation.get_or_insert("0".into());
        let preference = match candidate.kind {
            Some(CandidateType::Host) | None => 126,
            Some(CandidateType::PeerReflexive) => 110,
            Some(CandidateType::ServerReflexive) => 100,
            Some(CandidateType::Relay) => 0,
        };
        candidate.priority.get_or_insert(preference * 16_777_216 + 65_535 * 256 + 256 - u64::from(candidate.component));
        candidate.extensions.retain(|extension| !matches!(&*extension.name, "typ" | "raddr" | "rport"));
    }
}

fn raw(candidate: &Candidate) -> Candidate {
    Candidate {
        component: candidate.component,
        id: Some(format!("c{}", candidate.component).into()),
        ip: candidate.ip.clone(),
        port: candidate.port,
        protocol: "udp".into(),
        ..Candidate::default()
    }
}

/// - Names, clock rates and channels of payload types are said as in `a=rtpmap`, see `normal::rtp`.
/// - `ptime` and `maxptime` are those of the first payload type that says one.
/// - The attribute `ssrc` is a source without parameters.
/// - The first word of feedback is its subtype; an empty value of a word is none.
/// - Up to four streams go to each source that has none, see `normal::rtp`.
fn rtp(rtp: &mut Rtp, required: bool) {
    let media = rtp.media.clone();
    let mut seen = HashSet::new();
    rtp.payload_types.retain(|payload| payload.id < 128 && seen.insert(payload.id));
    let ptime = rtp.payload_types.iter().find_map(|payload| payload.ptime.filter(|ms| *ms > 0));
    let maxptime = rtp.payload_types.iter().find_map(|payload| payload.maxptime.filter(|ms| *ms > 0));
    for payload in &mut rtp.payload_types {
        codec(payload, &media);
        (payload.ptime, payload.maxptime) = (ptime, maxptime);
        feedback(&mut payload.feedback);
    }
    feedback(&mut rtp.feedback);
    rtp.header_extensions.iter_mut().for_each(|extension| words(&mut extension.parameters));
    let cryptos = rtp.encryption.take().map(|encryption| encryption.cryptos).unwrap_or_default();
    rtp.encryption = (!cryptos.is_empty()).then_some(Encryption { required, cryptos });
    let ssrc = rtp.ssrc.take().filter(|ssrc| rtp.sources.iter().all(|source| source.ssrc != *ssrc));
    rtp.sources.extend(ssrc.map(|ssrc| Source { ssrc, parameters: Vec::new() }));
    streams(rtp);
}

fn codec(payload: &mut PayloadType, media: &str) {
    payload.name = payload.name.take().filter(|name| !name.is_empty());
    let rate = payload.clockrate.filter(|rate| *rate > 0);
    let channels = payload.channels.filter(|channels| *channels > 0);
    let known = static_type(payload.id, media);
    let name = payload.name.clone().or_else(|| known.map(|(name, ..)| name.into()));
    let known = known.filter(|(known, ..)| name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(known)));
    let default = known.map_or(if media == "video" { 90_000 } else { 8_000 }, |(_, rate, _)| rate);
    let is_completed = payload.name.is_none() || rate.is_none();
    let of_known = known.and_then(|(.., channels)| channels).filter(|_| is_completed);
    // A payload type without a name has no `a=rtpmap` that could say anything.
    (payload.clockrate, payload.channels) = if name.is_some() { (rate.or(Some(default)), channels.or(of_known)) } else { (None, None) };
    payload.name = name;
    for parameter in &mut payload.parameters {
        if parameter.value.is_none() {
            *parameter = Parameter { name: SmolStr::default(), value: Some(parameter.name.clone()) };
        }
    }
}

fn feedback(of: &mut Feedbacks) {
    for message in &mut of.messages {
        words(&mut message.parameters);
        if message.subtype.is_none() && !message.parameters.is_empty() {
            let Parameter { name, value } = message.parameters.remove(0);
            message.subtype = Some(value.map_or(name.clone(), |value| format!("{name}={value}").into()));
        }
    }
}

fn words(parameters: &mut [Parameter]) {
    parameters.iter_mut().for_each(|parameter| parameter.value = parameter.value.take().filter(|value| !value.is_empty()));
}

fn streams(rtp: &mut Rtp) {
    let text = |msid: &Msid| SmolStr::from(msid.track.as_ref().map_or(msid.stream.to_string(), |track| format!("{} {track}", msid.stream)));
    let is_msid = |parameter: &&Parameter| parameter.name == "msid" && parameter.value.is_some();
    let said: Vec<SmolStr> =
        rtp.sources.iter().flat_map(|source| &source.parameters).filter(is_msid).filter_map(|parameter| parameter.value.clone()).collect();
    let mut of_all: Vec<SmolStr> = said.iter().filter(|said| !said.is_empty() && said.split(' ').count() < 3).cloned().collect();
    of_all.extend(rtp.streams.iter().map(text));
    let mut seen = HashSet::new();
    of_all.retain(|text| seen.insert(text.clone()));
    let track = |text: &SmolStr| text.split_once(' ').map(|(_, track)| track.to_owned());
    let is_one = of_all.iter().all(|text| track(text) == track(&of_all[0]));
    let mut missing: Vec<SmolStr> = if is_one { of_all } else { rtp.streams.iter().map(text).collect() };
    missing.truncate(4);
    for source in rtp.sources.iter_mut().filter(|source| !source.parameters.iter().any(|parameter| is_msid(&parameter))) {
        source.parameters.extend(missing.iter().map(|text| Parameter { name: "msid".into(), value: Some(text.clone()) }));
    }
    let is_said = |text: &SmolStr| {
        rtp.sources.iter().flat_map(|source| &source.parameters).filter(is_msid).any(|said| said.value.as_ref() == Some(text))
    };
    let mut seen = HashSet::new();
    let streams = rtp.streams.iter().filter(|msid| !is_said(&text(msid)) && seen.insert(text(msid))).cloned().collect();
    rtp.streams = streams;
}

/// Whether the normal form is defined for a stanza: it says a whole description, and no content of RTP is without a payload type.
#[must_use]
pub fn is_whole(jingle: &Jingle) -> bool {
    let is_codec = |content: &Content| match &content.description {
        Some(Description::Rtp(rtp)) => is_data(content) || rtp.payload_types.iter().any(|payload| payload.id < 128),
        _ => true,
    };
    let mut contents = jingle.contents.iter().filter(|content| is_said(content)).peekable();
    matches!(jingle.action, Action::SessionInitiate | Action::SessionAccept) && contents.peek().is_some() && contents.all(is_codec)
}
