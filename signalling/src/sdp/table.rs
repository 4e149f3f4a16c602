//! Every row of `docs/sdp-mapping.md` that has SDP on the left and Jingle on the right, put into a description of the initiator: it comes out as written
//! there, and back.

use super::convert::{self, Request};
use crate::jingle::{Action, Party};

const TABLE: &str = include_str!("../../../docs/sdp-mapping.md");
/// Parts of a description that a row may replace.
const SESSION: [&str; 4] = ["v=0", "o=- 7 1 IN IP4 192.0.2.1", "s=-", "t=0 0"];
const MEDIA: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111";
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
    let row = row.trim().trim_matches('|').replace("\\|", "\u{1}");
    row.split('|').map(|cell| cell.trim().replace('\u{1}', "\\|")).collect()
}

fn rows() -> Vec<(Vec<String>, Vec<String>, bool)> {
    let (mut rows, mut of_session, mut in_table) = (Vec::new(), false, false);
    for line in TABLE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            of_session = heading == "The session";
        }
        if line.starts_with("| SDP | Jingle |") {
            in_table = true;
        } else if !line.starts_with('|') {
            in_table = false;
        } else if in_table && !line.starts_with("| ---") {
            let cells = cells(line);
            rows.push((pieces(&cells[0]), pieces(&cells[1]), of_session));
        }
    }
    rows
}

/// The description that a row describes.
fn sdp(row: &[String], of_session: bool) -> String {
    let name = |line: &str| line.split([':', ' ']).next().unwrap_or_default().to_owned();
    let says = |line: &str| row.iter().any(|own| name(own) == name(line));
    let media = row.iter().find(|line| line.starts_with("m=")).map_or(MEDIA, String::as_str);
    let own = || row.iter().filter(|line| !line.starts_with("m=")).map(String::as_str);
    let mut lines = Vec::from(SESSION);
    let session_lines = own().filter(|_| of_session);
    // RFC 8866 §5: `i=` stands before `t=`, attributes behind it.
    let (before, behind): (Vec<_>, Vec<_>) = session_lines.partition(|line| !line.starts_with("a="));
    lines.splice(3..3, before);
    lines.extend(behind);
    lines.push(media);
    let section: Vec<&str> = if of_session { Vec::new() } else { own().collect() };
    lines.extend(section.iter().filter(|line| line.starts_with("b=")));
    lines.push("c=IN IP4 0.0.0.0");
    let ice = !media.contains("RTP/AVP") && !media.contains("RTP/SAVP ");
    let rtp = media.starts_with("m=audio") && media.contains("111");
    lines.extend(SECTION.into_iter().filter(|line| !says(line) && (rtp || !line.contains("rtpmap")) && (ice || !line.contains("ice-"))));
    lines.extend(DTLS.into_iter().filter(|line| ice && !says(line)));
    lines.extend(section.iter().filter(|line| !line.starts_with("b=")));
    lines.join("\r\n") + "\r\n"
}

#[test]
fn every_row_of_the_table_is_true_both_ways() {
    let rows = rows();
    assert!(rows.len() > 40, "the table is not found: {} rows", rows.len());
    let request = Request { party: Party::Initiator, action: Some(Action::SessionInitiate), before: None };
    let mut wrong = Vec::new();
    for (lines, elements, of_session) in rows {
        let sdp = sdp(&lines, of_session);
        let (stanzas, warnings) = convert::to_jingle(&sdp, &request).unwrap_or_else(|error| panic!("{error} in {sdp}"));
        let xml = convert::to_xml(&stanzas[0]);
        for element in &elements {
            if !xml.contains(element) {
                wrong.push(format!("{element}\n  is not in {xml}"));
            }
        }
        if !warnings.is_empty() {
            wrong.push(format!("{lines:?}: {warnings:?}"));
        }
        let back = convert::to_sdp(&xml, &request).unwrap_or_else(|error| panic!("{error} in {xml}")).0;
        for line in &lines {
            if !back.lines().any(|written| written == line) {
                wrong.push(format!("{line}\n  is not in {back}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
