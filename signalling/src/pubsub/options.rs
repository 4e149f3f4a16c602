//! The options of a subscription: XEP-0060 §6.3 and §16.4.2, XEP-0248 §6; as a form both ways. Pure.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::error;
use crate::forms::{Field, FieldType, Form, FormType, FormWriter, Shown, StoredError};
use crate::named::named;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::time;
use crate::xml::XmlWriter;

named! {
    /// `pubsub#show-values`: presence states for which notifications are wanted.
    ShowValue {
        /// Away.
        Away "away",
        /// Free for a chat.
        Chat "chat",
        /// Do not disturb.
        Dnd "dnd",
        /// Available without a show value.
        Online "online",
        /// Away for long.
        Xa "xa",
    }
}

named! {
    /// `pubsub#subscription_type` of a subscription to a collection (XEP-0248).
    SubscriptionType {
        /// New items.
        Items "items",
        /// New nodes.
        Nodes "nodes",
        /// Both.
        All "all",
    }
}

/// When a subscription ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expire {
    /// Never.
    Never,
    /// When its subscriber goes offline (§12.5).
    Presence,
    /// Then (§12.19).
    At(SystemTime),
}

/// All that can be configured of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// `pubsub#deliver`: notifications are wanted at all.
    pub deliver: bool,
    /// `pubsub#expire`.
    pub expire: Expire,
    /// `pubsub#include_body`: a body for people besides the payload.
    pub include_body: bool,
    /// Empty: whatever the presence.
    pub show_values: Vec<ShowValue>,
    /// `pubsub#subscription_type`.
    pub subscription_type: SubscriptionType,
    /// `pubsub#subscription_depth`: `None` for `all`.
    pub subscription_depth: Option<u64>,
}

/// A field of the form: names, labels and options of the registry (§16.4.2, XEP-0248 §12.2.1).
struct Entry {
    var: &'static str,
    type_: FieldType,
    label: &'static str,
    options: &'static [(&'static str, &'static str)],
    of: fn(Offered) -> bool,
    get: fn(&SubscribeOptions) -> Vec<String>,
}

fn boolean(value: bool) -> Vec<String> {
    vec![if value { "1" } else { "0" }.to_owned()]
}

static ENTRIES: &[Entry] = &[
    Entry {
        var: "pubsub#deliver",
        type_: FieldType::Boolean,
        label: "Whether an entity wants to receive or disable notifications",
        options: &[],
        of: |_| true,
        get: |options| boolean(options.deliver),
    },
    Entry {
        var: "pubsub#expire",
        type_: FieldType::TextSingle,
        label: "The DateTime at which a leased subscription will end or has ended",
        options: &[],
        of: |_| true,
        get: |options| expire(options.expire).into_iter().collect(),
    },
    Entry {
        var: "pubsub#include_body",
        type_: FieldType::Boolean,
        label: "Whether an entity wants to receive an XMPP message body in addition to the payload format",
        options: &[],
        of: |offered| offered.body,
        get: |options| boolean(options.include_body),
    },
    Entry {
        var: "pubsub#show-values",
        type_: FieldType::ListMulti,
        label: "The presence states for which an entity wants to receive notifications",
        options: &[
            ("XMPP Show Value of Away", "away"),
            ("XMPP Show Value of Chat", "chat"),
            ("XMPP Show Value of DND (Do Not Disturb)", "dnd"),
            ("Mere Availability in XMPP (No Show Value)", "online"),
            ("XMPP Show Value of XA (Extended Away)", "xa"),
        ],
        of: |_| true,
        get: |options| options.show_values.iter().map(|show| show.name().to_owned()).collect(),
    },
    Entry {
        var: "pubsub#subscription_type",
        type_: FieldType::ListSingle,
        label: "What an entity wants to be notified of",
        options: &[
            ("Receive notification of new items only", "items"),
            ("Receive notification of new nodes only", "nodes"),
            ("Receive notification of items and nodes", "all"),
        ],
        of: |offered| offered.collection,
        get: |options| vec![options.subscription_type.name().to_owned()],
    },
    Entry {
        var: "pubsub#subscription_depth",
        type_: FieldType::TextSingle,
        label: "How far to traverse the node graph for notifications",
        options: &[],
        of: |offered| offered.collection,
        get: |options| vec![options.subscription_depth.map_or_else(|| "all".to_owned(), |depth| depth.to_string())],
    },
];

