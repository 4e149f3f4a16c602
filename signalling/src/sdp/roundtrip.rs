//! Reading and writing undo each other: over generated descriptions, over the corpus, and over what becomes of it by mutation.

use proptest::prelude::*;

use super::corpus::{self, descriptions};
use super::strategies::{self, unnumbered};
use super::{SessionDescription, parse, parse_attribute, parse_fragment, write, write_attribute};
use crate::xml::fuzz::mutation;

/// What `write` makes of a text of the corpus, said in terms of the text alone: the list in `write.rs`.
fn normal(text: &str) -> String {
    let mut levels: Vec<Vec<String>> = vec![Vec::new()];
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if line.starts_with("m=") {
            levels.push(Vec::new());
        }
        levels.last_mut().unwrap().push(normal_line(line));
    }
    let is_fragment = !text.starts_with("v=");
    for (absent, line) in [("s=", "s=-"), ("t=", "t=0 0")] {
        if !is_fragment && !levels[0].iter().any(|line| line.starts_with(absent)) {
            levels[0].push(line.to_owned());
        }
    }
    for (index, level) in levels.iter_mut().enumerate() {
        let order = if index == 0 { "vosiuepcbtrzka" } else { "micbka" };
        level.sort_by_key(|line| order.find(&line[..1]));
    }
    levels.concat().iter().flat_map(|line| [line, "\r\n"]).collect()
}

fn normal_line(line: &str) -> String {
    if line == "s=" {
        return "s=-".into();
    }
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    let words: Vec<&str> = value.split_whitespace().collect();
    match name {
        "a=candidate" => {
            let at = |name| words.iter().skip(6).step_by(2).position(|word| *word == name).map(|pair| 6 + 2 * pair);
            let generation = at("generation").map_or("0", |at| words[at + 1]);
            let network = at("network-id").map(|at| words[at + 1]);
            let moved = |pair: &&[&str]| !matches!(pair[0], "generation" | "network-id");
            let is_model = |pair: &&[&str]| matches!(pair[0], "typ" | "raddr" | "rport" | "tcptype");
            let (model, extensions): (Vec<_>, Vec<_>) = words[6..].chunks(2).filter(moved).partition(is_model);
            let mut out = vec![words[0], words[1], "", words[3], words[4], words[5]];
            let protocol = words[2].to_lowercase();
            out[2] = &protocol;
            out.extend(model.concat());
            out.extend(["generation", generation]);
            out.extend(extensions.concat());
            out.extend(network.into_iter().flat_map(|network| ["network-id", network]));
            format!("{name}:{}", out.join(" "))
        }
        "a=fingerprint" => format!("{name}:{} {}", words[0].to_lowercase(), words[1].to_uppercase()),
        "a=fmtp" => {
            let parameters: Vec<_> = value[words[0].len()..].split(';').map(str::trim).filter(|text| !text.is_empty()).collect();
            format!("{name}:{} {}", words[0], parameters.join(";"))
        }
        _ => line.into(),
    }
}

#[test]
fn the_corpus_is_written_as_it_was_but_for_the_normal_form() {
    for (name, text, read) in descriptions() {
        let written = write(&read);
        assert_eq!(written, normal(&text), "{name}");
        let again = if read.origin.is_some() { parse(&written) } else { parse_fragment(&written) };
        assert_eq!(again.map(unnumbered), Ok(unnumbered(read)), "{name}");
    }
}

#[test]
fn browsers_write_the_normal_form_but_for_candidates() {
    let browsers = descriptions().into_iter().filter(|(name, ..)| name.starts_with("chromium/") || name.starts_with("firefox/"));
    let lines = |text: &str| text.lines().filter(|line| !line.starts_with("a=candidate:")).map(str::to_owned).collect::<Vec<_>>();
    for (name, text, read) in browsers {
        let other = |line: &String| line.starts_with("a=fingerprint:");
        let (mut written, mut text) = (lines(&write(&read)), lines(&text));
        if name.starts_with("firefox/") || name.contains("firefox") {
            // In capitals: `SHA-256`.
            written.retain(|line| !other(line));
            text.retain(|line| !other(line));
        }
        assert_eq!(written, text, "{name}");
    }
}

/// Descriptions are large: a quarter of the usual number of them says as much. `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.div_ceil(4), failure_persistence: None, ..default }
}

type Read = fn(&str) -> Result<SessionDescription, super::SdpError>;

