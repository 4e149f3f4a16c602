//! Elements → [`Request`]: what they must have by each section, and nothing more.

use super::{Action, ItemsRequest, NewItem, Request, SubscriptionChange};
use crate::forms::{Form, FormType};
use crate::jid::Jid;
use crate::ns;
use crate::pubsub::error;
use crate::pubsub::model::{Affiliation, NODE_BYTES_MAX, NodeKind, SubscriptionState};
use crate::rsm;
use crate::stanza::error::StanzaError;
use crate::xml::Node;

/// Bytes of an ItemID and of a SubID.
const ID_BYTES_MAX: usize = 1023;
/// Items of one request: each is looked up.
const BATCH_MAX: usize = 1_000;
/// Bytes of a URI to go to instead.
const URI_BYTES_MAX: usize = 2048;

type Read<T> = Result<T, StanzaError>;

impl Request {
    /// Reads `<pubsub/>` of either namespace in a request of type `set` or `get`.
    ///
    /// # Errors
    /// As the sections on each request say; `bad-request` for what they do not.
    pub fn read(pubsub: Node<'_>, set: bool) -> Read<Self> {
        let owner = match pubsub.ns() {
            ns::PUBSUB_OWNER => true,
            ns::PUBSUB => false,
            _ => return Err(StanzaError::bad_request("this is no request of publish-subscribe")),
        };
        let mut children = pubsub.children().filter(|child| child.ns() == pubsub.ns());
        let main = children.next().ok_or_else(|| StanzaError::bad_request("the request is missing"))?;
        let rest = Rest { pubsub, main, beside: children.next(), set };
        if children.next().is_some() {
            return Err(StanzaError::bad_request("there is more than one request"));
        }
        let node = match main.attr("node") {
            None | Some("") => None,
            Some(node) if node.len() > NODE_BYTES_MAX => return Err(StanzaError::bad_request("a NodeID has at most 1023 bytes")),
            Some(node) => Some(node.to_owned()),
        };
        let action = if owner { rest.owner(node.is_some()) } else { rest.entity(node.is_some()) }?;
        Ok(Self { node, action })
    }

    /// Reads an owner's answer to a subscription request (§8.6), a message with a form; `None` for anything else, and for an owner who will decide
    /// another time.
    ///
    /// # Errors
    /// `bad-request` for a form that says it is an answer and is none.
    pub fn read_message(form: &Form) -> Read<Option<Self>> {
        if form.form_type() != Some(ns::PUBSUB_SUBSCRIBE_AUTHORIZATION) || form.type_ != FormType::Submit {
            return Ok(None);
        }
        let find = |var| form.fields.iter().find(|field| field.var == var);
        let field = |var| find(var).ok_or_else(|| StanzaError::bad_request(format!("`{var}` is missing")));
        let node = field("pubsub#node")?.single()?;
        let jid = jid(field("pubsub#subscriber_jid")?.single()?)?;
        let allow = field("pubsub#allow")?.boolean()?;
        let subid = find("pubsub#subid").map(|field| field.single().map(str::to_owned)).transpose()?;
        Ok(Some(Self { node: Some(node.to_owned()).filter(|node| !node.is_empty()), action: Action::Decide { jid, subid, allow } }))
    }
}

/// The request's element and what stands around it.
struct Rest<'e> {
    pubsub: Node<'e>,
    main: Node<'e>,
    beside: Option<Node<'e>>,
    set: bool,
}

impl<'e> Rest<'e> {
    /// §5, §6, §7, §8.1.
    fn entity(&self, has_node: bool) -> Read<Action> {
        // §6.3.7, §8.1.3: what comes along follows.
        if matches!(
            (self.main.name(), self.beside.map(|beside| beside.name())),
            ("options", Some("subscribe")) | ("configure", Some("create"))
        ) {
            return Err(StanzaError::bad_request("options and configuration follow what they are for"));
        }
        let action = match (self.main.name(), self.set) {
            ("subscriptions", false) => Action::Subscriptions,
            ("affiliations", false) => Action::Affiliations,
            ("subscribe", true) => return self.subscribe(),
            ("unsubscribe", true) => Action::Unsubscribe { jid: self.jid()?, subid: self.subid()? },
            ("options", false) => Action::Options { jid: self.jid()?, subid: self.subid()? },
            ("options", true) => Action::SetOptions { jid: self.jid()?, subid: self.subid()?, form: self.form(self.main)? },
            ("default", false) => Action::DefaultOptions,
            ("items", false) => {
                required(has_node)?;
                Action::Items(self.items()?)
            }
            ("publish", true) => {
                required(has_node)?;
                let options = self.beside("publish-options")?.map(|options| self.form(options)).transpose()?;
                return Ok(Action::Publish { items: self.new_items()?, options });
            }
            ("retract", true) => {
                required(has_node)?;
                self.retract()?
            }
            ("create", true) => return self.create(),
            // §12.5 writes it so; what it means is the same.
            ("configure", true) => {
                required(has_node)?;
                Action::Configure(self.form(self.main)?)
            }
            _ => return Err(self.unknown()),
        };
        self.alone()?;
        Ok(action)
    }

