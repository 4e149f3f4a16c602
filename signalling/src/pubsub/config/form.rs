//! The configuration as a form: XEP-0060 §16.4.4 and XEP-0248 §12.2.2, one table of fields for the form an owner fills in, the form that comes back,
//! publish options and the database. Pure.

use bytes::Bytes;

use super::{AccessModel, ChildrenPolicy, ItemReply, NodeConfig, NodeFull, NotificationType, PublishModel, SendLast, UpTo};
use crate::forms::{Field, FieldType, Form, FormType, FormWriter, Shown};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::pubsub::context::Limits;
use crate::pubsub::error;
use crate::pubsub::model::{NodeKind, ServiceKind};
use crate::stanza::error::StanzaError;
use crate::xml::{Bindings, Element, XmlWriter};

/// Bytes of one text.
const TEXT_BYTES_MAX: usize = 4096;
/// Values of one list; every one is compared with the others.
const LIST_MAX: usize = 128;
/// Children of one collection.
pub(in crate::pubsub) const CHILDREN_MAX: usize = 1000;

/// Why a stored form cannot be read: the database has been changed from outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stored form cannot be read: {0}")]
pub struct StoredError(pub String);

/// What an owner has filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The whole configuration from now on.
    pub config: NodeConfig,
    /// `pubsub#children`: the nodes that are to be in this collection, if that was filled in (XEP-0248 §7.2).
    pub children: Option<Vec<String>>,
}

/// A field of the form.
struct Entry {
    var: &'static str,
    type_: FieldType,
    shown: Shown<'static>,
    /// Which nodes have it.
    of: Of,
    /// Subscribers see it, too, when they are told of a configuration (§8.2.5.3); lists of other people's groups and addresses are the owners'.
    public: bool,
    get: fn(&NodeConfig) -> Vec<String>,
    set: fn(&mut NodeConfig, &Field) -> Result<(), StanzaError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Leaf,
    Collection,
    Both,
}

impl Of {
    fn has(self, kind: NodeKind) -> bool {
        match self {
            Self::Leaf => kind == NodeKind::Leaf,
            Self::Collection => kind == NodeKind::Collection,
            Self::Both => true,
        }
    }
}

const fn shown(label: &'static str, options: &'static [(&'static str, &'static str)]) -> Shown<'static> {
    Shown { label, options }
}

/// Fields of each type, by the field of [`NodeConfig`].
macro_rules! entry {
    ($var:literal text $field:ident $of:ident $label:literal) => {
        Entry {
            var: $var,
            type_: FieldType::TextSingle,
            shown: shown($label, &[]),
            of: Of::$of,
            public: true,
            get: |config| text(&config.$field),
            set: |config, field| {
                config.$field = read_text(field)?;
                Ok(())
            },
        }
    };
    ($var:literal boolean $field:ident $of:ident $label:literal) => {
        Entry {
            var: $var,
            type_: FieldType::Boolean,
            shown: shown($label, &[]),
            of: Of::$of,
            public: true,
            get: |config| vec![if config.$field { "1" } else { "0" }.to_owned()],
            set: |config, field| {
                config.$field = field.boolean().map_err(|_| wrong(field))?;
                Ok(())
            },
        }
    };
    ($var:literal $type_:ident $field:ident $of:ident $label:literal [$(($option:literal, $value:literal)),* $(,)?]) => {
        Entry {
            var: $var,
            type_: FieldType::ListSingle,
            shown: shown($label, &[$(($option, $value)),*]),
            of: Of::$of,
            public: true,
            get: |config| vec![config.$field.name().to_owned()],
            set: |config, field| {
                config.$field = field.single().ok().and_then($type_::parse).ok_or_else(|| wrong(field))?;
                Ok(())
            },
        }
    };
}

const INTEGER_OR_MAX_ITEMS: &str =
    "The maximum number of items to persist. `max` for no specific limit other than a server imposed maximum.";