/// What holds of every text: an error is at one of its lines; what is read comes back.
fn promises(text: &str) {
    let lines = u32::try_from(text.split('\n').count()).unwrap();
    for read in [parse as Read, parse_fragment] {
        match read(text) {
            Err(error) => {
                assert!((1..=lines).contains(&error.line), "{error} of {lines} lines in {text:?}");
                assert!(error.expected.len() < 400 && !error.expected.contains(['\r', '\n', '\0']), "{error:?}");
            }
            Ok(description) => {
                let written = write(&description);
                // A candidate gets its generation.
                assert!(written.len() <= 2 * text.len() + 64, "{text:?} became {written:?}");
                assert_eq!(read(&written).map(unnumbered), Ok(unnumbered(description)), "{text:?} became {written:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn descriptions_come_back(description in strategies::description()) {
        let written = write(&description);
        prop_assert_eq!(parse(&written).map(unnumbered), Ok(description), "{}", written);
    }

    #[test]
    fn fragments_come_back(fragment in strategies::fragment()) {
        let written = write(&fragment);
        prop_assert_eq!(parse_fragment(&written).map(unnumbered), Ok(fragment), "{}", written);
    }

    /// Whatever stands in the values, it makes no line.
    #[test]
    fn no_value_makes_a_line(description in strategies::description(), evil in "[ -~]{0,8}(\r\n|\n|\r|\0)a=evil", place in any::<proptest::sample::Index>()) {
        let lines = |text: &str| text.matches("\r\n").count();
        let (evil, plain) = (evil.as_str(), write(&description));
        let mut broken = description;
        let media = broken.media.len();
        let attributes: Vec<_> = broken.attributes.iter_mut().chain(broken.media.iter_mut().flat_map(|media| &mut media.attributes)).collect();
        let count = attributes.len();
        if count > 0 {
            let at = place.index(count);
            spoil(&mut attributes.into_iter().nth(at).unwrap().attribute, evil);
        }
        if media > 0 {
            let media = &mut broken.media[place.index(media)];
            media.media = evil.into();
            media.others.iter_mut().for_each(|other| other.value = evil.into());
            media.bandwidths.iter_mut().for_each(|bandwidth| bandwidth.value = evil.into());
            media.connections.iter_mut().for_each(|connection| connection.address = evil.into());
        }
        broken.name = evil.into();
        broken.origin.as_mut().unwrap().username = evil.into();
        let written = write(&broken);
        prop_assert_eq!(lines(&written), lines(&plain));
        prop_assert!(written.split("\r\n").all(|line| !line.contains(['\r', '\n', '\0']) && !line.starts_with("a=evil")), "{:?}", written);
    }
}

/// Puts a text where an attribute has one.
fn spoil(attribute: &mut super::line::Attribute, evil: &str) {
    use super::line::Attribute;
    match attribute {
        Attribute::Mid(text) | Attribute::IceUfrag(text) => *text = evil.into(),
        Attribute::IcePwd(pwd) => *pwd = evil.into(),
        Attribute::Group { mids, .. } => mids.push(evil.into()),
        Attribute::Fmtp { parameters, .. } | Attribute::Extmap { parameters, .. } => {
            parameters.push(crate::jingle::rtp::Parameter { name: "a".into(), value: Some(evil.into()) });
        }
        Attribute::Ssrc { parameter, .. } => parameter.value = Some(evil.into()),
        Attribute::Candidate(candidate) => candidate.ip = evil.into(),
        Attribute::Crypto(crypto) => crypto.key_params = evil.into(),
        Attribute::Other { value, .. } => *value = Some(evil.into()),
        other => *other = Attribute::Other { name: evil.into(), value: None },
    }
}

proptest! {
    #![proptest_config(mutation::config())]

    #[test]
    fn mutations_of_the_corpus_hold_the_promises(mutation in mutation::any(), doubled in any::<proptest::sample::Index>(), swap in any::<bool>()) {
        thread_local! { static CORPUS: Vec<Vec<u8>> = corpus::texts("sdp", "sdp").into_iter().map(|(_, text)| text.into_bytes()).collect(); }
        let text = CORPUS.with(|corpus| mutation.of(corpus));
        let text = String::from_utf8_lossy(&text);
        promises(&text);
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        if !lines.is_empty() {
            let at = doubled.index(lines.len());
            if swap { lines.swap(0, at) } else { lines.insert(at, lines[at]) }
            promises(&lines.concat());
        }
    }

    #[test]
    fn attributes_of_any_characters_hold_the_promises(name in "candidate|fmtp|rtcp-fb|extmap|ssrc|rtpmap|crypto|remote-candidates|ice-options|simulcast|rid|x", value in ".{0,60}|[0-9a-z ./:;=*\t-]{0,60}") {
        let text = format!("{name}:{value}");
        if let Ok(attribute) = parse_attribute(&text) {
            let mut written = String::new();
            write_attribute(&attribute, &mut written);
            prop_assert_eq!(parse_attribute(&written), Ok(attribute), "{} became {}", text, written);
        }
    }
}
