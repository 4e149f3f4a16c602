//! ICE: XEP-0176 and XEP-0371 against RFC 8839, but for the candidates themselves.

use smol_str::SmolStr;

use super::candidates;
use super::session::Level;
use super::words::{fitting, is_address, is_ice, is_token, once, push};
use crate::jingle::candidate::Candidate;
use crate::jingle::content::Content;
use crate::jingle::secret::Secret;
use crate::jingle::transport::{CANDIDATES_MAX, Method, OPTIONS_MAX, REMOTE_CANDIDATES_MAX, RemoteCandidate, Transport};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::warning::{Quoted, Warnings};

/// Gathers the lines of a section.
#[derive(Debug, Default)]
pub(super) struct IceBuilder {
    ufrag: Option<SmolStr>,
    pwd: Option<Secret>,
    options: Vec<SmolStr>,
    /// Where options stand.
    options_lines: Vec<u32>,
    candidates: Vec<Candidate>,
    candidates_left_out: usize,
    remote_candidates: Vec<RemoteCandidate>,
    /// Where they end.
    end_lines: Vec<u32>,
}

impl IceBuilder {
    /// Takes an attribute; gives back what is not ICE's.
    pub fn take(&mut self, line: u32, attribute: Attribute, warnings: &mut Warnings) -> Option<Attribute> {
        match attribute {
            Attribute::Candidate(candidate) if self.candidates.len() < CANDIDATES_MAX => {
                self.candidates.push(candidates::read(*candidate, self.candidates.len(), line, warnings));
            }
            Attribute::Candidate(_) => self.candidates_left_out += 1,
            Attribute::IceUfrag(ufrag) => once(&mut self.ufrag, ufrag, line, "a=ice-ufrag", warnings),
            Attribute::IcePwd(pwd) => once(&mut self.pwd, pwd, line, "a=ice-pwd", warnings),
            Attribute::IceOptions(options) => {
                self.options.extend(options);
                self.options_lines.push(line);
            }
            Attribute::EndOfCandidates => self.end_lines.push(line),
            Attribute::RemoteCandidates(candidates) => {
                for candidate in candidates {
                    push(&mut self.remote_candidates, candidate, REMOTE_CANDIDATES_MAX, line, "remote candidates", warnings);
                }
            }
            other => return Some(other),
        }
        None
    }

    /// The transport, with the session's credentials and options where the section has none: RFC 8839 §5.4.
    pub fn finish(self, method: Method, session: &Level, warnings: &mut Warnings) -> Transport {
        let transport = self.finish_part(method, session, warnings);
        match (&transport.ufrag, &transport.pwd) {
            (Some(_), None) => warnings.add(format_args!("there is a=ice-ufrag and no a=ice-pwd (RFC 8839 §5.4)")),
            (None, Some(_)) => warnings.add(format_args!("there is a=ice-pwd and no a=ice-ufrag (RFC 8839 §5.4)")),
            (None, None) if !transport.candidates.is_empty() => {
                warnings.add(format_args!("there are candidates, but no a=ice-ufrag and a=ice-pwd (RFC 8839 §5.4)"));
            }
            _ => {}
        }
        transport
    }

    /// Of a fragment, which may go on with the credentials that there are.
    pub fn finish_part(self, method: Method, session: &Level, warnings: &mut Warnings) -> Transport {
        let ufrag = self.ufrag.or_else(|| session.ufrag.clone());
        let pwd = self.pwd.or_else(|| session.pwd.clone());
        if self.candidates_left_out > 0 {
            warnings.add(format_args!("{} candidates are left out: more than {CANDIDATES_MAX}", self.candidates_left_out));
        }
        // RFC 8839 §5.6: what the session says is said of the section too.
        let (mut options, line) = (self.options, self.options_lines.last().copied().unwrap_or_default());
        options.extend_from_slice(&session.options);
        Transport {
            options: read_options(options, line, &method, warnings),
            method,
            ufrag,
            pwd,
            candidates: self.candidates,
            candidates_left_out: self.candidates_left_out,
            remote_candidates: self.remote_candidates,
            gathering_complete: !self.end_lines.is_empty() || session.end_of_candidates.is_some(),
            ..Transport::default()
        }
    }

