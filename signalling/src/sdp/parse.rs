//! Text to lines: RFC 8866 §9, read as leniently as programs write it and no more.

use super::line::SessionDescription;

/// Longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 16 * 1024;
/// Lines of one text.
pub const LINES_MAX: u32 = 8192;
/// Media descriptions of one text.
pub const MEDIA_MAX: usize = crate::jingle::content::CONTENTS_MAX;

/// What a line should have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {expected}")]
pub struct SdpError {
    /// From 1.
    pub line: u32,
    /// For a person: what was expected, and what stands there instead, shortened.
    pub expected: String,
}

/// Reads a session description.
///
/// # Errors
/// The first line that is none.
pub fn parse(text: &str) -> Result<SessionDescription, SdpError> {
    let _ = text;
    todo!()
}

/// Reads a fragment, RFC 8840 §9: attributes and pseudo m= lines; also bare `candidate:` lines as browsers give them.
///
/// # Errors
/// The first line that is none.
pub fn parse_fragment(text: &str) -> Result<SessionDescription, SdpError> {
    let _ = text;
    todo!()
}
