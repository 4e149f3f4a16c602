//! An event as a message: XEP-0060 §7.1.2, §7.2.2, §8.2.5.3, §8.4.2, §8.5.2, §8.6, §8.9.4, §12.14; XEP-0163 §4.3.1; XEP-0248 §5.3.

use super::{Event, EventKind, NotificationType, ShownItem, Variant};
use crate::forms::{FieldType, FormType, FormWriter, Shown};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{MessageType, Stanza};
use crate::time;
use crate::xml::{Bindings, Element, XmlWriter};

impl Event {
    /// The message for one variant, with `from`, without `to`, and without the `id` that it is to have (§12.4).
    #[must_use]
    pub fn template(&self, variant: &Variant) -> Stanza {
        let type_ = match self.type_ {
            NotificationType::Normal => MessageType::Normal,
            NotificationType::Headline => MessageType::Headline,
        };
        let mut out = XmlWriter::with_capacity(self.payload_bytes() + 512);
        match &self.kind {
            EventKind::AuthorizationRequest { jid, subid } => authorization_request(&mut out, &self.node, jid, subid),
            EventKind::Affiliation { jid, affiliation } => {
                // As §8.9.4 has it: not an event.
                out.open("pubsub").ns(ns::PUBSUB).open("affiliations").attr("node", &self.node);
                out.open("affiliation").attr("jid", jid.as_str()).attr("affiliation", affiliation.name()).close();
                out.close().close();
            }
            _ => {
                if variant.include_body
                    && let Some(body) = self.body()
                {
                    out.open("body").text(&body).close();
                }
                out.open("event").ns(ns::PUBSUB_EVENT);
                self.write(&mut out);
                out.close();
            }
        }
        if let EventKind::Last { published_at, .. } = &self.kind {
            out.open("delay").ns(ns::DELAY).attr("stamp", &time::xep0082(*published_at)).close();
        }
        if variant.replyto
            && let EventKind::Published { publisher, .. } | EventKind::Last { publisher, .. } = &self.kind
        {
            out.open("addresses").ns(ns::ADDRESS);
            out.open("address").attr("type", "replyto").attr("jid", publisher.as_str()).close();
            out.close();
        }
        self.headers(&mut out, variant);
        Stanza::message(type_).with_from(&self.service).with_content(out.finish())
    }

    fn write(&self, out: &mut XmlWriter) {
        let node = &*self.node;
        match &self.kind {
            EventKind::Published { items, .. } => write_items(out, node, items),
            EventKind::Last { item, .. } => write_items(out, node, std::slice::from_ref(item)),
            EventKind::Retracted { ids } => {
                out.open("items").attr("node", node);
                for id in ids {
                    out.open("retract").attr("id", id).close();
                }
                out.close();
            }
            EventKind::Purged => {
                out.open("purge").attr("node", node).close();
            }
            EventKind::Deleted { redirect } => {
                out.open("delete").attr("node", node);
                if let Some(uri) = redirect {
                    out.open("redirect").attr("uri", uri).close();
                }
                out.close();
            }
            EventKind::Configured { form } => {
                out.open("configuration").attr("node", node).raw(form.as_deref().unwrap_or_default()).close();
            }
            EventKind::Created => {
                out.open("create").attr("node", node).close();
            }
            EventKind::Associated { child, form } => {
                out.open("collection").attr("node", node);
                out.open("associate").attr("node", child).raw(form.as_deref().unwrap_or_default()).close();
                out.close();
            }
            EventKind::Dissociated { child } => {
                out.open("collection").attr("node", node);
                out.open("dissociate").attr("node", child).close();
                out.close();
            }
            EventKind::Subscription { jid, subid, state, expiry } => {
                out.open("subscription").attr("node", node).attr("jid", jid.as_str()).attr("subscription", state.name());
                out.attr("subid", subid).attr_opt("expiry", expiry.map(time::xep0082).as_deref()).close();
            }
            EventKind::AuthorizationRequest { .. } | EventKind::Affiliation { .. } => {}
        }
    }

    /// §7.1.2.4, XEP-0248 §5.3.1, last in the message; no SubIDs where the event is the same for all subscriptions (§12.16).
    fn headers(&self, out: &mut XmlWriter, variant: &Variant) {
        let subids = match self.kind {
            EventKind::Published { .. } | EventKind::Last { .. } | EventKind::Retracted { .. } => &variant.subids[..],
            _ => &[],
        };
        if subids.is_empty() && variant.collection.is_none() {
            return;
        }
        out.open("headers").ns(ns::SHIM);
        if let Some(collection) = &variant.collection {
            out.open("header").attr("name", "Collection").text(collection).close();
        }
        for subid in subids {
            out.open("header").attr("name", "SubID").text(subid).close();
        }
        out.close();
    }

    /// §12.8: what an Atom entry says to people, its summary or else its title. There is no other payload that the service understands.
    fn body(&self) -> Option<String> {
        let items = match &self.kind {
            EventKind::Published { items, .. } => &items[..],
            EventKind::Last { item, .. } => std::slice::from_ref(item),
            _ => return None,
        };
        let texts: Vec<_> = items.iter().filter_map(|item| item.payload.as_deref().and_then(summary)).collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    }

    fn payload_bytes(&self) -> usize {
        match &self.kind {
            EventKind::Published { items, .. } => items.iter().map(item_bytes).sum(),
            EventKind::Last { item, .. } => item_bytes(item),
            EventKind::Configured { form } | EventKind::Associated { form, .. } => form.as_ref().map_or(0, |form| form.len()),
            _ => 0,
        }
    }
}

fn item_bytes(item: &ShownItem) -> usize {
    item.payload.as_ref().map_or(0, |payload| payload.len()) + item.id.len() + 64
}

fn summary(payload: &[u8]) -> Option<String> {
    let entry = Element::parse(payload, &Bindings::empty()).ok()?;
    let entry = Some(entry.root()).filter(|entry| entry.is(ns::ATOM, "entry"))?;
    let text = ["summary", "title"].into_iter().find_map(|name| entry.child(ns::ATOM, name))?.text();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn write_items(out: &mut XmlWriter, node: &str, items: &[ShownItem]) {
    out.open("items").attr("node", node);
    for item in items {
        item.write(out);
    }
    out.close();
}

impl ShownItem {
    /// Writes `<item/>`.
    pub(in crate::pubsub) fn write(&self, out: &mut XmlWriter) {
        out.open("item").attr("id", &self.id).attr_opt("publisher", self.publisher.as_ref().map(|publisher| publisher.as_str()));
        out.raw(self.payload.as_deref().unwrap_or_default()).close();
    }
}

/// §8.6.
fn authorization_request(out: &mut XmlWriter, node: &str, jid: &Jid, subid: &str) {
    let mut form = FormWriter::open_with(
        out,
        FormType::Form,
        ns::PUBSUB_SUBSCRIBE_AUTHORIZATION,
        "PubSub subscriber request",
        "To approve this entity's subscription request, click the OK button. To deny the request, click the cancel button.",
    );
    let shown = |label| Shown { label, options: &[] };
    form.field("pubsub#subid", FieldType::Hidden, &[subid]);
    form.shown_field("pubsub#node", FieldType::TextSingle, shown("Node ID"), &[node]);
    form.shown_field("pubsub#subscriber_jid", FieldType::JidSingle, shown("Subscriber Address"), &[jid.as_str()]);
    form.shown_field("pubsub#allow", FieldType::Boolean, shown("Allow this JID to subscribe to this pubsub node?"), &["false"]);
    form.close();
}