impl SubscribeOptions {
    /// §6.4, XEP-0248 §6.1: what a subscription has unless its subscriber says otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self {
            deliver: true,
            expire: Expire::Never,
            include_body: false,
            show_values: Vec::new(),
            subscription_type: SubscriptionType::Nodes,
            subscription_depth: Some(1),
        }
    }

    /// §6.3.3: the form that a subscriber fills in.
    #[must_use]
    pub fn form(&self, of: Offered) -> Bytes {
        self.write(FormType::Form, of)
    }

    /// §6.3.7, §6.4.2: the form that a subscriber is shown.
    #[must_use]
    pub fn result(&self, of: Offered) -> Bytes {
        self.write(FormType::Result, of)
    }

    fn write(&self, type_: FormType, of: Offered) -> Bytes {
        let mut out = XmlWriter::new();
        let mut form = FormWriter::open(&mut out, type_, ns::PUBSUB_SUBSCRIBE_OPTIONS);
        for entry in ENTRIES.iter().filter(|entry| (entry.of)(of)) {
            let values = (entry.get)(self);
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            if type_ == FormType::Form {
                form.shown_field(entry.var, entry.type_, Shown { label: entry.label, options: entry.options }, &values);
            } else {
                form.field(entry.var, entry.type_, &values);
            }
        }
        form.close();
        out.finish()
    }

    /// §6.3.5: these options with what a form says. Fields that are left out stay as they are, unknown ones are ignored.
    ///
    /// # Errors
    /// `bad-request` with `invalid-options`.
    pub fn submit(&self, form: &Form, of: Offered, now: SystemTime) -> Result<Self, StanzaError> {
        let another = form.form_type().is_some_and(|type_| type_ != ns::PUBSUB_SUBSCRIBE_OPTIONS);
        if form.type_ != FormType::Submit || another {
            return Err(error::invalid_options());
        }
        let mut options = self.clone();
        for field in &form.fields {
            options.set(field).map_err(|()| error::invalid_options().with_text(format!("`{}` cannot have that value", field.var)))?;
        }
        if options.include_body && !of.body {
            return Err(error::invalid_options().with_text("there is no way from this node's payloads to a text"));
        }
        if options.expire != self.expire && matches!(options.expire, Expire::At(end) if end <= now) {
            return Err(error::invalid_options().with_text("`pubsub#expire` is past"));
        }
        Ok(options)
    }

    fn set(&mut self, field: &Field) -> Result<(), ()> {
        let single = || field.single().map(str::trim).map_err(|_| ());
        let boolean = || field.boolean().map_err(|_| ());
        match &*field.var {
            "pubsub#deliver" => self.deliver = boolean()?,
            // Digests are not offered; who does not want one gets none.
            "pubsub#digest" if boolean()? => return Err(()),
            "pubsub#include_body" => self.include_body = boolean()?,
            "pubsub#expire" if field.values.is_empty() => self.expire = Expire::Never,
            "pubsub#expire" => self.expire = read_expire(single()?).ok_or(())?,
            "pubsub#show-values" => {
                let mut shows = field.values.iter().map(|value| ShowValue::parse(value)).collect::<Option<Vec<_>>>().ok_or(())?;
                shows.sort_unstable();
                shows.dedup();
                self.show_values = shows;
            }
            "pubsub#subscription_type" => self.subscription_type = SubscriptionType::parse(single()?).ok_or(())?,
            "pubsub#subscription_depth" => {
                self.subscription_depth = match single()? {
                    "all" => None,
                    depth => Some(depth.parse().map_err(|_| ())?),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// As the database keeps it: a form with all fields.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let form = self.write(FormType::Submit, Offered { body: true, collection: true });
        String::from_utf8_lossy(&form).into_owned()
    }

    /// The opposite. Fields that were not known when it was stored have their defaults.
    ///
    /// # Errors
    /// It is no such form.
    pub fn from_stored(stored: &str) -> Result<Self, StoredError> {
        let form = Form::from_stored(stored)?;
        let mut options = Self::new();
        for field in &form.fields {
            options.set(field).map_err(|()| StoredError(format!("`{}`", field.var)))?;
        }
        Ok(options)
    }
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Which options beside the usual ones a node has to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    /// There is a way from its payloads to a text (§12.8).
    pub body: bool,
    /// It is a collection.
    pub collection: bool,
}

fn expire(expire: Expire) -> Option<String> {
    match expire {
        Expire::Never => None,
        Expire::Presence => Some("presence".to_owned()),
        Expire::At(end) => Some(time::xep0082_ms(end)),
    }
}

fn read_expire(text: &str) -> Option<Expire> {
    match text {
        "" => Some(Expire::Never),
        "presence" => Some(Expire::Presence),
        end => {
            // Whole milliseconds, as the database keeps it and the form shows it.
            let end = time::parse_xep0082(end)?;
            let ms = u64::try_from(end.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis()).ok()?;
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms)).map(Expire::At)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Bindings, Element};

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const ALL: Offered = Offered { body: true, collection: true };

    fn submit(options: &SubscribeOptions, fields: &[(&str, &[&str])], of: Offered) -> Result<SubscribeOptions, StanzaError> {
        let mut out = XmlWriter::new();
        let mut form = FormWriter::open(&mut out, FormType::Submit, ns::PUBSUB_SUBSCRIBE_OPTIONS);
        for (var, values) in fields {
            form.field(var, FieldType::TextMulti, values);
        }
        form.close();
        options.submit(&Form::read(Element::parse(&out.finish(), &Bindings::empty()).unwrap().root()).unwrap(), of, NOW)
    }

    fn options() -> SubscribeOptions {
        SubscribeOptions {
            deliver: false,
            expire: Expire::At(NOW + Duration::from_millis(1_141_127_999_250)),
            include_body: true,
            show_values: vec![ShowValue::Away, ShowValue::Chat],
            subscription_type: SubscriptionType::All,
            subscription_depth: None,
        }
    }

    #[test]
    fn s6_3_5_each_option() {
        let read = submit(
            &SubscribeOptions::new(),
            &[
                ("pubsub#deliver", &["0"]),
                ("pubsub#digest", &["0"]),
                ("pubsub#digest_frequency", &["1000"]),
                ("pubsub#expire", &["2006-02-28T11:59:59.25Z"]),
                ("pubsub#include_body", &["true"]),
                ("pubsub#show-values", &["chat", "away", "chat"]),
                ("pubsub#subscription_type", &["all"]),
                ("pubsub#subscription_depth", &["all"]),
            ],
            ALL,
        );
        assert_eq!(read, Ok(options()));
        let read = submit(&options(), &[("pubsub#expire", &["presence"]), ("pubsub#subscription_depth", &["3"])], ALL);
        assert_eq!(read, Ok(SubscribeOptions { expire: Expire::Presence, subscription_depth: Some(3), ..options() }));
        assert_eq!(submit(&options(), &[("pubsub#expire", &[])], ALL).unwrap().expire, Expire::Never);
    }

    #[test]
    fn s6_3_6_2_invalid_options() {
        for (var, value) in [
            ("pubsub#deliver", "maybe"),
            ("pubsub#digest", "1"),
            ("pubsub#expire", "soon"),
            ("pubsub#expire", "1970-01-01T00:00:00Z"),
            ("pubsub#show-values", "invisible"),
            ("pubsub#subscription_type", "none"),
            ("pubsub#subscription_depth", "-1"),
        ] {
            let error = submit(&options(), &[(var, &[value])], ALL).unwrap_err();
            assert_eq!(error.extra, error::invalid_options().extra, "{var}");
        }
        // §12.8.
        let error = submit(&SubscribeOptions::new(), &[("pubsub#include_body", &["1"])], Offered { body: false, collection: false });
        assert_eq!(error.unwrap_err().extra, error::invalid_options().extra);
    }

    #[test]
    fn options_are_stored_and_read_back() {
        for options in [SubscribeOptions::new(), options(), SubscribeOptions { expire: Expire::Presence, ..options() }] {
            assert_eq!(SubscribeOptions::from_stored(&options.to_stored()), Ok(options));
        }
        assert!(SubscribeOptions::from_stored("<x/>").is_err());
    }

    #[test]
    fn s6_3_3_what_is_shown_is_accepted_as_it_is() {
        let options = SubscribeOptions { expire: Expire::Never, ..options() };
        let form = Form::read(Element::parse(&options.form(ALL), &Bindings::empty()).unwrap().root()).unwrap();
        assert_eq!(options.submit(&Form { type_: FormType::Submit, ..form }, ALL, NOW), Ok(options));
        let shown = String::from_utf8(SubscribeOptions::new().form(Offered { body: false, collection: false }).to_vec()).unwrap();
        assert!(!shown.contains("include_body") && !shown.contains("subscription_type") && !shown.contains("digest"), "{shown}");
    }
}
