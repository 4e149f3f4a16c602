//! The tables of `docs/sdp-mapping.md` are true: rows of SDP and Jingle both ways, roles, changes, limits.

use super::convert::{self, Request};
use super::parse;
use crate::jingle::{Action, Party, candidate, content, rtp, transport};

const PAGE: &str = include_str!("../../../docs/sdp-mapping.md");
const SESSION: [&str; 4] = ["v=0", "o=- 7 1 IN IP4 0.0.0.0", "s=-", "t=0 0"];
const MEDIA: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111";
const NOWHERE: &str = "c=IN IP4 0.0.0.0";
/// Parts of a section that a row may replace.
const SECTION: [&str; 4] = ["a=mid:0", "a=ice-ufrag:8hhY", "a=ice-pwd:asd88fgpdd777uzjYhagZg", "a=rtpmap:111 opus/48000/2"];
const DTLS: [&str; 2] = [
    "a=setup:actpass",
    "a=fingerprint:sha-256 02:1A:CC:54:27:AB:EB:9C:53:3F:3E:4B:65:2E:7D:46:3F:54:42:CD:54:F1:7A:03:A2:7D:F9:B0:7F:46:19:B2",
];

/// The code in a cell, piece by piece.
fn pieces(cell: &str) -> Vec<String> {
    let cell = cell.replace("\\|", "|");
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Cells of a row; `\|` does not end one.
fn cells(row: &str) -> Vec<String> {
    let row = row.strip_prefix('|').unwrap_or(row);
    let row = row.strip_suffix('|').unwrap_or(row).replace("\\|", "\u{1}");
    row.split('|').map(|cell| cell.trim().replace('\u{1}', "\\|")).collect()
}

/// The rows of all tables with this head, and the heading above each.
fn rows(head: &str) -> Vec<(&'static str, Vec<String>)> {
    let (mut rows, mut heading, mut in_table) = (Vec::new(), "", false);
    for line in PAGE.lines() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text;
        }
        if line.starts_with(head) {
            in_table = true;
        } else if !line.starts_with('|') {
            in_table = false;
        } else if in_table && !line.starts_with("| ---") {
            rows.push((heading, cells(line)));
        }
    }
    rows
}

fn text(lines: &[&str]) -> String {
    lines.join("\r\n") + "\r\n"
}

/// What a line is about: its letter, or the name of its attribute.
fn name(line: &str) -> &str {
    line.split([':', ' ']).next().filter(|name| name.starts_with("a=")).unwrap_or(&line[..2])
}

/// The description that a row describes.
fn sdp(row: &[String], of_session: bool) -> String {
    let says = |line: &&str| row.iter().any(|own| name(own) == name(line));
    let media = row.iter().find(|line| line.starts_with("m=")).map_or(MEDIA, String::as_str);
    let own = || row.iter().map(String::as_str).filter(|line| !line.starts_with("m="));
    let mut lines: Vec<&str> = SESSION.into_iter().filter(|line| !of_session || !says(line)).collect();
    let session_lines = own().filter(|_| of_session);
    // RFC 8866 §5: `i=` stands before `t=`, attributes behind it.
    let (before, behind): (Vec<_>, Vec<_>) = session_lines.partition(|line| !line.starts_with("a="));
    let place = lines.len() - 1;
    lines.splice(place..place, before);
    lines.extend(behind);
    lines.push(media);
    let section: Vec<&str> = if of_session { Vec::new() } else { own().collect() };
    lines.push(NOWHERE);
    lines.extend(section.iter().filter(|line| line.starts_with("b=")));
    let ice = !media.contains("RTP/AVP") && !media.contains("RTP/SAVP ");
    let rtp = media.starts_with("m=audio") && media.contains("111");
    lines.extend(SECTION.into_iter().filter(|line| !says(line) && (rtp || !line.contains("rtpmap")) && (ice || !line.contains("ice-"))));
    lines.extend(DTLS.into_iter().filter(|line| ice && !says(line)));
    lines.extend(section.iter().filter(|line| !line.starts_with("b=")));
    text(&lines)
}