static ENTRIES: &[Entry] = &[
    entry!("pubsub#title" text title Both "A friendly name for the node"),
    entry!("pubsub#description" text description Both "A description of the node"),
    Entry {
        // A list of one (§5.4): the language that it has; any other may be put in its place.
        type_: FieldType::ListSingle,
        ..entry!("pubsub#language" text language Both "The default language of the node")
    },
    entry!("pubsub#type" text type_ Leaf "The semantic type information of data in the node, usually specified by the namespace of the payload (if any)"),
    Entry {
        var: "pubsub#contact",
        type_: FieldType::JidMulti,
        shown: shown("The JIDs of those to contact with questions", &[]),
        of: Of::Both,
        public: true,
        get: |config| config.contact.iter().map(Jid::to_string).collect(),
        set: |config, field| {
            config.contact = read_list(field, LIST_MAX, |value| Jid::parse(value).ok())?;
            Ok(())
        },
    },
    entry!("pubsub#node_type" NodeKind node_type Both "Whether the node is a leaf (default) or a collection" [
        ("The node is a leaf node (default)", "leaf"),
        ("The node is a collection node", "collection"),
    ]),
    Entry {
        var: "pubsub#collection",
        type_: FieldType::TextMulti,
        shown: shown("The collections of which this node is a child", &[]),
        of: Of::Both,
        public: true,
        get: |config| config.collection.clone(),
        set: |config, field| {
            config.collection = read_names(field, LIST_MAX)?;
            Ok(())
        },
    },
    entry!("pubsub#children_association_policy" ChildrenPolicy children_association_policy Collection "Who may associate nodes with this collection" [
        ("Anyone may associate nodes with this collection", "all"),
        ("Only the owners of this node may associate other nodes to this collection", "owners"),
        ("Only those on the children association whitelist may associate other nodes to this collection", "whitelist"),
    ]),
    Entry {
        var: "pubsub#children_association_whitelist",
        type_: FieldType::JidMulti,
        shown: shown("JIDs who can associate nodes to this collection", &[]),
        of: Of::Collection,
        public: false,
        get: |config| config.children_association_whitelist.iter().map(|jid| jid.to_string()).collect(),
        set: |config, field| {
            config.children_association_whitelist = read_list(field, LIST_MAX, |value| BareJid::parse(value).ok())?;
            Ok(())
        },
    },
    Entry {
        var: "pubsub#children_max",
        type_: FieldType::TextSingle,
        shown: shown("The maximum number of children for this collection", &[]),
        of: Of::Collection,
        public: true,
        get: |config| vec![config.children_max.map_or_else(|| "max".to_owned(), |number| number.to_string())],
        set: |config, field| {
            config.children_max = match read_up_to(field)? {
                Some(UpTo::Number(number)) => Some(number),
                Some(UpTo::Max) | None => None,
            };
            Ok(())
        },
    },
    entry!("pubsub#deliver_notifications" boolean deliver_notifications Both "Whether to deliver event notifications"),
    entry!("pubsub#deliver_payloads" boolean deliver_payloads Leaf "Whether to deliver payloads with event notifications"),
    entry!("pubsub#notify_config" boolean notify_config Both "Notify subscribers when the node configuration changes"),
    entry!("pubsub#notify_delete" boolean notify_delete Both "Notify subscribers when the node is deleted"),
    entry!("pubsub#notify_retract" boolean notify_retract Leaf "Notify subscribers when items are removed from the node"),
    entry!("pubsub#notify_sub" boolean notify_sub Both "Notify owners about new subscribers and unsubscribes"),
    entry!("pubsub#persist_items" boolean persist_items Leaf "Persist items to storage"),
    Entry {
        var: "pubsub#max_items",
        type_: FieldType::TextSingle,
        shown: shown(INTEGER_OR_MAX_ITEMS, &[]),
        of: Of::Leaf,
        public: true,
        get: |config| vec![up_to(config.max_items)],
        set: |config, field| {
            config.max_items = match read_up_to(field)? {
                Some(UpTo::Number(0)) => return Err(wrong(field)),
                Some(max) => max,
                None => UpTo::Max,
            };
            Ok(())
        },
    },
    entry!("pubsub#publish_node_full" NodeFull publish_node_full Leaf "Action to be performed by the service when publishing on a full node." [
        ("Retract the oldest item alongside publishing the new item.", "retract-oldest"),
        ("Discard the oldest item alongside publishing the new item.", "discard-oldest"),
        ("Reject publication of the new item.", "reject"),
    ]),
    Entry {
        var: "pubsub#item_expire",
        type_: FieldType::TextSingle,
        shown: shown(
            "Number of seconds after which to automatically purge items. `max` for no specific limit other than a server imposed maximum.",
            &[],
        ),
        of: Of::Leaf,
        public: true,
        get: |config| config.item_expire.map(up_to).into_iter().collect(),
        set: |config, field| {
            config.item_expire = match read_up_to(field)? {
                Some(UpTo::Number(0)) => return Err(wrong(field)),
                expire => expire,
            };
            Ok(())
        },
    },
    entry!("pubsub#subscribe" boolean subscribe Both "Whether to allow subscriptions"),
    Entry {
        var: "pubsub#access_model",
        type_: FieldType::ListSingle,
        shown: shown(
            "Who may subscribe and retrieve items",
            &[
                ("Subscription requests must be approved and only subscribers may retrieve items", "authorize"),
                ("Anyone may subscribe and retrieve items", "open"),
                ("Anyone with a presence subscription of both or from may subscribe and retrieve items", "presence"),
                ("Anyone in the specified roster group(s) may subscribe and retrieve items", "roster"),
                ("Only those on a whitelist may subscribe and retrieve items", "whitelist"),
            ],
        ),
        of: Of::Both,
        public: true,
        get: |config| vec![config.access_model.name().to_owned()],
        set: |config, field| {
            let model = field.single().ok().and_then(AccessModel::parse);
            config.access_model = model.ok_or_else(error::unsupported_access_model)?;
            Ok(())
        },
    },
    Entry {
        var: "pubsub#roster_groups_allowed",
        type_: FieldType::ListMulti,
        shown: shown("The roster group(s) allowed to subscribe and retrieve items", &[]),
        of: Of::Both,
        public: false,
        get: |config| config.roster_groups_allowed.clone(),
        set: |config, field| {
            config.roster_groups_allowed = read_list(field, LIST_MAX, |value| Some(value.to_owned()))?;
            Ok(())
        },
    },
    entry!("pubsub#publish_model" PublishModel publish_model Leaf "The publisher model" [
        ("Only publishers may publish", "publishers"),
        ("Subscribers may publish", "subscribers"),
        ("Anyone may publish", "open"),
    ]),
    entry!("pubsub#purge_offline" boolean purge_offline Leaf "Whether to purge all items when the relevant publisher goes offline"),
    Entry {
        var: "pubsub#max_payload_size",
        type_: FieldType::TextSingle,
        shown: shown("The maximum payload size in bytes", &[]),
        of: Of::Leaf,
        public: true,
        get: |config| vec![config.max_payload_size.to_string()],
        set: |config, field| {
            config.max_payload_size = match read_up_to(field)? {
                Some(UpTo::Number(size)) => size,
                Some(UpTo::Max) | None => u64::MAX,
            };
            Ok(())
        },
    },
    entry!("pubsub#send_last_published_item" SendLast send_last_published_item Leaf "When to send the last published item" [
        ("Never", "never"),
        ("When a new subscription is processed", "on_sub"),
        ("When a new subscription is processed and whenever a subscriber comes online", "on_sub_and_presence"),
    ]),
    entry!("pubsub#presence_based_delivery" boolean presence_based_delivery Both "Whether to deliver notifications to available users only"),
    entry!("pubsub#notification_type" NotificationType notification_type Both "Specify the delivery style for notifications" [
        ("Messages of type normal", "normal"),
        ("Messages of type headline", "headline"),
    ]),
    entry!("pubsub#tempsub" boolean tempsub Both "Whether to make all subscriptions temporary, based on subscriber presence"),
    Entry {
        var: "pubsub#itemreply",
        type_: FieldType::ListSingle,
        shown: shown(
            "Whether owners or publisher should receive replies to items",
            &[
                ("Statically specify a replyto of the node owner(s)", "owner"),
                ("Dynamically specify a replyto of the item publisher", "publisher"),
                ("Specify no replyto", "none"),
            ],
        ),
        of: Of::Leaf,
        public: true,
        get: |config| vec![config.itemreply.map_or("none", ItemReply::name).to_owned()],
        set: |config, field| {
            config.itemreply = match field.single() {
                Ok("none") => None,
                Ok(name) => Some(ItemReply::parse(name).ok_or_else(|| wrong(field))?),
                Err(_) => return Err(wrong(field)),
            };
            Ok(())
        },
    },
    entry!("pubsub#body_xslt" text body_xslt Leaf "The URL of an XSL transformation which can be applied to payloads in order to generate an appropriate message body element."),
    entry!("pubsub#dataform_xslt" text dataform_xslt Leaf "The URL of an XSL transformation which can be applied to the payload format in order to generate a valid Data Forms result that the client could display using a generic Data Forms rendering engine"),
];

