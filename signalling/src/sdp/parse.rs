//! Text to lines: RFC 8866 §9, read as leniently as programs write it and no more.
//!
//! Lenient: lines may end with LF alone, the last one with nothing, and empty ones may follow it; spaces and tabs may be several, and stand at the
//! end; `s=` and `t=` may be missing; lines of one level may stand in any order. Strict: what a line that is understood says is checked, numbers,
//! words and addresses, and the first wrong line ends it all with one error. Line breaks within a line, NUL and other control characters are errors.

mod attribute;
mod carried;
mod codec;
mod ice;
pub(super) mod security;
mod session;
mod stream;
#[cfg(test)]
mod testing;
pub(super) mod words;

use smol_str::SmolStr;

use self::words::{Words, Wrong, control, trim};
use super::line::{MediaDescription, Numbered, OtherLine, SessionDescription};

pub use self::attribute::parse_attribute;
pub(super) use self::stream::is_msid;

/// Longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 16 * 1024;
/// Lines of one text.
pub const LINES_MAX: u32 = 8192;
/// Media descriptions of one text.
pub const MEDIA_MAX: usize = crate::jingle::content::CONTENTS_MAX;

/// What a line should have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {expected}")]
pub struct SdpError {
    /// From 1.
    pub line: u32,
    /// For a person: what was expected, and what stands there instead, shortened.
    pub expected: String,
}

/// Reads a session description.
///
/// # Errors
/// The first line that is none.
pub fn parse(text: &str) -> Result<SessionDescription, SdpError> {
    let mut reader = Reader { form: Form::Whole, ..Reader::default() };
    reader.read(text)?;
    let mut description = reader.description;
    if description.origin.is_none() {
        let expected = if reader.line == 0 { "expected v=0 in the first line, found nothing" } else { "expected an o= above, found none" };
        return Err(SdpError { line: reader.line.max(1), expected: expected.into() });
    }
    if trim(&description.name).is_empty() {
        description.name = SmolStr::new_static("-");
    }
    if description.timing.is_empty() {
        description.timing.push((0, 0));
    }
    Ok(description)
}

/// Reads a fragment, RFC 8840 §9: attributes and pseudo m= lines; also bare `candidate:` lines as browsers give them.
///
/// # Errors
/// The first line that is none.
pub fn parse_fragment(text: &str) -> Result<SessionDescription, SdpError> {
    let mut reader = Reader { form: Form::Fragment, ..Reader::default() };
    reader.read(text)?;
    Ok(reader.description)
}

/// Whether a text can stand behind `i=`, `u=` and so on, as a line of a whole description.
pub(super) fn is_field(kind: char, text: &str) -> bool {
    let mut reader = Reader { form: Form::Whole, line: 2, ..Reader::default() };
    let is_short = text.len() < LINE_BYTES_MAX - 2 && control(text).is_none();
    is_short && u8::try_from(kind).is_ok_and(|kind| reader.field(kind, text).is_ok())
}

/// What is being read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Whole,
    Fragment,
}

#[derive(Debug, Default)]
struct Reader {
    form: Form,
    /// Where the last line that is not empty stands.
    line: u32,
    description: SessionDescription,
    has_name: bool,
}

