//! SASL ANONYMOUS: RFC 4505, as XEP-0175 (1.2) recommends it. The client may say who it is for the log; nothing else is made of it.

use super::SaslFailure;

/// RFC 4505 §2: the longest trace information, in characters.
const TRACE_MAX: usize = 255;

/// Checks the client's message, which is trace information or nothing.
pub(super) fn check(message: &[u8]) -> Result<(), SaslFailure> {
    let trace = std::str::from_utf8(message).map_err(|_| SaslFailure::MalformedRequest)?;
    if trace.chars().count() > TRACE_MAX || trace.contains('\0') {
        return Err(SaslFailure::MalformedRequest);
    }
    if !trace.is_empty() {
        tracing::debug!(?trace, "anonymous log-in");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4505_s2_trace_information() {
        let long = "\u{e4}".repeat(256);
        for (message, right) in [
            (&b""[..], true),
            (b"sirhc", true),
            (b"sirhc@example.org", true),
            (&long.as_bytes()[2..], true),
            (long.as_bytes(), false),
            (b"\xff", false),
            (b"a\0b", false),
        ] {
            assert_eq!(check(message).is_ok(), right, "{message:?}");
        }
    }
}
