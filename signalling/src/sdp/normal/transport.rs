//! ICE and DTLS in the normal form.

use smol_str::SmolStr;

use super::names::Named;
use crate::jingle::candidate::Candidate;
use crate::jingle::content::Party;
use crate::jingle::secret::Secret;
use crate::jingle::transport::{Fingerprint, RemoteCandidate, Setup};
use crate::sdp::line::{Attribute, MediaDescription, SessionDescription};

/// What a section says of its transport.
#[derive(Debug, Clone, Default)]
pub(super) struct Transport {
    pub is_ice: bool,
    pub candidates: Vec<Candidate>,
    remote_candidates: Vec<RemoteCandidate>,
    end_of_candidates: bool,
    ufrag: Option<SmolStr>,
    pwd: Option<Secret>,
    options: Vec<SmolStr>,
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
}

impl Transport {
    fn read(attributes: &[Attribute]) -> Self {
        let mut read = Self::default();
        for attribute in attributes {
            match attribute.clone() {
                Attribute::Candidate(candidate) => read.candidates.push(self::candidate(*candidate)),
                Attribute::RemoteCandidates(candidates) => read.remote_candidates.extend(candidates),
                Attribute::EndOfCandidates => read.end_of_candidates = true,
                Attribute::IceUfrag(ufrag) => read.ufrag = read.ufrag.or(Some(ufrag)),
                Attribute::IcePwd(pwd) => read.pwd = read.pwd.or(Some(pwd)),
                Attribute::IceOptions(options) => read.options.extend(options),
                Attribute::Fingerprint(fingerprint) => read.fingerprints.push(fingerprint),
                Attribute::Setup(setup) => read.setup = read.setup.or(Some(setup)),
                _ => {}
            }
        }
        read.is_ice = read.ufrag.is_some() || read.pwd.is_some() || !read.candidates.is_empty() || !read.remote_candidates.is_empty();
        read
    }

    fn has_credentials(&self) -> bool {
        self.ufrag.is_some() || self.pwd.is_some()
    }

    /// What it does not say itself.
    fn inherit(&mut self, from: &Self) {
        if self.is_ice {
            self.ufrag = self.ufrag.take().or_else(|| from.ufrag.clone());
            self.pwd = self.pwd.take().or_else(|| from.pwd.clone());
            if self.options.is_empty() {
                self.options.clone_from(&from.options);
            }
        }
        if self.fingerprints.is_empty() {
            self.fingerprints.clone_from(&from.fingerprints);
        }
        self.setup = self.setup.or(from.setup);
    }

    pub fn lines(&self) -> impl Iterator<Item = Attribute> {
        let ice = Some(self).filter(|ice| ice.is_ice);
        let candidates =
            ice.into_iter().flat_map(|ice| &ice.candidates).cloned().map(|candidate| Attribute::Candidate(Box::new(candidate)));
        let end = ice.filter(|ice| ice.end_of_candidates).map(|_| Attribute::EndOfCandidates);
        let ufrag = ice.and_then(|ice| ice.ufrag.clone()).map(Attribute::IceUfrag);
        let pwd = ice.and_then(|ice| ice.pwd.clone()).map(Attribute::IcePwd);
        let options = ice.map(|ice| ice.options.clone()).filter(|options| !options.is_empty()).map(Attribute::IceOptions);
        let fingerprints = self.fingerprints.iter().cloned().map(Attribute::Fingerprint);
        let setup = self.setup.filter(|_| !self.fingerprints.is_empty()).map(Attribute::Setup);
        candidates.chain(end).chain(ufrag).chain(pwd).chain(options).chain(fingerprints).chain(setup)
    }

    pub fn remote_candidates(&self) -> Option<Attribute> {
        (!self.remote_candidates.is_empty()).then(|| Attribute::RemoteCandidates(self.remote_candidates.clone()))
    }
}

/// The attributes that XEP-0176 and XEP-0371 give a candidate, and what clients add for `network-id`.
const OF_CANDIDATES: [&str; 15] = [
    "component",
    "foundation",
    "generation",
    "id",
    "ip",
    "network",
    "network-id",
    "port",
    "priority",
    "protocol",
    "rel-addr",
    "rel-port",
    "rel_port",
    "tcptype",
    "type",
];

/// Namespaces in XML §3, of names in ASCII: no colon, and none that begins with "xml".
fn is_name(text: &str) -> bool {
    let is_start = |char: char| char.is_ascii_alphabetic() || char == '_';
    let is_further = |char: char| is_start(char) || char.is_ascii_digit() || matches!(char, '-' | '.');
    text.starts_with(is_start) && text.chars().all(is_further) && !text.to_ascii_lowercase().starts_with("xml")
}

/// `udp` is in lower case, as in XEP-0176. Extensions that cannot be attributes of an element, or are there twice, are left out.
fn candidate(mut candidate: Candidate) -> Candidate {
    candidate.protocol = candidate.protocol.to_ascii_lowercase().into();
    let mut extensions = Vec::new();
    for extension in std::mem::take(&mut candidate.extensions) {
        let is_new = extensions.iter().all(|other: &crate::jingle::rtp::Parameter| other.name != extension.name);
        let is_other = !OF_CANDIDATES.contains(&&*extension.name);
        if is_new && is_other && is_name(&extension.name) {
            extensions.push(extension);
        }
    }
    candidate.extensions = extensions;
    candidate
}