impl Reader {
    fn read(&mut self, text: &str) -> Result<(), SdpError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(SdpError { line: 1, expected: format!("expected at most {TEXT_BYTES_MAX} bytes, found {}", text.len()) });
        }
        let (mut rest, mut number) = (text, 0);
        while !rest.is_empty() {
            number += 1;
            let (line, behind) = match memchr::memchr(b'\n', rest.as_bytes()) {
                Some(at) => (&rest[..at], &rest[at + 1..]),
                None => (rest, ""),
            };
            rest = behind;
            let line = line.strip_suffix('\r').unwrap_or(line);
            self.read_line(line, number).map_err(|expected| SdpError { line: number, expected })?;
        }
        Ok(())
    }

    fn read_line(&mut self, line: &str, number: u32) -> Result<(), String> {
        if trim(line).is_empty() {
            return Ok(());
        }
        if number > LINES_MAX {
            return Err(format!("expected at most {LINES_MAX} lines"));
        }
        if number != self.line + 1 {
            return Err(format!("expected the end after an empty line, found {}", words::shown(line)));
        }
        self.line = number;
        if line.len() > LINE_BYTES_MAX {
            return Err(format!("expected at most {LINE_BYTES_MAX} bytes in a line, found {}", line.len()));
        }
        if let Some(found) = control(line) {
            return Err(Wrong::new("no control characters in a line", found).to_string());
        }
        match line.as_bytes() {
            [kind, b'=', ..] if kind.is_ascii_lowercase() => self.read_field(*kind, &line[2..]),
            _ if self.form == Form::Fragment && line.starts_with("candidate:") => self.read_field(b'a', line),
            _ => Err(Wrong::new("a letter and =", line).to_string()),
        }
    }

    fn read_field(&mut self, kind: u8, text: &str) -> Result<(), String> {
        self.place(kind).map_err(|expected| format!("{}=: {expected}", char::from(kind)))?;
        if kind == b'a' {
            let line = self.line;
            let attributes = match self.description.media.last_mut() {
                Some(media) => &mut media.attributes,
                None => &mut self.description.attributes,
            };
            match attribute::read(text) {
                Ok(attribute) => attributes.push(Numbered { line, attribute }),
                Err(wrong) => return Err(attribute::explain(text, wrong)),
            }
            return Ok(());
        }
        self.field(kind, text).map_err(|wrong| format!("{}=: {wrong}", char::from(kind)))
    }

    /// Why such a line may not stand here.
    fn place(&self, kind: u8) -> Result<(), &'static str> {
        let is_first = self.line == 1;
        let is_media = !self.description.media.is_empty();
        match kind {
            b'v' | b'o' | b's' | b't' | b'u' | b'e' | b'p' | b'r' | b'z' if self.form == Form::Fragment => {
                Err("expected attributes and media, of which a fragment consists")
            }
            _ if is_first && kind != b'v' && self.form == Form::Whole => Err("expected v=0 in the first line"),
            b'v' if !is_first => Err("expected in the first line only"),
            b'o' | b's' | b't' | b'u' | b'e' | b'p' | b'r' | b'z' if is_media => Err("expected above the first m= only"),
            b'o' if self.description.origin.is_some() => Err("expected only once"),
            b's' if self.has_name => Err("expected only once"),
            b'c' if !is_media && self.description.connection.is_some() => Err("expected only once above the first m="),
            b'm' if self.description.media.len() == MEDIA_MAX => Err("expected at most 128 m= lines"),
            _ => Ok(()),
        }
    }

    fn field<'a>(&mut self, kind: u8, text: &'a str) -> Result<(), Wrong<'a>> {
        match kind {
            b'v' => {
                let mut words = Words::of(text);
                words.word("version 0", |word| word == "0")?;
                words.end()?;
            }
            b'o' => self.description.origin = Some(session::origin(text)?),
            b's' => {
                self.has_name = true;
                self.description.name = text.into();
            }
            b't' => self.description.timing.push(session::timing(text)?),
            b'c' => {
                let connection = session::connection(Words::of(text))?;
                match self.description.media.last_mut() {
                    Some(media) => media.connections.push(connection),
                    None => self.description.connection = Some(connection),
                }
            }
            b'b' => {
                let bandwidth = session::bandwidth(text)?;
                match self.description.media.last_mut() {
                    Some(media) => media.bandwidths.push(bandwidth),
                    None => self.description.bandwidths.push(bandwidth),
                }
            }
            b'm' => {
                let media = MediaDescription { line: self.line, ..session::media(text)? };
                self.description.media.push(media);
            }
            b'i' | b'u' | b'e' | b'p' | b'k' | b'r' | b'z' => {
                match kind {
                    b'r' => session::repeat(text)?,
                    b'z' => session::zone(text)?,
                    _ => {}
                }
                let other = OtherLine { line: self.line, kind: char::from(kind), value: text.into() };
                match self.description.media.last_mut() {
                    Some(media) => media.others.push(other),
                    None => self.description.others.push(other),
                }
            }
            _ => return Err(Wrong::new("one of v o s i u e p c b t r z k a m", text)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::line::Attribute;
    use crate::sdp::write;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";

    /// RFC 8866 §5, "an example SDP description".
    const EXAMPLE: &str = "v=0\r\n\
        o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\n\
        s=Call to John Smith\r\n\
        i=SDP Offer #1\r\n\
        u=http://www.jdoe.example.com/home.html\r\n\
        e=Jane Doe <jane@jdoe.example.com>\r\n\
        p=+1 617 555-6011\r\n\
        c=IN IP4 198.51.100.1\r\n\
        t=0 0\r\n\
        m=audio 49170 RTP/AVP 0\r\n\
        m=audio 49180 RTP/AVP 0\r\n\
        m=video 51372 RTP/AVP 99\r\n\
        c=IN IP6 2001:db8::2\r\n\
        a=rtpmap:99 h263-1998/90000\r\n";

    #[test]
    fn s5_example() {
        let read = parse(EXAMPLE).unwrap();
        assert_eq!(write(&read), EXAMPLE);
        let origin = read.origin.unwrap();
        assert_eq!((&*origin.username, &*origin.session_id, origin.version), ("jdoe", "3724394400", 3_724_394_405));
        assert_eq!((&*read.name, read.timing), ("Call to John Smith", vec![(0, 0)]));
        assert_eq!(read.others.iter().map(|other| (other.line, other.kind)).collect::<Vec<_>>(), [(4, 'i'), (5, 'u'), (6, 'e'), (7, 'p')]);
        let lines: Vec<_> = read.media.iter().map(|media| (media.line, &*media.media, media.port, media.connections.len())).collect();
        assert_eq!(lines, [(10, "audio", 49170, 0), (11, "audio", 49180, 0), (12, "video", 51372, 1)]);
        assert_eq!(read.media[2].attributes[0].line, 14);
    }

    #[test]
    fn s5_line_ends_and_blanks_are_free() {
        let expected = parse(EXAMPLE);
        let table = [
            EXAMPLE.replace("\r\n", "\n"),
            EXAMPLE.trim_end().to_owned(),
            EXAMPLE.trim_end().replace("\r\n", "\n") + "\r",
            format!("{EXAMPLE}\r\n\n \r\n\t"),
            EXAMPLE.replace("RTP/AVP 0\r\n", " RTP/AVP  0\t \r\n").replace("a=rtpmap:99 ", "a=rtpmap:  99\t"),
        ];
        for text in table {
            assert_eq!(parse(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn s5_an_empty_line_is_the_end() {
        assert_eq!(
            parse(&format!("{HEAD}\r\na=mid:0")).unwrap_err().to_string(),
            "line 6: expected the end after an empty line, found \"a=mid:0\""
        );
        assert_eq!(parse(&format!("\r\n{HEAD}")).unwrap_err().to_string(), "line 2: expected the end after an empty line, found \"v=0\"");
    }

    #[test]
    fn s5_a_line_is_a_letter_an_equals_sign_and_no_control_character() {
        let table = [
            ("testing=123", "expected a letter and =, found \"testing=123\""),
            ("a", "expected a letter and =, found \"a\""),
            ("a =mid:0", "expected a letter and =, found \"a =mid:0\""),
            (" a=mid:0", "expected a letter and =, found \" a=mid:0\""),
            ("=", "expected a letter and =, found \"=\""),
            ("é=", "expected a letter and =, found \"é=\""),
            ("<a/>", "expected a letter and =, found \"<a/>\""),
            ("candidate:1 1 udp 1 192.0.2.1 9 typ hosts", "expected a letter and =, found \"candidate:1 1 udp 1 192.0.2.1 9 typ hosts\""),
            ("a=x:y\rz", "expected no control characters in a line, found \"\\r\""),
            ("a=x:y\r", "expected no control characters in a line, found \"\\r\""),
            ("a=x:\0", "expected no control characters in a line, found \"\\0\""),
            ("i=\u{7}", "expected no control characters in a line, found \"\\u{7}\""),
        ];
        for (line, expected) in table {
            let error = parse(&format!("{HEAD}{line}\r\na=mid:0\r\n")).unwrap_err();
            assert_eq!(error, SdpError { line: 5, expected: expected.into() }, "{line:?}");
        }
    }

    #[test]
    fn lines_of_one_level_stand_in_any_order() {
        // RFC 6465 §5 has i= before o=.
        let read =
            parse("v=0\r\na=ice-lite\r\nt=0 0\r\ni=x\r\nb=AS:1\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\ns=-\r\n").unwrap();
        assert_eq!(
            write(&read),
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\ni=x\r\nc=IN IP4 192.0.2.1\r\nb=AS:1\r\nt=0 0\r\na=ice-lite\r\n"
        );
    }

    #[test]
    fn the_first_malformed_line_is_the_error() {
        let error = parse(&format!("{HEAD}a=mid:0\r\na=rtpmap:300 x/8000\r\na=ptime:x\r\n")).unwrap_err();
        assert_eq!(error.to_string(), "line 6: a=rtpmap: expected a payload type from 0 to 127, found \"300\"");
    }

    #[test]
    fn limits_hold_and_each_has_its_error() {
        let with = |text: &str| parse(&format!("{HEAD}{text}")).map(|read| read.attributes.len()).map_err(|error| error.to_string());
        let line = |bytes: usize| format!("a=x:{}", "y".repeat(bytes - 4));
        assert_eq!(with(&line(LINE_BYTES_MAX)), Ok(1));
        assert_eq!(with(&line(LINE_BYTES_MAX + 1)), Err("line 5: expected at most 16384 bytes in a line, found 16385".into()));
        assert_eq!(with(&"a=x\n".repeat(8188)), Ok(8188));
        assert_eq!(with(&"a=x\n".repeat(8189)), Err("line 8193: expected at most 8192 lines".into()));
        // Empty lines at the end are none.
        assert_eq!(with(&format!("a=x{}", "\n".repeat(10_000))), Ok(1));
        assert_eq!(with(&"m=audio 9 RTP/AVP 0\n".repeat(128)), Ok(0));
        assert_eq!(with(&"m=audio 9 RTP/AVP 0\n".repeat(129)), Err("line 133: m=: expected at most 128 m= lines".into()));
        let whole = |bytes: usize| HEAD.to_owned() + &format!("{}\n", line(8191)).repeat(31) + &line(bytes - HEAD.len() - 31 * 8192);
        assert_eq!(parse(&whole(TEXT_BYTES_MAX)).map(|read| read.attributes.len()), Ok(32));
        let error = parse(&whole(TEXT_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(error.to_string(), "line 1: expected at most 262144 bytes, found 262145");
    }

    /// What is a name in an element has its length in a line too; a stream has 64 characters (RFC 8830 §2), a fingerprint 64 octets.
    #[test]
    fn words_are_as_long_as_an_element_takes_them() {
        let octets = |count: usize| vec!["0A"; count].join(":");
        let word = |len: usize| "1".repeat(len);
        let lines: &[(&dyn Fn(usize) -> String, usize)] = &[
            (&|len| format!("a=msid:{} t", word(len)), 64),
            (&|len| format!("a=msid:s {}", word(len)), 64),
            (&|len| format!("a=fingerprint:sha-512 {}", octets(len)), 64),
            (&|len| format!("a=fingerprint:{} 0A", word(len)), 256),
            (&|len| format!("a=candidate:{} 1 udp 1 192.0.2.1 9 typ host", word(len)), 256),
            (&|len| format!("a=candidate:1 1 udp 1 192.0.2.1 9 typ host x {}", word(len)), 256),
            (&|len| format!("a=candidate:1 1 udp 1 192.0.2.1 9 typ host network-id {}", word(len)), 256),
            (&|len| format!("a=ice-options:a {}", word(len)), 256),
            (&|len| format!("a=extmap:1 {}", word(len)), 256),
            (&|len| format!("a=extmap:1 u {}", word(len)), 256),
            (&|len| format!("a=rtcp-fb:* x {}", word(len)), 256),
            (&|len| format!("a=rtpmap:96 {}/8000", word(len)), 256),
            (&|len| format!("a=mid:{}", word(len)), 256),
            (&|len| format!("a=group:LS {}", word(len)), 256),
            (&|len| format!("a=ssrc-group:{} 1", word(len)), 256),
            (&|len| format!("b={}:1", word(len)), 256),
            (&|len| format!("b=AS:{}", word(len)), 256),
            (&|len| format!("m={} 9 RTP/AVP 0", word(len)), 256),
            (&|len| format!("m=audio 9 {} 0", word(len)), 256),
        ];
        for (line, max) in lines {
            let read = |len| parse(&format!("{HEAD}{}\n", line(len))).map_err(|error| error.to_string());
            assert!(read(*max).is_ok(), "{:?}", read(*max));
            let error = read(*max + 1).unwrap_err();
            assert!(error.contains(&format!("at most {max} ")), "{error}");
        }
    }

    /// What would take seconds if any of it were looked at again and again.
    #[test]
    fn long_lines_take_no_quadratic_time() {
        let blanks = " ".repeat(8000);
        let lines = [
            format!("a=remote-candidates:{}{blanks}", "1 a 1 ".repeat(1300)),
            format!("a=group:BUNDLE{}{blanks}", " a".repeat(4000)),
            format!("a=fmtp:0 {}{blanks}", "a;".repeat(4000)),
            format!("a=extmap:1 u{}{blanks}", " a".repeat(4000)),
            format!("a=candidate:1 1 udp 1 a 1 typ host{}{blanks}", " a b".repeat(2000)),
            format!("z={}{blanks}", "0 1 ".repeat(2000)),
            format!("a=crypto:1 s {}{blanks}", "a:b;".repeat(2000) + "a:b"),
            format!("a=fingerprint:x {}00{blanks}", "00:".repeat(63)),
        ];
        let begin = std::time::Instant::now();
        for line in lines {
            assert!(line.len() <= LINE_BYTES_MAX, "{}", line.len());
            let text = HEAD.to_owned() + &format!("{line}\n").repeat((TEXT_BYTES_MAX - HEAD.len()) / (line.len() + 1));
            assert!(parse(&text).is_ok(), "{}", &line[..40]);
        }
        assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    }

    /// RFC 8840 §9: the example of its figure, as a body of SIP's INFO.
    #[test]
    fn rfc_8840_s9_fragment() {
        let text = "a=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=ice-ufrag:8hhY\r\nm=audio 9 RTP/AVP 0\r\na=mid:1\r\n\
            a=candidate:1 1 UDP 2130706432 10.0.1.1 8998 typ host\r\na=end-of-candidates\r\n";
        let read = parse_fragment(text).unwrap();
        assert_eq!((read.origin.is_none(), read.attributes.len(), read.media.len(), read.media[0].attributes.len()), (true, 2, 1, 3));
        assert_eq!(read.media[0].attributes[1].line, 5);
        assert_eq!(write(&read), text.replace("UDP", "udp").replace("typ host", "typ host generation 0"));
    }

    #[test]
    fn a_fragment_may_be_candidates_alone_as_browsers_give_them() {
        let candidate = "candidate:1 1 udp 2113937151 4fd2b1a0.local 54321 typ host generation 0 ufrag 8hhY network-cost 999";
        let table = [candidate.to_owned(), format!("a={candidate}"), format!("{candidate}\na={candidate}\r\n\r\n")];
        for (text, count) in table.iter().zip([1, 1, 2]) {
            let read = parse_fragment(text).unwrap();
            assert_eq!(read.attributes.len(), count);
            assert!(read.attributes.iter().all(|numbered| matches!(numbered.attribute, Attribute::Candidate(_))));
            assert_eq!(write(&read), format!("a={candidate}\r\n").repeat(count));
        }
        // `onicecandidate` ends with an empty one.
        assert_eq!(parse_fragment(""), Ok(SessionDescription::default()));
        assert_eq!(write(&SessionDescription::default()), "");
        assert_eq!(
            parse_fragment("candidate:1 1").unwrap_err().to_string(),
            "line 1: a=candidate: expected a transport protocol, found nothing"
        );
        assert_eq!(parse_fragment("mid:0").unwrap_err().to_string(), "line 1: expected a letter and =, found \"mid:0\"");
        assert_eq!(
            parse_fragment("v=0").unwrap_err().to_string(),
            "line 1: v=: expected attributes and media, of which a fragment consists"
        );
    }
}
