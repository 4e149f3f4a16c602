//! XEP-0030: Service Discovery, version 2.5, for each domain of the server and on behalf of its accounts; contact addresses (XEP-0157) as an
//! extension of it (XEP-0128); its names for caches in [`caps`] (XEP-0115, XEP-0390).
//!
//! What is shown is what `iq.rs` has registered. Items of the server come with the services that have some.

mod caps;

use std::sync::Arc;

use bytes::Bytes;
use campanile_config::Contact;

use crate::iq::{Identity, Iq, IqTable, Reply, To};
use crate::jid::Jid;
use crate::ns;
use crate::router::Router;
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// Answers disco#info and disco#items.
#[derive(Debug)]
pub struct Disco {
    router: Router,
    contact: Contact,
}

/// What disco#info says.
#[derive(Debug)]
struct Info {
    identities: Vec<Described>,
    features: Vec<&'static str>,
    forms: Vec<Form>,
}

/// An identity (§3.1).
#[derive(Debug)]
struct Described {
    category: &'static str,
    kind: &'static str,
    lang: &'static str,
    name: &'static str,
}

/// A form of XEP-0128.
#[derive(Debug)]
struct Form {
    form_type: &'static str,
    /// `var` and values; the type of each is for the reader to know (XEP-0068).
    fields: Vec<(&'static str, Vec<String>)>,
}

impl Disco {
    /// §3 and §4. `contact` says whom to write to about the server.
    pub fn register(router: &Router, contact: &Contact, table: &mut IqTable) {
        let disco = Arc::new(Self { router: router.clone(), contact: contact.clone() });
        table.identity(To::Server, Identity { category: "server", kind: "im", name: "campanile" });
        for to in [To::Account, To::Contact] {
            table.identity(to, Identity { category: "account", kind: "registered", name: "" });
        }
        for namespace in [ns::CAPS, ns::CAPS_2] {
            table.feature(To::Server, namespace);
        }
        for to in [To::Server, To::Account, To::Contact] {
            table.feature(to, ns::DISCO_INFO);
            table.feature(to, ns::DISCO_ITEMS);
            table.get(to, (ns::DISCO_INFO, "query"), &disco, Self::info);
            table.get(to, (ns::DISCO_ITEMS, "query"), &disco, Self::items);
        }
    }

    /// §3. A node is one of the names that the information has itself.
    async fn info(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        if iq.to == To::Contact && !self.may_see(&iq) {
            return Err(StanzaError::service_unavailable());
        }
        let domain = iq.stanza.to().map(Jid::domain).unwrap_or_default();
        let mut info = of(self.router.table(), &self.contact, iq.to, domain);
        if iq.to != To::Server && self.is_anonymous(&iq) {
            info.identities.iter_mut().filter(|identity| identity.category == "account").for_each(|identity| identity.kind = "anonymous");
        }
        let node = node(&iq);
        match &node {
            Some(node) if iq.to != To::Server || !caps::names(&info, node) => Err(no_such_node()),
            node => Ok(Reply::Payload(info.write(node.as_deref()))),
        }
    }

    /// XEP-0175 §5. Such an account is in memory for as long as it lives.
    fn is_anonymous(&self, iq: &Iq) -> bool {
        self.router.home_in_memory(&iq.account()).is_some_and(|home| home.with(|account| account.anonymous))
    }

    /// §4: an account's resources, for whoever sees its presence (§8); the server has no items of its own.
    async fn items(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let seen = iq.to == To::Account || self.may_see(&iq);
        if node(&iq).is_some() && (seen || iq.to == To::Server) {
            return Err(no_such_node());
        }
        let mut xml = XmlWriter::new();
        xml.open("query").ns(ns::DISCO_ITEMS);
        if iq.to != To::Server
            && seen
            && let Some(home) = self.router.home_in_memory(&iq.account())
        {
            home.with(|account| {
                for session in account.available() {
                    xml.open("item").attr("jid", session.jid.as_str()).close();
                }
            });
        }
        xml.close();
        Ok(Reply::Payload(xml.finish()))
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

fn of(table: &IqTable, contact: &Contact, to: To, domain: &str) -> Info {
    let identities = table.identities(to).map(|Identity { category, kind, name }| Described { category, kind, lang: "", name });
    let form = (to == To::Server).then(|| addresses(contact, domain)).flatten();
    Info { identities: identities.collect(), features: table.features(to).collect(), forms: form.into_iter().collect() }
}

/// XEP-0157 §3: the addresses that the operator has given; `{domain}` in one stands for the domain asked.
fn addresses(contact: &Contact, domain: &str) -> Option<Form> {
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
    let fields: Vec<_> =
        given.map(|(var, addresses)| (var, addresses.iter().map(|address| address.for_domain(domain)).collect())).collect();
    (!fields.is_empty()).then_some(Form { form_type: ns::SERVER_INFO, fields })
}

impl Info {
    fn write(&self, node: Option<&str>) -> Bytes {
        let mut xml = XmlWriter::new();
        xml.open("query").ns(ns::DISCO_INFO).attr_opt("node", node);
        for of in &self.identities {
            xml.open("identity").attr("category", of.category).attr("type", of.kind);
            if !of.name.is_empty() {
                xml.attr("name", of.name);
            }
            xml.close();
        }
        for namespace in &self.features {
            xml.open("feature").attr("var", namespace).close();
        }
        self.forms.iter().for_each(|form| form.write(&mut xml));
        xml.close();
        xml.finish()
    }
}

impl Form {
    fn write(&self, xml: &mut XmlWriter) {
        xml.open("x").ns(ns::DATA_FORMS).attr("type", "result");
        xml.open("field").attr("var", "FORM_TYPE").attr("type", "hidden").open("value").text(self.form_type).close().close();
        for (var, values) in &self.fields {
            xml.open("field").attr("var", var).attr("type", "list-multi");
            for value in values {
                xml.open("value").text(value).close();
            }
            xml.close();
        }
        xml.close();
    }
}

/// The node asked for; an empty one is none.
fn node(iq: &Iq) -> Option<String> {
    iq.payload().attr("node").map(|node| node.into_owned()).filter(|node| !node.is_empty())
}

/// §7.
fn no_such_node() -> StanzaError {
    StanzaError::item_not_found().with_text("there is no such node")
}
