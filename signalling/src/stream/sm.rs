//! XEP-0198: Stream Management (1.6.3), the server's side: its elements, its counters, and when to ask the client. No I/O, no clock.
//!
//! What was sent and is not acknowledged is kept by the session's mailbox (`mailbox.rs`), what becomes of a session without a connection
//! is `router/resumption.rs`'s business. Not done: `location` (one node serves them all), §9 (SASL2 and Bind 2 are not here yet).

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use subtle::ConstantTimeEq as _;

use super::error::{Condition, StreamError};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::xml::{Node, XmlWriter};

/// Stanzas that are sent without asking how far the client has come.
const UNASKED_MAX: u32 = 10;
/// The client is asked this long after the last stanza, even if they were fewer.
const QUIET: Duration = Duration::from_millis(500);

/// The identifier of a resumable stream (§5): 128 random bits, which only this session and its client know.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token([u8; 16]);

impl Token {
    /// A token of these random bytes.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// What a client sent as `previd`; `None` if it is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// As clients see it.
    #[must_use]
    pub fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// As it is stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether it is the same, in a time that does not depend on how much of it is.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// It is as good as a password as long as the session lives.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// What a client may say in the namespace of this specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// §3.
    Enable {
        /// The client wants to be able to resume.
        resume: bool,
        /// How many seconds it would like a session without connection to be kept.
        max: Option<u64>,
    },
    /// §5.
    Resume {
        /// The identifier as the client sent it.
        previd: String,
        /// What it has of ours.
        h: u32,
    },
    /// §4: it asks how far we have come.
    Ask,
    /// §4: it has this many of our stanzas.
    Ack {
        /// Modulo 2^32.
        h: u32,
    },
}

impl Request {
    /// Reads an element of [`ns::SM`]; `None` for one that clients do not send.
    ///
    /// # Errors
    /// What goes into `<failed/>`.
    pub fn read(element: Node<'_>) -> Option<Result<Self, StanzaError>> {
        Some(match element.name() {
            "enable" => enable(element),
            "resume" => resume(element),
            "r" => Ok(Self::Ask),
            "a" => number(element, "h").map(|h| Self::Ack { h }),
            _ => return None,
        })
    }
}

fn enable(element: Node<'_>) -> Result<Request, StanzaError> {
    let resume = match element.attr("resume").map(str::trim) {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(_) => return Err(StanzaError::bad_request("'resume' is true or false")),
    };
    let max = match element.attr("max") {
        None => None,
        Some(text) => {
            let seconds = text.trim().parse::<u64>().ok().filter(|seconds| *seconds > 0);
            Some(seconds.ok_or_else(|| StanzaError::bad_request("'max' is a number of seconds above zero"))?)
        }
    };
    Ok(Request::Enable { resume, max })
}

fn resume(element: Node<'_>) -> Result<Request, StanzaError> {
    let h = number(element, "h")?;
    match element.attr("previd") {
        Some(previd) => Ok(Request::Resume { previd: previd.to_owned(), h }),
        None => Err(StanzaError::bad_request("'previd' is missing")),
    }
}

/// §4: an unsignedInt.
fn number(element: Node<'_>, name: &'static str) -> Result<u32, StanzaError> {
    let value = element.attr(name).and_then(|text| text.trim().parse().ok());
    value.ok_or_else(|| StanzaError::bad_request(format!("'{name}' must be a number below 2^32")))
}

/// What the server grants with `<enabled/>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enabled {
    /// The session can be resumed by this, for so long.
    pub resumption: Option<(Token, Duration)>,
}

impl Enabled {
    /// §3.
    #[must_use]
    pub fn write(&self) -> Bytes {
        let mut out = XmlWriter::new();
        out.open("enabled").ns(ns::SM);
        if let Some((token, max)) = &self.resumption {
            out.attr("id", &token.to_text()).attr("resume", "true").attr("max", &max.as_secs().to_string());
        }
        out.finish()
    }
}

/// §5: the stream goes on.
#[must_use]
pub fn resumed(previd: &str, h: u32) -> Bytes {
    let mut out = XmlWriter::new();
    out.open("resumed").ns(ns::SM).attr("previd", previd).attr("h", &h.to_string());
    out.finish()
}