    /// Without ICE there are no options of it.
    pub fn unused(self, warnings: &mut Warnings) {
        let options = self.options_lines.into_iter().map(|line| (line, "ice-options"));
        let ends = self.end_lines.into_iter().map(|line| (line, "end-of-candidates"));
        for (line, name) in options.chain(ends) {
            warnings.at(line, format_args!("a={name} is left out: there is no ICE"));
        }
    }
}

/// The value of `a=jingle-transport`.
pub(super) fn method(word: &str) -> Option<Method> {
    match word {
        "ice" => Some(Method::Ice),
        "raw-udp" => Some(Method::RawUdp),
        _ => None,
    }
}

/// An option is an element of its name; a name that no element can have does not come through. XEP-0371 has `ice2` as an attribute, which is
/// before all elements.
fn read_options(said: Vec<SmolStr>, line: u32, method: &Method, warnings: &mut Warnings) -> Vec<SmolStr> {
    let mut options = Vec::with_capacity(said.len().min(OPTIONS_MAX));
    for option in said {
        if !Transport::may_have_option(&option) {
            warnings.at(line, format_args!("the ICE option {} is left out: it is no name of an element", Quoted(&option)));
        } else if !options.contains(&option) {
            push(&mut options, option, OPTIONS_MAX, line, "ICE options", warnings);
        }
    }
    if *method == Method::Ice {
        options.sort_by_key(|option| option != "ice2");
    }
    options
}

/// Whoever offers ICE in XMPP without candidates trickles (XEP-0176 §5.1: they follow in transport-info), and most clients do not say it.
pub(in crate::sdp) fn assume_trickle(transport: &mut Transport) {
    if is_silent(transport) {
        transport.options.push(SmolStr::new_static("trickle"));
    }
}

/// The same for contents some of which may share a transport: then one has the candidates.
pub(super) fn assume_trickle_in(contents: &mut [Content]) {
    let is_said = |contents: &[Content], silent: &Transport| {
        let mut transports = contents.iter().filter_map(|content| content.transport.as_ref());
        transports.any(|transport| transport.ufrag == silent.ufrag && (!transport.candidates.is_empty() || transport.gathering_complete))
    };
    for index in 0..contents.len() {
        if contents[index].transport.as_ref().is_some_and(|transport| is_silent(transport) && !is_said(contents, transport)) {
            contents[index].transport.as_mut().into_iter().for_each(assume_trickle);
        }
    }
}

fn is_silent(transport: &Transport) -> bool {
    let is_ice = matches!(transport.method, Method::IceUdp | Method::Ice) && transport.ufrag.is_some();
    is_ice && !transport.gathering_complete && transport.candidates.is_empty() && transport.options.is_empty()
}

/// `a=candidate`.
pub(super) fn write_candidates(transport: &Transport, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    out.extend(transport.candidates.iter().filter_map(|candidate| candidates::write(candidate, warnings)).map(|line| line.into()));
    if transport.candidates_left_out > 0 {
        warnings.add(format_args!("{} candidates are left out: more than {CANDIDATES_MAX}", transport.candidates_left_out));
    }
}

/// The lines between `a=candidate` and `a=remote-candidates`. `has_ice`: another line has said that there is ICE.
pub(super) fn write(transport: &Transport, has_ice: bool, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    let is_ufrag = |ufrag: &str| ufrag.len() >= 4 && is_ice(ufrag);
    let is_pwd = |pwd: &str| pwd.len() >= 22 && is_ice(pwd);
    let ufrag = transport.ufrag.as_ref().and_then(|ufrag| fitting(ufrag, is_ufrag, "the ufrag", warnings));
    let pwd = transport.pwd.as_ref().filter(|pwd| is_pwd(pwd));
    if transport.pwd.is_some() && pwd.is_none() {
        warnings.add(format_args!("the pwd is left out: SDP has 22 letters and digits or more (RFC 8839 §5.4)"));
    }
    if !has_ice && ufrag.is_none() && pwd.is_none() {
        if transport.gathering_complete || !transport.options.is_empty() {
            warnings.add(format_args!("the options of ICE and the end of candidates are left out: there is no ufrag"));
        }
        return;
    }
    if transport.gathering_complete {
        out.push(Attribute::EndOfCandidates.into());
    }
    out.extend(ufrag.map(|ufrag| Attribute::IceUfrag(ufrag).into()));
    out.extend(pwd.map(|pwd| Attribute::IcePwd(pwd.clone()).into()));
    let fitting = |option| fitting(option, is_token, "the ICE option", warnings);
    let options: Vec<SmolStr> = transport.options.iter().filter_map(fitting).collect();
    if !options.is_empty() {
        out.push(Attribute::IceOptions(options).into());
    }
}

