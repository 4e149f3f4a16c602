//! RFC 6120 §5 and §6: STARTTLS and SASL, between the features and the log-in.

use bytes::Bytes;

use super::super::error::{Condition, StreamError};
use super::super::sasl::{self, ChannelBindings, Conditions, Mechanism, Offer, Sasl, SaslFailure, Step};
use super::{C2s, LANG, Output, Question, Report, Security, State};
use crate::jid::BareJid;
use crate::ns;
use crate::stanza::Framing;
use crate::stanza::error::StanzaError;
use crate::xml::{Element, XmlWriter};

impl C2s {
    /// §5 and §6: before the log-in. `exchange` is the SASL exchange whose challenge is out.
    pub(super) fn negotiate(&mut self, bytes: &Bytes, exchange: Option<(Mechanism, Sasl)>) {
        let element = match Element::parse_within(bytes, &self.bindings, self.limits().depth_max) {
            Ok(element) => element,
            Err(error) => return self.fail(error.into()),
        };
        let root = element.root();
        match (root.ns(), root.name(), exchange) {
            (ns::TLS, "starttls", None) => self.starttls(),
            (ns::SASL, "auth", None) => self.auth(root.attr("mechanism"), &root.text()),
            (ns::SASL, "response", Some((mechanism, sasl))) => self.response(mechanism, sasl, &root.text()),
            (ns::SASL, "abort", _) => self.sasl_failure(SaslFailure::Aborted), // §6.4.4
            (ns::SASL, "auth" | "response", _) => self.sasl_failure(SaslFailure::MalformedRequest),
            (ns::CLIENT, "iq", None) => self.iq_of_stranger(bytes),
            (ns::CLIENT, "message" | "presence" | "iq", _) => self.too_early(),
            // XEP-0198 §3: not before authentication.
            (ns::SM, "enable" | "resume", None) => self.management_failed(&StanzaError::unexpected_request(), None),
            (namespace, name, _) => self.fail(unsupported(namespace, name)),
        }
    }

    /// §5.4.2.
    pub(super) fn starttls(&mut self) {
        let mut out = XmlWriter::new();
        if self.framing == Framing::Stream && self.security.is_clear() {
            out.open("proceed").ns(ns::TLS).close();
            self.send(out);
            self.state = State::Encrypting;
            self.outputs.push_back(Output::StartTls);
        } else {
            // §5.4.2.2: the failure, the closing tag, the end of the connection; no stream error.
            out.open("failure").ns(ns::TLS).close();
            self.send(out);
            self.send_close();
            self.end(None);
        }
    }

    // ---- §6: SASL

    /// §6.3.4 and §13.8: PLAIN only where nobody listens, nothing at all in clear text where TLS is required; -PLUS only where TLS ends here.
    pub(super) fn sasl_offer(&self) -> Offer {
        let (conditions, bindings) = match &self.security {
            Security::Clear if self.policy.require_tls => return Offer::default(),
            Security::Clear => (Conditions::default(), ChannelBindings::default()),
            Security::Trusted => (Conditions { secure: true, ..Conditions::default() }, ChannelBindings::default()),
            // Web pages cannot see their TLS connection, and stanza.js takes -PLUS where it is offered.
            Security::Tls(_) if self.framing == Framing::Alone => {
                (Conditions { secure: true, ..Conditions::default() }, ChannelBindings::default())
            }
            Security::Tls(bindings) => (Conditions { secure: true, bindable: !bindings.is_empty(), anonymous: false }, bindings.clone()),
        };
        let conditions = Conditions { anonymous: self.policy.anonymous, ..conditions };
        Offer { mechanisms: Mechanism::offered(conditions).collect(), bindings }
    }

    pub(super) fn auth(&mut self, mechanism: Option<&str>, text: &str) {
        let offer = self.sasl_offer();
        let known = mechanism.and_then(Mechanism::from_name);
        let mechanism = match known {
            Some(mechanism) if offer.mechanisms.contains(&mechanism) => mechanism,
            // §6.5.4
            Some(_) if self.security.is_clear() => return self.sasl_failure(SaslFailure::EncryptionRequired),
            None if mechanism.is_none() => return self.sasl_failure(SaslFailure::MalformedRequest),
            _ => return self.sasl_failure(SaslFailure::InvalidMechanism),
        };
        let initial = match sasl::decode_initial(text) {
            Ok(initial) => initial,
            Err(failure) => return self.sasl_failure(failure),
        };
        let nonce = sasl::nonce(&(self.random)());
        let (sasl, step) = Sasl::start(mechanism, initial.as_ref().map(|data| data.as_slice()), self.domain(), nonce, offer);
        self.handle_step(mechanism, sasl, step);
    }