/// Which sections have ICE: of their own, of the session, or of the section with which they are bundled.
pub(super) fn has_ice(lines: &SessionDescription) -> Vec<bool> {
    let attributes =
        |numbered: &[crate::sdp::line::Numbered]| numbered.iter().map(|numbered| numbered.attribute.clone()).collect::<Vec<_>>();
    let session = attributes(&lines.attributes);
    let of_session = Transport::read(&session).has_credentials();
    let own: Vec<Transport> = lines.media.iter().map(|media| Transport::read(&attributes(&media.attributes))).collect();
    let shared = |index: usize| tagged(&session, &lines.media, index).is_some_and(|tagged| own[tagged].has_credentials());
    (0..own.len()).map(|index| of_session || own[index].is_ice || shared(index)).collect()
}

/// RFC 8843 §7: the first section of the first BUNDLE group that this one is in, if it is another one.
fn tagged(session: &[Attribute], media: &[MediaDescription], index: usize) -> Option<usize> {
    let place =
        |mid: &SmolStr| media.iter().position(|media| media.attributes.iter().any(|line| line.attribute == Attribute::Mid(mid.clone())));
    session.iter().find_map(|attribute| match attribute {
        Attribute::Group { semantics, mids } if semantics == "BUNDLE" => {
            let members: Vec<usize> = mids.iter().filter_map(place).collect();
            members.first().copied().filter(|first| *first != index && members.contains(&index))
        }
        _ => None,
    })
}

/// - What the session says goes to every section that does not say it itself: `ice-ufrag`, `ice-pwd`, `end-of-candidates`, fingerprints, `setup`;
///   its `ice-options` to all (RFC 8839 §5.6).
/// - A bundled section without credentials and candidates, or without fingerprints, has those of the section it is bundled with (RFC 8843 §7.1.3).
/// - The options are in one line, each once; those that are no names of elements are left out. Without ICE there are none.
/// - Who has a fingerprint says its role: `actpass` is the initiator's, `active` the responder's. Who has none has no role.
pub(super) fn of(media: &[MediaDescription], names: &[Named], session: &[Attribute], party: Party) -> Vec<Transport> {
    let level = Transport::read(session);
    let is_of_all = level.has_credentials();
    let mut transports = Vec::new();
    for media in media {
        let own: Vec<Attribute> = media.attributes.iter().map(|numbered| numbered.attribute.clone()).collect();
        let mut transport = Transport::read(&own);
        transport.is_ice |= is_of_all;
        transports.push(transport);
    }
    let alone: Vec<bool> = transports.iter().map(Transport::has_credentials).collect();
    for (index, transport) in transports.iter_mut().enumerate() {
        transport.is_ice |= tagged(session, media, index).is_some_and(|tagged| alone[tagged]);
        if transport.is_ice {
            transport.options.extend(level.options.iter().cloned());
        }
        transport.inherit(&level);
        transport.end_of_candidates |= level.end_of_candidates;
        finish(transport, party);
    }
    let before = transports.clone();
    for (index, transport) in transports.iter_mut().enumerate() {
        let Some(tagged) = tagged(session, media, index).filter(|tagged| names[*tagged].is_active).map(|tagged| &before[tagged]) else {
            continue;
        };
        let is_silent = transport.ufrag.is_none()
            && transport.pwd.is_none()
            && transport.candidates.is_empty()
            && transport.remote_candidates.is_empty();
        if transport.is_ice && tagged.has_credentials() && is_silent {
            transport.inherit(tagged);
        } else if transport.fingerprints.is_empty() {
            (transport.fingerprints, transport.setup) = (tagged.fingerprints.clone(), tagged.setup);
        }
    }
    transports
}

fn finish(transport: &mut Transport, party: Party) {
    let default = if party == Party::Initiator { Setup::Actpass } else { Setup::Active };
    transport.setup = transport.setup.or(Some(default)).filter(|_| !transport.fingerprints.is_empty());
    let mut options = Vec::new();
    for option in std::mem::take(&mut transport.options) {
        if is_name(&option) && !options.contains(&option) {
            options.push(option);
        }
    }
    transport.options = options;
}

/// Clients of XMPP trickle without saying it: `trickle` is said where there are credentials, nothing that says which candidates belong to them, and no
/// options.
pub(super) fn trickle(media: &mut [MediaDescription]) {
    let read = |media: &MediaDescription| Transport::read(&media.attributes.iter().map(|line| line.attribute.clone()).collect::<Vec<_>>());
    let transports: Vec<Transport> = media.iter().map(read).collect();
    for (media, transport) in media.iter_mut().zip(&transports) {
        let is_known = |other: &Transport| other.ufrag == transport.ufrag && (!other.candidates.is_empty() || other.end_of_candidates);
        if transport.ufrag.is_none() || !transport.options.is_empty() || transports.iter().any(is_known) {
            continue;
        }
        let is_credential = |attribute: &Attribute| matches!(attribute, Attribute::IceUfrag(_) | Attribute::IcePwd(_));
        let place = media.attributes.iter().rposition(|line| is_credential(&line.attribute)).map_or(0, |place| place + 1);
        media.attributes.insert(place, Attribute::IceOptions(vec!["trickle".into()]).into());
    }
}
