//! XEP-0215: what the server tells its clients of its TURN services.

use anyhow::{Context as _, ensure};
use campanile_signalling::ns;
use campanile_signalling::xml::Element;

use super::client::Client;
use super::{Transport, TurnService};

/// Asks for all services and returns the TURN services among them, in the server's order.
///
/// # Errors
/// A refusal, or a service that lacks what it needs: in words that say which.
pub async fn discover(client: &mut Client, domain: &str) -> anyhow::Result<Vec<TurnService>> {
    let answer = client
        .request("get", Some(domain), |xml| {
            xml.open("services").ns(ns::EXTDISCO).close();
        })
        .await
        .context("external services (XEP-0215) are refused")?;
    read(&answer)
}

fn read(answer: &Element) -> anyhow::Result<Vec<TurnService>> {
    let services = answer.root().child(ns::EXTDISCO, "services").context("an answer without <services/>")?;
    let mut found = Vec::new();
    for service in services.children_named(ns::EXTDISCO, "service") {
        let transport = match (service.attr("type"), service.attr("transport")) {
            (Some("turn"), Some("udp") | None) => Transport::Udp,
            (Some("turn"), Some("tcp")) => Transport::Tcp,
            (Some("turns"), Some("tcp") | None) => Transport::Tls,
            _ => continue,
        };
        let attribute = |name: &str| {
            service.attr(name).map(str::to_owned).with_context(|| format!("the TURN service over {transport} is told without {name}"))
        };
        let port = attribute("port")?;
        let found_here = TurnService {
            transport,
            host: attribute("host")?,
            port: port.parse().with_context(|| format!("the TURN service over {transport} has the port {port}"))?,
            username: attribute("username")?,
            password: attribute("password")?,
            proxies: Vec::new(),
        };
        ensure!(!found_here.host.is_empty(), "the TURN service over {transport} has no host: set turn.host or server.public_address");
        found.push(found_here);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use campanile_signalling::xml::Bindings;

    use super::*;

    fn read_services(services: &str) -> anyhow::Result<Vec<TurnService>> {
        let iq = format!("<iq xmlns='jabber:client' type='result'><services xmlns='urn:xmpp:extdisco:2'>{services}</services></iq>");
        read(&Element::parse(iq.as_bytes(), &Bindings::default()).expect("well-formed"))
    }

    #[test]
    fn s3_the_turn_services_are_read() {
        let services = read_services(
            "<service type='stun' host='a' port='3478' transport='udp'/>\
             <service type='turn' host='a' port='3478' transport='udp' username='u' password='p' expires='2030-01-01T00:00:00Z'/>\
             <service type='turn' host='a' port='3478' transport='tcp' username='u' password='p'/>\
             <service type='turns' host='a' port='5349' transport='tcp' username='u' password='p' restricted='1'/>",
        )
        .expect("readable");
        assert_eq!(services.iter().map(|service| service.transport).collect::<Vec<_>>(), [Transport::Udp, Transport::Tcp, Transport::Tls]);
        assert_eq!(services[2].port, 5349);
    }

    #[test]
    fn a_service_that_browsers_cannot_use_is_an_error() {
        for (service, word) in [
            ("<service type='turns' host='a' port='5349' transport='tcp'/>", "username"),
            ("<service type='turn' host='a' port='70000' transport='udp' username='u' password='p'/>", "70000"),
            ("<service type='turn' port='3478' transport='udp' username='u' password='p'/>", "host"),
        ] {
            let error = format!("{:#}", read_services(service).expect_err("unusable"));
            assert!(error.contains(word), "{error}");
        }
    }
}