/// Columns of their own in the database.
const NOT_STORED: [&str; 2] = ["pubsub#node_type", "pubsub#collection"];
const CHILDREN: &str = "pubsub#children";

fn wrong(field: &Field) -> StanzaError {
    error::unacceptable(format!("`{}` cannot have that value", field.var))
}

fn text(value: &str) -> Vec<String> {
    if value.is_empty() { Vec::new() } else { vec![value.to_owned()] }
}

fn up_to(value: UpTo) -> String {
    match value {
        UpTo::Number(number) => number.to_string(),
        UpTo::Max => "max".to_owned(),
    }
}

fn read_text(field: &Field) -> Result<String, StanzaError> {
    match &field.values[..] {
        [] => Ok(String::new()),
        [text] if text.len() <= TEXT_BYTES_MAX => Ok(text.clone()),
        _ => Err(wrong(field)),
    }
}

/// The values of a list, each once; empty ones count as none.
fn read_list<T: PartialEq>(field: &Field, max: usize, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, StanzaError> {
    let mut list = Vec::new();
    for value in field.values.iter().filter(|value| !value.is_empty()) {
        let value = Some(value).filter(|value| value.len() <= TEXT_BYTES_MAX).and_then(|value| read(value)).ok_or_else(|| wrong(field))?;
        if list.contains(&value) {
            continue;
        }
        if list.len() == max {
            return Err(wrong(field));
        }
        list.push(value);
    }
    Ok(list)
}

/// NodeIDs; an empty one is the root node (XEP-0248 §7.2.1), which all nodes are below that are in no other collection.
fn read_names(field: &Field, max: usize) -> Result<Vec<String>, StanzaError> {
    read_list(field, max, |value| Some(value.to_owned()))
}

/// §12.23: a number or `max`; `None` for no value or an empty one.
fn read_up_to(field: &Field) -> Result<Option<UpTo>, StanzaError> {
    match field.values.iter().map(|value| value.trim()).collect::<Vec<_>>()[..] {
        [] | [""] => Ok(None),
        ["max"] => Ok(Some(UpTo::Max)),
        [number] => number.parse().map(|number| Some(UpTo::Number(number))).map_err(|_| wrong(field)),
        _ => Err(wrong(field)),
    }
}

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
        let form = stored_form(stored)?;
        let mut config = Self::default_for(ServiceKind::Host, node);
        for field in &form.fields {
            let Some(entry) = ENTRIES.iter().find(|entry| entry.var == field.var && !NOT_STORED.contains(&entry.var)) else { continue };
            (entry.set)(&mut config, field).map_err(|error| StoredError(error.to_string()))?;
        }
        Ok(config)
    }
}

