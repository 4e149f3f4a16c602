//! Names in the normal form.

use std::collections::HashSet;

use smol_str::SmolStr;

use crate::jingle::content::Party;
use crate::sdp::line::{Attribute, MediaDescription, Numbered, Origin, SessionDescription};

/// What a section is called, and whether it is one.
#[derive(Debug)]
pub(super) struct Named {
    name: SmolStr,
    creator: Party,
    disposition: Option<SmolStr>,
    /// As it was.
    pub was: Option<SmolStr>,
    /// As it is written.
    mid: SmolStr,
    /// Jingle has a content for it, and it is not refused.
    pub is_active: bool,
    pub is_data: bool,
    pub is_bundle_only: bool,
}

/// Attributes of ours.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with("jingle-")
}

pub(super) fn is_bundle_only(media: &MediaDescription) -> bool {
    other(media, "bundle-only").is_some()
}

/// The first attribute of a name that only SDP has.
fn other<'a>(media: &'a MediaDescription, wanted: &str) -> Option<&'a str> {
    media.attributes.iter().find_map(|numbered| match &numbered.attribute {
        Attribute::Other { name, value } if name == wanted => Some(value.as_deref().unwrap_or_default()),
        _ => None,
    })
}

/// RFC 8866 §9.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_ascii_graphic() && !"\"(),/:;<=>?@[\\]".contains(char))
}