/// §6; `h` where a session that is gone had come that far.
#[must_use]
pub fn failed(error: &StanzaError, h: Option<u32>) -> Bytes {
    let mut out = XmlWriter::new();
    out.open("failed").ns(ns::SM).attr_opt("h", h.map(|h| h.to_string()).as_deref());
    out.open(error.condition.name()).ns(ns::STANZA_ERROR).close();
    if let Some(text) = &error.text {
        out.open("text").ns(ns::STANZA_ERROR).attr("xml:lang", "en").text(text).close();
    }
    out.finish()
}

/// §4: this many of the client's stanzas are handled.
#[must_use]
pub fn ack(h: u32) -> Bytes {
    let mut out = XmlWriter::new();
    out.open("a").ns(ns::SM).attr("h", &h.to_string());
    out.finish()
}

/// §4.
#[must_use]
pub fn ask() -> Bytes {
    let mut out = XmlWriter::new();
    out.open("r").ns(ns::SM);
    out.finish()
}

/// The client acknowledges what it was never sent (§6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooHigh {
    /// What it said.
    pub h: u32,
    /// What it was sent.
    pub sent: u32,
}

impl From<TooHigh> for StreamError {
    fn from(TooHigh { h, sent }: TooHigh) -> Self {
        let mut extra = XmlWriter::new();
        extra.open("handled-count-too-high").ns(ns::SM).attr("h", &h.to_string()).attr("send-count", &sent.to_string());
        Self::new(Condition::UndefinedCondition)
            .with_text(format!("You acknowledged {h} stanzas, but I only sent you {sent} so far."))
            .with_extra(extra.finish())
    }
}

/// §4: how many of the `outstanding` stanzas sent after the first `acknowledged` ones an `h` acknowledges; the counters go round at 2^32. An `h`
/// that is behind an earlier one says nothing new.
///
/// # Errors
/// It acknowledges more than was sent.
pub fn newly_acknowledged(acknowledged: u32, outstanding: usize, h: u32) -> Result<usize, TooHigh> {
    let count = h.wrapping_sub(acknowledged);
    match usize::try_from(count) {
        Ok(count) if count <= outstanding => Ok(count),
        _ if count > u32::MAX / 2 => Ok(0),
        _ => Err(TooHigh { h, sent: acknowledged.wrapping_add(u32::try_from(outstanding).unwrap_or(u32::MAX)) }),
    }
}

/// Decides when the server asks with `<r/>`, and when a client that does not answer is taken for dead.
#[derive(Debug, Clone)]
pub struct Asker {
    /// How long an answer, or anything else, may take to come.
    patience: Duration,
    /// Stanzas sent since the client was last asked.
    unasked: u32,
    /// When it is asked about them.
    ask_at: Option<Instant>,
    /// The question that has not been answered.
    asked: Option<Instant>,
}

/// What has to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// Send `<r/>`.
    Ask,
    /// The client does not answer.
    Dead,
}

