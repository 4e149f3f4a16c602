//! XEP-0045 §10.1.2, §10.1.3, §10.2, §10.9: `muc#owner`.

use crate::forms::{Form, FormType};
use crate::jid::BareJid;
use crate::muc::context::Context;
use crate::muc::model::{Affiliation, Room};
use crate::muc::outcome::Outcome;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, Stanza};
use crate::xml::XmlWriter;

use super::{element, sender};

impl Room {
    /// Gives out the configuration form, takes it, or destroys the room.
    ///
    /// # Errors
    /// `forbidden` for who is no owner, `bad-request`, `jid-malformed`; `not-acceptable`, `conflict` and `resource-constraint` for what is filled in.
    pub fn owner(&mut self, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let payload = stanza.payload().ok_or_else(|| StanzaError::bad_request("there is no payload"))?;
        let from = sender(stanza)?;
        if self.power(from, context).0 < Affiliation::Owner {
            return Err(StanzaError::forbidden());
        }
        if stanza.kind() == Kind::Iq(IqType::Get) {
            self.write_form(context, out);
            return Ok(());
        }
        let query = element(&payload)?;
        let destroy = query.root().child(ns::MUC_OWNER, "destroy");
        match (destroy, Form::of(query.root())?) {
            (Some(destroy), None) => self.destroy(destroy, out),
            // §10.1.3: the room was not wanted after all; §10.2: everything stays as it is.
            (None, Some(form)) if form.type_ == FormType::Cancel => {
                if self.lasting.locked {
                    self.end(None, out);
                }
                Ok(())
            }
            (None, Some(form)) => self.configure(&form, from, context, out),
            _ => Err(StanzaError::bad_request("an owner sends a form or destroys the room")),
        }
    }

    /// §10.1.3, example 157; §10.2, example 165.
    fn write_form(&self, context: &Context<'_>, out: &mut Outcome) {
        let lasting = &self.lasting;
        let list = |affiliation: Affiliation| -> Vec<&str> {
            let all = lasting.affiliations.iter().filter(|(_, entry)| entry.affiliation == affiliation);
            all.map(|(jid, _): (&BareJid, _)| jid.as_str()).collect()
        };
        let title = format!("Configuration for \"{}\" Room", lasting.jid.local().unwrap_or_default());
        let mut xml = XmlWriter::new();
        xml.open("query").ns(ns::MUC_OWNER);
        lasting.config.write_form(&mut xml, &title, &list(Affiliation::Admin), &list(Affiliation::Owner), context.limits);
        xml.close();
        out.reply = xml.finish();
    }
}

#[cfg(test)]
mod tests;