/// `a=remote-candidates`: RFC 8839 §5.2.
pub(super) fn remote_candidates(transport: &Transport, warnings: &mut Warnings) -> Option<Numbered> {
    let mut is_said = |candidate: &&RemoteCandidate| {
        candidate.component > 0 && fitting(&candidate.ip, is_address, "the address of a remote candidate", warnings).is_some()
    };
    let candidates: Vec<RemoteCandidate> = transport.remote_candidates.iter().filter(|candidate| is_said(candidate)).cloned().collect();
    (!candidates.is_empty()).then(|| Attribute::RemoteCandidates(candidates).into())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{AUDIO, content, only, read, said, through, written};
    use super::*;
    use crate::jingle::content::Party;

    const BARE: &str = "m=audio 9 RTP/AVP 0\nc=IN IP4 0.0.0.0";
    const CREDENTIALS: &str = "a=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg";
    const HOST: &str = "a=candidate:1 1 udp 2130706431 10.0.1.1 8998 typ host generation 0";

    #[test]
    fn rfc_8839_s5_4_session_and_section() {
        let own = "a=ice-ufrag:9uB6\na=ice-pwd:YH75Fviy6338Vbrhrlp8Yh";
        let table = [
            (format!("{CREDENTIALS}\na=ice-options:ice2 trickle\n{BARE}"), format!("{CREDENTIALS}\na=ice-options:ice2 trickle")),
            (
                format!("{CREDENTIALS}\na=ice-options:ice2\n{BARE}\n{own}\na=ice-options:trickle"),
                format!("{own}\na=ice-options:trickle ice2"),
            ),
            (format!("{CREDENTIALS}\na=end-of-candidates\n{BARE}"), format!("a=end-of-candidates\n{CREDENTIALS}")),
            (format!("{BARE}\n{CREDENTIALS}\na=ice-options:a b\na=ice-options:b c"), format!("{CREDENTIALS}\na=ice-options:a b c")),
        ];
        for (body, expected) in table {
            assert_eq!(only(&through(&body), &["a=ice-", "a=end"]).join("\n"), expected, "{body}");
        }
    }

    #[test]
    fn xep_0176_s5_3_a_transport() {
        let body =
            format!("{BARE}\n{HOST}\na=end-of-candidates\n{CREDENTIALS}\na=ice-options:renomination\na=remote-candidates:1 192.0.2.1 9001");
        let transport = content(&body).transport.unwrap();
        assert_eq!((&transport.method, transport.gathering_complete), (&Method::IceUdp, true));
        assert_eq!(transport.options, ["renomination"]);
        assert_eq!(transport.candidates[0].id.as_deref(), Some("c1"));
        assert_eq!(transport.remote_candidates, [RemoteCandidate { component: 1, ip: "192.0.2.1".into(), port: 9001 }]);
    }

    #[test]
    fn xep_0371_is_known_from_before() {
        let (mut before, _) = read(Party::Initiator, AUDIO);
        before.sections[0].content.transport.as_mut().unwrap().method = Method::Ice;
        let body = format!("{AUDIO}\na=ice-options:trickle ice2");
        let (description, _) = super::super::testing::read_after(Party::Initiator, &body, Some(&before)).unwrap();
        let transport = description.sections[0].content.transport.as_ref().unwrap();
        assert_eq!(transport.method, Method::Ice);
        assert_eq!(transport.options, ["ice2", "trickle"]);
    }

    #[test]
    fn xep_0371_comes_back() {
        let body = format!("{AUDIO}\na=ice-options:ice2 trickle\na=jingle-transport:ice");
        let transport = content(&body).transport.unwrap();
        assert_eq!((&transport.method, &*transport.options), (&Method::Ice, &["ice2".into(), "trickle".into()][..]));
        assert_eq!(only(&through(&body), &["a=jingle"]), ["a=jingle-transport:ice"]);
        // XEP-0177 of who has no address yet.
        let raw = format!("{BARE}\na=jingle-transport:raw-udp");
        assert_eq!(content(&raw).transport.unwrap().method, Method::RawUdp);
        assert_eq!(only(&through(&raw), &["a=jingle"]), ["a=jingle-transport:raw-udp"]);
        let table = [
            (format!("{AUDIO}\na=jingle-transport:raw-udp"), "line 9: a=jingle-transport is left out: the other lines say another one"),
            (
                "m=audio 5 RTP/AVP 0\nc=IN IP4 192.0.2.1\na=jingle-transport:ice".to_owned(),
                "line 7: a=jingle-transport is left out: the other lines say another one",
            ),
            (
                format!("{AUDIO}\na=jingle-transport:x"),
                "line 9: a=jingle-transport is left out: it has no place here, or no value that it could have",
            ),
        ];
        for (body, expected) in table {
            assert_eq!(read(Party::Initiator, &body).1, [expected], "{body}");
        }
    }

    #[test]
    fn what_is_missing_or_out_of_place_is_said() {
        let table = [
            (format!("{BARE}\na=ice-ufrag:8hhY"), "content 'audio': there is a=ice-ufrag and no a=ice-pwd (RFC 8839 §5.4)"),
            (format!("{BARE}\n{HOST}"), "content 'audio': there are candidates, but no a=ice-ufrag and a=ice-pwd (RFC 8839 §5.4)"),
            (format!("{AUDIO}\na=ice-ufrag:other"), "line 9: a second a=ice-ufrag is left out"),
            (format!("{AUDIO}\na=ice-options:1a"), "line 9: the ICE option '1a' is left out: it is no name of an element"),
            (format!("{BARE}\na=ice-options:trickle"), "line 7: a=ice-options is left out: there is no ICE"),
            (format!("{HOST}\n{AUDIO}"), "line 5: this attribute belongs into an m= section and is left out: a=candidate"),
        ];
        for (body, expected) in table {
            assert_eq!(read(Party::Initiator, &body).1, [expected], "{body}");
        }
    }

    #[test]
    fn clients_trickle_without_saying_it() {
        let table = [("", true), ("\na=ice-options:ice2", false), ("\na=end-of-candidates", false)];
        for (lines, expected) in table {
            let (description, _) = said(vec![content(&format!("{AUDIO}{lines}"))]).unwrap();
            let is_said = written(&description).0.contains("a=ice-options:trickle");
            assert_eq!(is_said, expected, "{lines}");
        }
        // One transport of two contents.
        let named = |name: &str, lines: &str| Content { name: name.into(), ..content(&format!("{AUDIO}{lines}")) };
        let (description, _) = said(vec![named("a", ""), named("v", &format!("\n{HOST}"))]).unwrap();
        assert!(!written(&description).0.contains("trickle"));
    }

    #[test]
    fn what_no_line_can_hold() {
        let mut bad = content(AUDIO);
        let transport = bad.transport.as_mut().unwrap();
        transport.ufrag = Some("8hh".into());
        transport.pwd = Some("short\r\na=secret".into());
        transport.options = vec!["a b".into()];
        transport.remote_candidates = vec![RemoteCandidate { component: 1, ip: "1 2".into(), port: 1 }];
        let (body, warnings) = written(&said(vec![bad]).unwrap().0);
        assert!(only(&body, &["a=ice", "a=remote", "a=secret"]).is_empty(), "{body}");
        assert_eq!(warnings.len(), 4, "{warnings:?}");
        assert!(!warnings.iter().any(|warning| warning.contains("short")), "{warnings:?}");
    }
}