impl Asker {
    /// Nothing sent, nothing asked.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { patience, unasked: 0, ask_at: None, asked: None }
    }

    /// So many stanzas have just been written; whether to ask at once.
    pub fn handle_sent(&mut self, count: u32, now: Instant) -> bool {
        if count == 0 {
            return false;
        }
        self.unasked = self.unasked.saturating_add(count);
        self.ask_at = Some(now + QUIET);
        // One question at a time: what is sent meanwhile is asked about when it is answered.
        self.asked.is_none() && self.unasked > UNASKED_MAX
    }

    /// How many stanzas may be written before [`Asker::handle_sent`] has to hear of them: none of them asks at once, nor is the first that is asked about
    /// later.
    #[must_use]
    pub fn leeway(&self) -> u32 {
        match (self.asked, self.ask_at) {
            (Some(_), _) => u32::MAX,
            (None, Some(_)) => UNASKED_MAX.saturating_sub(self.unasked),
            (None, None) => 0,
        }
    }

    /// `<r/>` has been sent.
    pub fn handle_asked(&mut self, now: Instant) {
        self.unasked = 0;
        self.ask_at = None;
        self.asked.get_or_insert(now);
    }

    /// The client has said how far it has come, and this many stanzas are still outstanding; whether to ask again at once.
    pub fn handle_ack(&mut self, outstanding: usize) -> bool {
        self.asked = None;
        if outstanding == 0 {
            self.unasked = 0;
            self.ask_at = None;
        }
        self.unasked > UNASKED_MAX
    }

    /// The time of [`Asker::poll_timeout`] has come; `heard` is when anything came from the client.
    pub fn handle_timeout(&mut self, heard: Instant, now: Instant) -> Due {
        match (self.asked, self.ask_at) {
            (Some(asked), _) if now >= asked.max(heard) + self.patience => Due::Dead,
            (None, Some(at)) if now >= at => Due::Ask,
            _ => Due::Nothing,
        }
    }

    /// When something is due unless the client says something.
    #[must_use]
    pub fn poll_timeout(&self, heard: Instant) -> Option<Instant> {
        match self.asked {
            Some(asked) => Some(asked.max(heard) + self.patience),
            None => self.ask_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Bindings, Element};

    const MINUTE: Duration = Duration::from_secs(60);

    fn read(xml: &str) -> Option<Result<Request, StanzaError>> {
        let xml = xml.replace("/>", " xmlns='urn:xmpp:sm:3'/>");
        Request::read(Element::parse(xml.as_bytes(), &Bindings::empty()).unwrap().root())
    }

    #[test]
    fn s3_s4_s5_requests_are_read() {
        let enable = |resume, max| Request::Enable { resume, max };
        for (xml, expected) in [
            ("<enable/>", enable(false, None)),
            ("<enable resume='true'/>", enable(true, None)),
            ("<enable resume='1' max='300'/>", enable(true, Some(300))),
            ("<enable resume='false'/>", enable(false, None)),
            ("<enable resume='0'/>", enable(false, None)),
            ("<r/>", Request::Ask),
            ("<a h='0'/>", Request::Ack { h: 0 }),
            ("<a h='4294967295'/>", Request::Ack { h: u32::MAX }),
            ("<resume h='7' previd='x'/>", Request::Resume { previd: "x".to_owned(), h: 7 }),
        ] {
            assert_eq!(read(xml), Some(Ok(expected)), "{xml}");
        }
    }

    #[test]
    fn s6_what_the_schema_forbids_is_a_bad_request() {
        for xml in [
            "<enable resume='yes'/>",
            "<enable max='0'/>",
            "<enable max='-1'/>",
            "<enable max='soon'/>",
            "<a/>",
            "<a h=''/>",
            "<a h='-1'/>",
            "<a h='4294967296'/>",
            "<resume h='1'/>",
            "<resume previd='x'/>",
            "<resume previd='x' h='one'/>",
        ] {
            let error = read(xml).unwrap().unwrap_err();
            assert_eq!(error.condition.name(), "bad-request", "{xml}");
        }
        for xml in ["<enabled/>", "<resumed/>", "<failed/>", "<sm/>", "<other/>"] {
            assert_eq!(read(xml), None, "{xml}");
        }
    }

    #[test]
    fn s3_s5_s6_answers_are_written() {
        let token = Token::new([255; 16]);
        assert_eq!(Enabled { resumption: None }.write(), "<enabled xmlns='urn:xmpp:sm:3'/>");
        assert_eq!(
            Enabled { resumption: Some((token, MINUTE)) }.write(),
            format!("<enabled xmlns='urn:xmpp:sm:3' id='{}' resume='true' max='60'/>", token.to_text())
        );
        assert_eq!(resumed("a'b", 3), "<resumed xmlns='urn:xmpp:sm:3' previd='a&apos;b' h='3'/>");
        assert_eq!(ack(u32::MAX), "<a xmlns='urn:xmpp:sm:3' h='4294967295'/>");
        assert_eq!(ask(), "<r xmlns='urn:xmpp:sm:3'/>");
        assert_eq!(
            failed(&StanzaError::item_not_found(), Some(5)),
            "<failed xmlns='urn:xmpp:sm:3' h='5'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        );
        assert_eq!(
            failed(&StanzaError::unexpected_request(), None),
            "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        );
    }

    #[test]
    fn s5_tokens_are_read_back_and_compared() {
        let token = Token::new(*b"0123456789abcdef");
        assert!(Token::parse(&token.to_text()).is_some_and(|read| read.is(&token)));
        assert!(!token.is(&Token::new(*b"0123456789abcdeF")));
        for text in ["", "x", "not base64!", &"A".repeat(40)] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
        assert!(!format!("{token:?}").contains("0123"));
    }

    #[test]
    fn s4_counters_go_round_and_s6_too_high_is_an_error() {
        let too_high = |h, sent| Err(TooHigh { h, sent });
        for (acknowledged, outstanding, h, expected) in [
            (0, 3, 0, Ok(0)),
            (0, 3, 2, Ok(2)),
            (0, 3, 3, Ok(3)),
            (0, 3, 4, too_high(4, 3)),
            (8, 0, 10, too_high(10, 8)),
            (5, 3, 4, Ok(0)),
            (u32::MAX, 3, u32::MAX, Ok(0)),
            (u32::MAX, 3, 0, Ok(1)),
            (u32::MAX - 1, 5, 3, Ok(5)),
            (u32::MAX - 1, 5, 4, too_high(4, 3)),
        ] {
            assert_eq!(newly_acknowledged(acknowledged, outstanding, h), expected, "{acknowledged} + {outstanding}, h={h}");
        }
        let mut out = XmlWriter::new();
        StreamError::from(TooHigh { h: 10, sent: 8 }).write_alone(&mut out);
        assert_eq!(
            out.finish(),
            "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>\
             <undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>You acknowledged 10 stanzas, but I only sent you 8 so far.</text>\
             <handled-count-too-high xmlns='urn:xmpp:sm:3' h='10' send-count='8'/></stream:error>"
        );
    }

    #[test]
    fn s4_so_many_may_be_written_before_the_asker_hears_of_them() {
        let start = Instant::now();
        let mut asker = Asker::new(MINUTE);
        assert_eq!(asker.leeway(), 0, "the first one is asked about some time later");
        for sent in 1..=UNASKED_MAX {
            assert!(!asker.handle_sent(1, start));
            assert_eq!(asker.leeway(), UNASKED_MAX - sent);
        }
        assert!(asker.handle_sent(1, start));
        asker.handle_asked(start);
        assert_eq!(asker.leeway(), u32::MAX, "one question at a time");
        asker.handle_sent(UNASKED_MAX, start);
        assert!(!asker.handle_ack(UNASKED_MAX as usize) && asker.leeway() == 0);
        asker.handle_ack(0);
        assert_eq!(asker.leeway(), 0);
    }

    #[test]
    fn s8_2_the_client_is_asked_after_some_stanzas_or_some_silence() {
        let start = Instant::now();
        let mut asker = Asker::new(MINUTE);
        assert_eq!(asker.poll_timeout(start), None);
        assert!(!asker.handle_sent(0, start) && !asker.handle_sent(UNASKED_MAX, start));
        assert_eq!(asker.poll_timeout(start), Some(start + QUIET));
        assert_eq!(asker.handle_timeout(start, start), Due::Nothing);
        assert_eq!(asker.handle_timeout(start, start + QUIET), Due::Ask);
        assert!(asker.handle_sent(1, start), "one more is too many");
        asker.handle_asked(start);
        assert!(!asker.handle_sent(UNASKED_MAX + 1, start), "a question is out");
        assert!(asker.handle_ack(11), "what was sent meanwhile");
        asker.handle_asked(start);
        assert!(!asker.handle_ack(1));
        assert_eq!(asker.poll_timeout(start), None);
    }

    #[test]
    fn rfc6120_s4_6_2_who_neither_answers_nor_speaks_is_dead() {
        let start = Instant::now();
        let mut asker = Asker::new(MINUTE);
        asker.handle_sent(1, start);
        asker.handle_asked(start);
        assert_eq!(asker.poll_timeout(start), Some(start + MINUTE));
        assert_eq!(asker.handle_timeout(start, start + MINUTE - QUIET), Due::Nothing);
        assert_eq!(asker.handle_timeout(start, start + MINUTE), Due::Dead);
        let heard = start + MINUTE / 2;
        assert_eq!(asker.handle_timeout(heard, start + MINUTE), Due::Nothing);
        assert_eq!(asker.poll_timeout(heard), Some(heard + MINUTE));
        asker.handle_ack(0);
        assert_eq!(asker.handle_timeout(start, start + 2 * MINUTE), Due::Nothing);
    }
}
