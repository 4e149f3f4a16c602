//! Descriptions for tests: the lines behind `t=0 0`, one after the other.

use crate::jingle::content::{Content, Jingle, Party};
use crate::sdp::description::Description;
use crate::sdp::map::{from_jingle, from_sdp, to_sdp};
use crate::sdp::{SessionDescription, parse, write};

const HEAD: &str = "v=0\no=- 7 1 IN IP4 192.0.2.1\ns=-\nt=0 0\n";
/// Lines of a section with nothing special in it.
pub const AUDIO: &str = "m=audio 9 RTP/AVP 0\nc=IN IP4 0.0.0.0\na=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg";

pub fn lines(body: &str) -> SessionDescription {
    let body: Vec<&str> = body.lines().map(str::trim).collect();
    let text = format!("{HEAD}{}\n", body.join("\n"));
    parse(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// The description and the warnings.
pub fn read(party: Party, body: &str) -> (Description, Vec<String>) {
    read_after(party, body, None).unwrap_or_else(|error| panic!("{error} in {body}"))
}

/// The same with one before, or the error.
pub fn read_after(party: Party, body: &str, previous: Option<&Description>) -> Result<(Description, Vec<String>), String> {
    let (description, warnings) = from_sdp(lines(body), party, previous).map_err(|error| error.to_string())?;
    Ok((description, warnings.iter().map(ToString::to_string).collect()))
}

/// The only content of an offer.
pub fn content(body: &str) -> Content {
    let (description, warnings) = read(Party::Initiator, body);
    assert!(warnings.is_empty(), "{warnings:?} of {body}");
    let [section] = <[_; 1]>::try_from(description.sections).expect("one section");
    section.content
}

/// The lines behind `t=0 0` of what is written, and the warnings.
pub fn written(description: &Description) -> (String, Vec<String>) {
    let (lines, warnings) = to_sdp(description);
    let text = write(&lines).replace("\r\n", "\n");
    let body = text.split_once("\nt=0 0\n").expect("a head").1.trim_end().to_owned();
    (body, warnings.iter().map(ToString::to_string).collect())
}

/// What an offer becomes on its way to contents and back, without warnings.
pub fn through(body: &str) -> String {
    let (description, warnings) = read(Party::Initiator, body);
    assert!(warnings.is_empty(), "{warnings:?} of {body}");
    let (body, warnings) = written(&description);
    assert!(warnings.is_empty(), "{warnings:?} of {body}");
    body
}

/// The description of a session-initiate with these contents, and the warnings.
pub fn said(contents: Vec<Content>) -> Result<(Description, Vec<String>), String> {
    let jingle = Jingle { contents, ..Jingle::new(crate::jingle::Action::SessionInitiate, "7") };
    let (description, warnings) = from_jingle(jingle, Party::Initiator, None).map_err(|error| error.to_string())?;
    Ok((description, warnings.iter().map(ToString::to_string).collect()))
}

/// Those lines of a body that begin so.
pub fn only(body: &str, starts: &[&str]) -> Vec<String> {
    body.lines().filter(|line| starts.iter().any(|start| line.starts_with(start))).map(ToOwned::to_owned).collect()
}
