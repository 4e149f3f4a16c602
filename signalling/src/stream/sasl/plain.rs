//! SASL PLAIN: RFC 4616. `[authzid] NUL authcid NUL passwd` in UTF-8.

use super::{SaslFailure, account, check_authzid};
use crate::auth::Password;
use crate::jid::BareJid;

/// Reads the client's message: whose password it claims to be.
pub(super) fn read(message: &[u8], domain: &str) -> Result<(BareJid, Password), SaslFailure> {
    let text = std::str::from_utf8(message).map_err(|_| SaslFailure::MalformedRequest)?;
    let mut parts = text.split('\0');
    let (Some(authzid), Some(authcid), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(SaslFailure::MalformedRequest);
    };
    if authcid.is_empty() || password.is_empty() {
        return Err(SaslFailure::MalformedRequest);
    }
    let account = account(authcid, domain)?;
    if !authzid.is_empty() {
        check_authzid(authzid, &account)?;
    }
    // A text that is no password is nobody's.
    let password = Password::prepare(password).map_err(|_| SaslFailure::NotAuthorized)?;
    Ok((account, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &[u8], expected: Result<&str, SaslFailure>) {
        let account = read(message, "example.org").map(|(account, _)| account.to_string());
        assert_eq!(account.as_deref(), expected.as_ref().map(|text| *text), "{:?}", String::from_utf8_lossy(message));
    }

    #[test]
    fn s2_message() {
        use SaslFailure::{InvalidAuthzid, MalformedRequest, NotAuthorized};
        check(b"\0romeo\0secret", Ok("romeo@example.org"));
        check(b"\0Romeo\0secret", Ok("romeo@example.org"));
        check("\0jürgen\0geheim".as_bytes(), Ok("jürgen@example.org"));
        check(b"romeo@example.org\0romeo\0secret", Ok("romeo@example.org"));
        check(b"Romeo@Example.ORG\0romeo\0secret", Ok("romeo@example.org"));
        check(b"romeo@example.org/orchard\0romeo\0secret", Err(InvalidAuthzid));
        check(b"juliet@example.org\0romeo\0secret", Err(InvalidAuthzid));
        check(b"romeo@example.com\0romeo\0secret", Err(InvalidAuthzid));
        check(b"romeo\0romeo\0secret", Err(InvalidAuthzid));
        check(b"", Err(MalformedRequest));
        check(b"romeo\0secret", Err(MalformedRequest));
        check(b"\0romeo\0sec\0ret", Err(MalformedRequest));
        check(b"\0\0secret", Err(MalformedRequest));
        check(b"\0romeo\0", Err(MalformedRequest));
        check(b"\0romeo\0\xff", Err(MalformedRequest));
        check(b"\0romeo@example.org\0secret", Err(NotAuthorized));
        check(b"\0ro meo\0secret", Err(NotAuthorized));
        check(b"\0romeo\0\x07", Err(NotAuthorized));
        check(format!("\0{}\0secret", "x".repeat(1024)).as_bytes(), Err(NotAuthorized));
    }
}
