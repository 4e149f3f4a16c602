//! Whole exchanges, with a client of our own where the examples of the RFCs do not reach.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

const DOMAIN: &str = "example.org";

/// The examples of RFC 5802 §5 and RFC 7677 §3, with the values between; the -PLUS ones are computed from them by another implementation.
struct Vector {
    mechanism: Mechanism,
    hash: ScramHash,
    salt: &'static str,
    server_nonce: &'static str,
    client_first: &'static str,
    server_first: &'static str,
    client_final: &'static str,
    server_final: &'static str,
    stored_key: &'static str,
    server_key: &'static str,
}

impl Vector {
    /// Bindings of known value; no list of mechanisms, which would add `h=` (XEP-0474).
    fn offer(&self) -> Offer {
        let end_point = [
            0x03, 0xd6, 0x6d, 0xd0, 0x88, 0x35, 0xc1, 0xca, 0x3f, 0x12, 0x8c, 0xce, 0xac, 0xd1, 0xf3, 0x1a, 0xc9, 0x41, 0x63, 0x09, 0x6b,
            0x20, 0xf4, 0x45, 0xae, 0x84, 0x28, 0x5b, 0xc0, 0x83, 0x2d, 0x72,
        ];
        let bindings = ChannelBindings::new(Some((0..32).collect()), Some(end_point.to_vec()));
        Offer { mechanisms: Vec::new(), bindings }
    }
}

const PLUS_SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const PLUS_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const PLUS_SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

