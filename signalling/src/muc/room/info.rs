//! XEP-0045 §6.4, §16.3 and §16.5.4: what a room says of itself.

use crate::forms::{FieldType, FormType, FormWriter, Shown};
use crate::jid::Jid;
use crate::muc::config::Whois;
use crate::muc::context::Context;
use crate::muc::model::{Affiliation, Room};
use crate::ns;
use crate::xml::XmlWriter;

impl Room {
    /// Its name for people.
    #[must_use]
    pub fn title(&self) -> &str {
        let name = self.lasting.config.name.as_str();
        if name.is_empty() { self.lasting.jid.local().unwrap_or_default() } else { name }
    }

    /// §16.3: the kinds of room that it is, as features.
    #[must_use]
    pub fn features(&self) -> [&'static str; 6] {
        let config = &self.lasting.config;
        [
            if config.password.is_some() { "muc_passwordprotected" } else { "muc_unsecured" },
            if config.public { "muc_public" } else { "muc_hidden" },
            if config.persistent { "muc_persistent" } else { "muc_temporary" },
            if config.members_only { "muc_membersonly" } else { "muc_open" },
            if config.moderated { "muc_moderated" } else { "muc_unmoderated" },
            if config.whois == Whois::Anyone { "muc_nonanonymous" } else { "muc_semianonymous" },
        ]
    }

    /// §7.2.10, §10.1: whether there is a room for somebody: until it is configured, there is none for others than its owners, and who is there.
    #[must_use]
    pub fn exists_for(&self, from: &Jid, context: &Context<'_>) -> bool {
        !self.lasting.locked || self.is_occupant(from) || self.power(from, context).0 == Affiliation::Owner
    }

    /// Whether somebody who asks learns who is there and what it is about (§14.4): whoever is there or on its lists, and everybody of a public room that
    /// everybody can enter.
    #[must_use]
    pub fn is_open_to(&self, from: &Jid, context: &Context<'_>) -> bool {
        let config = &self.lasting.config;
        let affiliation = self.power(from, context).0;
        let open = config.public && !config.members_only && config.password.is_none() && affiliation != Affiliation::Outcast;
        open || affiliation >= Affiliation::Member || self.is_occupant(from)
    }

    /// §16.5.4, example 10: writes the form `muc#roominfo`, with the hashes of XEP-0486 §3.3 and XEP-0317 §2.
    pub fn write_info(&self, out: &mut XmlWriter, from: &Jid, context: &Context<'_>) {
        let config = &self.lasting.config;
        let mut form = FormWriter::open(out, FormType::Result, ns::MUC_ROOMINFO);
        let mut field = |var: &str, type_: FieldType, label: &str, values: &[&str]| {
            if !values.is_empty() {
                form.shown_field(var, type_, Shown { label, options: &[] }, values);
            }
        };
        let some = |text: &'_ str| !text.is_empty();
        let truth = |value: bool| if value { "1" } else { "0" };
        field("muc#roomconfig_roomname", FieldType::TextSingle, "Natural-Language Room Name", &[self.title()]);
        if some(&config.description) {
            field("muc#roominfo_description", FieldType::TextSingle, "Description", &[&config.description]);
        }
        let contacts: Vec<&str> = config.contacts.iter().map(|jid| jid.as_str()).collect();
        field("muc#roominfo_contactjid", FieldType::JidMulti, "Contact Addresses", &contacts);
        if self.is_open_to(from, context) {
            let subject = self.lasting.subject.as_ref().map_or("", |subject| &subject.text);
            if some(subject) {
                field("muc#roominfo_subject", FieldType::TextSingle, "Current Discussion Topic", &[subject]);
            }
            field("muc#roominfo_occupants", FieldType::TextSingle, "Number of occupants", &[&self.occupants.len().to_string()]);
        }
        if some(&config.lang) {
            field("muc#roominfo_lang", FieldType::TextSingle, "Language of discussion", &[&config.lang]);
        }
        let subject_label = "Subject can be modified";
        field("muc#roominfo_subjectmod", FieldType::Boolean, subject_label, &[truth(config.change_subject)]);
        field("muc#roomconfig_changesubject", FieldType::Boolean, subject_label, &[truth(config.change_subject)]);
        field("muc#roomconfig_allowinvites", FieldType::Boolean, "Members can invite others", &[truth(config.invites_allowed())]);
        field("muc#roomconfig_allowpm", FieldType::ListSingle, "Who can send private messages", &[config.allow_pm.name()]);
        let history = config.history.to_string();
        field("muc#maxhistoryfetch", FieldType::TextSingle, "Maximum Number of History Messages Returned by Room", &[&history]);
        if some(&config.pubsub) {
            field("muc#roomconfig_pubsub", FieldType::TextSingle, "Associated pubsub node", &[&config.pubsub]);
        }
        let hashes: Vec<&str> = self.avatar_hashes().iter().map(String::as_str).collect();
        field("muc#roominfo_avatarhash", FieldType::TextMulti, "Avatar hash", &hashes);
        if let Some(hash) = self.hats_hash() {
            field("hats#hash", FieldType::TextSingle, "Hats hash", &[&hash]);
        }
        form.close();
    }
}

#[cfg(test)]
mod tests;