    /// §8, XEP-0248 §7.
    fn owner(&self, has_node: bool) -> Read<Action> {
        self.alone()?;
        match (self.main.name(), self.set) {
            ("default", false) => {
                let kind = self.main.attr("type").map_or(Some(NodeKind::Leaf), NodeKind::parse);
                let kind = kind.ok_or_else(|| StanzaError::bad_request("the type of a node is `leaf` or `collection`"))?;
                return Ok(Action::DefaultConfiguration { collection: kind == NodeKind::Collection });
            }
            // XEP-0248 §7.4.3.1: the root node.
            ("delete", true) if !has_node => return Err(StanzaError::not_allowed().with_text("the root node stays")),
            _ => required(has_node)?,
        }
        Ok(match (self.main.name(), self.set) {
            ("configure", false) => Action::Configuration,
            ("configure", true) => Action::Configure(self.form(self.main)?),
            ("delete", true) => Action::Delete { redirect: self.redirect()? },
            ("purge", true) => Action::Purge,
            ("subscriptions", false) => Action::AllSubscriptions(rsm::Request::of(self.pubsub)?),
            ("subscriptions", true) => Action::SetSubscriptions(self.subscription_changes()?),
            ("affiliations", false) => Action::AllAffiliations(rsm::Request::of(self.pubsub)?),
            ("affiliations", true) => Action::SetAffiliations(self.affiliation_changes()?),
            ("collection", true) => self.collection()?,
            _ => return Err(self.unknown()),
        })
    }

    fn unknown(&self) -> StanzaError {
        StanzaError::bad_request(format!("<{}/> is no request of this kind", self.main.name()))
    }