const VECTORS: [Vector; 6] = [
    Vector {
        mechanism: Mechanism::ScramSha1,
        hash: ScramHash::Sha1,
        salt: "QSXCR+Q6sek8bf92",
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        client_first: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        server_first: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        server_final: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        stored_key: "6dlGYMOdZcOPutkcNY8U2g7vK9Y=",
        server_key: "D+CSWLOshSulAsxiupA+qs2/fTE=",
    },
    Vector {
        mechanism: Mechanism::ScramSha256,
        hash: ScramHash::Sha256,
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        client_first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        stored_key: "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
        server_key: "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    },
    Vector {
        mechanism: Mechanism::ScramSha1Plus,
        hash: ScramHash::Sha1,
        salt: PLUS_SALT,
        server_nonce: PLUS_NONCE,
        client_first: "p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        server_first: PLUS_SERVER_FIRST,
        client_final: "c=cD10bHMtZXhwb3J0ZXIsLAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=/QKgZNBHelOsjZPTvucb5s4VtQE=",
        server_final: "v=tK3UShY5jkJWC9Q52aNEU6Ba6Is=",
        stored_key: "g2pEzX2tMaoibxTD4YfBJkq1y8w=",
        server_key: "ZGkNjsmKwVX5C5z80vGxHZ02jOI=",
    },
    Vector {
        mechanism: Mechanism::ScramSha1Plus,
        hash: ScramHash::Sha1,
        salt: PLUS_SALT,
        server_nonce: PLUS_NONCE,
        client_first: "p=tls-server-end-point,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        server_first: PLUS_SERVER_FIRST,
        client_final: "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsA9Zt0Ig1wco/EozOrNHzGslBYwlrIPRFroQoW8CDLXI=,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=TOdOQHr/FRKJcp/SC9+6w2nqhbk=",
        server_final: "v=XUujgpTb31lnrpUOYbjYis3yIok=",
        stored_key: "g2pEzX2tMaoibxTD4YfBJkq1y8w=",
        server_key: "ZGkNjsmKwVX5C5z80vGxHZ02jOI=",
    },
    Vector {
        mechanism: Mechanism::ScramSha256Plus,
        hash: ScramHash::Sha256,
        salt: PLUS_SALT,
        server_nonce: PLUS_NONCE,
        client_first: "p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        server_first: PLUS_SERVER_FIRST,
        client_final: "c=cD10bHMtZXhwb3J0ZXIsLAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=QC6CS20quADQRb3mT99YUH+n3VJxUvzuK0K0E1Vrs2M=",
        server_final: "v=2GiAgapEppLVlUXbxUDksL3VgYHzuqiK5tR4mhJGgvs=",
        stored_key: "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
        server_key: "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    },
    Vector {
        mechanism: Mechanism::ScramSha256Plus,
        hash: ScramHash::Sha256,
        salt: PLUS_SALT,
        server_nonce: PLUS_NONCE,
        client_first: "p=tls-server-end-point,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        server_first: PLUS_SERVER_FIRST,
        client_final: "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsA9Zt0Ig1wco/EozOrNHzGslBYwlrIPRFroQoW8CDLXI=,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=PDYoWyjL2USDf7LnQ7piOwt3OVcEPRbXsEvXHNKDU04=",
        server_final: "v=WQt6/B0lyhcS0jEpTrs9PZzMa+An2Woiy3ZQ75nvla0=",
        stored_key: "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
        server_key: "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    },
];

fn on(secure: bool, bindable: bool) -> Conditions {
    Conditions { secure, bindable, anonymous: false }
}

fn iterations(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn keys(hash: ScramHash, password: &str) -> ScramKeys {
    ScramKeys::derive(hash, &Password::prepare(password).unwrap(), b"0123456789abcdef".to_vec(), iterations(64))
}

fn known(keys: ScramKeys) -> Answer {
    Answer::Keys { keys, genuine: true, disabled: None }
}

/// A client's side of SCRAM, written from the RFC's formulas.
struct Client {
    hash: ScramHash,
    gs2_header: String,
    bare: String,
}

impl Client {
    fn new(gs2_header: &str, username: &str) -> Self {
        Self { hash: ScramHash::Sha256, gs2_header: gs2_header.to_owned(), bare: format!("n={username},r=client") }
    }

    fn first(&self) -> String {
        format!("{}{}", self.gs2_header, self.bare)
    }

    fn last(&self, server_first: &str, password: &str) -> String {
        let nonce = server_first.split(',').next().unwrap();
        self.last_with(server_first, password, &format!("c={},{nonce}", STANDARD.encode(&self.gs2_header)))
    }

    fn last_with(&self, server_first: &str, password: &str, without_proof: &str) -> String {
        let mut attributes = server_first.split(',').skip(1);
        let salt = STANDARD.decode(attributes.next().unwrap().strip_prefix("s=").unwrap()).unwrap();
        let count: u32 = attributes.next().unwrap().strip_prefix("i=").unwrap().parse().unwrap();
        // U1 = HMAC(str, salt + INT(1)), Ui = HMAC(str, Ui-1), Hi = U1 XOR … XOR Ui
        let mut u = self.hash.hmac(password.as_bytes(), &[&salt[..], &[0, 0, 0, 1]].concat()).as_ref().to_vec();
        let mut salted = u.clone();
        for _ in 1..count {
            u = self.hash.hmac(password.as_bytes(), &u).as_ref().to_vec();
            salted.iter_mut().zip(&u).for_each(|(sum, next)| *sum ^= next);
        }
        let client_key = self.hash.hmac(&salted, b"Client Key");
        let stored_key = self.hash.hash(client_key.as_ref());
        let auth_message = format!("{},{server_first},{without_proof}", self.bare);
        let signature = self.hash.hmac(stored_key.as_ref(), auth_message.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, signature)| key ^ signature).collect();
        format!("{without_proof},p={}", STANDARD.encode(proof))
    }
}

fn start(first: &str) -> (Sasl, Step) {
    Sasl::start(Mechanism::ScramSha256, Some(first.as_bytes()), DOMAIN, "server".to_owned(), Offer::default())
}

/// Brings an exchange to the point where the proof is awaited.
fn challenged(client: &Client, answer: Answer) -> (Sasl, String) {
    let (mut sasl, step) = start(&client.first());
    assert!(matches!(step, Step::Ask(Question::Keys { hash: ScramHash::Sha256, .. })), "{step:?}");
    match sasl.handle_answer(answer) {
        Step::Challenge(message) => (sasl, String::from_utf8(message).unwrap()),
        step => panic!("{step:?}"),
    }
}

fn failure(step: Step) -> SaslFailure {
    match step {
        Step::Failure(failure) => failure,
        step => panic!("{step:?}"),
    }
}

#[test]
fn rfc5802_s5_and_rfc7677_s3_examples() {
    for vector in VECTORS {
        let password = Password::prepare("pencil").unwrap();
        let keys = ScramKeys::derive(vector.hash, &password, STANDARD.decode(vector.salt).unwrap(), iterations(4096));
        assert_eq!(STANDARD.encode(keys.stored_key()), vector.stored_key);
        assert_eq!(STANDARD.encode(keys.server_key()), vector.server_key);

        let (mut sasl, step) =
            Sasl::start(vector.mechanism, Some(vector.client_first.as_bytes()), DOMAIN, vector.server_nonce.to_owned(), vector.offer());
        match step {
            Step::Ask(Question::Keys { account, hash }) => assert_eq!((account.as_str(), hash), ("user@example.org", vector.hash)),
            step => panic!("{step:?}"),
        }
        match sasl.handle_answer(known(keys)) {
            Step::Challenge(message) => assert_eq!(String::from_utf8(message).unwrap(), vector.server_first),
            step => panic!("{step:?}"),
        }
        match sasl.handle_response(vector.client_final.as_bytes()) {
            Step::Success { username, additional } => {
                assert_eq!(username, "user");
                assert_eq!(additional.as_deref(), Some(vector.server_final.as_bytes()));
            }
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn rfc6120_s6_4_2_a_missing_initial_response_is_asked_for() {
    for vector in VECTORS {
        let (mut sasl, step) = Sasl::start(vector.mechanism, None, DOMAIN, "server".to_owned(), vector.offer());
        assert!(matches!(step, Step::Challenge(message) if message.is_empty()));
        assert!(matches!(sasl.handle_response(vector.client_first.as_bytes()), Step::Ask(Question::Keys { .. })));
    }
    let (mut sasl, step) = Sasl::start(Mechanism::Plain, None, DOMAIN, String::new(), Offer::default());
    assert!(matches!(step, Step::Challenge(message) if message.is_empty()));
    assert!(matches!(sasl.handle_response(b"\0romeo\0secret"), Step::Ask(Question::Password { .. })));
}

#[test]
fn plain_ends_with_the_verdict() {
    let begin = || Sasl::start(Mechanism::Plain, Some(b"\0Romeo\0secret"), DOMAIN, String::new(), Offer::default()).0;
    match begin().handle_answer(Answer::Accepted) {
        Step::Success { username, additional: None } => assert_eq!(username, "romeo"),
        step => panic!("{step:?}"),
    }
    let refused = begin().handle_answer(Answer::Refused(SaslFailure::NotAuthorized));
    assert_eq!(failure(refused), SaslFailure::NotAuthorized);
}

#[test]
fn rfc4505_s2_anonymous_gets_a_name_and_no_account() {
    for trace in [None, Some(&b""[..]), Some(b"sirhc")] {
        let (mut sasl, step) = Sasl::start(Mechanism::Anonymous, trace, DOMAIN, String::new(), Offer::default());
        assert!(matches!(&step, Step::Ask(Question::Anonymous { domain }) if domain == DOMAIN), "{step:?}");
        match sasl.handle_answer(Answer::Named(BareJid::parse("59bec12a@example.org").unwrap())) {
            Step::Success { username, additional: None } => assert_eq!(username, "59bec12a"),
            step => panic!("{step:?}"),
        }
    }
    let (mut sasl, _) = Sasl::start(Mechanism::Anonymous, Some(b""), DOMAIN, String::new(), Offer::default());
    assert_eq!(failure(sasl.handle_answer(Answer::Refused(SaslFailure::TemporaryAuthFailure))), SaslFailure::TemporaryAuthFailure);
    let (_, step) = Sasl::start(Mechanism::Anonymous, Some(b"\xff"), DOMAIN, String::new(), Offer::default());
    assert_eq!(failure(step), SaslFailure::MalformedRequest);
}

#[test]
fn s7_client_first_message() {
    use SaslFailure::{InvalidAuthzid, MalformedRequest, NotAuthorized};
    let check = |message: &[u8], expected: Result<&str, SaslFailure>| {
        let (_, step) = Sasl::start(Mechanism::ScramSha256, Some(message), DOMAIN, "server".to_owned(), Offer::default());
        let got = match step {
            Step::Ask(Question::Keys { account, .. }) => Ok(account.to_string()),
            Step::Failure(failure) => Err(failure),
            step => panic!("{step:?}"),
        };
        assert_eq!(got.as_deref(), expected.as_ref().map(|text| *text), "{:?}", String::from_utf8_lossy(message));
    };
    let long_nonce = format!("n,,n=romeo,r={}", "x".repeat(1025));
    let long_name = format!("n,,n={},r=x", "x".repeat(1024));
    let cases: &[(&[u8], Result<&str, SaslFailure>)] = &[
        (b"n,,n=romeo,r=abc", Ok("romeo@example.org")),
        (b"y,,n=romeo,r=abc", Ok("romeo@example.org")),
        (b"n,,n=ROMEO,r=abc", Ok("romeo@example.org")),
        ("n,,n=J\u{dc}rgen,r=abc".as_bytes(), Ok("j\u{fc}rgen@example.org")),
        (b"n,,n=a=2Cb=3Dc,r=abc", Ok("a,b=c@example.org")),
        (b"n,,n=romeo,r=abc,x=ignored,y=1=2", Ok("romeo@example.org")),
        (b"n,a=romeo@example.org,n=romeo,r=abc", Ok("romeo@example.org")),
        (b"n,a=Romeo@EXAMPLE.org,n=romeo,r=abc", Ok("romeo@example.org")),
        (b"n,a=juliet@example.org,n=romeo,r=abc", Err(InvalidAuthzid)),
        (b"n,a=romeo@example.org/orchard,n=romeo,r=abc", Err(InvalidAuthzid)),
        (b"n,a=romeo,n=romeo,r=abc", Err(InvalidAuthzid)),
        (b"n,a=,n=romeo,r=abc", Err(MalformedRequest)),
        (b"n,romeo@example.org,n=romeo,r=abc", Err(MalformedRequest)),
        (b"p=tls-exporter,,n=romeo,r=abc", Err(MalformedRequest)),
        (b"p,,n=romeo,r=abc", Err(MalformedRequest)),
        (b"x,,n=romeo,r=abc", Err(MalformedRequest)),
        (b"N,,n=romeo,r=abc", Err(MalformedRequest)),
        (b"n,,m=ext,n=romeo,r=abc", Err(MalformedRequest)),
        (b"n,,n=romeo,r=abc,m=ext", Err(MalformedRequest)),
        (b"n,,n=romeo,r=abc,x", Err(MalformedRequest)),
        (b"n,,n=romeo,r=abc,", Err(MalformedRequest)),
        (b"n,,n=romeo,r=abc,1=x", Err(MalformedRequest)),
        (b"n,,n=,r=abc", Err(MalformedRequest)),
        (b"n,,n=ro=meo,r=abc", Err(MalformedRequest)),
        (b"n,,n=ro=2cmeo,r=abc", Err(MalformedRequest)),
        (b"n,,n=romeo=,r=abc", Err(MalformedRequest)),
        (b"n,,r=abc,n=romeo", Err(MalformedRequest)),
        (b"n,,n=romeo", Err(MalformedRequest)),
        (b"n,,n=romeo,r=", Err(MalformedRequest)),
        (b"n,,n=romeo,r=a b", Err(MalformedRequest)),
        ("n,,n=romeo,r=\u{e4}".as_bytes(), Err(MalformedRequest)),
        (b"n,,n=rom\0eo,r=abc", Err(MalformedRequest)),
        (b"n,,n=romeo\xff,r=abc", Err(MalformedRequest)),
        (b"n,n=romeo,r=abc", Err(MalformedRequest)),
        (b"n", Err(MalformedRequest)),
        (b"", Err(MalformedRequest)),
        (long_nonce.as_bytes(), Err(MalformedRequest)),
        (b"n,,n=romeo@example.org,r=abc", Err(NotAuthorized)),
        (b"n,,n=ro meo,r=abc", Err(NotAuthorized)),
        (long_name.as_bytes(), Err(NotAuthorized)),
    ];
    for (message, expected) in cases {
        check(message, expected.clone());
    }
}

#[test]
fn s6_the_flag_y_is_accepted_and_bound_into_the_proof() {
    for header in ["n,,", "y,,", "n,a=romeo@example.org,", "y,a=romeo@example.org,"] {
        let client = Client::new(header, "romeo");
        let (mut sasl, server_first) = challenged(&client, known(keys(ScramHash::Sha256, "secret")));
        let step = sasl.handle_response(client.last(&server_first, "secret").as_bytes());
        assert!(matches!(step, Step::Success { .. }), "{header}: {step:?}");
    }
}

/// The offer of a TLS 1.3 connection.
fn bindable() -> Offer {
    let bindings = ChannelBindings::new(Some(vec![1; 32]), Some(vec![2; 48]));
    Offer { mechanisms: Mechanism::offered(on(true, true)).collect(), bindings }
}

#[test]
fn rfc5802_s6_each_flag_against_what_was_offered() {
    use SaslFailure::{Downgraded, MalformedRequest, UnknownBinding};
    let clear = || Offer { mechanisms: Mechanism::offered(on(true, false)).collect(), bindings: ChannelBindings::default() };
    let end_point_only = || Offer { bindings: ChannelBindings::new(None, Some(vec![2; 48])), ..bindable() };
    let (plain, plus) = (Mechanism::ScramSha256, Mechanism::ScramSha256Plus);
    for (mechanism, flag, offer, expected) in [
        (plain, "n", clear(), None),
        (plain, "y", clear(), None),
        (plain, "n", bindable(), None),
        (plain, "y", bindable(), Some(Downgraded)),
        (plain, "p=tls-exporter", bindable(), Some(MalformedRequest)),
        (plus, "p=tls-exporter", bindable(), None),
        (plus, "p=tls-server-end-point", bindable(), None),
        (plus, "p=tls-exporter", end_point_only(), Some(UnknownBinding)),
        (plus, "p=tls-server-end-point", end_point_only(), None),
        (plus, "p=tls-unique", bindable(), Some(UnknownBinding)),
        (plus, "p=TLS-EXPORTER", bindable(), Some(UnknownBinding)),
        (plus, "p=", bindable(), Some(MalformedRequest)),
        (plus, "p=tls exporter", bindable(), Some(MalformedRequest)),
        (plus, "n", bindable(), Some(MalformedRequest)),
        (plus, "y", bindable(), Some(MalformedRequest)),
        (plus, "p", bindable(), Some(MalformedRequest)),
    ] {
        let (_, step) = Sasl::start(mechanism, Some(format!("{flag},,n=romeo,r=abc").as_bytes()), DOMAIN, "server".to_owned(), offer);
        match expected {
            Some(expected) => assert_eq!(failure(step), expected, "{mechanism:?} {flag}"),
            None => assert!(matches!(step, Step::Ask(_)), "{mechanism:?} {flag}: {step:?}"),
        }
    }
    assert_eq!((Downgraded.name(), UnknownBinding.name()), ("not-authorized", "malformed-request"));
}

#[test]
fn rfc5802_s6_a_proof_bound_to_another_channel_fails() {
    let client = Client::new("p=tls-exporter,,", "romeo");
    let answer = |value: &[u8]| {
        let start = Sasl::start(Mechanism::ScramSha256Plus, Some(client.first().as_bytes()), DOMAIN, "server".to_owned(), bindable());
        let mut sasl = start.0;
        let Step::Challenge(challenge) = sasl.handle_answer(known(keys(ScramHash::Sha256, "secret"))) else { panic!("no challenge") };
        let challenge = String::from_utf8(challenge).unwrap();
        let input = [client.gs2_header.as_bytes(), value].concat();
        let last = client.last_with(&challenge, "secret", &format!("c={},r=clientserver", STANDARD.encode(input)));
        sasl.handle_response(last.as_bytes())
    };
    assert!(matches!(answer(&[1; 32]), Step::Success { .. }));
    // who sits between has another connection to us, or another certificate, or strips the value
    for other in [&[9; 32][..], &[2; 48], &[1; 31], &[]] {
        assert_eq!(failure(answer(other)), SaslFailure::NotAuthorized);
    }
}

#[test]
fn xep0474_s6_3_full_example() {
    let offer = Offer {
        mechanisms: vec![Mechanism::ScramSha1, Mechanism::ScramSha1Plus],
        bindings: ChannelBindings::new(Some(b"THIS IS FAKE CB DATA".to_vec()), Some(b"another".to_vec())),
    };
    let password = Password::prepare("pencil").unwrap();
    let keys = ScramKeys::derive(ScramHash::Sha1, &password, STANDARD.decode("QSXCR+Q6sek8bf92").unwrap(), iterations(4096));
    let first = "p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6";
    let nonce = "a09117a6-ac50-4f2f-93f1-93799c2bddf6";
    let (mut sasl, _) = Sasl::start(Mechanism::ScramSha1Plus, Some(first.as_bytes()), DOMAIN, nonce.to_owned(), offer);
    let Step::Challenge(challenge) = sasl.handle_answer(known(keys)) else { panic!("no challenge") };
    assert_eq!(
        String::from_utf8(challenge).unwrap(),
        "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08="
    );
    let last = "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,\
                r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,\
                x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p=M/SIDjT+dfcxUh89jZEypRvFxB4=";
    match sasl.handle_response(last.as_bytes()) {
        Step::Success { additional, .. } => assert_eq!(additional.as_deref(), Some(&b"v=MQrMPvv7yv4x4Cq4W4Ih25EqS2c="[..])),
        step => panic!("{step:?}"),
    }
}

/// XEP-0474 §6.1: sorted byte by byte, with the exchange's own hash; without announced bindings there is no second list.
#[test]
fn xep0474_s6_1_what_is_hashed() {
    let challenge = |mechanism: Mechanism, hash: ScramHash, offer: Offer| {
        let first = if mechanism.is_bound() { "p=tls-exporter,,n=romeo,r=abc" } else { "n,,n=romeo,r=abc" };
        let (mut sasl, _) = Sasl::start(mechanism, Some(first.as_bytes()), DOMAIN, "server".to_owned(), offer);
        let Step::Challenge(challenge) = sasl.handle_answer(known(keys(hash, "secret"))) else { panic!("no challenge") };
        String::from_utf8(challenge).unwrap().rsplit_once(",h=").map(|(_, hash)| hash.to_owned())
    };
    let unbound = "PLAIN\x1eSCRAM-SHA-1\x1eSCRAM-SHA-256";
    let bound = "PLAIN\x1eSCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1eSCRAM-SHA-256\x1eSCRAM-SHA-256-PLUS\x1ftls-exporter\x1etls-server-end-point";
    let clear = || Offer { mechanisms: Mechanism::offered(on(true, false)).collect(), bindings: ChannelBindings::default() };
    for (mechanism, hash, offer, text) in [
        (Mechanism::ScramSha256, ScramHash::Sha256, clear(), unbound),
        (Mechanism::ScramSha1, ScramHash::Sha1, clear(), unbound),
        (Mechanism::ScramSha1, ScramHash::Sha1, bindable(), bound),
        (Mechanism::ScramSha256Plus, ScramHash::Sha256, bindable(), bound),
    ] {
        assert_eq!(challenge(mechanism, hash, offer), Some(STANDARD.encode(hash.hash(text.as_bytes()))), "{mechanism:?}");
    }
}

#[test]
fn s5_1_wrong_final_messages() {
    use SaslFailure::{MalformedRequest, NotAuthorized};
    let client = Client::new("n,,", "romeo");
    let check = |make: &dyn Fn(&str) -> String, expected: SaslFailure| {
        let (mut sasl, server_first) = challenged(&client, known(keys(ScramHash::Sha256, "secret")));
        let message = make(&server_first);
        assert_eq!(failure(sasl.handle_response(message.as_bytes())), expected, "{message}");
        // What was right would come too late.
        assert_eq!(failure(sasl.handle_response(client.last(&server_first, "secret").as_bytes())), MalformedRequest);
    };
    let right = |first: &str| client.last(first, "secret");
    let with = |without_proof: &'static str| move |first: &str| client_for_table().last_with(first, "secret", without_proof);

    check(&|first| client.last(first, "Secret"), NotAuthorized);
    check(&with("c=biws,r=client"), NotAuthorized); // the client's nonce alone
    check(&with("c=biws,r=clientother"), NotAuthorized); // a nonce of another exchange
    check(&with("c=eSws,r=clientserver"), NotAuthorized); // `y,,`, but `n,,` was sent
    check(&with("c=bixhLA==,r=clientserver"), NotAuthorized);
    check(&with("c=,r=clientserver"), NotAuthorized);
    check(&with("c=biws,m=ext,r=clientserver"), MalformedRequest);
    check(&with("c=biws,r=clientserver,m=ext"), MalformedRequest);
    check(&with("c=bi*s,r=clientserver"), MalformedRequest);
    check(&with("r=clientserver"), MalformedRequest);
    check(&with("r=clientserver,c=biws"), MalformedRequest);
    check(&|first| right(first).rsplit_once(',').unwrap().0.to_owned(), MalformedRequest);
    check(&|first| format!("{},x=y", right(first)), MalformedRequest);
    check(&|first| right(first).replace(",p=", ",p=AAAA"), MalformedRequest); // too long
    check(&|first| right(first).replace(",p=", ",p= "), MalformedRequest);
    check(&|_| "c=biws,r=clientserver,p=".to_owned(), MalformedRequest);
    check(&|_| "c=biws,r=clientserver,p=AAAA".to_owned(), MalformedRequest);
    check(&|_| String::new(), MalformedRequest);
    check(&|_| "\0".to_owned(), MalformedRequest);
}

fn client_for_table() -> Client {
    Client::new("n,,", "romeo")
}

#[test]
fn s5_1_unknown_optional_extensions_are_ignored_and_signed() {
    let client = Client::new("n,,", "romeo");
    let (mut sasl, server_first) = challenged(&client, known(keys(ScramHash::Sha256, "secret")));
    let last = client.last_with(&server_first, "secret", "c=biws,r=clientserver,x=1");
    assert!(matches!(sasl.handle_response(last.as_bytes()), Step::Success { .. }));
}

#[test]
fn a_replayed_proof_fails_under_another_server_nonce() {
    let client = Client::new("n,,", "romeo");
    let (_, old) = challenged(&client, known(keys(ScramHash::Sha256, "secret")));
    let recorded = client.last(&old, "secret");
    let (mut sasl, step) =
        Sasl::start(Mechanism::ScramSha256, Some(client.first().as_bytes()), DOMAIN, "another".to_owned(), Offer::default());
    assert!(matches!(step, Step::Ask(_)));
    assert!(matches!(sasl.handle_answer(known(keys(ScramHash::Sha256, "secret"))), Step::Challenge(_)));
    assert_eq!(failure(sasl.handle_response(recorded.as_bytes())), SaslFailure::NotAuthorized);
}

#[test]
fn invented_keys_accept_no_proof_even_a_right_one() {
    let client = Client::new("n,,", "romeo");
    let answer = Answer::Keys { keys: keys(ScramHash::Sha256, "secret"), genuine: false, disabled: None };
    let (mut sasl, server_first) = challenged(&client, answer);
    assert_eq!(failure(sasl.handle_response(client.last(&server_first, "secret").as_bytes())), SaslFailure::NotAuthorized);
}

#[test]
fn rfc6120_s6_5_2_only_the_owner_learns_that_the_account_is_disabled() {
    let client = Client::new("n,,", "romeo");
    let disabled = || Some(Disabled { reason: Some("Call 212-555-1212 for assistance.".to_owned()) });
    let answer = || Answer::Keys { keys: keys(ScramHash::Sha256, "secret"), genuine: true, disabled: disabled() };
    let told = SaslFailure::AccountDisabled(Some("Call 212-555-1212 for assistance.".to_owned()));
    for (password, expected) in [("secret", told), ("guess", SaslFailure::NotAuthorized)] {
        let (mut sasl, server_first) = challenged(&client, answer());
        assert_eq!(failure(sasl.handle_response(client.last(&server_first, password).as_bytes())), expected);
    }
}

#[test]
fn a_client_that_speaks_out_of_turn_is_malformed() {
    let (mut sasl, _) = start("n,,n=romeo,r=abc");
    assert_eq!(failure(sasl.handle_response(b"c=biws,r=abc,p=AAAA")), SaslFailure::MalformedRequest);
    let (mut sasl, _) = Sasl::start(Mechanism::Plain, Some(b"\0romeo\0secret"), DOMAIN, String::new(), Offer::default());
    assert_eq!(failure(sasl.handle_response(b"\0romeo\0secret")), SaslFailure::MalformedRequest);
}

#[test]
fn a_refusal_ends_the_exchange() {
    let (mut sasl, _) = start("n,,n=romeo,r=abc");
    let step = sasl.handle_answer(Answer::Refused(SaslFailure::TemporaryAuthFailure));
    assert_eq!(failure(step), SaslFailure::TemporaryAuthFailure);
}

#[test]
fn rfc6120_s6_4_1_mechanisms_are_offered_strongest_first_and_plain_over_tls_only() {
    let names = |secure, bindable| Mechanism::offered(on(secure, bindable)).map(Mechanism::name).collect::<Vec<_>>();
    let anonymous = Mechanism::offered(Conditions { anonymous: true, ..Conditions::default() });
    assert_eq!(anonymous.map(Mechanism::name).collect::<Vec<_>>(), ["SCRAM-SHA-256", "SCRAM-SHA-1", "ANONYMOUS"]);
    assert_eq!(names(true, true), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]);
    assert_eq!(names(true, false), ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]);
    assert_eq!(names(false, false), ["SCRAM-SHA-256", "SCRAM-SHA-1"]);
    for mechanism in Mechanism::ALL {
        assert_eq!(Mechanism::from_name(mechanism.name()), Some(mechanism));
    }
    for unknown in ["", "scram-sha-1", "SCRAM-SHA-512-PLUS", "DIGEST-MD5", "PLAIN "] {
        assert_eq!(Mechanism::from_name(unknown), None);
    }
}

#[test]
fn rfc6120_s6_3_5_base64_is_strict() {
    let decoded = |text| decode_initial(text).map(|bytes| bytes.map(|bytes| bytes.to_vec()));
    assert_eq!(decoded(""), Ok(None));
    assert_eq!(decoded("="), Ok(Some(Vec::new())));
    assert_eq!(decoded("YWI="), Ok(Some(b"ab".to_vec())));
    for wrong in ["YWI", "YWI==", "YWJ=", "YW I=", " YWI=", "YWI=\n", "YWI=YWI=", "YW-_", "==", "Y", "\u{e4}"] {
        assert_eq!(decoded(wrong), Err(SaslFailure::IncorrectEncoding), "{wrong:?}");
    }
    assert_eq!(decode_response("").unwrap().len(), 0);
    assert_eq!(encode_additional(b""), "=");
    assert_eq!(encode_additional(b"ab"), "YWI=");
    assert_eq!(encode(b""), "");
}

#[test]
fn nonces_are_printable_without_comma() {
    for byte in 0..=255 {
        let nonce = nonce(&[byte; NONCE_BYTES]);
        assert_eq!(nonce.len(), 24);
        assert!(nonce.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','));
    }
}

proptest! {
    /// Whatever a client sends, the exchange ends in an answer, and never in success without the right proof.
    #[test]
    fn no_input_panics_or_succeeds(first in "[ny],(a=r@e)?,n=[a-z=2C]{0,4},r=[!-~]{0,5}", noise: Vec<u8>, last in "(c=biws,)?(r=.{0,8},)?(p=[A-Za-z0-9+/=]{0,48})?") {
        for message in [first.as_bytes(), &noise[..]] {
            for mechanism in Mechanism::ALL {
                let (mut sasl, step) = Sasl::start(mechanism, Some(message), DOMAIN, "server".to_owned(), Offer::default());
                if let Step::Ask(Question::Keys { hash, .. }) = step {
                    let challenge = sasl.handle_answer(known(ScramKeys::new(vec![1; 16], iterations(1), vec![2; hash.digest_bytes()], vec![3; hash.digest_bytes()])));
                    prop_assert!(matches!(challenge, Step::Challenge(_)));
                    prop_assert!(matches!(sasl.handle_response(last.as_bytes()), Step::Failure(_)));
                }
            }
        }
    }
}
