//! SASL as XMPP runs it: RFC 6120 §6, RFC 4422. One exchange is a pure state machine; keys and verdicts come as answers, the nonce as an argument.
//!
//! Offered: SCRAM-SHA-256 (RFC 7677) and SCRAM-SHA-1 (RFC 5802), each also bound to the TLS connection (-PLUS), PLAIN (RFC 4616), ANONYMOUS
//! (RFC 4505, XEP-0175 1.2). What was offered is signed into each SCRAM exchange (XEP-0474, version 0.5). Not done: EXTERNAL.
//!
//! The stream decodes (`decode_initial`, `decode_response`), starts an exchange, and obeys each [`Step`]; `<abort/>` (§6.4.4) just drops the exchange.

mod anonymous;
mod binding;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod plain;
mod scram;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::auth::{Password, ScramHash, ScramKeys};
use crate::jid::BareJid;
use crate::store::Disabled;

pub use binding::{BindingType, ChannelBindings};

/// The random bytes that [`nonce`] takes.
pub const NONCE_BYTES: usize = 18;

/// The mechanisms that the server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 7677, bound to the channel.
    ScramSha256Plus,
    /// RFC 5802, bound to the channel.
    ScramSha1Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802.
    ScramSha1,
    /// RFC 4616. Only over TLS.
    Plain,
    /// RFC 4505: no account.
    Anonymous,
}

impl Mechanism {
    /// In the order of the server's preference (§6.4.1): strongest first.
    pub const ALL: [Self; 6] =
        [Self::ScramSha256Plus, Self::ScramSha1Plus, Self::ScramSha256, Self::ScramSha1, Self::Plain, Self::Anonymous];

    /// The mechanisms to offer on such a stream.
    pub fn offered(on: Conditions) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |mechanism| {
            (on.secure || !mechanism.needs_tls())
                && (on.bindable || !mechanism.is_bound())
                && (on.anonymous || *mechanism != Self::Anonymous)
        })
    }

    /// The registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::Plain => "PLAIN",
            Self::Anonymous => "ANONYMOUS",
        }
    }

    /// The mechanism of that name, if it is offered at all.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// Whether it may be used over TLS only; otherwise the answer is [`SaslFailure::EncryptionRequired`].
    #[must_use]
    pub fn needs_tls(self) -> bool {
        matches!(self, Self::Plain | Self::ScramSha256Plus | Self::ScramSha1Plus)
    }

    /// Whether it is bound to the channel.
    #[must_use]
    pub fn is_bound(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus)
    }
}

/// What decides which mechanisms a stream offers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions {
    /// Nobody on the way can listen.
    pub secure: bool,
    /// There is something to bind to.
    pub bindable: bool,
    /// Log-ins without an account are allowed.
    pub anonymous: bool,
}

/// What a stream offers for a log-in, as its features say: nobody on the way may talk a client out of it.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// The mechanisms.
    pub mechanisms: Vec<Mechanism>,
    /// What the -PLUS mechanisms may be bound to.
    pub bindings: ChannelBindings,
}

/// The conditions of RFC 6120 §6.5, two of them with what SCRAM knows of the reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SaslFailure {
    /// §6.5.1: the answer to `<abort/>`.
    Aborted,
    /// §6.5.2, with what the operator says of the reason.
    AccountDisabled(Option<String>),
    /// §6.5.3.
    CredentialsExpired,
    /// §6.5.4.
    EncryptionRequired,
    /// §6.5.5: not base64.
    IncorrectEncoding,
    /// §6.5.6.
    InvalidAuthzid,
    /// §6.5.7.
    InvalidMechanism,
    /// §6.5.8.
    MalformedRequest,
    /// §6.5.9.
    MechanismTooWeak,
    /// §6.5.10: wrong credentials, or no such account.
    NotAuthorized,
    /// §6.5.11.
    TemporaryAuthFailure,
    /// `not-authorized`: the client believes that no binding is offered (RFC 5802 §6), so somebody has changed the list of mechanisms.
    Downgraded,
    /// `malformed-request`: a channel binding of a type that was not offered (RFC 5802 §7, `unsupported-channel-binding-type`).
    UnknownBinding,
}

impl SaslFailure {
    /// Every condition that is sent (§6.5), as [`SaslFailure::name`] says it.
    pub const NAMES: [&'static str; 11] = [
        "aborted",
        "account-disabled",
        "credentials-expired",
        "encryption-required",
        "incorrect-encoding",
        "invalid-authzid",
        "invalid-mechanism",
        "malformed-request",
        "mechanism-too-weak",
        "not-authorized",
        "temporary-auth-failure",
    ];

