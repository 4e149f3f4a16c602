//! Keys of DTLS: XEP-0320 against `a=fingerprint` (RFC 8122 §5) and `a=setup` (RFC 4145 §4).

use super::session::Level;
use super::words::{fitting, is_token, once, push};
use crate::jingle::content::Party;
use crate::jingle::transport::{Dtls, FINGERPRINTS_MAX, Fingerprint, Setup};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::parse::security::is_octets;
use crate::sdp::warning::Warnings;

/// Gathers those of a section.
#[derive(Debug, Default)]
pub(super) struct DtlsBuilder {
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
    setup_line: u32,
}

impl DtlsBuilder {
    pub fn fingerprint(&mut self, line: u32, fingerprint: Fingerprint, warnings: &mut Warnings) {
        push(&mut self.fingerprints, fingerprint, FINGERPRINTS_MAX, line, "fingerprints", warnings);
    }

    pub fn setup(&mut self, line: u32, setup: Setup, warnings: &mut Warnings) {
        if self.setup.is_none() {
            self.setup_line = line;
        }
        once(&mut self.setup, setup, line, "a=setup", warnings);
    }

    /// With the session's where the section has none (RFC 8122 §5), and what a missing role means.
    pub fn finish(self, party: Party, session: &Level, warnings: &mut Warnings) -> Option<Dtls> {
        let fingerprints = if self.fingerprints.is_empty() { session.fingerprints.clone() } else { self.fingerprints };
        if fingerprints.is_empty() {
            if self.setup.is_some() {
                warnings.at(self.setup_line, format_args!("a=setup is left out: there is no fingerprint for it"));
            }
            return None;
        }
        let setup = self.setup.or(session.setup.map(|(_, setup)| setup)).unwrap_or(default_setup(party));
        Some(Dtls { fingerprints, setup: Some(setup) })
    }
}

/// The role of who does not say it. RFC 4145 §4 has "active" for an offer and "passive" for an answer; nobody means that, and clients end the
/// call where an offer is not `actpass`.
pub(super) const fn default_setup(party: Party) -> Setup {
    match party {
        Party::Initiator => Setup::Actpass,
        Party::Responder => Setup::Active,
    }
}

/// The lines.
pub(super) fn write(dtls: &Dtls, party: Party, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    let before = out.len();
    for Fingerprint { hash, value } in &dtls.fingerprints {
        let hash = fitting(hash, is_token, "the fingerprint's hash function", warnings);
        let value = fitting(value, is_octets, "the fingerprint", warnings);
        out.extend(hash.zip(value).map(|(hash, value)| Attribute::Fingerprint(Fingerprint { hash, value }).into()));
    }
    if out.len() > before {
        out.push(Attribute::Setup(dtls.setup.unwrap_or(default_setup(party))).into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{AUDIO, content, only, read, through};
    use super::*;

    const A: &str = "sha-256 02:1A:CC:54:27:AB:EB:9C:53:3F:3E:4B:65:2E:7D:46:3F:54:42:CD:54:F1:7A:03:A2:7D:F9:B0:7F:46:19:B2";
    const B: &str = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";

    #[test]
    fn rfc_8122_s5_session_and_section() {
        let section = AUDIO.replace("RTP/AVP", "UDP/TLS/RTP/SAVPF");
        let (a, b, setup) = (format!("a=fingerprint:{A}"), format!("a=fingerprint:{B}"), "a=setup:actpass".to_owned());
        let passive = "a=setup:passive".to_owned();
        let table = [
            (vec![&a, &passive], vec![], vec![&a, &passive]),
            (vec![&a], vec![&b, &passive], vec![&b, &passive]),
            (vec![], vec![&a, &b], vec![&a, &b, &setup]),
            (vec![&passive], vec![&a], vec![&a, &passive]),
            (vec![&a], vec![&passive], vec![&a, &passive]),
        ];
        for (session, own, expected) in table {
            let join = |lines: &[&String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let body = format!("{}{section}\n{}", join(&session), join(&own));
            assert_eq!(only(&through(&body), &["a=fingerprint", "a=setup"]).iter().collect::<Vec<_>>(), expected, "{body}");
        }
        let dtls = content(&format!("{section}\n{a}\n{b}")).transport.unwrap().dtls.unwrap();
        assert_eq!((dtls.fingerprints.len(), dtls.setup), (2, Some(Setup::Actpass)));
    }

    #[test]
    fn rfc_4145_s4_who_does_not_say_it() {
        for (party, expected) in [(Party::Initiator, Setup::Actpass), (Party::Responder, Setup::Active)] {
            let (description, warnings) = read(party, &format!("{AUDIO}\na=fingerprint:{A}"));
            let dtls = description.sections[0].content.transport.as_ref().unwrap().dtls.as_ref().unwrap();
            assert_eq!((dtls.setup, warnings.len()), (Some(expected), 0));
        }
        let (description, warnings) = read(Party::Initiator, &format!("{AUDIO}\na=setup:active"));
        assert_eq!(description.sections[0].content.transport.as_ref().unwrap().dtls, None);
        assert_eq!(warnings, ["line 9: a=setup is left out: there is no fingerprint for it"]);
        let (_, warnings) = read(Party::Initiator, &format!("a=setup:active\n{AUDIO}"));
        assert_eq!(warnings, ["line 5: a=setup is left out: there is no fingerprint for it"]);
    }

    #[test]
    fn what_no_line_can_hold() {
        let fingerprint = |hash: &str, value: &str| Fingerprint { hash: hash.into(), value: value.into() };
        let fingerprints =
            vec![fingerprint("sha 1", "AB"), fingerprint("sha-1", "AB\r\na=x"), fingerprint("", "AB"), fingerprint("sha-1", "")];
        let (mut out, mut warnings) = (Vec::new(), Warnings::default());
        write(&Dtls { fingerprints, setup: Some(Setup::Active) }, Party::Initiator, &mut out, &mut warnings);
        assert_eq!((out, warnings.into_vec().len()), (Vec::new(), 4));
    }
}
