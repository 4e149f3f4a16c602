//! What must hold whatever a client says while it logs in: no panic, no success without the right proof or an accepted password, answers that
//! can be sent. Run by `fuzz/fuzz_targets/sasl.rs`, and by the tests below over the corpus and what becomes of it by mutation.

use std::num::NonZeroU32;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Answer, ChannelBindings, Mechanism, Offer, Question, Sasl, SaslFailure, Step, decode_initial, decode_response, encode};
use crate::auth::{Password, ScramHash, ScramKeys};
use crate::jid::BareJid;

const DOMAIN: &str = "example.org";
/// Of the examples in RFC 5802 §5 and RFC 7677 §3, so that the corpus can hold whole log-ins.
const PASSWORD: &str = "pencil";
const SHA1: (&str, &str) = ("3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92");
const OTHERS: (&str, &str) = ("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==");

/// Takes the first byte for a mechanism, and each line after it for a message of the client.
///
/// # Panics
/// When a promise is broken.
pub fn exchange(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        texts(text);
    }
    let Some((first, rest)) = data.split_first() else { return };
    let mechanism = Mechanism::ALL[usize::from(*first) % Mechanism::ALL.len()];
    let messages: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').take(4).collect();
    let genuine = run(mechanism, &messages, true);
    assert_eq!(genuine, run(mechanism, &messages, true), "nothing but what is given decides");
    let invented = run(mechanism, &messages, false);
    assert!(invented.success.is_none(), "{mechanism:?} succeeded without an account");
    if let Some(username) = &genuine.success {
        assert!(mechanism != Mechanism::Anonymous, "refused here");
        assert_eq!(Some(username), genuine.asked_for.as_ref(), "who succeeds is who was asked for");
    }
    assert_eq!(genuine.asked_for, invented.asked_for);
}

/// What became of an exchange.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Everything that the server said.
    said: Vec<String>,
    /// The account's name.
    asked_for: Option<String>,
    success: Option<String>,
}

fn run(mechanism: Mechanism, messages: &[&[u8]], genuine: bool) -> Outcome {
    let bindings = ChannelBindings::new(Some((0..32).collect()), Some(END_POINT.to_vec()));
    let offer = Offer { mechanisms: Vec::new(), bindings };
    let (nonce, _) = nonce_and_salt(mechanism);
    let mut messages = messages.iter();
    let (mut sasl, mut step) = Sasl::start(mechanism, messages.next().copied(), DOMAIN, nonce.to_owned(), offer);
    let mut outcome = Outcome::default();
    for _ in 0..16 {
        step = match step {
            Step::Ask(question) => {
                let (asked_for, answer) = answer(mechanism, question, genuine);
                outcome.asked_for = asked_for;
                sasl.handle_answer(answer)
            }
            Step::Challenge(message) => {
                assert!(message.iter().all(|byte| (0x20..0x7F).contains(byte)), "a challenge of SCRAM is printable: {message:?}");
                assert_eq!(decode_response(&encode(&message)).map(|decoded| decoded.to_vec()), Ok(message.clone()));
                outcome.said.push(String::from_utf8_lossy(&message).into_owned());
                let Some(next) = messages.next() else { return outcome };
                sasl.handle_response(next)
            }
            Step::Failure(failure) => {
                outcome.said.push(failure.name().to_owned());
                assert!(matches!(sasl.handle_response(b"n,,n=user,r=more"), Step::Failure(_)), "it is over");
                return outcome;
            }
            Step::Success { username, additional } => {
                outcome.said.push(String::from_utf8(additional.unwrap_or_default()).expect("SCRAM says text"));
                assert!(matches!(sasl.handle_response(b""), Step::Failure(_)), "it is over");
                outcome.success = Some(username);
                return outcome;
            }
        };
    }
    unreachable!("an exchange has few steps")
}

/// Whom the question is about, and the answer: there is one password, and nobody without an account.
fn answer(mechanism: Mechanism, question: Question, genuine: bool) -> (Option<String>, Answer) {
    let local = |account: &BareJid| Some(account.local().unwrap_or_default().to_owned());
    let refused = Answer::Refused(SaslFailure::NotAuthorized);
    match question {
        Question::Keys { account, hash } => {
            assert_eq!(account.domain(), DOMAIN);
            let (_, salt) = nonce_and_salt(mechanism);
            let keys = KEYS.iter().find(|(of, with, _)| (*of, *with) == (hash, salt)).map(|(.., keys)| keys.clone());
            (local(&account), Answer::Keys { keys: keys.expect("derived for all"), genuine, disabled: None })
        }
        Question::Password { account, password } => {
            let is_right = genuine && fingerprint(&password) == fingerprint(&Password::prepare(PASSWORD).expect("it is a password"));
            (local(&account), if is_right { Answer::Accepted } else { refused })
        }
        Question::Anonymous { .. } => (None, refused),
    }
}

/// Passwords are not shown to anybody, but what is made of them can be compared.
fn fingerprint(password: &Password) -> ScramKeys {
    ScramKeys::derive(ScramHash::Sha256, password, vec![0; 16], NonZeroU32::MIN)
}

fn nonce_and_salt(mechanism: Mechanism) -> (&'static str, &'static str) {
    if mechanism == Mechanism::ScramSha1 { SHA1 } else { OTHERS }
}

/// By hash and salt.
static KEYS: LazyLock<Vec<(ScramHash, &str, ScramKeys)>> = LazyLock::new(|| {
    let derive = |hash, salt: &'static str| {
        let password = Password::prepare(PASSWORD).expect("it is a password");
        let decoded = STANDARD.decode(salt).expect("it is base64");
        (hash, salt, ScramKeys::derive(hash, &password, decoded, NonZeroU32::new(4096).expect("it is not zero")))
    };
    vec![derive(ScramHash::Sha1, SHA1.1), derive(ScramHash::Sha1, OTHERS.1), derive(ScramHash::Sha256, OTHERS.1)]
});

/// As in the examples of `tests.rs`.
const END_POINT: [u8; 32] = [
    0x03, 0xd6, 0x6d, 0xd0, 0x88, 0x35, 0xc1, 0xca, 0x3f, 0x12, 0x8c, 0xce, 0xac, 0xd1, 0xf3, 0x1a, 0xc9, 0x41, 0x63, 0x09, 0x6b, 0x20,
    0xf4, 0x45, 0xae, 0x84, 0x28, 0x5b, 0xc0, 0x83, 0x2d, 0x72,
];

/// RFC 6120 §6.4.2 and §6.5.5: there is one base64 form of each message.
fn texts(text: &str) {
    if let Ok(Some(message)) = decode_initial(text) {
        assert!(text == "=" || encode(&message) == text, "{text}");
        assert_eq!(decode_response(text), Ok(message));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::xml::fuzz::mutation;

    fn corpus() -> Vec<Vec<u8>> {
        mutation::corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/sasl"))
    }

    #[test]
    fn the_corpus_holds_the_promises_and_whole_log_ins() {
        let mut successes = 0;
        for data in corpus() {
            exchange(&data);
            let messages: Vec<&[u8]> = data[1..].split(|byte| *byte == b'\n').collect();
            let mechanism = Mechanism::ALL[usize::from(data[0]) % Mechanism::ALL.len()];
            successes += usize::from(run(mechanism, &messages, true).success.is_some());
        }
        assert!(successes >= 6, "{successes}");
    }

    proptest! {
        #![proptest_config(mutation::config())]

        #[test]
        fn mutations_of_the_corpus_hold_the_promises(mutation in mutation::any()) {
            exchange(&mutation.of(&corpus()));
        }
    }
}