    /// The element's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled(_) => "account-disabled",
            Self::CredentialsExpired => "credentials-expired",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest | Self::UnknownBinding => "malformed-request",
            Self::MechanismTooWeak => "mechanism-too-weak",
            Self::NotAuthorized | Self::Downgraded => "not-authorized",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }
}

/// What the exchange needs to know; `auth::Authenticator::answer` answers it.
#[derive(Debug, Clone)]
pub enum Question {
    /// The keys of the account, real or invented.
    Keys {
        /// Who wants to log in.
        account: BareJid,
        /// For which mechanism.
        hash: ScramHash,
    },
    /// Whether this is the account's password.
    Password {
        /// Who wants to log in.
        account: BareJid,
        /// Prepared; wiped when dropped.
        password: Password,
    },
    /// A name for somebody without an account.
    Anonymous {
        /// The host of the stream.
        domain: String,
    },
}

/// The answer to a [`Question`].
#[derive(Debug, Clone)]
pub enum Answer {
    /// To [`Question::Keys`].
    Keys {
        /// The account's keys, or invented ones.
        keys: ScramKeys,
        /// Whether they are the account's: no proof is right for invented ones.
        genuine: bool,
        /// The account's log-ins are refused; told only to whom proves to be the owner.
        disabled: Option<Disabled>,
    },
    /// To [`Question::Password`]: it is right.
    Accepted,
    /// To [`Question::Anonymous`]: a name that nobody has had.
    Named(BareJid),
    /// To each: the exchange ends like this.
    Refused(SaslFailure),
}

/// What the stream does next.
#[derive(Debug)]
pub enum Step {
    /// Send `<challenge/>` with [`encode`] of this; an empty one asks for the initial response that was left out.
    Challenge(Vec<u8>),
    /// Find the answer and give it to [`Sasl::handle_answer`]. Until then the client has nothing to say.
    Ask(Question),
    /// Send `<success/>`, with [`encode_additional`] of the additional data if there is any.
    Success {
        /// The localpart of the account, enforced.
        username: String,
        /// What the mechanism says with its success.
        additional: Option<Vec<u8>>,
    },
    /// Send `<failure/>`; the exchange is over.
    Failure(SaslFailure),
}

/// One exchange.
#[derive(Debug)]
pub struct Sasl {
    domain: String,
    nonce: String,
    offer: Offer,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The client's first message is still to come.
    First(Mechanism),
    /// PLAIN: the verdict is awaited.
    PlainVerdict(BareJid),
    /// ANONYMOUS: the name is awaited.
    Name,
    /// SCRAM: the keys are awaited.
    ScramKeys(scram::First),
    /// SCRAM: the client's proof is awaited.
    ScramProof(Box<scram::Challenged>),
    Over,
}

impl Sasl {
    /// Starts an exchange for an account of `domain`. `nonce` is the server's part of SCRAM's nonce, from [`nonce`], new for each exchange;
    /// `offer` what the client was offered.
    pub fn start(mechanism: Mechanism, initial_response: Option<&[u8]>, domain: &str, nonce: String, offer: Offer) -> (Self, Step) {
        let mut sasl = Self { domain: domain.to_owned(), nonce, offer, state: State::First(mechanism) };
        let step = match initial_response {
            Some(message) => sasl.handle_response(message),
            // XEP-0175 §4, example 4: nothing is this mechanism's message.
            None if mechanism == Mechanism::Anonymous => sasl.handle_response(b""),
            // RFC 4422 §5, item 2a: these mechanisms are client-first.
            None => Step::Challenge(Vec::new()),
        };
        (sasl, step)
    }

    /// A decoded `<response/>`.
    pub fn handle_response(&mut self, message: &[u8]) -> Step {
        let next = match std::mem::replace(&mut self.state, State::Over) {
            State::First(Mechanism::Plain) => plain::read(message, &self.domain)
                .map(|(account, password)| (State::PlainVerdict(account.clone()), Step::Ask(Question::Password { account, password }))),
            State::First(Mechanism::Anonymous) => {
                anonymous::check(message).map(|()| (State::Name, Step::Ask(Question::Anonymous { domain: self.domain.clone() })))
            }
            State::First(mechanism @ (Mechanism::ScramSha256 | Mechanism::ScramSha256Plus)) => {
                self.scram_first(ScramHash::Sha256, mechanism.is_bound(), message)
            }
            State::First(mechanism @ (Mechanism::ScramSha1 | Mechanism::ScramSha1Plus)) => {
                self.scram_first(ScramHash::Sha1, mechanism.is_bound(), message)
            }
            State::ScramProof(challenged) => {
                challenged.verify(message).map(|(account, additional)| (State::Over, success(&account, Some(additional))))
            }
            // The client speaks out of turn.
            State::PlainVerdict(_) | State::Name | State::ScramKeys(_) | State::Over => Err(SaslFailure::MalformedRequest),
        };
        self.step(next)
    }