    pub(super) fn response(&mut self, mechanism: Mechanism, mut sasl: Sasl, text: &str) {
        match sasl::decode_response(text) {
            Ok(data) => {
                let step = sasl.handle_response(&data);
                self.handle_step(mechanism, sasl, step);
            }
            Err(failure) => self.sasl_failure(failure),
        }
    }

    pub(super) fn handle_step(&mut self, mechanism: Mechanism, sasl: Sasl, step: Step) {
        match step {
            Step::Challenge(data) => {
                let mut out = XmlWriter::new();
                out.open("challenge").ns(ns::SASL);
                if !data.is_empty() {
                    out.text(&sasl::encode(&data));
                }
                out.close();
                self.send(out);
                self.state = State::Challenged(mechanism, sasl);
            }
            Step::Ask(question) => {
                self.state = State::Verifying(mechanism, sasl);
                self.outputs.push_back(Output::Ask(Question::Sasl(question)));
            }
            Step::Success { username, additional } => self.logged_in(mechanism, &username, additional.as_deref()),
            Step::Failure(failure) => self.sasl_failure(failure),
        }
    }

    /// §6.4.6.
    pub(super) fn logged_in(&mut self, mechanism: Mechanism, username: &str, additional: Option<&[u8]>) {
        let account = match BareJid::new(username, self.domain()) {
            Ok(account) => account,
            // The authenticator found an account under this name, so it is a local part.
            Err(_) => return self.sasl_failure(SaslFailure::NotAuthorized),
        };
        if self.claimed.as_ref().is_some_and(|claimed| *claimed != account) {
            return self.fail(StreamError::new(Condition::InvalidFrom).with_text("'from' of the stream header is not who logged in"));
        }
        let mut out = XmlWriter::new();
        out.open("success").ns(ns::SASL);
        if let Some(data) = additional {
            out.text(&sasl::encode_additional(data));
        }
        out.close();
        self.send(out);
        self.outputs.push_back(Output::Report(Report::LoggedIn { account: account.clone(), mechanism: mechanism.name() }));
        self.account = Some(account);
        self.anonymous = mechanism == Mechanism::Anonymous;
        if let Security::Tls(bindings) = &mut self.security {
            *bindings = ChannelBindings::default();
        }
        self.restart();
    }

    /// §6.4.5.
    pub(super) fn sasl_failure(&mut self, failure: SaslFailure) {
        let mut out = XmlWriter::new();
        out.open("failure").ns(ns::SASL).open(failure.name()).close();
        if let Some(text) = explanation(&failure) {
            out.open("text").attr("xml:lang", LANG).text(text).close();
        }
        out.close();
        self.send(out);
        self.outputs.push_back(Output::Report(Report::SaslFailure(failure.name())));
        self.state = State::Negotiating;
        self.failed_auths += 1;
        if self.failed_auths >= self.policy.limits.auth_attempts {
            self.fail(StreamError::new(Condition::PolicyViolation).with_text("too many failed attempts to log in"));
        }
    }
}

/// §4.9.3.24.
fn unsupported(namespace: &str, name: &str) -> StreamError {
    let shown = |text: &str| text.chars().take(64).collect::<String>();
    StreamError::new(Condition::UnsupportedStanzaType).with_text(format!(
        "<{} xmlns='{}'/> is not understood here",
        shown(name),
        shown(namespace)
    ))
}

/// §6.4.5: what helps whoever reads the client's log; nothing that tells whether the account exists.
fn explanation(failure: &SaslFailure) -> Option<&str> {
    match failure {
        SaslFailure::AccountDisabled(reason) => reason.as_deref(),
        SaslFailure::EncryptionRequired => Some("this mechanism needs TLS"),
        SaslFailure::InvalidMechanism => Some("the mechanism is not offered"),
        SaslFailure::IncorrectEncoding => Some("the data is not base64 as RFC 4648 section 4 defines it"),
        SaslFailure::InvalidAuthzid => Some("the authorization identity must be the account's own bare JID"),
        SaslFailure::TemporaryAuthFailure => Some("try again later"),
        SaslFailure::Downgraded => Some("channel binding was offered: somebody on the way has changed the list of mechanisms"),
        SaslFailure::UnknownBinding => Some("a channel binding of this type is not offered"),
        _ => None,
    }
}
