//! XEP-0198, and XEP-0352's two elements, on a client's stream: what comes in beside the stanzas, and what goes out. The elements and the
//! counters are `stream/sm.rs`'s.

use std::time::Instant;

use bytes::Bytes;

use super::super::error::StreamError;
use super::super::sm::{self, Asker, Enabled, Request, TooHigh};
use super::{C2s, Output, Question, State};
use crate::jid::FullJid;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::xml::Element;

impl C2s {
    /// An element that is no stanza, on a stream with a resource.
    pub(super) fn handle_nonza(&mut self, bytes: Bytes, jid: &FullJid) {
        let element = match Element::parse_within(&bytes, &self.bindings, self.limits().depth_max) {
            Ok(element) => element,
            Err(error) => return self.fail(error.into()),
        };
        let root = element.root();
        match (root.ns(), root.name()) {
            // XEP-0352 §4.2
            (ns::CSI, state @ ("active" | "inactive")) => self.outputs.push_back(Output::Active(state == "active")),
            (ns::SM, _) => match Request::read(root) {
                Some(Ok(request)) => self.handle_request(request),
                Some(Err(error)) => self.management_failed(&error, None),
                None => self.handle_stanza(bytes, jid),
            },
            // No stanza either, or one with a prefix: its parser says what is wrong with it.
            _ => self.handle_stanza(bytes, jid),
        }
    }

    /// The same before a resource is bound.
    pub(super) fn handle_nonza_unbound(&mut self, bytes: Bytes) {
        match self.read_management(&bytes) {
            Err(error) => self.fail(error),
            Ok(Some(Ok(Request::Resume { previd, h }))) => {
                let Some(account) = self.account.clone() else { return self.management_failed(&StanzaError::unexpected_request(), None) };
                self.outputs.push_back(Output::Ask(Question::Resume { account, previd: previd.clone(), h }));
                self.state = State::Resuming(previd);
            }
            // §3: "The server SHALL enforce this order".
            Ok(Some(Ok(_))) => self.management_failed(&StanzaError::unexpected_request(), None),
            Ok(Some(Err(error))) => self.management_failed(&error, None),
            Ok(None) => self.handle_bind(bytes),
        }
    }

    fn read_management(&self, bytes: &Bytes) -> Result<Option<Result<Request, StanzaError>>, StreamError> {
        let element = Element::parse_within(bytes, &self.bindings, self.limits().depth_max)?;
        let root = element.root();
        Ok(if root.ns() == ns::SM { Request::read(root) } else { None })
    }

    fn handle_request(&mut self, request: Request) {
        match (request, self.asker.is_some()) {
            // An anonymous session can never be logged in to again (XEP-0175 §3).
            (Request::Enable { resume, max }, false) => self.outputs.push_back(Output::Manage { resume: resume && !self.anonymous, max }),
            (Request::Ask, true) => self.outputs.push_back(Output::TellProgress),
            (Request::Ack { h }, true) => self.outputs.push_back(Output::Acknowledge(h)),
            // §3: enabled twice; §5: resumed with a resource bound; §4: acknowledgements of a stream that is not managed.
            _ => self.management_failed(&StanzaError::unexpected_request(), None),
        }
    }

    /// The answer to [`Output::Manage`].
    pub fn handle_enabled(&mut self, result: Result<Enabled, StanzaError>) {
        match result {
            Ok(enabled) => {
                self.outputs.push_back(Output::Send(enabled.write()));
                self.asker = Some(Asker::new(self.policy.limits.ack_wait));
            }
            Err(error) => self.management_failed(&error, None),
        }
    }

    /// The answer to [`Output::Acknowledge`]: how many stanzas are still outstanding.
    pub fn handle_acknowledged(&mut self, result: Result<usize, TooHigh>, now: Instant) {
        match result {
            Ok(outstanding) => {
                if self.asker.as_mut().is_some_and(|asker| asker.handle_ack(outstanding)) {
                    self.ask(now);
                }
            }
            Err(too_high) => self.fail(too_high.into()),
        }
    }

    /// The answer to [`Output::TellProgress`].
    pub fn handle_progress(&mut self, handled: u32) {
        if !self.ended {
            self.outputs.push_back(Output::Send(sm::ack(handled)));
        }
    }

    /// So many stanzas have been written to a stream that is managed.
    pub fn handle_sent(&mut self, count: u32, now: Instant) {
        if !self.ended && self.asker.as_mut().is_some_and(|asker| asker.handle_sent(count, now)) {
            self.ask(now);
        }
    }

    /// So many may be written before [`C2s::handle_sent`] is called.
    pub fn leeway(&self) -> u32 {
        self.asker.as_ref().map_or(u32::MAX, Asker::leeway)
    }

    pub(super) fn ask(&mut self, now: Instant) {
        if let Some(asker) = &mut self.asker {
            asker.handle_asked(now);
            self.outputs.push_back(Output::Send(sm::ask()));
        }
    }

    /// §5.
    pub(super) fn resumed(&mut self, jid: FullJid, previd: &str, handled: u32) {
        self.outputs.push_back(Output::Send(sm::resumed(previd, handled)));
        self.state = State::Bound(jid);
        self.keepalive_at = self.heard + self.policy.limits.keepalive;
        self.asker = Some(Asker::new(self.policy.limits.ack_wait));
    }

    /// §6: "considered recoverable".
    pub(super) fn management_failed(&mut self, error: &StanzaError, h: Option<u32>) {
        self.outputs.push_back(Output::Send(sm::failed(error, h)));
    }
}
