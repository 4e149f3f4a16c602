//! Bytes of a TCP stream to whole top-level elements: RFC 6120 §4.2 to §4.4. Resumable; each byte is looked at once, and limits act before
//! anything is parsed. The framer only finds where an element ends; that it is well-formed is the validator's business, and what the validator
//! would refuse anyway (a comment, say) ends the stream here already.

use bytes::{Buf, Bytes, BytesMut};

use super::XmlError;
use super::header::{self, StreamHeader};
use super::name::is_space;
use super::validate::restricted_declaration;

/// Elements of at most this many bytes are copied out of the read buffer, so that a small stanza kept for long does not keep the buffer.
const COPY_BYTES_MAX: usize = 8192;

/// What one top-level element may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a stream header or of a top-level element.
    pub bytes_max: usize,
    /// Deepest nesting, the top-level element being 1.
    pub depth_max: usize,
}

/// What the framer found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The stream header: RFC 6120 §4.2.
    Open(StreamHeader),
    /// A whole top-level element, from `<` to `>`, not yet validated.
    Element(Bytes),
    /// White space between top-level elements, such as a keepalive (§4.4): how many bytes.
    Whitespace(usize),
    /// `</stream:stream>`: §4.4. Nothing comes after it.
    Close,
}

/// Where the scan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the stream header. `declared`: an XML declaration has been read.
    Prolog { declared: bool },
    /// Inside `<?xml …?>`.
    Declaration,
    /// Between top-level elements.
    Between,
    /// In the character data of an element.
    Text,
    /// At `<`, of what is not known yet.
    Markup,
    /// In the start tag that begins at this offset.
    StartTag { start: usize },
    /// In a start tag that mixes quotes, perhaps inside a value with this one.
    MixedTag { quote: u8 },
    /// In an end tag, `</` being read.
    EndTag,
    /// In a CDATA section, its opening being read.
    Cdata,
    /// The stream header was an empty element: closed as soon as opened.
    ClosedAtOnce,
    /// Behind the closing tag.
    Closed,
}

/// Splits one direction of a stream into frames.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    /// Received and not yet handed out; what is being scanned begins at 0.
    buffer: BytesMut,
    /// Everything before this offset has been scanned.
    at: usize,
    state: State,
    /// Open elements below the stream header.
    depth: usize,
    /// The qualified name of the stream header; empty before it.
    name: String,
    failed: Option<XmlError>,
}

