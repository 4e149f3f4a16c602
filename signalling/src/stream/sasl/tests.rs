//! Whole exchanges, with a client of our own where the examples of the RFCs do not reach.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

const DOMAIN: &str = "example.org";

/// The examples of RFC 5802 §5 and RFC 7677 §3, with the values between.
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

const VECTORS: [Vector; 2] = [
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
];

fn iterations(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn keys(hash: ScramHash, password: &str) -> ScramKeys {
    ScramKeys::derive(hash, &Password::prepare(password).unwrap(), b"0123456789abcdef".to_vec(), iterations(64))
}

fn known(keys: ScramKeys) -> Answer {
    Answer::Keys { keys, genuine: true, disabled: false }
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
    Sasl::start(Mechanism::ScramSha256, Some(first.as_bytes()), DOMAIN, "server".to_owned())
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

        let (mut sasl, step) = Sasl::start(vector.mechanism, Some(vector.client_first.as_bytes()), DOMAIN, vector.server_nonce.to_owned());
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
        let (mut sasl, step) = Sasl::start(vector.mechanism, None, DOMAIN, "server".to_owned());
        assert!(matches!(step, Step::Challenge(message) if message.is_empty()));
        assert!(matches!(sasl.handle_response(vector.client_first.as_bytes()), Step::Ask(Question::Keys { .. })));
    }
    let (mut sasl, step) = Sasl::start(Mechanism::Plain, None, DOMAIN, String::new());
    assert!(matches!(step, Step::Challenge(message) if message.is_empty()));
    assert!(matches!(sasl.handle_response(b"\0romeo\0secret"), Step::Ask(Question::Password { .. })));
}

#[test]
fn plain_ends_with_the_verdict() {
    let begin = || Sasl::start(Mechanism::Plain, Some(b"\0Romeo\0secret"), DOMAIN, String::new()).0;
    match begin().handle_answer(Answer::Accepted) {
        Step::Success { username, additional: None } => assert_eq!(username, "romeo"),
        step => panic!("{step:?}"),
    }
    let refused = begin().handle_answer(Answer::Refused(SaslFailure::NotAuthorized));
    assert_eq!(failure(refused), SaslFailure::NotAuthorized);
}

#[test]
fn s7_client_first_message() {
    use SaslFailure::{InvalidAuthzid, MalformedRequest, NotAuthorized};
    let check = |message: &[u8], expected: Result<&str, SaslFailure>| {
        let (_, step) = Sasl::start(Mechanism::ScramSha256, Some(message), DOMAIN, "server".to_owned());
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
        check(message, *expected);
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
    let (mut sasl, step) = Sasl::start(Mechanism::ScramSha256, Some(client.first().as_bytes()), DOMAIN, "another".to_owned());
    assert!(matches!(step, Step::Ask(_)));
    assert!(matches!(sasl.handle_answer(known(keys(ScramHash::Sha256, "secret"))), Step::Challenge(_)));
    assert_eq!(failure(sasl.handle_response(recorded.as_bytes())), SaslFailure::NotAuthorized);
}

#[test]
fn invented_keys_accept_no_proof_even_a_right_one() {
    let client = Client::new("n,,", "romeo");
    let answer = Answer::Keys { keys: keys(ScramHash::Sha256, "secret"), genuine: false, disabled: false };
    let (mut sasl, server_first) = challenged(&client, answer);
    assert_eq!(failure(sasl.handle_response(client.last(&server_first, "secret").as_bytes())), SaslFailure::NotAuthorized);
}

#[test]
fn rfc6120_s6_5_2_only_the_owner_learns_that_the_account_is_disabled() {
    let client = Client::new("n,,", "romeo");
    let answer = || Answer::Keys { keys: keys(ScramHash::Sha256, "secret"), genuine: true, disabled: true };
    for (password, expected) in [("secret", SaslFailure::AccountDisabled), ("guess", SaslFailure::NotAuthorized)] {
        let (mut sasl, server_first) = challenged(&client, answer());
        assert_eq!(failure(sasl.handle_response(client.last(&server_first, password).as_bytes())), expected);
    }
}

#[test]
fn a_client_that_speaks_out_of_turn_is_malformed() {
    let (mut sasl, _) = start("n,,n=romeo,r=abc");
    assert_eq!(failure(sasl.handle_response(b"c=biws,r=abc,p=AAAA")), SaslFailure::MalformedRequest);
    let (mut sasl, _) = Sasl::start(Mechanism::Plain, Some(b"\0romeo\0secret"), DOMAIN, String::new());
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
    let names = |secure| Mechanism::offered(secure).map(Mechanism::name).collect::<Vec<_>>();
    assert_eq!(names(true), ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]);
    assert_eq!(names(false), ["SCRAM-SHA-256", "SCRAM-SHA-1"]);
    for mechanism in Mechanism::ALL {
        assert_eq!(Mechanism::from_name(mechanism.name()), Some(mechanism));
    }
    for unknown in ["", "scram-sha-1", "SCRAM-SHA-256-PLUS", "DIGEST-MD5", "PLAIN "] {
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
                let (mut sasl, step) = Sasl::start(mechanism, Some(message), DOMAIN, "server".to_owned());
                if let Step::Ask(Question::Keys { hash, .. }) = step {
                    let challenge = sasl.handle_answer(known(ScramKeys::new(vec![1; 16], iterations(1), vec![2; hash.digest_bytes()], vec![3; hash.digest_bytes()])));
                    prop_assert!(matches!(challenge, Step::Challenge(_)));
                    prop_assert!(matches!(sasl.handle_response(last.as_bytes()), Step::Failure(_)));
                }
            }
        }
    }
}