/// Whether a line that no row has may be in what comes back: it follows from what was said ("Normal form").
fn follows(line: &str, sdp: &str) -> bool {
    let is_default = matches!(line, "a=sendrecv" | "a=rtpmap:0 PCMU/8000" | "a=ice-options:trickle");
    let is_destination = sdp.contains("a=candidate:") && (line.starts_with("m=") || line.starts_with("c="));
    let is_msid = sdp.contains("a=msid:") && line.starts_with("a=ssrc:") && line.contains(" msid:");
    let is_number = sdp.contains("a=jingle-sid:") && line.starts_with("o=");
    is_default || is_destination || is_msid || is_number
}

#[test]
fn every_row_of_sdp_and_jingle_is_true_both_ways() {
    let rows = rows("| SDP | Jingle |");
    assert!(rows.len() > 45, "the tables are not found: {} rows", rows.len());
    let request = Request { party: Party::Initiator, action: Some(Action::SessionInitiate), before: None };
    let mut wrong = Vec::new();
    for (heading, cells) in rows {
        let (lines, elements) = (pieces(&cells[0]), pieces(&cells[1]));
        let sdp = sdp(&lines, heading == "The session");
        let (stanzas, warnings) = convert::to_jingle(&sdp, &request).unwrap_or_else(|error| panic!("{error} in {sdp}"));
        let xml = convert::to_xml(&stanzas[0]);
        wrong.extend(elements.iter().filter(|element| !xml.contains(*element)).map(|element| format!("{element}\n  is not in {xml}")));
        let (back, more) = convert::to_sdp(&xml, &request).unwrap_or_else(|error| panic!("{error} in {xml}"));
        wrong.extend(warnings.iter().chain(&more).map(|warning| format!("{lines:?}: {warning}")));
        let is_back = |line: &String| back.lines().any(|written| written == line);
        wrong.extend(lines.iter().filter(|line| !is_back(line)).map(|line| format!("{line}\n  is not in {back}")));
        let is_said = |line: &&str| sdp.lines().any(|said| said == *line) || follows(line, &sdp);
        wrong.extend(back.lines().filter(|line| !is_said(line)).map(|line| format!("{line}\n  is new after {sdp}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_row_of_roles_is_true_both_ways() {
    let rows = rows("| direction |");
    assert_eq!(rows.len(), 4);
    for (_, cells) in rows {
        for (party, cell) in [(Party::Initiator, &cells[1]), (Party::Responder, &cells[2])] {
            let request = Request { party, action: None, before: None };
            let sdp = sdp(&pieces(&cells[0]), false);
            let xml = convert::to_xml(&convert::to_jingle(&sdp, &request).unwrap().0[0]);
            assert!(xml.contains(&pieces(cell)[0]), "{cells:?}: {xml}");
            let back = convert::to_sdp(&xml, &request).unwrap().0;
            assert!(back.lines().any(|line| line == pieces(&cells[0])[0]), "{cells:?}: {back}");
        }
    }
}

/// A description before or after a change: its first section with these lines in place of those of the same names, and without those taken away;
/// an `m=` of video begins a second section.
fn changed(own: &[String], gone: &[String]) -> String {
    let is_second = |line: &String| line.starts_with("m=video");
    let (first, second) = own.split_at(own.iter().position(is_second).unwrap_or(own.len()));
    let says = |lines: &[String], line: &str| lines.iter().any(|own| name(own) == name(line));
    // Fingerprints add up.
    let is_kept = |line: &&str| (!says(first, line) || line.contains("fingerprint")) && !gone.iter().any(|gone| gone == line);
    let find = |kind: &str| first.iter().map(String::as_str).find(|line| line.starts_with(kind));
    let media = find("m=").unwrap_or(MEDIA);
    let is_group = |line: &&str| line.starts_with("a=group");
    let own = || first.iter().map(String::as_str).filter(|line| line.starts_with("a="));
    let mut lines = Vec::from(SESSION);
    lines.extend(own().filter(is_group));
    lines.extend([media, find("c=").unwrap_or(NOWHERE)]);
    let is_fitting = |line: &&str| media.starts_with("m=audio") || !line.contains("rtpmap");
    lines.extend(SECTION.into_iter().chain(DTLS).chain(["a=sendrecv"]).filter(is_kept).filter(is_fitting));
    lines.extend(own().filter(|line| !is_group(line)));
    if let [media, attributes @ ..] = second {
        lines.extend([media, NOWHERE]);
        lines.extend(attributes.iter().map(String::as_str));
    }
    text(&lines)
}

#[test]
fn every_change_is_said_by_its_stanza_and_applied() {
    let rows = rows("| before | after | stanza |");
    assert!(rows.len() > 12, "the table is not found: {} rows", rows.len());
    for (_, cells) in rows {
        let (own, new, expected) = (pieces(&cells[0]), pieces(&cells[1]), pieces(&cells[2]));
        let (before, after) = (changed(&own, &[]), changed(&new, &own));
        let request = Request { party: Party::Initiator, action: None, before: Some(&before) };
        let (stanzas, warnings) = convert::to_jingle(&after, &request).unwrap_or_else(|error| panic!("{error}: {before} and {after}"));
        let actions: Vec<_> = stanzas.iter().map(|stanza| stanza.action.as_str()).collect();
        assert_eq!((actions, warnings), (expected.iter().map(String::as_str).collect(), Vec::new()), "{cells:?}");
        let (whole, warnings) = convert::to_sdp(&convert::to_xml(&stanzas[0]), &request).unwrap();
        let missing: Vec<_> = new.iter().filter(|line| !whole.lines().any(|written| written == *line)).collect();
        assert_eq!((missing, warnings), (Vec::new(), Vec::new()), "{cells:?}: {whole}");
    }
}

#[test]
fn limits_are_those_of_the_code() {
    let bounds: [(&str, &[usize]); 22] = [
        ("bytes of text", &[parse::TEXT_BYTES_MAX]),
        ("bytes in a line", &[parse::LINE_BYTES_MAX]),
        ("lines", &[parse::LINES_MAX as usize]),
        ("m= lines", &[parse::MEDIA_MAX, content::CONTENTS_MAX]),
        ("bytes in a name", &[content::NAME_BYTES_MAX, parse::words::WORD_BYTES_MAX]),
        ("payload types", &[rtp::PAYLOAD_TYPES_MAX]),
        ("parameters", &[rtp::PARAMETERS_MAX]),
        ("feedbacks", &[rtp::FEEDBACKS_MAX]),
        ("header extensions", &[rtp::HEADER_EXTENSIONS_MAX]),
        ("sources", &[rtp::SOURCES_MAX]),
        ("groups of sources", &[rtp::SOURCE_GROUPS_MAX]),
        ("`a=msid` lines", &[rtp::STREAMS_MAX]),
        ("candidates", &[transport::CANDIDATES_MAX]),
        ("extensions of a candidate", &[candidate::EXTENSIONS_MAX]),
        ("remote candidates", &[transport::REMOTE_CANDIDATES_MAX, transport::OPTIONS_MAX, transport::FINGERPRINTS_MAX]),
        ("`a=crypto` lines", &[rtp::CRYPTOS_MAX]),
        ("`a=zrtp-hash` lines", &[rtp::ZRTP_HASHES_MAX]),
        ("`b=` lines", &[rtp::BANDWIDTHS_MAX]),
        ("groups of a session", &[content::GROUPS_MAX]),
        ("carried lines", &[content::CARRIED_MAX]),
        ("bytes of the result", &[convert::RESULT_BYTES_MAX]),
        ("bytes of the result for each", &[convert::GROWTH_MAX]),
    ];
    let rows = rows("| of | at most |");
    assert_eq!(rows.len(), bounds.len());
    for ((_, cells), (what, bounds)) in rows.iter().zip(bounds) {
        let said: usize = cells[1].replace(',', "").parse().unwrap();
        assert!(cells[0].starts_with(what) && bounds.iter().all(|bound| *bound == said), "{cells:?}: {bounds:?}");
    }
}