/// `%XX` for each byte of what is no character of a line, of blanks, and of `%`.
pub(super) fn encode(text: &str) -> SmolStr {
    let is_left = |char: char| !matches!(char, '\0'..=' ' | '%' | '\x7f' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let code = |char: char| char.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    text.chars().map(|char| if is_left(char) { char.to_string() } else { code(char) }).collect()
}

/// The other way round, of what has up to so many bytes that XML can say.
fn decode_within(value: &str, bytes_max: usize) -> Option<SmolStr> {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        bytes.push(*first);
        if *first == b'%' {
            let [high, low, behind @ ..] = rest else { return None };
            let digit = |byte: u8| char::from(byte).to_digit(16);
            *bytes.last_mut()? = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
            rest = behind;
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    let is_xml = |char: char| matches!(char, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    (text.len() <= bytes_max && text.chars().all(is_xml)).then(|| text.into())
}

fn decode(value: &str) -> Option<SmolStr> {
    decode_within(value, 256)
}

/// The first attribute of ours of this name that has a text.
fn ours(session: &[Attribute], wanted: &str, bytes_max: usize) -> Option<SmolStr> {
    session.iter().find_map(|attribute| match attribute {
        Attribute::Other { name, value } if name == wanted => {
            decode_within(value.as_deref().unwrap_or_default(), bytes_max).filter(|text| !text.is_empty())
        }
        _ => None,
    })
}

/// The id of the session where it is none of `o=`, and the JIDs of its parties (of 3071 bytes: RFC 7622 §3.1).
pub(super) fn session(session: &[Attribute], origin: Option<&Origin>) -> impl Iterator<Item = Attribute> {
    let id = ours(session, "jingle-sid", 256).filter(|sid| origin.is_some_and(|origin| origin.session_id != *sid));
    let texts = [
        ("jingle-sid", id),
        ("jingle-initiator", ours(session, "jingle-initiator", 3071)),
        ("jingle-responder", ours(session, "jingle-responder", 3071)),
    ];
    texts.into_iter().filter_map(|(name, text)| Some(Attribute::Other { name: name.into(), value: Some(encode(&text?)) }))
}

/// Takes the session's id out of the lines.
pub(super) fn session_id(session: &mut Vec<Numbered>) -> Option<SmolStr> {
    let is_id = |line: &Numbered| matches!(&line.attribute, Attribute::Other { name, .. } if name == "jingle-sid");
    let line = session.remove(session.iter().position(is_id)?);
    ours(&[line.attribute], "jingle-sid", 256)
}

/// The transport method that the other lines do not tell: XEP-0371, or XEP-0177 of who has no address yet.
pub(super) fn method(own: &[Attribute], is_ice: bool, is_nowhere: bool) -> Option<Attribute> {
    let is_said = |value: &str| match value {
        "ice" => is_ice || is_nowhere,
        "raw-udp" => !is_ice && is_nowhere,
        _ => false,
    };
    let is_method = |value: &str| matches!(value, "ice" | "raw-udp");
    let first = own.iter().find(
        |attribute| matches!(attribute, Attribute::Other { name, value: Some(value) } if name == "jingle-transport" && is_method(value)),
    )?;
    matches!(first, Attribute::Other { value: Some(value), .. } if is_said(value)).then(|| first.clone())
}

/// - A section is refused by port 0, unless it is bundled (RFC 8843 §6 and §7.3) or to be bundled only.
/// - A section without `a=mid` gets one: a content has a name. It is the word of its media, with a number from the second on.
/// - `a=mid` is the content's name wherever that can be one; else it is such a word, and the name stands in `a=jingle-name`.
pub(super) fn of(lines: &SessionDescription) -> Vec<Named> {
    let bundled: HashSet<&SmolStr> = lines.attributes.iter().flat_map(|numbered| bundle(&numbered.attribute)).collect();
    let said = |media: &MediaDescription| other(media, "jingle-name").and_then(decode).or_else(|| mid(media));
    let mut taken: HashSet<SmolStr> = lines.media.iter().filter_map(said).chain(lines.media.iter().filter_map(mid)).collect();
    let ice = super::transport::has_ice(lines);
    let mut named = Vec::new();
    for (index, media) in lines.media.iter().enumerate() {
        let was = mid(media);
        let is_refused = media.port == 0 && !is_bundle_only(media) && !was.as_ref().is_some_and(|mid| bundled.contains(mid));
        let is_rtp = media.protocol.split('/').any(|word| word == "RTP");
        let is_data = media.media == "application" && ["UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP"].contains(&&*media.protocol);
        let is_said = (is_rtp || is_data) && (ice[index] || !media.protocol.starts_with("TCP/"));
        named.push(Named {
            name: said(media).unwrap_or_else(|| free(&media.media, &mut taken)),
            creator: other(media, "jingle-creator").and_then(Party::parse).unwrap_or(Party::Initiator),
            disposition: other(media, "jingle-disposition").and_then(decode).filter(|word| word != "session"),
            was,
            mid: SmolStr::default(),
            is_active: is_said && !is_refused,
            is_data,
            is_bundle_only: is_bundle_only(media),
        });
    }
    let mut taken = HashSet::new();
    for name in &mut named {
        if is_token(&name.name) && taken.insert(name.name.clone()) {
            name.mid = name.name.clone();
        }
    }
    for (name, media) in named.iter_mut().zip(&lines.media) {
        if name.mid.is_empty() {
            name.mid = free(&media.media, &mut taken);
        }
    }
    named
}

fn mid(media: &MediaDescription) -> Option<SmolStr> {
    media.attributes.iter().find_map(|numbered| if let Attribute::Mid(mid) = &numbered.attribute { Some(mid.clone()) } else { None })
}

fn bundle(attribute: &Attribute) -> &[SmolStr] {
    match attribute {
        Attribute::Group { semantics, mids } if semantics == "BUNDLE" => mids,
        _ => &[],
    }
}

fn free(word: &str, taken: &mut HashSet<SmolStr>) -> SmolStr {
    let numbered = (2..).map(|number| SmolStr::from(format!("{word}{number}")));
    let found = std::iter::once(SmolStr::from(word)).chain(numbered).find(|word| !taken.contains(word));
    let found = found.expect("there is no end of numbers");
    taken.insert(found.clone());
    found
}

impl Named {
    /// `a=mid` and ours.
    pub fn lines(&self) -> impl Iterator<Item = Attribute> {
        let ours = |name: &'static str, value: SmolStr| Attribute::Other { name: name.into(), value: Some(value) };
        let name = (self.name != self.mid).then(|| ours("jingle-name", encode(&self.name)));
        let creator = (self.creator == Party::Responder).then(|| ours("jingle-creator", "responder".into()));
        let disposition = self.disposition.as_ref().filter(|_| self.is_active).map(|word| ours("jingle-disposition", encode(word)));
        [Some(Attribute::Mid(self.mid.clone())), name, creator, disposition].into_iter().flatten()
    }
}

/// Members that do not exist, or are refused, are left out of their groups (RFC 8843 §7.3.2), and so is one that is there already.
pub(super) fn groups<'a>(session: &'a [Attribute], names: &'a [Named]) -> impl Iterator<Item = Attribute> + 'a {
    let member = |mid: &SmolStr| names.iter().find(|name| name.is_active && name.was.as_ref() == Some(mid)).map(|name| name.mid.clone());
    session.iter().filter_map(move |attribute| match attribute {
        Attribute::Group { semantics, mids } => {
            let mut members = Vec::new();
            for member in mids.iter().filter_map(member) {
                if !members.contains(&member) {
                    members.push(member);
                }
            }
            Some(Attribute::Group { semantics: semantics.clone(), mids: members })
        }
        _ => None,
    })
}