    /// The element beside the request, which may be of this name only.
    fn beside(&self, name: &str) -> Read<Option<Node<'e>>> {
        match self.beside {
            Some(beside) if beside.name() != name => Err(StanzaError::bad_request("there is more than one request")),
            beside => Ok(beside),
        }
    }

    fn alone(&self) -> Read<()> {
        match self.beside {
            Some(_) => Err(StanzaError::bad_request("there is more than one request")),
            None => Ok(()),
        }
    }

    fn form(&self, parent: Node<'_>) -> Read<Form> {
        Form::of(parent)?.ok_or_else(|| StanzaError::bad_request("the form is missing"))
    }

    /// §6.3.4.3.
    fn jid(&self) -> Read<Jid> {
        jid(self.main.attr("jid").ok_or_else(error::jid_required)?)
    }

    fn subid(&self) -> Read<Option<String>> {
        self.main.attr("subid").map(|subid| id(subid).ok_or_else(error::invalid_subid)).transpose()
    }

    /// §6.1.1, §6.3.7. Options that say again what the subscription says, as those of some clients do, are no others.
    fn subscribe(&self) -> Read<Action> {
        let other = |options: Node<'_>, name| options.attr(name).is_some_and(|value| Some(value) != self.main.attr(name));
        let options = match self.beside("options")? {
            Some(options) if other(options, "node") || other(options, "jid") => {
                return Err(StanzaError::bad_request("options of a new subscription are for that subscription"));
            }
            Some(options) => Form::of(options)?,
            None => None,
        };
        Ok(Action::Subscribe { jid: self.jid()?, options })
    }

    /// §8.1.3.
    fn create(&self) -> Read<Action> {
        let form = match self.beside("configure")? {
            Some(configure) if configure.attr("node").is_some() => {
                return Err(StanzaError::bad_request("the configuration of a new node does not name it"));
            }
            Some(configure) => Form::of(configure)?,
            None => None,
        };
        Ok(Action::Create { form })
    }

    fn items(&self) -> Read<ItemsRequest> {
        let max_items = self.main.attr("max_items").map(|max| match max.trim().parse() {
            Ok(0) | Err(_) => Err(StanzaError::bad_request("`max_items` is a positive number")),
            Ok(max) => Ok(max),
        });
        let rsm = self.pubsub.child(ns::RSM, "set").map(|_| rsm::Request::of(self.pubsub)).transpose()?;
        Ok(ItemsRequest { subid: self.subid()?, max_items: max_items.transpose()?, ids: self.ids()?, rsm })
    }

    /// ItemIDs, each once.
    fn ids(&self) -> Read<Vec<String>> {
        let mut ids = Vec::new();
        let mut known = std::collections::HashSet::new();
        for item in self.main.children_named(self.main.ns(), "item") {
            let id = item.attr("id").and_then(id).ok_or_else(error::item_required)?;
            if ids.len() == BATCH_MAX {
                return Err(too_many_items());
            }
            if known.insert(id.clone()) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// §7.1.1, §7.1.3.6, §12.11.
    fn new_items(&self) -> Read<Vec<NewItem>> {
        let mut known = std::collections::HashSet::new();
        if self.main.children_named(self.main.ns(), "item").nth(BATCH_MAX).is_some() {
            return Err(too_many_items());
        }
        let items = self.main.children_named(self.main.ns(), "item").map(|item| {
            let id = match item.attr("id") {
                None | Some("") => None,
                Some(given) => Some(id(given).ok_or_else(|| StanzaError::bad_request("an ItemID has at most 1023 bytes"))?),
            };
            if let Some(id) = &id
                && !known.insert(id.clone())
            {
                return Err(StanzaError::bad_request("an ItemID comes twice"));
            }
            let mut payloads = item.children();
            let payload = payloads.next();
            if payloads.next().is_some() {
                return Err(error::invalid_payload());
            }
            let payload_ns = payload.map(|payload| payload.ns().to_owned()).unwrap_or_default();
            Ok(NewItem { id, payload: payload.map(|payload| payload.to_bytes()), payload_ns })
        });
        items.collect()
    }

    /// §7.2.1.
    fn retract(&self) -> Read<Action> {
        let notify = self.main.attr("notify").map(|notify| match notify {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(StanzaError::bad_request("`notify` is true or false")),
        });
        let ids = self.ids()?;
        if ids.is_empty() {
            return Err(error::item_required());
        }
        Ok(Action::Retract { ids, notify: notify.transpose()? })
    }

    /// §8.4.1.
    fn redirect(&self) -> Read<Option<String>> {
        let Some(redirect) = self.main.child(ns::PUBSUB_OWNER, "redirect") else { return Ok(None) };
        match redirect.attr("uri") {
            Some(uri) if !uri.is_empty() && uri.len() <= URI_BYTES_MAX => Ok(Some(uri.to_owned())),
            _ => Err(StanzaError::bad_request("a redirection has a URI of at most 2048 bytes")),
        }
    }

    /// §8.8.2: each JID and SubID once; without a state, nothing changes.
    fn subscription_changes(&self) -> Read<Vec<SubscriptionChange>> {
        let mut known = std::collections::HashSet::new();
        let mut changes = Vec::new();
        for node in self.main.children_named(ns::PUBSUB_OWNER, "subscription") {
            let jid = jid(node.attr("jid").ok_or_else(error::jid_required)?)?;
            let subid = node.attr("subid").map(|subid| id(subid).ok_or_else(error::invalid_subid)).transpose()?;
            if !known.insert((jid.clone(), subid.clone())) {
                return Err(StanzaError::bad_request("a subscription comes twice"));
            }
            let Some(state) = node.attr("subscription") else { continue };
            let state =
                SubscriptionState::parse(state).ok_or_else(|| StanzaError::bad_request("there is no such state of a subscription"))?;
            changes.push(SubscriptionChange { jid, subid, state });
        }
        Ok(changes)
    }

    /// §8.9.2: each entity once; without an affiliation, nothing changes.
    fn affiliation_changes(&self) -> Read<Vec<(crate::jid::BareJid, Affiliation)>> {
        let mut known = std::collections::HashSet::new();
        let mut changes = Vec::new();
        for node in self.main.children_named(ns::PUBSUB_OWNER, "affiliation") {
            // §4.1: affiliations are those of bare JIDs.
            let jid = jid(node.attr("jid").ok_or_else(error::jid_required)?)?.to_bare();
            if !known.insert(jid.clone()) {
                return Err(StanzaError::bad_request("an entity comes twice"));
            }
            let Some(affiliation) = node.attr("affiliation") else { continue };
            let affiliation = Affiliation::parse(affiliation).ok_or_else(|| StanzaError::bad_request("there is no such affiliation"))?;
            changes.push((jid, affiliation));
        }
        Ok(changes)
    }

    /// XEP-0248 §7.5, §7.6.
    fn collection(&self) -> Read<Action> {
        let mut children = self.main.children();
        let (Some(child), None) = (children.next(), children.next()) else {
            return Err(StanzaError::bad_request("one node is associated or dissociated"));
        };
        let node = child.attr("node").filter(|node| !node.is_empty() && node.len() <= NODE_BYTES_MAX).ok_or_else(error::nodeid_required)?;
        match child.name() {
            "associate" => Ok(Action::Associate { child: node.to_owned() }),
            // The specification's schema has the other spelling.
            "dissociate" | "disassociate" => Ok(Action::Dissociate { child: node.to_owned() }),
            _ => Err(StanzaError::bad_request("a node is associated or dissociated")),
        }
    }
}

/// §7.2.3.3, §8.2.3.3.
fn required(has_node: bool) -> Read<()> {
    if has_node { Ok(()) } else { Err(error::nodeid_required()) }
}

fn too_many_items() -> StanzaError {
    StanzaError::policy_violation().with_text("a request names at most 1000 items")
}

fn jid(text: &str) -> Read<Jid> {
    Jid::parse(text).map_err(|cause| error::invalid_jid().with_text(cause.to_string()))
}

fn id(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX)
}
