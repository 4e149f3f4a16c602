//! XEP-0030: Service Discovery, version 2.5, for each domain of the server and on behalf of its accounts; contact addresses (XEP-0157) as an
//! extension of it (XEP-0128); its names for caches in [`caps`] (XEP-0115, XEP-0390).
//!
//! What is shown is what `iq.rs` has registered. The server's items are the services at domains of their own; nodes of hosts and accounts are
//! described by `pubsub/disco.rs`.

mod caps;

use std::sync::Arc;

use bytes::Bytes;
use campanile_config::{Contact, ContactAddress};

use crate::capabilities::{self, Described, Field, Form};
use crate::iq::{Identity, Iq, IqTable, Reply, To};
use crate::jid::Jid;
use crate::muc::Muc;
use crate::ns;
use crate::pubsub::PubSub;
use crate::router::Router;
use crate::rsm;
use crate::session::Session;
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// Answers disco#info and disco#items.
#[derive(Debug)]
pub struct Disco {
    router: Router,
    contact: Contact,
    pubsub: Arc<PubSub>,
    muc: Arc<Muc>,
}

/// What the server says of something.
pub type Info = capabilities::Info<'static>;

/// What disco#items says.
#[derive(Debug, Default)]
pub struct Items {
    /// In order.
    pub items: Vec<Item>,
    /// Which page they are, if one was asked for (XEP-0059).
    pub page: Option<rsm::Answer>,
}

/// An item (§4.1).
#[derive(Debug)]
pub struct Item {
    /// Its address.
    pub jid: String,
    /// Its node.
    pub node: Option<String>,
    /// For people, or the id of a published item (XEP-0060 §5.5).
    pub name: Option<String>,
}

impl Disco {
    /// §3 and §4. `contact` says whom to write to about the server; `pubsub` knows the nodes of hosts and accounts.
    pub fn register(router: &Router, contact: &Contact, pubsub: Arc<PubSub>, muc: Arc<Muc>, table: &mut IqTable) {
        let disco = Arc::new(Self { router: router.clone(), contact: contact.clone(), pubsub, muc });
        table.identity(To::Server, Identity { category: "server", kind: "im", name: "campanile" });
        for to in [To::Account, To::Contact] {
            table.identity(to, Identity { category: "account", kind: "registered", name: "" });
        }
        for namespace in [ns::CAPS, ns::CAPS_2] {
            table.feature(To::Server, namespace);
        }
        for to in [To::Server, To::Account, To::Contact, To::PubSub] {
            table.feature(to, ns::DISCO_INFO);
            table.feature(to, ns::DISCO_ITEMS);
            table.get(to, (ns::DISCO_INFO, "query"), &disco, Self::info);
            table.get(to, (ns::DISCO_ITEMS, "query"), &disco, Self::items);
        }
    }

    /// §3.
    async fn info(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let node = node(&iq);
        let info = match (&node, iq.to) {
            (Some(node), To::Server) => self.of_name(&iq, node)?,
            (Some(node), _) => return self.pubsub.disco_info(&iq, node).await.map(Reply::Payload),
            (None, To::Contact) if !self.may_see(&iq) => return Err(StanzaError::service_unavailable()),
            (None, _) => self.of_addressee(&iq),
        };
        Ok(Reply::Payload(info.write(node.as_deref())))
    }

    fn of_addressee(&self, iq: &Iq) -> Info {
        let domain = iq.stanza.to().map(Jid::domain).unwrap_or_default();
        let mut info = of(self.router.table(), &self.contact, iq.to, domain);
        if matches!(iq.to, To::Account | To::Contact) && self.is_anonymous(iq) {
            info.identities.iter_mut().filter(|identity| identity.category == "account").for_each(|identity| identity.kind = "anonymous");
        }
        info
    }

    /// Nodes of the server are the names that its information has itself.
    fn of_name(&self, iq: &Iq, node: &str) -> Result<Info, StanzaError> {
        let info = self.of_addressee(iq);
        if caps::names(&info, node) { Ok(info) } else { Err(no_such_node()) }
    }

    /// XEP-0175 §5. Such an account is in memory for as long as it lives.
    fn is_anonymous(&self, iq: &Iq) -> bool {
        self.router.home_in_memory(&iq.account()).is_some_and(|home| home.with(|account| account.anonymous))
    }

