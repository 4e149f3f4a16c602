//! XEP-0077 before the log-in: a newcomer makes an account on the stream that it then logs in on. After the log-in: `features/register.rs`.

use bytes::Bytes;

use super::super::error::{Condition, StreamError};
use super::{C2s, Output, Question, Report, State};
use crate::auth::Password;
use crate::features::register::query::{self, Fields, Query};
use crate::jid::BareJid;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, Stanza};

impl C2s {
    /// §8, §11: whether newcomers may register here: where a password may be given, as for PLAIN (RFC 6120 §13.8.3), also if `c2s.require_tls` is off.
    pub(super) fn takes_newcomers(&self) -> bool {
        self.policy.registration && !self.security.is_clear()
    }

    /// An `<iq/>` before the log-in.
    pub(super) fn iq_of_stranger(&mut self, bytes: &Bytes) {
        let stanza = match Stanza::parse_within(bytes.clone(), &self.bindings, self.limits().depth_max) {
            Ok(stanza) => stanza,
            Err(error) => return self.handle_parse_error(error),
        };
        let set = match stanza.kind() {
            Kind::Iq(IqType::Get) => false,
            Kind::Iq(IqType::Set) => true,
            _ => return self.too_early(),
        };
        let ours = stanza.to().is_none_or(|to| to.as_str() == self.domain());
        match stanza.payload().map(|child| (child.ns() == ns::REGISTER && child.name() == "query", child.element())) {
            Some((true, Ok(element))) if ours => match self.register(&stanza, set, &element) {
                Ok(Some(question)) => {
                    self.state = State::Registering(Box::new(stanza));
                    self.outputs.push_back(Output::Ask(question));
                }
                Ok(None) => {}
                Err(error) => self.refuse_registration(&stanza, error),
            },
            Some((true, Err(error))) if ours => self.fail(error.into()),
            _ => self.too_early(),
        }
    }

    /// §3.1 and §3.1.1; what to ask the shell, if anything.
    fn register(&mut self, request: &Stanza, set: bool, query: &crate::xml::Element) -> Result<Option<Question>, StanzaError> {
        if !self.policy.registration {
            return Err(StanzaError::service_unavailable().with_text("accounts are made by the operator here"));
        }
        if !self.takes_newcomers() {
            return Err(StanzaError::not_authorized().with_text("TLS comes first"));
        }
        if !set {
            self.send_stanza(&Stanza::iq_result(request, query::wanted()));
            return Ok(None);
        }
        if self.registered {
            return Err(StanzaError::not_acceptable().with_text("one account for each stream: log in now"));
        }
        let Fields { username, password, .. } = match Query::read(query.root())? {
            Query::Fields(fields) => fields,
            Query::Nothing => {
                self.send_stanza(&Stanza::iq_result(request, Bytes::new()));
                return Ok(None);
            }
            // §3.2: nobody is logged in.
            Query::Remove { .. } => return Err(StanzaError::unexpected_request().with_text("log in first")),
        };
        let (Some(username), Some(password)) = (username, password) else {
            return Err(StanzaError::not_acceptable().with_text("username and password are needed"));
        };
        let account = BareJid::new(&username, self.domain()).map_err(|error| StanzaError::not_acceptable().with_text(error.to_string()))?;
        let password = Password::prepare(&password).map_err(|error| StanzaError::not_acceptable().with_text(error.to_string()))?;
        Ok(Some(Question::Register { account, password }))
    }

    /// The shell's answer.
    pub(super) fn registration_done(&mut self, request: &Stanza, result: Result<BareJid, StanzaError>) {
        self.state = State::Negotiating;
        match result {
            Ok(account) => {
                self.registered = true;
                self.send_stanza(&Stanza::iq_result(request, Bytes::new()));
                self.outputs.push_back(Output::Report(Report::Registered(account)));
            }
            Err(error) => self.refuse_registration(request, error),
        }
    }

    /// Without what was sent, which holds a password; and with the code of old (§9).
    fn refuse_registration(&mut self, request: &Stanza, error: StanzaError) {
        if let Some(reply) = Stanza::error_for(request, &error.with_code()) {
            self.send_stanza(&reply);
        }
        self.failed_registrations += 1;
        if self.failed_registrations >= self.policy.limits.auth_attempts {
            self.fail(StreamError::new(Condition::PolicyViolation).with_text("too many failed attempts to register"));
        }
    }

    /// RFC 6120 §4.9.3.12.
    pub(super) fn too_early(&mut self) {
        self.fail(StreamError::new(Condition::NotAuthorized).with_text("stanzas are taken after authentication and resource binding"));
    }
}
