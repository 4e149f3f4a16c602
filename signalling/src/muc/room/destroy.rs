//! XEP-0045 §10.9: a room is destroyed.

use crate::jid::Jid;
use crate::muc::change::Change;
use crate::muc::model::Room;
use crate::muc::outcome::Outcome;
use crate::stanza::error::StanzaError;
use crate::xml::{Node, XmlWriter};

use super::admin::items::reason;

/// Bytes of the password of an alternate venue.
const PASSWORD_BYTES_MAX: usize = 1023;

/// That a room is destroyed, and nobody has said why.
pub(super) const DESTROYED: &[u8] = b"<destroy/>";

impl Room {
    /// An owner destroys the room, and may say why and where everyone goes instead.
    pub(super) fn destroy(&mut self, destroy: Node<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let venue = destroy.attr("jid").filter(|jid| !jid.is_empty()).map(Jid::parse).transpose();
        let venue = venue.map_err(|error| StanzaError::jid_malformed().with_text(error.to_string()))?;
        let reason = reason(destroy)?;
        let password = destroy.child(destroy.ns(), "password").map(|password| password.text().into_owned());
        if password.as_ref().is_some_and(|password| password.len() > PASSWORD_BYTES_MAX) {
            return Err(StanzaError::policy_violation().with_text("the password is too long"));
        }
        let mut xml = XmlWriter::new();
        xml.open("destroy").attr_opt("jid", venue.as_ref().map(Jid::as_str));
        if let Some(password) = password.filter(|password| !password.is_empty()) {
            xml.open("password").text(&password).close();
        }
        if let Some(reason) = reason {
            xml.open("reason").text(&reason).close();
        }
        xml.close();
        self.end(Some(&xml.finish()), out);
        Ok(())
    }

    /// Everyone is removed, and nothing of the room stays. `destroy`: `<destroy/>` with what an owner has said.
    pub(in crate::muc) fn end(&mut self, destroy: Option<&[u8]>, out: &mut Outcome) {
        self.remove_everybody(&[], Some(destroy.unwrap_or(DESTROYED)), out);
        self.lasting.change(Change::Destroy, out);
        out.over = true;
    }
}
