//! XEP-0060 §5.4: what service discovery shows of a node besides its identity.

use bytes::Bytes;

use crate::forms::{FieldType, FormType, FormWriter, Shown};
use crate::jid::Jid;
use crate::ns;
use crate::pubsub::config::UpTo;
use crate::pubsub::context::Limits;
use crate::pubsub::model::{Affiliation, Node, NodeKind, SubscriptionState};
use crate::time;
use crate::xml::XmlWriter;

impl Node {
    /// The form, `<x type='result'/>`.
    #[must_use]
    pub fn meta_data(&self, limits: &Limits) -> Bytes {
        let config = self.config.clone().within(limits);
        let mut out = XmlWriter::new();
        let mut form = FormWriter::open(&mut out, FormType::Result, ns::PUBSUB_META_DATA);
        let mut field = |var, type_, label, values: &[&str]| {
            if !values.is_empty() && values != [""] {
                form.shown_field(var, type_, Shown { label, options: &[] }, values);
            }
        };
        let with = |affiliation| -> Vec<&str> {
            self.affiliations.iter().filter(|(_, has)| **has == affiliation).map(|(jid, _)| jid.as_str()).collect()
        };
        field("pubsub#type", FieldType::TextSingle, "Payload semantic type information", &[&config.type_]);
        field("pubsub#creator", FieldType::JidSingle, "Node creator", &[self.creator.as_str()]);
        field("pubsub#creation_date", FieldType::TextSingle, "Creation date", &[&time::xep0082(self.created_at)]);
        field("pubsub#title", FieldType::TextSingle, "A short name for the node", &[&config.title]);
        field("pubsub#description", FieldType::TextSingle, "A description of the node", &[&config.description]);
        field("pubsub#language", FieldType::ListSingle, "Default language", &[&config.language]);
        let contact: Vec<_> = config.contact.iter().map(Jid::as_str).collect();
        field("pubsub#contact", FieldType::JidMulti, "People to contact with questions", &contact);
        field("pubsub#access_model", FieldType::ListSingle, "Access model", &[config.access_model.name()]);
        if self.kind == NodeKind::Leaf {
            field("pubsub#publish_model", FieldType::ListSingle, "Publish model", &[config.publish_model.name()]);
            let max_items = match config.max_items {
                UpTo::Number(number) => number.to_string(),
                UpTo::Max => "max".to_owned(),
            };
            let label = "Max # of items to persist. `max` for no specific limit other than a server imposed maximum.";
            field("pubsub#max_items", FieldType::TextSingle, label, &[&max_items]);
        }
        field("pubsub#owner", FieldType::JidMulti, "Node owners", &with(Affiliation::Owner));
        field("pubsub#publisher", FieldType::JidMulti, "Publishers to this node", &with(Affiliation::Publisher));
        let subscribers = self.subscriptions.values().filter(|one| one.state == SubscriptionState::Subscribed).count();
        field("pubsub#num_subscribers", FieldType::TextSingle, "Number of subscribers to this node", &[&subscribers.to_string()]);
        form.close();
        out.finish()
    }
}