    /// The answer to the last [`Step::Ask`]. One that comes after the exchange has ended is to be dropped, not given here.
    pub fn handle_answer(&mut self, answer: Answer) -> Step {
        let next = match (std::mem::replace(&mut self.state, State::Over), answer) {
            (_, Answer::Refused(failure)) => Err(failure),
            (State::PlainVerdict(account), Answer::Accepted) => Ok((State::Over, success(&account, None))),
            (State::Name, Answer::Named(account)) => Ok((State::Over, success(&account, None))),
            (State::ScramKeys(first), Answer::Keys { keys, genuine, disabled }) => {
                let (challenged, message) = first.challenge(&self.nonce, &self.offer, keys, genuine, disabled);
                Ok((State::ScramProof(Box::new(challenged)), Step::Challenge(message)))
            }
            (state, answer) => {
                debug_assert!(false, "{answer:?} is no answer in {state:?}");
                Err(SaslFailure::TemporaryAuthFailure)
            }
        };
        self.step(next)
    }

    fn scram_first(&self, hash: ScramHash, bound: bool, message: &[u8]) -> Result<(State, Step), SaslFailure> {
        let first = scram::First::read(hash, bound, message, &self.domain, &self.offer)?;
        let question = Question::Keys { account: first.account().clone(), hash };
        Ok((State::ScramKeys(first), Step::Ask(question)))
    }

    fn step(&mut self, next: Result<(State, Step), SaslFailure>) -> Step {
        match next {
            Ok((state, step)) => {
                self.state = state;
                step
            }
            Err(failure) => Step::Failure(failure),
        }
    }
}

fn success(account: &BareJid, additional: Option<Vec<u8>>) -> Step {
    Step::Success { username: account.local().unwrap_or_default().to_owned(), additional }
}

/// The account that a user name stands for: RFC 6120 §6.3.7, its localpart. A name that is none is no account's.
fn account(username: &str, domain: &str) -> Result<BareJid, SaslFailure> {
    BareJid::new(username, domain).map_err(|_| SaslFailure::NotAuthorized)
}

/// RFC 6120 §6.3.8: the authorization identity is a bare JID; only the own one is allowed.
fn check_authzid(authzid: &str, account: &BareJid) -> Result<(), SaslFailure> {
    match BareJid::parse(authzid) {
        Ok(jid) if jid == *account => Ok(()),
        _ => Err(SaslFailure::InvalidAuthzid),
    }
}

/// The server's part of SCRAM's nonce: 24 printable characters without comma.
#[must_use]
pub fn nonce(random: &[u8; NONCE_BYTES]) -> String {
    STANDARD.encode(random)
}

/// The text of `<auth/>`: nothing is no initial response, `=` an empty one (§6.4.2).
///
/// # Errors
/// `incorrect-encoding` (§6.5.5): anything but padded base64 of RFC 4648 §4 with its padding bits zero (§6.3.5), white space included.
pub fn decode_initial(text: &str) -> Result<Option<Zeroizing<Vec<u8>>>, SaslFailure> {
    match text {
        "" => Ok(None),
        text => decode_response(text).map(Some),
    }
}

/// The text of `<response/>`; nothing and `=` are both the empty message.
///
/// # Errors
/// As for [`decode_initial`].
pub fn decode_response(text: &str) -> Result<Zeroizing<Vec<u8>>, SaslFailure> {
    match text {
        "" | "=" => Ok(Zeroizing::default()),
        text => STANDARD.decode(text).map(Zeroizing::new).map_err(|_| SaslFailure::IncorrectEncoding),
    }
}

/// The text of `<challenge/>`.
#[must_use]
pub fn encode(message: &[u8]) -> String {
    STANDARD.encode(message)
}

/// The text of `<success/>` with additional data: `=` when it is empty (§6.4.6).
#[must_use]
pub fn encode_additional(message: &[u8]) -> String {
    if message.is_empty() { "=".to_owned() } else { encode(message) }
}

#[cfg(test)]
mod tests;
