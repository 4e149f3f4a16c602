//! The configuration as a form: XEP-0045 §10.1.3, §10.2 and §16.5.3. One table of fields for the form that an owner fills in, the form that comes back
//! and the database. Pure.

use std::collections::BTreeSet;

use super::RoomConfig;
use super::entries::{ALLOW_INVITES, ENTRIES, Entry, OCCUPANTS_MAX, PROTECTED, SECRET, shown};
use crate::forms::{Field, FieldType, Form, FormType, FormWriter, Shown, StoredError};
use crate::jid::{BareJid, Jid};
use crate::muc::context::Limits;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// The full list of admins.
const ADMINS: &str = "muc#roomconfig_roomadmins";
/// The full list of owners.
const OWNERS: &str = "muc#roomconfig_roomowners";
/// What can be chosen as `muc#roomconfig_maxusers`, as far as the server allows.
const CROWDS: &[usize] = &[5, 10, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000];

/// What an owner has filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The whole configuration from now on.
    pub config: RoomConfig,
    /// `muc#roomconfig_roomadmins`: all admins from now on, if that was filled in.
    pub admins: Option<BTreeSet<BareJid>>,
    /// `muc#roomconfig_roomowners`: all owners from now on, if that was filled in.
    pub owners: Option<BTreeSet<BareJid>>,
}

impl RoomConfig {
    /// §10.1.3, §10.2: writes the form that an owner fills in.
    pub fn write_form(&self, out: &mut XmlWriter, title: &str, admins: &[&str], owners: &[&str], limits: &Limits) {
        let config = self.clone().within(limits);
        let instructions = "Complete this form to configure the room.";
        let mut form = FormWriter::open_with(out, FormType::Form, ns::MUC_ROOMCONFIG, title, instructions);
        for entry in ENTRIES {
            let values = (entry.get)(&config);
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            if entry.var == OCCUPANTS_MAX {
                let choice = crowds(&config, limits);
                let options: Vec<_> = choice.iter().map(|value| ("", value.as_str())).chain([("None", "none")]).collect();
                form.shown_field(entry.var, entry.type_, Shown { options: &options, ..entry.shown }, &values);
            } else {
                form.shown_field(entry.var, entry.type_, entry.shown, &values);
            }
        }
        form.shown_field(ADMINS, FieldType::JidMulti, shown("Room Admins", &[]), admins);
        form.shown_field(OWNERS, FieldType::JidMulti, shown("Room Owners", &[]), owners);
        form.close();
    }

    /// §10.1.3: this configuration with what a form says. Fields that are left out stay as they are, unknown ones are ignored (XEP-0004 §3.2).
    ///
    /// # Errors
    /// `bad-request` for another form, `not-acceptable` for values that cannot be.
    pub fn submit(&self, form: &Form, limits: &Limits) -> Result<Submitted, StanzaError> {
        if form.type_ != FormType::Submit || form.form_type().is_some_and(|type_| type_ != ns::MUC_ROOMCONFIG) {
            return Err(StanzaError::bad_request("a room is configured by a form of its own type, filled in"));
        }
        let mut submitted = Submitted { config: self.clone(), admins: None, owners: None };
        for field in &form.fields {
            match field.var.as_str() {
                ADMINS => submitted.admins = Some(addresses(field, limits)?),
                OWNERS => submitted.owners = Some(addresses(field, limits)?),
                PROTECTED | SECRET => {}
                var => {
                    if let Some(entry) = entry(var) {
                        (entry.set)(&mut submitted.config, field)?;
                    }
                }
            }
        }
        submitted.config.password = self.password_of(form)?;
        submitted.config = submitted.config.within(limits);
        Ok(submitted)
    }

    /// The password after this form: two fields that say one thing together. A room that is to have one must have been told which.
    fn password_of(&self, form: &Form) -> Result<Option<String>, StanzaError> {
        let field = |var: &str| form.fields.iter().find(|field| field.var == var);
        let is_protected = field(PROTECTED).map(|field| field.boolean().map_err(|_| field.unacceptable())).transpose()?;
        let mut told = self.clone();
        if let (Some(secret), Some(entry)) = (field(SECRET), entry(SECRET)) {
            (entry.set)(&mut told, secret)?;
        }
        match (is_protected, told.password) {
            (Some(false), _) => Ok(None),
            (Some(true), None) => Err(StanzaError::not_acceptable().with_text("the password is blank")),
            (_, password) => Ok(password),
        }
    }

    /// As far as the server allows.
    #[must_use]
    fn within(mut self, limits: &Limits) -> Self {
        let bound = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.occupants_max = self.occupants_max.map(|max| max.min(bound(limits.occupants)));
        self.history = self.history.min(bound(limits.history.count));
        self.history_default = self.history_default.min(self.history);
        self
    }

    /// As the database keeps it: a form with all fields.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let mut out = XmlWriter::new();
        let mut form = FormWriter::open(&mut out, FormType::Submit, ns::MUC_ROOMCONFIG);
        for entry in ENTRIES.iter().filter(|entry| entry.var != PROTECTED && (entry.var != ALLOW_INVITES || self.allow_invites.is_some())) {
            let values = (entry.get)(self);
            form.field(entry.var, entry.type_, &values.iter().map(String::as_str).collect::<Vec<_>>());
        }
        form.close();
        String::from_utf8(out.into_inner()).expect("XML is written from text")
    }

    /// The opposite. Fields that were not known when it was stored are those of a new room.
    ///
    /// # Errors
    /// It is no such form.
    pub fn from_stored(stored: &str) -> Result<Self, StoredError> {
        let form = Form::from_stored(stored)?;
        let mut config = Self::of_new_room(false);
        for field in &form.fields {
            if let Some(entry) = entry(&field.var) {
                (entry.set)(&mut config, field).map_err(|error| StoredError(error.to_string()))?;
            }
        }
        Ok(config)
    }
}

fn entry(var: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.is(var))
}

/// How many occupants an owner can choose to allow.
fn crowds(config: &RoomConfig, limits: &Limits) -> Vec<String> {
    let mut crowds: Vec<usize> = CROWDS.iter().copied().filter(|crowd| *crowd <= limits.occupants).collect();
    crowds.extend(config.occupants_max.map(|max| max as usize));
    crowds.sort_unstable();
    crowds.dedup();
    crowds.iter().map(usize::to_string).collect()
}

/// §10.3: people are known by their bare JIDs, whatever was written.
fn addresses(field: &Field, limits: &Limits) -> Result<BTreeSet<BareJid>, StanzaError> {
    let values = field.values.iter().map(|value| value.trim()).filter(|value| !value.is_empty());
    let jid = |value: &str| Jid::parse(value).ok().filter(|jid| jid.local().is_some()).map(|jid| jid.to_bare());
    let jids: Option<BTreeSet<BareJid>> = values.map(jid).collect();
    jids.filter(|jids| jids.len() <= limits.affiliations).ok_or_else(|| field.unacceptable())
}

#[cfg(test)]
mod tests;
