//! The configuration as a form: XEP-0060 §16.4.4 and XEP-0248 §12.2.2, one table of fields for the form an owner fills in, the form that comes back,
//! publish options and the database. Pure.

mod entries;
mod values;

use bytes::Bytes;

use super::NodeConfig;
use crate::forms::{Field, FieldType, Form, FormType, FormWriter, Shown, StoredError};
use crate::ns;
use crate::pubsub::context::Limits;
use crate::pubsub::error;
use crate::pubsub::model::{NodeKind, ServiceKind};
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

use entries::{ENTRIES, Entry, shown};
pub(in crate::pubsub) use values::CHILDREN_MAX;
use values::read_names;

/// What an owner has filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The whole configuration from now on.
    pub config: NodeConfig,
    /// `pubsub#children`: the nodes that are to be in this collection, if that was filled in (XEP-0248 §7.2).
    pub children: Option<Vec<String>>,
}

/// Columns of their own in the database.
const NOT_STORED: [&str; 2] = ["pubsub#node_type", "pubsub#collection"];
const CHILDREN: &str = "pubsub#children";

impl NodeConfig {
    /// §8.2.2, §8.3.3: the form that an owner fills in. `children` are those of a collection.
    #[must_use]
    pub fn form(&self, children: &[String], limits: &Limits) -> Bytes {
        let config = self.shown(limits);
        let mut out = XmlWriter::new();
        let mut form = FormWriter::open(&mut out, FormType::Form, ns::PUBSUB_NODE_CONFIG);
        for entry in ENTRIES.iter().filter(|entry| entry.of.has(config.node_type)) {
            let values = (entry.get)(&config);
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            // Whatever groups a roster has and languages there are: what is there already can be chosen from, and any other value will do.
            let own: Vec<_> = values.iter().map(|value| ("", *value)).collect();
            let open = entry.shown.options.is_empty() && matches!(entry.type_, FieldType::ListSingle | FieldType::ListMulti);
            let shown = if open { Shown { options: &own, ..entry.shown } } else { entry.shown };
            form.shown_field(entry.var, entry.type_, shown, &values);
        }
        if config.node_type == NodeKind::Collection {
            let children: Vec<_> = children.iter().map(String::as_str).collect();
            form.shown_field(CHILDREN, FieldType::TextMulti, shown("The nodes of which this node is a parent", &[]), &children);
        }
        form.close();
        out.finish()
    }

    /// §8.2.5.3: the form that subscribers are shown.
    #[must_use]
    pub fn result(&self, limits: &Limits) -> Bytes {
        let config = self.shown(limits);
        let mut out = XmlWriter::new();
        config.write(&mut out, FormType::Result, |entry| entry.public && entry.of.has(config.node_type));
        out.finish()
    }

    fn write(&self, out: &mut XmlWriter, type_: FormType, which: impl Fn(&Entry) -> bool) {
        let mut form = FormWriter::open(out, type_, ns::PUBSUB_NODE_CONFIG);
        for entry in ENTRIES.iter().filter(|entry| which(entry)) {
            let values = (entry.get)(self);
            form.field(entry.var, entry.type_, &values.iter().map(String::as_str).collect::<Vec<_>>());
        }
        form.close();
    }

    /// §8.1.3, §8.2.4: this configuration with what a form says. Fields that are left out stay as they are, unknown ones are ignored (XEP-0004 §3.2).
    ///
    /// # Errors
    /// `bad-request` for another form, `not-acceptable` for values that cannot be.
    pub fn submit(&self, form: &Form, limits: &Limits) -> Result<Submitted, StanzaError> {
        if form.type_ != FormType::Submit || form.form_type().is_some_and(|type_| type_ != ns::PUBSUB_NODE_CONFIG) {
            return Err(StanzaError::bad_request("a node is configured by a form of its own type, filled in"));
        }
        let mut submitted = Submitted { config: self.clone(), children: None };
        // What kind of node it is decides which of the others count.
        if let Some(field) = form.fields.iter().find(|field| field.var == "pubsub#node_type") {
            submitted.config.set(field)?;
        }
        for field in &form.fields {
            if field.var == CHILDREN {
                submitted.children = Some(read_names(field, CHILDREN_MAX)?);
            } else {
                submitted.config.set(field)?;
            }
        }
        submitted.config = submitted.config.within(limits);
        Ok(submitted)
    }

    /// Sets one field; `false` if there is none of that name.
    fn set(&mut self, field: &Field) -> Result<bool, StanzaError> {
        let Some(entry) = ENTRIES.iter().find(|entry| entry.var == field.var) else { return Ok(false) };
        if entry.of.has(self.node_type) {
            (entry.set)(self, field)?;
        }
        Ok(true)
    }

    /// §7.1.5 for a node that is not there yet: this configuration, the default one, in all respects but those of the publish options.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), and `precondition-not-met` for fields that no node has.
    pub fn with_options(&self, options: &Form, limits: &Limits) -> Result<Self, StanzaError> {
        let mut config = self.clone();
        for field in preconditions(options)? {
            if !config.set(field)? {
                return Err(unmet(field));
            }
        }
        Ok(config.within(limits))
    }

    /// §7.1.5 for a node that is there: whether it is configured as the publish options say.
    ///
    /// # Errors
    /// `precondition-not-met`.
    pub fn check_options(&self, options: &Form, limits: &Limits) -> Result<(), StanzaError> {
        let is = self.clone().within(limits);
        for field in preconditions(options)? {
            let mut wanted = is.clone();
            let known = wanted.set(field).map_err(|_| unmet(field))?;
            let mut wanted = wanted.within(limits);
            // A list says the same in any order.
            for (wanted, is) in [(&mut wanted.roster_groups_allowed, &is.roster_groups_allowed), (&mut wanted.collection, &is.collection)] {
                if wanted.len() == is.len() && is.iter().all(|value| wanted.contains(value)) {
                    wanted.clone_from(is);
                }
            }
            if !known || wanted != is {
                return Err(unmet(field));
            }
        }
        Ok(())
    }

    /// As the database keeps it: a form with all fields but the kind of node and its collections, which have columns of their own.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let mut out = XmlWriter::new();
        self.write(&mut out, FormType::Submit, |entry| !NOT_STORED.contains(&entry.var));
        String::from_utf8(out.into_inner()).expect("XML is written from text")
    }

    /// The opposite. Fields that were not known when it was stored have their defaults.
    ///
    /// # Errors
    /// It is no such form.
    pub fn from_stored(stored: &str, node: NodeKind) -> Result<Self, StoredError> {
        let form = Form::from_stored(stored)?;
        let mut config = Self::default_for(ServiceKind::Host, node);
        for field in &form.fields {
            let Some(entry) = ENTRIES.iter().find(|entry| entry.var == field.var && !NOT_STORED.contains(&entry.var)) else { continue };
            (entry.set)(&mut config, field).map_err(|error| StoredError(error.to_string()))?;
        }
        Ok(config)
    }
}

/// The fields of publish options: §7.1.5.
fn preconditions(options: &Form) -> Result<impl Iterator<Item = &Field>, StanzaError> {
    if options.type_ != FormType::Submit || options.form_type() != Some(ns::PUBLISH_OPTIONS) {
        return Err(StanzaError::bad_request("publish options are a form of their own type, filled in"));
    }
    Ok(options.fields.iter().filter(|field| field.var != "FORM_TYPE"))
}

fn unmet(field: &Field) -> StanzaError {
    error::precondition_not_met().with_text(format!("`{}` is not so", field.var))
}

#[cfg(test)]
mod tests;
