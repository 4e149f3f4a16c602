//! XEP-0317 §3.2–§3.8: the forms of the commands about hats.

use super::Node;
use super::command::bad_payload;
use crate::forms::{FieldType, Form, FormType, FormWriter, Shown};
use crate::jid::{BareJid, Jid};
use crate::muc::model::Hats;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// Longest URI and longest title of a hat, in bytes: they are in every presence of who wears it.
const TEXT_BYTES_MAX: usize = 255;

/// A form that is filled in, of whichever command.
#[derive(Default)]
pub(super) struct Wish {
    account: Option<BareJid>,
    uri: Option<String>,
    title: Option<String>,
    /// As it is written; a number.
    pub hue: Option<String>,
}

impl Wish {
    /// # Errors
    /// `bad-request` for what cannot be read or is too long, `jid-malformed`.
    pub fn read(form: &Form) -> Result<Self, StanzaError> {
        if form.type_ != FormType::Submit || form.form_type().is_some_and(|form_type| form_type != ns::HATS_COMMANDS) {
            return Err(bad_payload("submit the form of the command"));
        }
        let mut wish = Self::default();
        for field in form.fields.iter().filter(|field| field.values.iter().any(|value| !value.is_empty())) {
            let text = || field.single().map(str::trim).ok().filter(|text| text.len() <= TEXT_BYTES_MAX);
            match field.var.as_str() {
                "hats#jid" => wish.account = Some(Jid::parse(field.single()?).map_err(|_| StanzaError::jid_malformed())?.to_bare()),
                "hats#uri" => wish.uri = Some(text().ok_or_else(|| bad_payload("that is too long for a URI"))?.to_owned()),
                "hats#title" => wish.title = Some(text().ok_or_else(|| bad_payload("that is too long for a title"))?.to_owned()),
                "hats#hue" => {
                    let is_hue = |text: &&str| text.parse().is_ok_and(|hue: f64| (0.0..=360.0).contains(&hue));
                    wish.hue = Some(text().filter(is_hue).ok_or_else(|| bad_payload("a hue is an angle from 0 to 360"))?.to_owned());
                }
                _ => {}
            }
        }
        Ok(wish)
    }

    /// # Errors
    /// `bad-request` where it is missing; the same below.
    pub fn uri(&self) -> Result<&str, StanzaError> {
        self.uri.as_deref().ok_or_else(|| bad_payload("`hats#uri` is missing"))
    }

    pub fn title(&self) -> Result<&str, StanzaError> {
        self.title.as_deref().ok_or_else(|| bad_payload("`hats#title` is missing"))
    }

    pub fn account(&self) -> Result<&BareJid, StanzaError> {
        self.account.as_ref().ok_or_else(|| bad_payload("`hats#jid` is missing"))
    }
}

/// The form that a command wants to be filled in.
pub(super) fn of(node: Node, hats: &Hats) -> XmlWriter {
    let (title, instructions) = match node {
        Node::Create => ("Creating a Hat", "Fill out this form to create a hat."),
        Node::Destroy => ("Destroying a Hat", "Fill out this form to destroy a hat."),
        Node::Assign => ("Assigning a Hat", "Fill out this form to assign a hat."),
        Node::Unassign => ("Removing a Hat", "Fill out this form to remove a hat."),
        Node::List | Node::ListAssigned => ("", ""),
    };
    let mut xml = XmlWriter::new();
    let mut form = FormWriter::open_with(&mut xml, FormType::Form, ns::HATS_COMMANDS, title, instructions);
    if node == Node::Create {
        form.required_field("hats#title", FieldType::TextSingle, "Hat Title", &[]);
        form.required_field("hats#uri", FieldType::TextSingle, "Hat URI", &[]);
        form.shown_field("hats#hue", FieldType::TextSingle, Shown { label: "Hat Hue", options: &[] }, &[]);
    } else {
        if node != Node::Destroy {
            form.required_field("hats#jid", FieldType::JidSingle, "User Address", &[]);
        }
        let options: Vec<(&str, &str)> = hats.known.iter().map(|(uri, hat)| (hat.title.as_str(), uri.as_str())).collect();
        form.shown_field("hats#uri", FieldType::ListSingle, Shown { label: "The role", options: &options }, &[]);
    }
    form.close();
    xml
}

/// Example 14.
pub(super) fn list(hats: &Hats) -> XmlWriter {
    let rows = hats.known.iter().map(|(uri, hat)| [Some(hat.title.as_str()), Some(uri.as_str()), hat.hue.as_deref()]);
    let mut xml = XmlWriter::new();
    let mut form = FormWriter::open_titled(&mut xml, FormType::Result, ns::HATS_COMMANDS, "Hats List");
    form.table(["hats#title", "hats#uri", "hats#hue"], rows);
    form.close();
    xml
}

/// Example 22.
pub(super) fn assigned(hats: &Hats) -> XmlWriter {
    let rows = hats.worn.iter().flat_map(|(account, worn)| {
        let known = worn.iter().filter_map(|uri| hats.known.get_key_value(uri));
        known.map(|(uri, hat)| [Some(account.as_str()), Some(uri.as_str()), Some(hat.title.as_str()), hat.hue.as_deref()])
    });
    let mut xml = XmlWriter::new();
    let mut form = FormWriter::open_titled(&mut xml, FormType::Result, ns::HATS_COMMANDS, "Assigned Hats List");
    form.table(["hats#jid", "hats#uri", "hats#title", "hats#hue"], rows);
    form.close();
    xml
}