/// Reads what [`NodeConfig::to_stored`] and its like wrote.
pub(in crate::pubsub) fn stored_form(stored: &str) -> Result<Form, StoredError> {
    let element = Element::parse(stored.as_bytes(), &Bindings::empty()).map_err(|error| StoredError(error.to_string()))?;
    Form::read(element.root()).map_err(|error| StoredError(error.to_string()))
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
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { nodes: 10, items: 1000, payload_bytes: 65_536, subscriptions: 100, subscriptions_per_account: 100 };

    fn form(type_: &str, fields: &[(&str, &[&str])]) -> Form {
        let mut out = XmlWriter::new();
        let mut form = FormWriter::open(&mut out, FormType::Submit, type_);
        for (var, values) in fields {
            form.field(var, FieldType::TextMulti, values);
        }
        form.close();
        stored_form(&String::from_utf8(out.into_inner()).unwrap()).unwrap()
    }

    fn host() -> NodeConfig {
        NodeConfig::default_for(ServiceKind::Host, NodeKind::Leaf)
    }

    /// One value of each field that is not the default.
    const OTHERS: &[(&str, &[&str])] = &[
        ("pubsub#title", &["Princely Musings (Atom)"]),
        ("pubsub#description", &["a < b"]),
        ("pubsub#language", &["en"]),
        ("pubsub#type", &["urn:example:e2ee:bundle"]),
        ("pubsub#contact", &["bard@shakespeare.lit", "a@b/c"]),
        ("pubsub#collection", &["blogs", "news"]),
        ("pubsub#deliver_notifications", &["0"]),
        ("pubsub#deliver_payloads", &["0"]),
        ("pubsub#notify_config", &["1"]),
        ("pubsub#notify_delete", &["0"]),
        ("pubsub#notify_retract", &["0"]),
        ("pubsub#notify_sub", &["1"]),
        ("pubsub#persist_items", &["0"]),
        ("pubsub#max_items", &["10"]),
        ("pubsub#publish_node_full", &["reject"]),
        ("pubsub#item_expire", &["604800"]),
        ("pubsub#subscribe", &["0"]),
        ("pubsub#access_model", &["roster"]),
        ("pubsub#roster_groups_allowed", &["friends", "servants", "courtiers"]),
        ("pubsub#publish_model", &["open"]),
        ("pubsub#purge_offline", &["1"]),
        ("pubsub#max_payload_size", &["1028"]),
        ("pubsub#send_last_published_item", &["never"]),
        ("pubsub#presence_based_delivery", &["1"]),
        ("pubsub#notification_type", &["normal"]),
        ("pubsub#tempsub", &["1"]),
        ("pubsub#itemreply", &["publisher"]),
        ("pubsub#body_xslt", &["http://jabxslt.jabberstudio.org/atom_body.xslt"]),
        ("pubsub#dataform_xslt", &["http://jabxslt.jabberstudio.org/x"]),
    ];
    const OTHERS_OF_COLLECTIONS: &[(&str, &[&str])] = &[
        ("pubsub#node_type", &["collection"]),
        ("pubsub#children_association_policy", &["whitelist"]),
        ("pubsub#children_association_whitelist", &["a@b"]),
        ("pubsub#children_max", &["7"]),
    ];

    #[test]
    fn s8_2_4_every_field_is_set_shown_stored_and_read_back() {
        for (others, set) in [(OTHERS, OTHERS.len()), (OTHERS_OF_COLLECTIONS, OTHERS_OF_COLLECTIONS.len())] {
            let config = host().submit(&form(ns::PUBSUB_NODE_CONFIG, others), &LIMITS).unwrap().config;
            for (var, values) in others {
                let entry = ENTRIES.iter().find(|entry| entry.var == *var).unwrap();
                assert_eq!((entry.get)(&config), *values, "{var}");
            }
            assert!(set > 0);
            let mut read = NodeConfig::from_stored(&config.to_stored(), config.node_type).unwrap();
            read.collection.clone_from(&config.collection);
            assert_eq!(read, config);
            // What the form shows, filled in as it is, changes nothing.
            let element = Element::parse(&config.form(&[], &LIMITS), &Bindings::empty()).unwrap();
            let shown = Form { type_: FormType::Submit, ..Form::read(element.root()).unwrap() };
            let again = config.submit(&shown, &LIMITS).unwrap();
            assert_eq!(again.config, config);
        }
        let tested: Vec<_> = OTHERS.iter().chain(OTHERS_OF_COLLECTIONS).map(|(var, _)| *var).collect();
        for entry in ENTRIES {
            assert!(tested.contains(&entry.var), "{}", entry.var);
        }
    }

    #[test]
    fn defaults_are_stored_and_read_back() {
        for service in [ServiceKind::Host, ServiceKind::Pep] {
            for kind in [NodeKind::Leaf, NodeKind::Collection] {
                let config = NodeConfig::default_for(service, kind);
                assert_eq!(NodeConfig::from_stored(&config.to_stored(), kind), Ok(config));
            }
        }
        assert!(NodeConfig::from_stored("", NodeKind::Leaf).is_err());
        assert!(NodeConfig::from_stored("<x xmlns='jabber:x:data'/>", NodeKind::Leaf).is_err());
    }

    #[test]
    fn s8_2_5_2_values_that_cannot_be() {
        for (var, values) in [
            ("pubsub#title", &["a", "b"][..]),
            ("pubsub#max_items", &["0"]),
            ("pubsub#max_items", &["-1"]),
            ("pubsub#max_items", &["many"]),
            ("pubsub#item_expire", &["0"]),
            ("pubsub#persist_items", &["yes"]),
            ("pubsub#persist_items", &[]),
            ("pubsub#publish_model", &["nobody"]),
            ("pubsub#itemreply", &["both"]),
            ("pubsub#contact", &["@"]),
            ("pubsub#notification_type", &["normal", "headline"]),
        ] {
            let error = host().submit(&form(ns::PUBSUB_NODE_CONFIG, &[(var, values)]), &LIMITS).unwrap_err();
            assert_eq!(error.condition, crate::stanza::Condition::NotAcceptable, "{var}");
        }
        let error = host().submit(&form(ns::PUBSUB_NODE_CONFIG, &[("pubsub#access_model", &["secret"])]), &LIMITS).unwrap_err();
        assert_eq!(error, error::unsupported_access_model());
        let error = host().submit(&form(ns::PUBSUB_SUBSCRIBE_OPTIONS, &[]), &LIMITS).unwrap_err();
        assert_eq!(error.condition, crate::stanza::Condition::BadRequest);
    }

    #[test]
    fn s12_23_max_is_what_the_server_allows() {
        for (value, expected) in [("10", 10), ("999", 999), ("1000", 1000), ("10000", 1000), ("max", 1000), (" max ", 1000)] {
            let config = host().submit(&form(ns::PUBSUB_NODE_CONFIG, &[("pubsub#max_items", &[value])]), &LIMITS).unwrap().config;
            assert_eq!(config.max_items(&LIMITS), expected, "{value}");
        }
    }

    #[test]
    fn s7_1_5_options_are_preconditions() {
        let config = NodeConfig { roster_groups_allowed: vec!["a".to_owned(), "b".to_owned()], max_items: UpTo::Max, ..host() };
        for (var, values, met) in [
            ("pubsub#access_model", &["open"][..], true),
            ("pubsub#access_model", &["presence"], false),
            ("pubsub#access_model", &["no such"], false),
            ("pubsub#persist_items", &["true"], true),
            ("pubsub#persist_items", &["0"], false),
            ("pubsub#max_items", &["max"], true),
            ("pubsub#max_items", &["1000"], true),
            ("pubsub#max_items", &["5000"], true),
            ("pubsub#max_items", &["5"], false),
            ("pubsub#item_expire", &["max"], true),
            ("pubsub#item_expire", &[""], true),
            ("pubsub#item_expire", &["1"], false),
            ("pubsub#roster_groups_allowed", &["b", "a"], true),
            ("pubsub#roster_groups_allowed", &["b"], false),
            ("pubsub#unheard_of", &["1"], false),
        ] {
            let options = form(ns::PUBLISH_OPTIONS, &[(var, values)]);
            assert_eq!(config.check_options(&options, &LIMITS).is_ok(), met, "{var} {values:?}");
        }
        let missing = form(ns::PUBSUB_NODE_CONFIG, &[]);
        assert_eq!(config.check_options(&missing, &LIMITS).unwrap_err().condition, crate::stanza::Condition::BadRequest);
    }

    #[test]
    fn s7_1_5_options_configure_what_is_created_and_are_met_from_then_on() {
        let options = form(
            ns::PUBLISH_OPTIONS,
            &[("pubsub#access_model", &["whitelist"]), ("pubsub#max_items", &["99999"]), ("pubsub#item_expire", &["max"])],
        );
        let config = host().with_options(&options, &LIMITS).unwrap();
        assert_eq!(config.access_model, AccessModel::Whitelist);
        assert_eq!(config.check_options(&options, &LIMITS), Ok(()));
        assert!(host().with_options(&form(ns::PUBLISH_OPTIONS, &[("pubsub#unheard_of", &["1"])]), &LIMITS).is_err());
    }

    #[test]
    fn s8_2_5_3_subscribers_do_not_see_groups() {
        let config = NodeConfig { roster_groups_allowed: vec!["enemies".to_owned()], ..host() };
        let shown = String::from_utf8(config.result(&LIMITS).to_vec()).unwrap();
        assert!(!shown.contains("enemies"));
        assert!(shown.contains("<field var='pubsub#access_model' type='list-single'><value>open</value></field>"), "{shown}");
    }
}
