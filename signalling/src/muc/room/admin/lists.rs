//! XEP-0045 §8.5, §9.2, §9.5, §9.8, §10.5, §10.8: the lists, read.

use std::collections::HashMap;

use bytes::Bytes;

use super::items::{Item, Wanted};
use super::rights::{self, Standing};
use crate::muc::model::{Affiliation, Occupant, Role, Room};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// Reasons are optional in a list: after so many bytes of it they are left out.
const BYTES_WITH_REASONS_MAX: usize = 65_536;

impl Room {
    /// The list that an item asks for.
    ///
    /// # Errors
    /// `forbidden`, and `bad-request` for the list of those who are not there.
    pub(super) fn list(&self, item: &Item, by: Standing) -> Result<Bytes, StanzaError> {
        let mut xml = XmlWriter::new();
        xml.open("query").ns(ns::MUC_ADMIN);
        match item.wanted {
            Wanted::Role(Role::None) => return Err(StanzaError::bad_request("nobody in a room has the role none")),
            Wanted::Role(role) if rights::read_roles(by, role) => self.write_role(role, &mut xml),
            Wanted::Affiliation(affiliation) if rights::read_affiliations(by, affiliation, &self.lasting.config) => {
                self.write_affiliation(affiliation, &mut xml);
            }
            _ => return Err(StanzaError::forbidden()),
        }
        xml.close();
        Ok(xml.finish())
    }

    /// §8.5: whoever may see this sees real JIDs anyway.
    fn write_role(&self, role: Role, xml: &mut XmlWriter) {
        for occupant in self.occupants.iter().filter(|occupant| occupant.role == role) {
            xml.open("item").attr("affiliation", occupant.affiliation.name());
            xml.attr_opt("jid", occupant.seats.first().map(|seat| seat.jid.as_str()));
            xml.attr("nick", occupant.nick()).attr("role", role.name()).close();
        }
    }

    /// §9.5: those who are there with their nickname, others with the one that is theirs. §9.2: outcasts without. No roles, see docs/deviations.md.
    fn write_affiliation(&self, affiliation: Affiliation, xml: &mut XmlWriter) {
        let there: HashMap<&str, &Occupant> = self.occupants.iter().map(|occupant| (occupant.account.as_str(), &**occupant)).collect();
        let mut bytes = 0;
        for (jid, entry) in self.lasting.affiliations.iter().filter(|(_, entry)| entry.affiliation == affiliation) {
            xml.open("item").attr("affiliation", affiliation.name()).attr("jid", jid.as_str());
            if affiliation != Affiliation::Outcast {
                xml.attr_opt("nick", there.get(jid.as_str()).map(|occupant| occupant.nick()).or(entry.nick.as_deref()));
            }
            bytes += jid.as_str().len() + entry.reason.as_ref().map_or(0, String::len);
            if let Some(reason) = entry.reason.as_ref().filter(|_| bytes <= BYTES_WITH_REASONS_MAX) {
                xml.open("reason").text(reason).close();
            }
            xml.close();
        }
    }
}