    /// §4: services of the server; an account's resources, for whoever sees its presence (§8), and its nodes; the nodes of a host.
    async fn items(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let node = node(&iq);
        let mut items = match (&node, iq.to) {
            (Some(_), To::Server) => return Err(no_such_node()),
            (None, To::Server) => self.services(&iq),
            (node, _) => {
                let element = iq.element()?;
                self.pubsub.disco_items(&iq, node.as_deref(), rsm::Request::of(element.root())?).await?
            }
        };
        if node.is_none() && (iq.to == To::Account || self.may_see(&iq)) {
            items.items.splice(0..0, self.resources(&iq));
        }
        Ok(Reply::Payload(items.write(node.as_deref())))
    }

    fn services(&self, iq: &Iq) -> Items {
        let domain = iq.stanza.to().map(Jid::domain).unwrap_or_default();
        let hosts = self.muc.settings().hosts.of(domain).chain(self.pubsub.settings().hosts.of(domain));
        Items { items: hosts.map(|host| Item { jid: host.to_owned(), node: None, name: None }).collect(), page: None }
    }

    fn resources(&self, iq: &Iq) -> Vec<Item> {
        let Some(home) = self.router.home_in_memory(&iq.account()) else { return Vec::new() };
        let item = |session: &Session| Item { jid: session.jid.to_string(), node: None, name: None };
        home.with(|account| account.available().map(item).collect())
    }

    /// §8: whoever may not see an account's presence gets the answer of an account that does not exist.
    fn may_see(&self, iq: &Iq) -> bool {
        let seen =
            |from: &Jid| self.router.home_in_memory(&iq.account()).is_some_and(|home| home.with(|account| account.shows_presence_to(from)));
        iq.to == To::Contact && iq.stanza.from().is_some_and(seen)
    }
}

/// What is offered among the stream features of a domain: the names of its information, so that clients need not ask for it at every log-in.
pub fn stream_features(table: &IqTable, contact: &Contact, domain: &str) -> Vec<Bytes> {
    caps::stream_features(&of(table, contact, To::Server, domain))
}

/// What is registered for one kind of addressee.
pub fn of(table: &IqTable, contact: &Contact, to: To, domain: &str) -> Info {
    let identities =
        table.identities(to).map(|Identity { category, kind, name }| Described { category, kind, lang: "", name: name.into() });
    let form = (to == To::Server).then(|| addresses(contact, domain)).flatten();
    Info { identities: identities.collect(), features: table.features(to).collect(), forms: form.into_iter().collect() }
}

/// XEP-0157 §3: the addresses that the operator has given; `{domain}` in one stands for the domain asked.
fn addresses(contact: &Contact, domain: &str) -> Option<Form<'static>> {
    let given = [
        ("abuse-addresses", &contact.abuse),
        ("admin-addresses", &contact.admin),
        ("feedback-addresses", &contact.feedback),
        ("sales-addresses", &contact.sales),
        ("security-addresses", &contact.security),
        ("status-addresses", &contact.status),
        ("support-addresses", &contact.support),
    ];
    let given = given.into_iter().filter(|(_, addresses)| !addresses.is_empty());
    let field = |(var, addresses): (_, &Vec<ContactAddress>)| {
        let values = addresses.iter().map(|address| address.for_domain(domain)).collect();
        Field { var, values, type_: "list-multi" }
    };
    let fields: Vec<_> = given.map(field).collect();
    (!fields.is_empty()).then_some(Form { form_type: ns::SERVER_INFO.into(), fields })
}

impl Items {
    /// The `<query/>` of an answer.
    pub fn write(&self, node: Option<&str>) -> Bytes {
        let mut xml = XmlWriter::new();
        xml.open("query").ns(ns::DISCO_ITEMS).attr_opt("node", node);
        for item in &self.items {
            xml.open("item").attr("jid", &item.jid).attr_opt("node", item.node.as_deref()).attr_opt("name", item.name.as_deref()).close();
        }
        if let Some(page) = &self.page {
            page.write(&mut xml);
        }
        xml.close();
        xml.finish()
    }
}

/// The node asked for; an empty one is none.
pub fn node(iq: &Iq) -> Option<String> {
    iq.payload().attr("node").map(|node| node.into_owned()).filter(|node| !node.is_empty())
}

/// §7.
pub fn no_such_node() -> StanzaError {
    StanzaError::item_not_found().with_text("there is no such node")
}
