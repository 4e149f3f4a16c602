//! The fields: names, labels and options of the registry (XEP-0060 §16.4.4, XEP-0248 §12.2.2), and where each stands in [`NodeConfig`].

use super::values::{LIST_MAX, read_list, read_names, read_text, read_up_to, text, up_to, wrong};
use crate::forms::{Field, FieldType, Shown};
use crate::jid::{BareJid, Jid};
use crate::pubsub::config::{AccessModel, ChildrenPolicy, ItemReply, NodeConfig, NodeFull, NotificationType, PublishModel, SendLast, UpTo};
use crate::pubsub::error;
use crate::pubsub::model::NodeKind;
use crate::stanza::error::StanzaError;

/// A field of the form.
pub(super) struct Entry {
    pub var: &'static str,
    pub type_: FieldType,
    pub shown: Shown<'static>,
    /// Which nodes have it.
    pub of: Of,
    /// Subscribers see it, too, when they are told of a configuration (§8.2.5.3); lists of other people's groups and addresses are the owners'.
    pub public: bool,
    pub get: fn(&NodeConfig) -> Vec<String>,
    pub set: fn(&mut NodeConfig, &Field) -> Result<(), StanzaError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Leaf,
    Collection,
    Both,
}

impl Of {
    pub fn has(self, kind: NodeKind) -> bool {
        match self {
            Self::Leaf => kind == NodeKind::Leaf,
            Self::Collection => kind == NodeKind::Collection,
            Self::Both => true,
        }
    }
}

pub(super) const fn shown(label: &'static str, options: &'static [(&'static str, &'static str)]) -> Shown<'static> {
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

pub(super) static ENTRIES: &[Entry] = &[
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
