//! RFC 6120 §4.2, §4.3, §4.7: stream headers, and the features that follow ours; RFC 7395 §3.4 for `<open/>`.

use bytes::Bytes;

use super::super::error::{Condition, StreamError};
use super::super::features::Features;
use super::super::sasl;
use super::{C2s, LANG, Output, State};
use crate::jid::{BareJid, Jid, JidError};
use crate::ns;
use crate::stanza::Framing;
use crate::xml::{Bindings, Element, StreamHeader, XmlWriter};

impl C2s {
    pub(super) fn handle_open(&mut self, header: StreamHeader) {
        self.bindings = header.bindings.clone();
        self.lang = header.lang.clone().filter(|lang| is_lang(lang));
        // What the response must carry even if it is followed by an error (§4.9.1.3): who we are, and to whom.
        let from = header.from.as_deref().map(Jid::parse);
        let to = header.to.as_deref().filter(|to| !to.is_empty()).map(Jid::parse);
        let known = match &to {
            Some(Ok(jid)) => self.policy.domains.iter().find(|domain| *domain == jid.domain()).cloned(),
            _ => None,
        };
        let recipient = from.as_ref().and_then(|from| from.as_ref().ok()).map(Jid::to_bare);
        let host = known.clone().unwrap_or_else(|| self.default_domain().to_owned());
        self.send_header(&host, recipient.as_ref(), header.version.is_some());
        match self.check_header(&header, to, from, known) {
            Ok(domain) => {
                self.domain = Some(domain);
                self.claimed = recipient.filter(|_| !self.security.is_clear());
                self.offer();
            }
            Err(error) => self.fail(error),
        }
    }

    pub(super) fn check_header(
        &self,
        header: &StreamHeader,
        to: Option<Result<Jid, JidError>>,
        from: Option<Result<Jid, JidError>>,
        known: Option<String>,
    ) -> Result<String, StreamError> {
        match self.framing {
            Framing::Stream => header.check(ns::CLIENT)?,
            Framing::Alone if header.ns != ns::FRAMING => {
                // RFC 7395 §3.3.2
                return Err(StreamError::new(Condition::InvalidNamespace).with_text("<open/> is not in the framing namespace"));
            }
            Framing::Alone => {}
        }
        if version(header.version.as_deref()) < (1, 0) {
            // §4.7.5: none means 0.9, which we do not speak.
            return Err(StreamError::new(Condition::UnsupportedVersion).with_text("XMPP 1.0 is the oldest version served"));
        }
        let domain = match to {
            Some(Err(error)) => return Err(improper(format!("'to' is no JID: {error}"))),
            Some(Ok(jid)) if jid.local().is_some() || jid.resource().is_some() => return Err(improper("'to' must be a domain")),
            Some(Ok(jid)) => {
                known.ok_or_else(|| StreamError::new(Condition::HostUnknown).with_text(format!("{} is not served here", jid.domain())))?
            }
            // §4.7.2: liberal where it can only mean one host.
            None if self.policy.domains.len() == 1 => self.default_domain().to_owned(),
            None => return Err(improper("the stream header lacks 'to', and there are several domains")),
        };
        if let Some(Err(error)) = from {
            return Err(improper(format!("'from' is no JID: {error}")));
        }
        if let Some(account) = self.account.as_ref().filter(|account| account.domain() != domain) {
            return Err(StreamError::new(Condition::NotAuthorized).with_text(format!("logged in at {}", account.domain())));
        }
        Ok(domain)
    }

    /// §4.2: our header, with a new id for each stream; without version for a client that has none (§4.7.5, rule 4).
    pub(super) fn send_header(&mut self, from: &str, to: Option<&BareJid>, versioned: bool) {
        let id = sasl::encode(&(self.random)());
        let mut out = XmlWriter::with_capacity(256);
        match self.framing {
            Framing::Stream => {
                out.raw(b"<?xml version='1.0'?>");
                out.open("stream:stream").ns(ns::CLIENT).attr("xmlns:stream", ns::STREAM);
            }
            Framing::Alone => {
                out.open("open").ns(ns::FRAMING);
            }
        }
        out.attr("id", &id).attr("from", from).attr_opt("to", to.map(|to| to.as_str()));
        out.attr_opt("version", versioned.then_some("1.0")).attr("xml:lang", LANG);
        match self.framing {
            Framing::Stream => out.leave_open(),
            Framing::Alone => out.close(),
        };
        self.header_sent = true;
        self.send(out);
    }

    /// Something came where a stream header must come.
    pub(super) fn before_header(&mut self, bytes: &Bytes) {
        // Only a WebSocket message can be an element here: over TCP the first start tag is the header.
        let error = match Element::parse_within(bytes, &Bindings::empty(), self.limits().depth_max) {
            Err(error) => error.into(),
            Ok(_) => StreamError::new(Condition::BadFormat).with_text("the first message must be <open/>"),
        };
        self.fail(error);
    }

    /// §4.3.2: features, as far as the stream has come.
    pub(super) fn offer(&mut self) {
        let tcp_clear = self.framing == Framing::Stream && self.security.is_clear();
        let offered = self.sasl_offer();
        let mut features = Features::default();
        if self.account.is_some() {
            self.state = State::Binding;
            features.bind = true;
        } else if offered.mechanisms.is_empty() && !tcp_clear {
            // RFC 7395 §3.9: no STARTTLS here, so there is nothing to offer.
            return self.fail(
                StreamError::new(Condition::PolicyViolation)
                    .with_text("this server requires TLS: connect with wss:, or list the proxy in front in http.trusted_proxies"),
            );
        } else {
            self.state = State::Negotiating;
            features.starttls = tcp_clear.then_some(self.policy.require_tls);
            features.sasl = Some(&offered);
            features.register = self.takes_newcomers();
        }
        let policy = self.policy.clone();
        if features.bind {
            features.more = policy.features.get(self.domain()).map_or(&[], Vec::as_slice);
        }
        let mut out = XmlWriter::with_capacity(512);
        features.write(&mut out, self.framing == Framing::Alone);
        self.send(out);
    }

    /// §4.3.3: a new stream on the same connection.
    pub(super) fn restart(&mut self) {
        self.state = State::Opening;
        self.header_sent = false;
        self.outputs.push_back(Output::Restart(self.limits()));
    }
}

/// §4.7.5: major and minor number; none is 0.9.
fn version(text: Option<&str>) -> (u32, u32) {
    let Some(text) = text else { return (0, 9) };
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?))).unwrap_or((0, 0))
}

/// Whether it looks like a language tag (RFC 5646 §2.1, loosely): it is copied onto stanzas for others.
fn is_lang(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.split('-').all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn improper(text: impl Into<std::borrow::Cow<'static, str>>) -> StreamError {
    StreamError::new(Condition::ImproperAddressing).with_text(text)
}
