//! RFC 6120 §7: resource binding.

use bytes::Bytes;

use super::super::error::{Condition, StreamError};
use super::{C2s, Output, Question, State};
use crate::jid::FullJid;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, Stanza};
use crate::xml::XmlWriter;

/// Retries of resource binding: RFC 6120 §7.7.3 asks for 5 to 10.
const BIND_ATTEMPTS_MAX: u32 = 6;

impl C2s {
    pub(super) fn handle_bind(&mut self, bytes: Bytes) {
        let stanza = match Stanza::parse_within(bytes, &self.bindings, self.limits().depth_max) {
            Ok(stanza) => stanza,
            Err(error) => return self.handle_parse_error(error),
        };
        let payload = stanza.payload().filter(|_| stanza.kind() == Kind::Iq(IqType::Set));
        let Some(bind) = payload.filter(|child| child.ns() == ns::BIND && child.name() == "bind") else {
            // §7.1: bind first.
            return self.fail(StreamError::new(Condition::NotAuthorized).with_text("stanzas are taken after resource binding"));
        };
        let resource = match bind.element() {
            Ok(element) => element.root().child(ns::BIND, "resource").map(|resource| resource.text().into_owned()),
            Err(error) => return self.fail(error.into()),
        };
        let Some(account) = self.account.clone() else {
            return self.fail(Condition::InternalServerError.into());
        };
        // §7.7.1: a resource is non-empty; an empty element asks for one made here, as clients of old do.
        let resource = resource.filter(|resource| !resource.is_empty());
        if let Some(Err(error)) = resource.as_deref().map(|resource| account.with_resource(resource)) {
            // §7.7.2.1
            return self.refuse_bind(&stanza, &StanzaError::bad_request(error.to_string()));
        }
        self.outputs.push_back(Output::Ask(Question::Bind { account, resource, anonymous: self.anonymous }));
        self.state = State::Asking(Box::new(stanza));
    }

    /// §7.6.1, §7.7.1.
    pub(super) fn bound(&mut self, jid: FullJid, request: &Stanza) {
        let mut payload = XmlWriter::new();
        payload.open("bind").ns(ns::BIND).open("jid").text(jid.as_str()).close().close();
        self.state = State::Bound(jid);
        self.keepalive_at = self.heard + self.policy.limits.keepalive;
        self.send_stanza(&Stanza::iq_result(request, payload.finish()));
    }

    /// §7.6.2, §7.7.2; and §7.7.3 for the retries.
    pub(super) fn refuse_bind(&mut self, request: &Stanza, error: &StanzaError) {
        self.send_error(request, error);
        self.failed_binds += 1;
        if self.failed_binds >= BIND_ATTEMPTS_MAX {
            self.fail(StreamError::new(Condition::PolicyViolation).with_text("too many failed attempts to bind a resource"));
        }
    }
}
