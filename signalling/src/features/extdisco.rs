//! XEP-0215: External Service Discovery, version 1.0, and its earlier namespace `urn:xmpp:extdisco:1`.
//!
//! The services are the TURN listeners that live in this process, so what is told is what serves. UDP comes first, since some
//! clients use the first entry only. Every TURN entry, `turns` too, has full credentials: browsers refuse a list that lacks any.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use campanile_relay::{Credentials, Relay, Transport};

use crate::iq::{Iq, IqTable, Reply, To};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::time::xep0082;
use crate::xml::XmlWriter;

/// One entry of the list, before credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Host name or address that clients are told.
    pub host: String,
    /// The port that listens.
    pub port: u16,
    /// `stun`, `stuns`, `turn` or `turns`.
    pub kind: &'static str,
    /// `udp` or `tcp`.
    pub transport: &'static str,
}

impl Service {
    fn is_restricted(&self) -> bool {
        self.kind.starts_with("turn")
    }
}

/// What clients are told.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// The entries, in order.
    pub list: Vec<Service>,
    /// Anonymous sessions are given credentials too (XEP-0175 §3, item 5).
    pub anonymous: bool,
}

/// The order in which services are told: UDP before TCP before TLS, TURN before STUN within a listener's list of hosts.
pub fn services(listeners: &[(Transport, SocketAddr)], hosts: &[String]) -> Vec<Service> {
    let mut services = Vec::new();
    for (wanted, turn, stun, transport) in
        [(Transport::Udp, "turn", Some("stun"), "udp"), (Transport::Tcp, "turn", None, "tcp"), (Transport::Tls, "turns", None, "tcp")]
    {
        let mut ports: Vec<u16> = listeners.iter().filter(|(transport, _)| *transport == wanted).map(|(_, addr)| addr.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        for port in ports {
            for kind in std::iter::once(turn).chain(stun) {
                services.extend(hosts.iter().map(|host| Service { host: host.clone(), port, kind, transport }));
            }
        }
    }
    services
}

/// Answers for the services of this process.
pub struct Extdisco {
    relay: Relay,
    services: Services,
}

impl Extdisco {
    /// §3.1 to §3.3, for the server's own users only.
    pub fn register(relay: Relay, services: Services, table: &mut IqTable) {
        let extdisco = Arc::new(Self { relay, services });
        for namespace in [ns::EXTDISCO, ns::EXTDISCO_1] {
            table.feature(To::Server, namespace);
            table.get(To::Server, (namespace, "services"), &extdisco, Self::services);
            table.get(To::Server, (namespace, "credentials"), &extdisco, Self::credentials);
        }
    }

    /// §3.1, §3.2.
    async fn services(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let credentials = self.issue(&iq)?;
        let payload = iq.payload();
        let kind = payload.attr("type");
        let mut xml = XmlWriter::new();
        xml.open("services").ns(payload.ns());
        if let Some(kind) = kind.as_deref() {
            xml.attr("type", kind);
        }
        for service in self.services.list.iter().filter(|service| kind.as_deref().is_none_or(|kind| service.kind == kind)) {
            write(&mut xml, service, credentials.as_ref());
        }
        xml.close();
        Ok(Reply::Payload(xml.finish()))
    }

    /// §3.3.
    async fn credentials(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let credentials = self.issue(&iq)?;
        let element = iq.element()?;
        let namespace = element.root().ns();
        let mut xml = XmlWriter::new();
        xml.open("credentials").ns(namespace);
        let mut found = false;
        for wanted in element.root().children_named(namespace, "service") {
            let (Some(host), Some(kind)) = (wanted.attr("host"), wanted.attr("type")) else {
                return Err(StanzaError::bad_request("a service is asked for by `host` and `type`"));
            };
            let port = wanted.attr("port").map(str::parse::<u16>).transpose().map_err(|_| StanzaError::bad_request("`port` is no port"))?;
            let matches = |service: &&Service| service.host == host && service.kind == kind && port.is_none_or(|port| port == service.port);
            for service in self.services.list.iter().filter(|service| service.is_restricted()).filter(matches) {
                if credentials.is_none() {
                    return Err(StanzaError::forbidden().with_text("no relay for anonymous sessions"));
                }
                write(&mut xml, service, credentials.as_ref());
                found = true;
            }
        }
        xml.close();
        if found {
            Ok(Reply::Payload(xml.finish()))
        } else {
            Err(StanzaError::item_not_found().with_text("no such service here needs credentials"))
        }
    }

    /// `None` for an anonymous session that is given none.
    fn issue(&self, iq: &Iq) -> Result<Option<Credentials>, StanzaError> {
        let session = iq.session.as_ref().ok_or_else(|| StanzaError::forbidden().with_text("only for this server's own users"))?;
        let granted = self.services.anonymous || !session.home.with(|account| account.anonymous);
        Ok(granted.then(|| self.relay.issue(session.home.jid.as_str(), SystemTime::now())))
    }
}

/// §2. `restricted` says that the service wants credentials; they are there at once. Who is given none is not told of what needs them.
fn write(xml: &mut XmlWriter, service: &Service, credentials: Option<&Credentials>) {
    if service.is_restricted() && credentials.is_none() {
        return;
    }
    xml.open("service").attr("type", service.kind).attr("host", &service.host).attr("port", &service.port.to_string());
    xml.attr("transport", service.transport);
    if let Some(credentials) = credentials.filter(|_| service.is_restricted()) {
        xml.attr("restricted", "true").attr("username", &credentials.username).attr("password", &credentials.password);
        xml.attr("expires", &xep0082(credentials.expires));
    }
    xml.close();
}
