//! Promise: what stanza.js can say of a description, in SDP or in Jingle, we say in the same words. Over the whole corpus, both ways.

mod differences;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use campanile_signalling::jingle::Party;
use campanile_signalling::sdp::convert::{self, ConvertError, Request};
use serde_json::{Value, json};

use self::differences::{Case, DIFFERENCES, To};
use crate::support::facts;
use crate::support::peers;

/// Facts of which both must have said so many, lest nothing was compared.
const AGREED_MIN: usize = 190_000;

#[test]
#[ignore = "stanza.js: run tests/run"]
fn both_say_the_same() {
    let mut comparison = Comparison { oracle: Oracle::start(), agreed: 0, used: vec![0; DIFFERENCES.len()], unknown: Vec::new() };
    for (name, sdp) in corpus("sdp", "sdp") {
        if sdp.starts_with("v=0") && !SILENT.contains(&&*name) {
            comparison.of_sdp(&name, &named(&sdp), if name.contains("responder") { "responder" } else { "initiator" });
        }
    }
    for (name, jingle) in corpus("jingle", "xml") {
        if ["session-initiate", "session-accept"].iter().any(|action| name.contains(action)) && !SILENT.contains(&&*name) {
            let role = if name.contains("responder") || name.contains("session-accept") { "responder" } else { "initiator" };
            comparison.of_jingle(&name, &jingle, "", role);
        }
    }
    let Comparison { oracle, agreed, used, unknown } = comparison;
    oracle.end();
    assert!(unknown.is_empty(), "{} differences:\n{}", unknown.len(), unknown.join("\n"));
    for (difference, used) in DIFFERENCES.iter().zip(used) {
        assert!(used > 0, "it no longer differs: {}", difference.why);
    }
    assert!(agreed >= AGREED_MIN, "{agreed}");
}

/// No description, one of print that cannot be read, one whose sections are all refused, and stubs.
const SILENT: [&str; 6] = [
    "rfc-4475/test.sdp",
    "draft-ietf-rtcweb-sdp/5.2.9-1-initiator-offer.sdp",
    "rfc-3264/9-capabilities.sdp",
    "xep-0166/01-session-initiate.xml",
    "xep-0166/02-session-accept.xml",
    "xep-0166/35-session-initiate.xml",
];

/// Without `a=mid` stanza.js has no names for contents, which then are none: they get some.
fn named(sdp: &str) -> String {
    if sdp.contains("\na=mid:") {
        return sdp.to_owned();
    }
    let mut named = String::new();
    let mut names = 0..;
    for line in sdp.lines() {
        named += &format!("{line}\r\n");
        if line.starts_with("m=") {
            named += &format!("a=mid:{}\r\n", names.next().expect("endless"));
        }
    }
    named
}

struct Comparison {
    oracle: Oracle,
    /// How many facts both said.
    agreed: usize,
    /// How often a known difference was met.
    used: Vec<usize>,
    unknown: Vec<String>,
}

impl Comparison {
    fn of_sdp(&mut self, name: &str, sdp: &str, role: &str) {
        let ours = to_jingle(sdp, role).unwrap_or_else(|error| panic!("{name}: {error}"));
        match self.oracle.jingle(sdp, role) {
            Ok(theirs) => {
                self.compare(&Case {
                    name,
                    to: To::Jingle,
                    text: sdp,
                    sdp,
                    ours: &facts::of_jingle(&ours),
                    theirs: &facts::of_jingle(&theirs),
                });
                self.of_jingle(name, &theirs, sdp, role);
            }
            Err(error) => assert!(differences::throws_to_jingle(sdp), "{name}: {error}"),
        }
        self.of_jingle(name, &ours, sdp, role);
    }

    /// `sdp`: what it was made of.
    fn of_jingle(&mut self, name: &str, jingle: &str, sdp: &str, role: &str) {
        let ours = match to_sdp(jingle, role) {
            Ok(ours) => ours,
            Err(error) => return assert!(differences::is_unreadable(jingle, sdp), "{name}: {error} in {jingle}"),
        };
        match self.oracle.sdp(jingle, role) {
            Ok(theirs) => {
                let (ours, theirs) = (facts::of_sdp(&ours, role), facts::of_sdp(&theirs, role));
                self.compare(&Case { name, to: To::Sdp, text: jingle, sdp, ours: &ours, theirs: &theirs });
            }
            Err(error) => assert!(differences::throws_to_sdp(jingle), "{name}: {error} in {jingle}"),
        }
    }

    fn compare(&mut self, case: &Case<'_>) {
        self.agreed += case.ours.intersection(case.theirs).count();
        let ours = case.ours.difference(case.theirs).map(|fact| (true, fact));
        let theirs = case.theirs.difference(case.ours).map(|fact| (false, fact));
        for (is_ours, fact) in ours.chain(theirs) {
            match DIFFERENCES.iter().position(|known| known.explains(case, is_ours, fact)) {
                Some(index) => self.used[index] += 1,
                None => {
                    self.unknown.push(format!("{} to {:?}, only {}: {fact}", case.name, case.to, if is_ours { "ours" } else { "theirs" }))
                }
            }
        }
    }
}

fn request(role: &str) -> Request<'static> {
    Request { party: Party::parse(role).expect("a role"), action: None, before: None }
}

fn to_jingle(sdp: &str, role: &str) -> Result<String, ConvertError> {
    convert::to_jingle(sdp, &request(role)).map(|(stanzas, _)| convert::to_xml(&stanzas[0]))
}

fn to_sdp(jingle: &str, role: &str) -> Result<String, ConvertError> {
    convert::to_sdp(jingle, &request(role)).map(|(sdp, _)| sdp)
}

/// stanza.js in a process of its own.
struct Oracle {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Self {
        let mut child =
            peers::interpreter("node", "sdp_oracle.mjs").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node runs");
        let (questions, answers) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Self { child, questions, answers: BufReader::new(answers) }
    }

    fn ask(&mut self, question: &Value) -> Result<String, String> {
        writeln!(self.questions, "{question}").expect("it reads");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?} to {question}"));
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer[question["to"].as_str().expect("a word")].as_str().expect("a text").to_owned()),
        }
    }

    fn jingle(&mut self, sdp: &str, role: &str) -> Result<String, String> {
        self.ask(&json!({ "to": "jingle", "role": role, "sdp": sdp }))
    }

    fn sdp(&mut self, jingle: &str, role: &str) -> Result<String, String> {
        self.ask(&json!({ "to": "sdp", "role": role, "jingle": jingle }))
    }

    fn end(self) {
        let Self { mut child, questions, .. } = self;
        drop(questions);
        assert!(child.wait().expect("it is ours").success());
    }
}

/// Files under this folder of the corpus, by their names from there on.
fn corpus(folder: &str, extension: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push((path.strip_prefix(&root).unwrap().display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