impl Framer {
    /// A framer that waits for a stream header.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: BytesMut::new(),
            at: 0,
            state: State::Prolog { declared: false },
            depth: 0,
            name: String::new(),
            failed: None,
        }
    }

    /// Other limits from now on, for instance after authentication.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The stream is opened anew (RFC 6120 §4.3.3): a header is expected next. Bytes already received stay.
    pub fn reset(&mut self) {
        self.state = State::Prolog { declared: false };
        self.at = 0;
        self.depth = 0;
        self.name.clear();
        self.failed = None;
    }

    /// As [`reset`](Self::reset), and forgets what was received: after STARTTLS nothing sent in clear may count as sent under TLS (§5.3.4).
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.reset();
    }

    /// Bytes received that no frame has been made of yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, or `None` when more bytes are needed. Call until `None` after each push.
    ///
    /// # Errors
    /// What ends the stream; asked again, the same.
    #[allow(clippy::should_implement_trait, reason = "an iterator would end at `None`")]
    pub fn next(&mut self) -> Result<Option<Frame>, XmlError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let next = self.scan();
        match &next {
            Err(error) => {
                self.failed = Some(*error);
                self.buffer = BytesMut::new();
            }
            // An idle stream holds no buffer.
            Ok(None) if self.buffer.is_empty() => self.buffer = BytesMut::new(),
            Ok(_) => {}
        }
        next
    }

    fn scan(&mut self) -> Result<Option<Frame>, XmlError> {
        loop {
            let step = match self.state {
                State::Prolog { declared } => self.prolog(declared)?,
                State::Declaration => self.declaration()?,
                State::Between => self.between()?,
                State::Text => self.text(),
                State::Markup => self.markup()?,
                State::StartTag { start } => self.start_tag(start)?,
                State::MixedTag { quote } => self.mixed_tag(quote)?,
                State::EndTag => self.end_tag()?,
                State::Cdata => self.cdata(),
                State::ClosedAtOnce => {
                    self.state = State::Closed;
                    Step::Found(Frame::Close)
                }
                State::Closed => {
                    self.buffer.clear();
                    return Ok(None);
                }
            };
            match step {
                Step::Go => {}
                Step::Found(frame) => return Ok(Some(frame)),
                Step::Wait if self.buffer.len() > self.limits.bytes_max => return Err(XmlError::TooBig(self.limits.bytes_max)),
                Step::Wait => return Ok(None),
            }
        }
    }

    /// White space, which is dropped, an XML declaration, the header's start tag.
    fn prolog(&mut self, declared: bool) -> Result<Step, XmlError> {
        self.drop_space();
        match self.buffer[..] {
            [] | [b'<'] => Ok(Step::Wait),
            [b'<', b'?', ..] if !declared => {
                self.state = State::Declaration;
                self.at = 2;
                Ok(Step::Go)
            }
            [b'<', b'?', ..] => Err(XmlError::Restricted("a processing instruction")),
            [b'<', b'!'] => Ok(Step::Wait),
            [b'<', b'!', b'-', ..] => Err(XmlError::Restricted("a comment")),
            [b'<', b'!', b'D', ..] => Err(XmlError::Restricted("a document type declaration")),
            [b'<', 0, ..] | [0, ..] | [0xFE | 0xFF, ..] => Err(XmlError::UnsupportedEncoding("UTF-16 or UTF-32")),
            [b'<', b'!' | b'/', ..] => Err(XmlError::NotWellFormed("a stream header is missing")),
            [b'<', ..] => {
                self.state = State::StartTag { start: 0 };
                self.at = 1;
                Ok(Step::Go)
            }
            // RFC 6120 §11.6: U+FEFF is a zero width no-break space and no byte order mark, hence text where no text may be.
            [0xEF, ..] => Err(XmlError::NotWellFormed("a byte order mark or other text before the stream header")),
            _ => Err(XmlError::NotWellFormed("text before the stream header")),
        }
    }

    fn declaration(&mut self) -> Result<Step, XmlError> {
        let Some(end) = self.find(b'>') else { return Ok(Step::Wait) };
        header::check_declaration(&self.buffer[..end])?;
        self.buffer.advance(end);
        self.at = 0;
        self.state = State::Prolog { declared: true };
        Ok(Step::Go)
    }

    fn between(&mut self) -> Result<Step, XmlError> {
        let spaces = self.drop_space();
        if spaces > 0 {
            return Ok(Step::Found(Frame::Whitespace(spaces)));
        }
        match self.buffer.first() {
            None => Ok(Step::Wait),
            Some(b'<') => {
                self.state = State::Markup;
                Ok(Step::Go)
            }
            Some(_) => Err(XmlError::BadFormat("text between top-level elements")),
        }
    }

    fn text(&mut self) -> Step {
        match memchr::memchr(b'<', &self.buffer[self.at..]) {
            Some(found) => {
                self.at += found;
                self.state = State::Markup;
                Step::Go
            }
            None => {
                self.at = self.buffer.len();
                Step::Wait
            }
        }
    }

    /// Decides what the `<` at `at` begins, which takes up to nine bytes.
    fn markup(&mut self) -> Result<Step, XmlError> {
        const CDATA: &[u8] = b"<![CDATA[";
        let rest = &self.buffer[self.at..];
        match rest.get(1) {
            None => return Ok(Step::Wait),
            Some(b'/') => {
                self.state = State::EndTag;
                self.at += 2;
            }
            Some(b'?') => return Err(XmlError::Restricted("a processing instruction")),
            Some(b'!') if self.depth > 0 && rest.starts_with(CDATA) => {
                self.state = State::Cdata;
                self.at += CDATA.len();
            }
            Some(b'!')
                if rest.len() < CDATA.len() && (CDATA.starts_with(rest) || b"<!--".starts_with(rest) || b"<!DOCTYPE".starts_with(rest)) =>
            {
                return Ok(Step::Wait);
            }
            Some(b'!') if rest.starts_with(CDATA) => return Err(XmlError::BadFormat("text between top-level elements")),
            Some(b'!') => return Err(restricted_declaration(rest)),
            Some(_) => {
                self.state = State::StartTag { start: self.at };
                self.at += 1;
            }
        }
        Ok(Step::Go)
    }

    /// The first `>` ends the tag unless it stands in a value. With one kind of quote in the tag, it does exactly when their number is odd.
    fn start_tag(&mut self, start: usize) -> Result<Step, XmlError> {
        let Some(end) = self.find(b'>') else { return Ok(Step::Wait) };
        let tag = &self.buffer[start..end];
        // Whether there are any, and whether their number is odd: without branches, so that it is done for many bytes at once.
        let (mut apostrophes, mut quotes, mut odd) = (false, false, false);
        for byte in tag {
            apostrophes |= *byte == b'\'';
            quotes |= *byte == b'"';
            odd ^= *byte == b'\'' || *byte == b'"';
        }
        if !(odd || (apostrophes && quotes)) {
            self.at = end;
            return self.start_tag_end();
        }
        self.at = start + 1;
        self.state = State::MixedTag { quote: 0 };
        Ok(Step::Go)
    }

    /// The same, value by value.
    fn mixed_tag(&mut self, mut quote: u8) -> Result<Step, XmlError> {
        loop {
            let rest = &self.buffer[self.at..];
            let found = if quote == 0 { memchr::memchr3(b'>', b'"', b'\'', rest) } else { memchr::memchr(quote, rest) };
            let Some(found) = found else {
                self.at = self.buffer.len();
                self.state = State::MixedTag { quote };
                return Ok(Step::Wait);
            };
            let byte = rest[found];
            self.at += found + 1;
            match byte {
                b'>' if quote == 0 => return self.start_tag_end(),
                _ if quote == 0 => quote = byte,
                _ => quote = 0,
            }
        }
    }

    /// Behind the `>` of a start tag.
    fn start_tag_end(&mut self) -> Result<Step, XmlError> {
        let empty = self.buffer[self.at - 2] == b'/';
        if self.name.is_empty() {
            return self.stream_header(empty);
        }
        if self.depth >= self.limits.depth_max {
            return Err(XmlError::TooDeep(self.limits.depth_max));
        }
        if !empty {
            self.depth += 1;
        }
        self.after_tag()
    }

    fn end_tag(&mut self) -> Result<Step, XmlError> {
        let Some(end) = self.find(b'>') else { return Ok(Step::Wait) };
        self.at = end;
        if self.depth == 0 {
            return self.stream_close(end);
        }
        self.depth -= 1;
        self.after_tag()
    }

    /// An element has ended or begun: either the top-level element is whole, or its content goes on.
    fn after_tag(&mut self) -> Result<Step, XmlError> {
        if self.depth > 0 {
            self.state = State::Text;
            return Ok(Step::Go);
        }
        let size = self.at;
        if size > self.limits.bytes_max {
            return Err(XmlError::TooBig(self.limits.bytes_max));
        }
        let element = if size <= COPY_BYTES_MAX {
            let copy = Bytes::copy_from_slice(&self.buffer[..size]);
            self.buffer.advance(size);
            copy
        } else {
            self.buffer.split_to(size).freeze()
        };
        self.at = 0;
        self.state = State::Between;
        Ok(Step::Found(Frame::Element(element)))
    }

    fn cdata(&mut self) -> Step {
        while let Some(end) = self.find(b'>') {
            // `<![CDATA[` ends in no bracket of this kind, so these two are content.
            let closes = self.buffer[..end].ends_with(b"]]>");
            self.at = end;
            if closes {
                self.state = State::Text;
                return Step::Go;
            }
        }
        Step::Wait
    }

    fn stream_header(&mut self, empty: bool) -> Result<Step, XmlError> {
        let size = self.at;
        if size > self.limits.bytes_max {
            return Err(XmlError::TooBig(self.limits.bytes_max));
        }
        let (header, name) = header::parse(&self.buffer[..size])?;
        self.name = name;
        self.buffer.advance(size);
        self.at = 0;
        self.state = if empty { State::ClosedAtOnce } else { State::Between };
        Ok(Step::Found(Frame::Open(header)))
    }

    /// `</name>` of the stream header, `end` bytes long.
    fn stream_close(&mut self, end: usize) -> Result<Step, XmlError> {
        let behind = self.buffer[2..end - 1].strip_prefix(self.name.as_bytes());
        if !behind.is_some_and(|behind| behind.iter().all(|byte| is_space(*byte))) {
            return Err(XmlError::NotWellFormed("an end tag does not match the stream header"));
        }
        self.buffer.clear();
        self.at = 0;
        self.state = State::Closed;
        Ok(Step::Found(Frame::Close))
    }

    /// The offset behind the next such byte; without one, everything counts as scanned.
    fn find(&mut self, byte: u8) -> Option<usize> {
        let found = memchr::memchr(byte, &self.buffer[self.at..]);
        if found.is_none() {
            self.at = self.buffer.len();
        }
        found.map(|found| self.at + found + 1)
    }

    /// Drops white space at the front and tells how much there was.
    fn drop_space(&mut self) -> usize {
        let spaces = self.buffer.iter().take_while(|byte| is_space(**byte)).count();
        self.buffer.advance(spaces);
        self.at = 0;
        spaces
    }
}

