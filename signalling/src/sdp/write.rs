//! Lines to text. A line break inside of a value never becomes one of SDP: values are cut there.

use super::line::SessionDescription;

/// The text, with CRLF at the end of each line. Without an origin it is a fragment (RFC 8840 §9).
#[must_use]
pub fn write(description: &SessionDescription) -> String {
    let _ = description;
    todo!()
}
