//! XEP-0045 §7.10, §9.9, §16.5.1: the forms of registration with a room.

use bytes::Bytes;

use crate::forms::{Field, FieldType, Form, FormType, FormWriter, Shown};
use crate::jid::{BareJid, Jid};
use crate::muc::model::Lasting;
use crate::muc::room::voice::nickname;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// Longest value of a field that the room only shows to admins, in bytes.
const TOLD_BYTES_MAX: usize = 1024;

/// The field of the nickname.
const NICK: &str = "muc#register_roomnick";

/// Fields that people may fill in for the admins who decide: name, type and label.
const TOLD: [(&str, FieldType, &str); 5] = [
    ("muc#register_first", FieldType::TextSingle, "Given Name"),
    ("muc#register_last", FieldType::TextSingle, "Family Name"),
    ("muc#register_url", FieldType::TextSingle, "Your URL"),
    ("muc#register_email", FieldType::TextSingle, "Email Address"),
    ("muc#register_faqentry", FieldType::TextMulti, "FAQ Entry"),
];

/// What somebody has filled in.
pub(super) struct Registration {
    /// The nickname.
    pub nick: String,
    /// Fields for the admins.
    told: Vec<Field>,
}

impl Registration {
    /// # Errors
    /// `bad-request` for what is no valid form, `jid-malformed` for what is no nickname.
    pub fn read(form: &Form) -> Result<Self, StanzaError> {
        if form.type_ != FormType::Submit || form.form_type().is_some_and(|form_type| form_type != ns::MUC_REGISTER) {
            return Err(StanzaError::bad_request("submit the form of this room"));
        }
        let nick = field(form, NICK).ok_or_else(|| StanzaError::bad_request("say which nickname you want"))?;
        let nick = nickname(nick.single()?)?;
        let told: Vec<Field> = TOLD.iter().filter_map(|(var, ..)| field(form, var)).cloned().collect();
        if told.iter().any(|field| field.values.iter().map(String::len).sum::<usize>() > TOLD_BYTES_MAX) {
            return Err(StanzaError::bad_request("that is too long"));
        }
        Ok(Self { nick, told })
    }
}

/// What an admin has filled in.
pub(super) struct Decision {
    /// Whose request it is, unless only the nickname says so.
    pub account: Option<BareJid>,
    /// The nickname.
    pub nick: Option<String>,
    /// `muc#register_allow`.
    pub allow: bool,
}

impl Decision {
    /// # Errors
    /// `bad-request`, `jid-malformed`.
    pub fn read(form: &Form) -> Result<Self, StanzaError> {
        let allow = field(form, "muc#register_allow").ok_or_else(|| StanzaError::bad_request("`muc#register_allow` is missing"))?;
        let account = field(form, "muc#jid").map(|field| Jid::parse(field.single()?).map_err(|_| StanzaError::jid_malformed()));
        let nick = field(form, NICK).map(|field| nickname(field.single()?));
        Ok(Self { account: account.transpose()?.map(|jid| jid.to_bare()), nick: nick.transpose()?, allow: allow.boolean()? })
    }
}

/// A field that has a value.
fn field<'f>(form: &'f Form, var: &str) -> Option<&'f Field> {
    form.fields.iter().find(|field| field.var == var && !field.values.is_empty())
}

/// Example 69.
pub(super) fn registered(nick: &str) -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open("query").ns(ns::REGISTER).open("registered").close().open("username").text(nick).close().close();
    xml.finish()
}

/// Example 70.
pub(super) fn registration_form(room: &Lasting, wanted: Option<&str>) -> Bytes {
    let name = if room.config.name.is_empty() { room.jid.as_str() } else { &room.config.name };
    let instructions = match (wanted, room.config.members_only || room.config.moderated) {
        (Some(_), _) => "Your registration waits for an admin of this room. You may change it meanwhile.",
        (None, true) => "Please provide the following information to register with this room. An admin of the room will decide.",
        (None, false) => "Please provide the following information to register with this room.",
    };
    let mut xml = XmlWriter::new();
    xml.open("query").ns(ns::REGISTER).open("instructions").text(instructions).close();
    let mut form = FormWriter::open_with(&mut xml, FormType::Form, ns::MUC_REGISTER, &format!("{name} Registration"), instructions);
    form.required_field(NICK, FieldType::TextSingle, "Desired Nickname", wanted.as_slice());
    for (var, type_, label) in TOLD {
        form.shown_field(var, type_, Shown { label, options: &[] }, &[]);
    }
    form.close();
    xml.finish()
}

/// Example 151, with the address of who asks: the nickname does not tell an admin who that is.
pub(super) fn approval_form(account: &BareJid, registration: &Registration) -> Bytes {
    const INSTRUCTIONS: &str = "To approve this registration request, select the \"Allow this person to register with the room?\" checkbox and click OK. \
                                To skip this request, click the cancel button.";
    let shown = |label| Shown { label, options: &[] };
    let mut xml = XmlWriter::new();
    let mut form = FormWriter::open_with(&mut xml, FormType::Form, ns::MUC_REGISTER, "Registration request", INSTRUCTIONS);
    form.shown_field("muc#jid", FieldType::JidSingle, shown("User ID"), &[account.as_str()]);
    form.shown_field(NICK, FieldType::TextSingle, shown("Desired Nickname"), &[&registration.nick]);
    for (var, type_, label) in TOLD {
        if let Some(told) = registration.told.iter().find(|told| told.var == var) {
            let values: Vec<&str> = told.values.iter().map(String::as_str).collect();
            form.shown_field(var, type_, shown(label), &values);
        }
    }
    form.shown_field("muc#register_allow", FieldType::Boolean, shown("Allow this person to register with the room?"), &["false"]);
    form.close();
    xml.finish()
}