/// How a state's function ended.
enum Step {
    /// The state changed: go on.
    Go,
    /// A frame is whole.
    Found(Frame),
    /// More bytes are needed.
    Wait,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ns;
    use crate::stream::error::Condition;
    use crate::xml::Bindings;

    const LIMITS: Limits = Limits { bytes_max: 200, depth_max: 4 };
    const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a.example' version='1.0' xml:lang='en'>";

    /// A framer that has seen a stream header.
    fn opened() -> Framer {
        let mut framer = Framer::new(LIMITS);
        framer.push(HEADER.as_bytes());
        assert!(matches!(framer.next(), Ok(Some(Frame::Open(_)))));
        framer
    }

    /// All frames, with the error that ends them.
    fn frames(framer: &mut Framer, bytes: &[u8]) -> (Vec<Frame>, Option<Condition>) {
        framer.push(bytes);
        let mut frames = Vec::new();
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, None),
                Err(error) => return (frames, Some(error.condition())),
            }
        }
    }

    fn element(xml: &str) -> Frame {
        Frame::Element(Bytes::copy_from_slice(xml.as_bytes()))
    }

    #[test]
    fn s4_2_the_stream_header_is_read() {
        let mut framer = Framer::new(LIMITS);
        let (frames, error) = frames(&mut framer, HEADER.as_bytes());
        let expected = StreamHeader {
            name: "stream".into(),
            ns: ns::STREAM.into(),
            to: Some("a.example".into()),
            from: None,
            id: None,
            version: Some("1.0".into()),
            lang: Some("en".into()),
            bindings: Bindings::client(),
        };
        assert_eq!((frames, error), (vec![Frame::Open(expected.clone())], None));
        assert_eq!(expected.check(ns::CLIENT), Ok(()));
        assert_eq!(expected.check(ns::SERVER).map_err(|error| error.condition), Err(Condition::InvalidNamespace));
    }

    #[test]
    fn s4_8_namespaces_of_the_header() {
        for (header, expected) in [
            ("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", Ok(())),
            // §4.8.2: "prefix-free canonicalization".
            ("<stream xmlns='http://etherx.jabber.org/streams'>", Ok(())),
            ("<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'>", Ok(())),
            ("<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>", Err(Condition::InvalidNamespace)),
            ("<stream:stream xmlns='jabber:client' xmlns:stream='http://wrong.example'>", Err(Condition::InvalidNamespace)),
            ("<stream xmlns='jabber:client'>", Err(Condition::InvalidNamespace)),
            ("<stream:features xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", Err(Condition::BadFormat)),
        ] {
            let (frames, _) = frames(&mut Framer::new(LIMITS), header.as_bytes());
            let [Frame::Open(header)] = &frames[..] else { panic!("{header}: {frames:?}") };
            assert_eq!(header.check(ns::CLIENT).map_err(|error| error.condition), expected, "{header:?}");
        }
    }

    #[test]
    fn what_may_stand_before_the_header() {
        for (bytes, expected) in [
            (&b"<?xml version='1.0'?> \n<s>"[..], None),
            (b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><s>", None),
            (b"<?xml version='1.0' encoding='utf-8' standalone='no' ?><s>", None),
            (b"\n<s>", None),
            (b"<?xml version='1.0' encoding='ISO-8859-1'?><s>", Some(Condition::UnsupportedEncoding)),
            (b"<?xml version='1.0' encoding='UTF-16'?><s>", Some(Condition::UnsupportedEncoding)),
            (b"<?xml version='2.0'?><s>", Some(Condition::NotWellFormed)),
            (b"<?xml encoding='UTF-8'?><s>", Some(Condition::NotWellFormed)),
            (b"<?xml version='1.0'?><?xml version='1.0'?><s>", Some(Condition::RestrictedXml)),
            (b"<?xml-stylesheet href='a'?><s>", Some(Condition::RestrictedXml)),
            (b"<?xml?><s>", Some(Condition::RestrictedXml)),
            (b"<?xml version='1.0' version='1.0'?><s>", Some(Condition::NotWellFormed)),
            (b"<?xml version='1.0'encoding='UTF-8'?><s>", Some(Condition::NotWellFormed)),
            (b"<!DOCTYPE s><s>", Some(Condition::RestrictedXml)),
            (b"<!-- a --><s>", Some(Condition::RestrictedXml)),
            // RFC 6120 §11.6: U+FEFF is text, never a byte order mark.
            (b"\xEF\xBB\xBF<s>", Some(Condition::NotWellFormed)),
            (b"\xFF\xFE<\0s\0>\0", Some(Condition::UnsupportedEncoding)),
            (b"<\0s\0>\0", Some(Condition::UnsupportedEncoding)),
            (b"\0<\0s\0>", Some(Condition::UnsupportedEncoding)),
            (b"GET / HTTP/1.1\r\n", Some(Condition::NotWellFormed)),
            (b"</s>", Some(Condition::NotWellFormed)),
            (b"<s:t>", Some(Condition::NotWellFormed)),
            (b"<s a='\xFF'>", Some(Condition::UnsupportedEncoding)),
            (b"<s a='1' a='2'>", Some(Condition::NotWellFormed)),
        ] {
            let (frames, error) = frames(&mut Framer::new(LIMITS), bytes);
            assert_eq!(error, expected, "{:?}", String::from_utf8_lossy(bytes));
            assert_eq!(frames.len(), usize::from(expected.is_none()), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn elements_keepalives_and_the_end_are_told_apart() {
        let stream = " <a/>\r\n\t<b c='>' d=\"/>'\"><c/>]]> <![CDATA[</b>]]]]></b> \n</stream:stream >ignored";
        let expected = vec![
            Frame::Whitespace(1),
            element("<a/>"),
            Frame::Whitespace(3),
            element("<b c='>' d=\"/>'\"><c/>]]> <![CDATA[</b>]]]]></b>"),
            Frame::Whitespace(2),
            Frame::Close,
        ];
        assert_eq!(frames(&mut opened(), stream.as_bytes()), (expected.clone(), None));

        // One byte at a time, also through characters of several bytes; white space then comes byte by byte.
        let mut framer = opened();
        let mut found = Vec::new();
        for byte in stream.as_bytes() {
            let (more, error) = frames(&mut framer, &[*byte]);
            assert_eq!(error, None);
            found.extend(more);
        }
        let without_space =
            |frames: Vec<Frame>| frames.into_iter().filter(|frame| !matches!(frame, Frame::Whitespace(_))).collect::<Vec<_>>();
        assert_eq!(without_space(found), without_space(expected));
    }

    #[test]
    fn utf_8_cut_across_reads() {
        let mut framer = opened();
        let xml = "<a>€😀é</a>";
        for byte in &xml.as_bytes()[..xml.len() - 1] {
            assert_eq!(frames(&mut framer, &[*byte]), (vec![], None));
        }
        assert_eq!(frames(&mut framer, b">"), (vec![element(xml)], None));
    }

    #[test]
    fn s11_1_and_s4_9_3_what_ends_a_stream() {
        for (bytes, expected) in [
            ("text", Condition::BadFormat),
            ("<![CDATA[text]]>", Condition::BadFormat),
            ("&amp;", Condition::BadFormat),
            ("<!-- a -->", Condition::RestrictedXml),
            ("<!DOCTYPE a>", Condition::RestrictedXml),
            ("<?a?>", Condition::RestrictedXml),
            ("<a><!-- b --></a>", Condition::RestrictedXml),
            ("<a><?b?></a>", Condition::RestrictedXml),
            ("<a><!DOCTYPE b></a>", Condition::RestrictedXml),
            ("<a><!ELEMENT b></a>", Condition::NotWellFormed),
            ("</stream:wrong>", Condition::NotWellFormed),
            ("</stream:stream x=''>", Condition::NotWellFormed),
        ] {
            let mut framer = opened();
            assert_eq!(frames(&mut framer, bytes.as_bytes()), (vec![], Some(expected)), "{bytes}");
            // Nothing comes after the error but the error.
            assert_eq!(frames(&mut framer, b"<a/>"), (vec![], Some(expected)), "{bytes}");
            assert!(framer.buffer.capacity() < 8192);
        }
    }

    #[test]
    fn floods_end_at_the_limit_before_anything_is_parsed() {
        let filler = "x".repeat(LIMITS.bytes_max);
        for start in ["<a>", "<a b='", "<a><![CDATA[", "<", "</"] {
            let mut framer = opened();
            assert_eq!(frames(&mut framer, start.as_bytes()), (vec![], None), "{start}");
            assert_eq!(frames(&mut framer, filler.as_bytes()), (vec![], Some(Condition::PolicyViolation)), "{start}");
        }
        for start in ["<?xml ", "<stream:stream a='", "<"] {
            let mut framer = Framer::new(LIMITS);
            assert_eq!(frames(&mut framer, format!("{start}{filler}").as_bytes()), (vec![], Some(Condition::PolicyViolation)), "{start}");
        }
        // Whole, and one byte too large; exactly as large as allowed.
        let sized = |size: usize| format!("<a>{}</a>", &filler[..size - 7]);
        assert_eq!(frames(&mut opened(), sized(LIMITS.bytes_max + 1).as_bytes()), (vec![], Some(Condition::PolicyViolation)));
        let largest = sized(LIMITS.bytes_max);
        assert_eq!(frames(&mut opened(), largest.as_bytes()), (vec![element(&largest)], None));
        // White space is no element and has no size.
        let (keepalives, error) = frames(&mut opened(), " ".repeat(3 * LIMITS.bytes_max).as_bytes());
        assert_eq!((keepalives, error), (vec![Frame::Whitespace(3 * LIMITS.bytes_max)], None));
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(frames(&mut opened(), b"<a><a><a><a/></a></a></a>").0.len(), 1);
        assert_eq!(frames(&mut opened(), b"<a><a><a><a></a></a></a></a>").0.len(), 1);
        assert_eq!(frames(&mut opened(), b"<a><a><a><a><a/>"), (vec![], Some(Condition::PolicyViolation)));
        assert_eq!(frames(&mut opened(), b"<a/>".repeat(20).as_slice()).0.len(), 20);
    }

    #[test]
    fn s4_3_3_a_restarted_stream_begins_with_a_header() {
        let mut framer = opened();
        framer.push(b"<auth/>");
        framer.push(HEADER.as_bytes());
        assert_eq!(framer.next(), Ok(Some(element("<auth/>"))));
        framer.reset();
        assert!(matches!(framer.next(), Ok(Some(Frame::Open(_)))));
        assert_eq!(framer.next(), Ok(None));
    }

    #[test]
    fn s5_3_4_what_was_sent_in_clear_is_forgotten() {
        let mut framer = opened();
        framer.push(b"<starttls/><iq/>");
        assert_eq!(framer.next(), Ok(Some(element("<starttls/>"))));
        assert_eq!(framer.pending(), 5);
        framer.clear();
        assert_eq!((framer.pending(), framer.next()), (0, Ok(None)));
    }

    #[test]
    fn a_header_that_is_an_empty_element_closes_the_stream() {
        let (frames, error) = frames(&mut Framer::new(LIMITS), b"<stream/>");
        assert!(matches!(&frames[..], [Frame::Open(_), Frame::Close]), "{frames:?}");
        assert_eq!(error, None);
    }

    #[test]
    fn large_elements_are_not_copied_and_small_ones_do_not_keep_the_buffer() {
        let mut framer = Framer::new(Limits { bytes_max: 1 << 20, depth_max: 4 });
        framer.push(b"<s>");
        assert!(framer.next().is_ok());
        let large = format!("<a>{}</a>", "x".repeat(2 * COPY_BYTES_MAX));
        assert_eq!(frames(&mut framer, large.as_bytes()), (vec![element(&large)], None));
        assert_eq!(frames(&mut framer, b"<a/>"), (vec![element("<a/>")], None));
        assert_eq!(framer.buffer.capacity(), 0, "an idle stream holds no buffer");
    }
}
