//! Candidates of ICE-UDP (XEP-0176 §5.3), ICE (XEP-0371 §5.3) and raw UDP (XEP-0177 §4.2), which share one form; `a=candidate` of SDP
//! (RFC 8839 §5.1).

use std::net::{IpAddr, SocketAddr};

use smol_str::SmolStr;

use super::names;
use super::reading::Reading;
use super::rtp::Parameter;
use super::transport::Method;
use crate::xml::{Node, XmlWriter};

/// Extensions of one candidate.
pub const EXTENSIONS_MAX: usize = 32;

/// What browsers call the network.
const NETWORK_ID: &str = "network-id";
/// The network of a candidate that names none.
const NO_NETWORK: &str = "0";
const UDP: &str = "udp";

/// Attributes that are no extensions.
const ATTRIBUTES: &[&str] = &[
    "component",
    "foundation",
    "generation",
    "id",
    "ip",
    "network",
    NETWORK_ID,
    "port",
    "priority",
    "protocol",
    "rel-addr",
    "rel-port",
    "rel_port",
    "tcptype",
    "type",
];

words! {
    /// Where a candidate's address comes from: RFC 8445 §5.1.1.
    pub enum CandidateType {
        /// An address of the client's own.
        Host = "host",
        /// Server reflexive: as a STUN server saw the client.
        ServerReflexive = "srflx",
        /// Peer reflexive: as the peer saw the client.
        PeerReflexive = "prflx",
        /// A relayed transport address of a TURN server.
        Relay = "relay",
    }
}

/// One candidate. Raw UDP has only component, generation, id, address and perhaps the type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidate {
    /// 1 for RTP, 2 for RTCP (XEP-0167 §3).
    pub component: u8,
    /// Base and server it comes from: RFC 8445 §5.1.1.3.
    pub foundation: Option<SmolStr>,
    /// Grows with each restart of ICE: XEP-0176 §5.9.
    pub generation: u8,
    /// Unique within the session.
    pub id: Option<SmolStr>,
    /// An IP address in most cases; Chromium without camera permission writes a name under `.local`.
    pub ip: SmolStr,
    /// Port of `ip`.
    pub port: u16,
    /// RFC 8445 §5.1.2. Wide, because XEP-0176 itself shows values beyond 32 bits.
    pub priority: Option<u64>,
    /// `udp`, or `tcp` with XEP-0371.
    pub protocol: SmolStr,
    /// Absent only in raw UDP.
    pub kind: Option<CandidateType>,
    /// The related address: the base of a reflexive, the mapped address of a relayed candidate.
    pub related: Option<(SmolStr, u16)>,
    /// RFC 6544 §4.5: `active`, `passive` or `so`.
    pub tcp_type: Option<SmolStr>,
    /// XEP-0176 §5.3: which of the party's networks; `network-id` in what browsers write. `None`: not said, written as 0.
    pub network: Option<SmolStr>,
    /// Other extensions of `a=candidate` (RFC 8839 §5.1), attributes in the element: `network-cost`, `ufrag`…
    pub extensions: Vec<Parameter>,
}

impl Candidate {
    /// The transport address, if `ip` is one; an IPv4 address in an IPv6 spelling comes out as IPv4.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.ip.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip.to_canonical(), self.port))
    }

    /// XEP-0176 §5.3. `None`: without address, port or type there is no candidate; everything else may be missing, as it is in what clients
    /// write. One pass over the attributes: a call has dozens of candidates.
    pub(super) fn read(node: Node<'_>, method: &Method, reading: &mut Reading) -> Option<Self> {
        let mut read = Self { component: 1, ..Self::default() };
        let (mut ip, mut port, mut protocol, mut related, mut related_port) = (None, None, None, None, None);
        let (mut network, mut network_id) = (None, None);
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                "component" => read.component = reading.number(node, name, value).unwrap_or(1),
                "foundation" => read.foundation = reading.word(node, name, value),
                "generation" => read.generation = reading.number(node, name, value).unwrap_or(0),
                "id" => read.id = reading.word(node, name, value),
                "ip" => ip = Some(reading.word(node, name, value)?),
                "port" => port = Some(reading.number(node, name, value)?),
                "priority" => read.priority = reading.number(node, name, value),
                "protocol" => protocol = reading.word(node, name, value),
                "type" => {
                    read.kind = CandidateType::parse(value);
                    if read.kind.is_none() {
                        reading.unexpected(node, name, value, "'host', 'srflx', 'prflx' or 'relay'");
                    }
                }
                "rel-addr" => related = reading.word(node, name, value),
                // Monal writes `rel_port`.
                "rel-port" | "rel_port" => related_port = reading.number(node, name, value),
                "tcptype" => read.tcp_type = reading.word(node, name, value),
                "network" => network = Some(value),
                NETWORK_ID => network_id = Some(value),
                _ if !reading.is_whole() => {}
                _ if read.extensions.len() == EXTENSIONS_MAX || !names::is_name(name) => reading.unknown_attribute(node, namespace, name),
                _ => {
                    let value = reading.word(node, name, value);
                    read.extensions.extend(value.map(|value| Parameter { name: name.into(), value: Some(value) }));
                }
            }
        }
        read.ip = reading.required(node, "ip", ip)?;
        read.port = reading.required(node, "port", port)?;
        if *method != Method::RawUdp && read.kind.is_none() {
            reading.required(node, "type", node.attr("type"));
            return None;
        }
        read.protocol = protocol.unwrap_or_else(|| UDP.into());
        if reading.is_whole() {
            if related_port.is_some() {
                reading.required(node, "rel-addr", related.as_ref());
            }
            // Who has no networks to tell apart writes 0, or what an example of XEP-0176 has; browsers name theirs.
            read.network =
                network_id.or(network.filter(|network| *network != NO_NETWORK)).and_then(|text| reading.word(node, "network", text));
        }
        // stanza.js leaves out `rel-port='0'`, as every candidate of a browser that only relays has it.
        read.related = related.map(|address| (address, related_port.unwrap_or(0)));
        Some(read)
    }

    /// Writes it, the attributes in the order that XEP-0176's examples have. Extensions whose names are none in XML, or those of other attributes,
    /// are left out.
    pub(super) fn write(&self, method: &Method, out: &mut XmlWriter) {
        let raw = *method == Method::RawUdp;
        out.open("candidate").attr_number("component", self.component.into()).attr_opt("foundation", self.foundation.as_deref());
        out.attr_number("generation", self.generation.into()).attr_opt("id", self.id.as_deref()).attr("ip", &self.ip);
        // XEP-0371 requires it.
        out.attr_opt("network", self.network.as_deref().or((!raw).then_some(NO_NETWORK)));
        out.attr_number("port", self.port.into());
        if let Some(priority) = self.priority {
            out.attr_number("priority", priority);
        }
        // XEP-0177 has no other.
        if !raw || self.protocol != UDP {
            out.attr("protocol", &self.protocol);
        }
        if let Some((address, port)) = &self.related {
            out.attr("rel-addr", address).attr_number("rel-port", (*port).into());
        }
        out.attr_opt("tcptype", self.tcp_type.as_deref()).attr_opt("type", self.kind.map(CandidateType::as_str));
        if self.network.as_deref() == Some(NO_NETWORK) {
            out.attr(NETWORK_ID, NO_NETWORK);
        }
        for (at, extension) in self.extensions.iter().take(EXTENSIONS_MAX).enumerate() {
            let twice = self.extensions[..at].iter().any(|before| before.name == extension.name);
            if Self::may_extend(&extension.name) && !twice {
                out.attr(&extension.name, extension.value.as_deref().unwrap_or_default());
            }
        }
        out.close();
    }

    /// Whether an extension of `a=candidate` can be an attribute: its name is one in XML and no attribute has it.
    #[must_use]
    pub fn may_extend(name: &str) -> bool {
        names::is_name(name) && !ATTRIBUTES.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jingle::testing;
    use crate::jingle::transport::{CANDIDATES_MAX, Transport};
    use crate::ns;

    fn transport(namespace: &str, children: &str) -> Transport {
        let content = format!(
            "<content creator='initiator' name='a'><transport xmlns='{namespace}' ufrag='8hhy' pwd='asd88fgpdd777uzjYhagZg'>{children}</transport></content>"
        );
        let jingle = testing::jingle("transport-info", &content).unwrap();
        jingle.contents[0].transport.clone().unwrap()
    }

    #[test]
    fn xep_0176_s5_2_example_1() {
        let transport = transport(
            ns::JINGLE_ICE_UDP,
            "<candidate component='1' foundation='1' generation='0' id='el0747fg11' ip='10.0.1.1' network='1' port='8998' priority='2130706431' protocol='udp' type='host'/>
             <candidate component='1' foundation='2' generation='0' id='y3s2b30v3r' ip='192.0.2.3' network='1' port='45664' priority='1694498815' protocol='udp'
                 rel-addr='10.0.1.1' rel-port='8998' type='srflx'/>",
        );
        assert_eq!(transport.method, Method::IceUdp);
        assert_eq!((transport.ufrag.as_deref(), transport.pwd.as_deref()), (Some("8hhy"), Some("asd88fgpdd777uzjYhagZg")));
        let [host, reflexive] = &transport.candidates[..] else { panic!("{transport:?}") };
        assert_eq!((host.kind, host.address()), (Some(CandidateType::Host), Some("10.0.1.1:8998".parse().unwrap())));
        assert_eq!((host.component, host.generation, host.priority, &*host.protocol), (1, 0, Some(2_130_706_431), "udp"));
        assert_eq!((reflexive.kind, &reflexive.related), (Some(CandidateType::ServerReflexive), &Some(("10.0.1.1".into(), 8998))));
        assert_eq!(transport.relayed().count(), 0);
    }

    #[test]
    fn relayed_addresses_are_those_of_type_relay_and_untyped_raw_udp() {
        let table: &[(&str, &str, &[&str])] = &[
            (ns::JINGLE_ICE_UDP, "<candidate ip='203.0.113.7' port='50000' type='relay'/>", &["203.0.113.7:50000"]),
            (
                ns::JINGLE_ICE,
                "<candidate ip='203.0.113.7' port='50000' type='relay' protocol='tcp' tcptype='passive'/>",
                &["203.0.113.7:50000"],
            ),
            (ns::JINGLE_ICE_UDP, "<candidate ip='2001:db8::7' port='50000' type='relay'/>", &["[2001:db8::7]:50000"]),
            (ns::JINGLE_ICE_UDP, "<candidate ip='::ffff:203.0.113.7' port='50000' type='relay'/>", &["203.0.113.7:50000"]),
            (ns::JINGLE_ICE_UDP, "<candidate ip='203.0.113.7' port='50000' type='host'/>", &[]),
            // The related address of a relayed candidate is the client's, not the relay's.
            (
                ns::JINGLE_ICE_UDP,
                "<candidate ip='203.0.113.7' port='50000' type='relay' rel-addr='192.0.2.1' rel-port='4'/>",
                &["203.0.113.7:50000"],
            ),
            (ns::JINGLE_ICE_UDP, "<remote-candidate component='1' ip='10.0.1.2' port='9001'/>", &[]),
            // XEP-0177 §4.2, examples 1 and 3: no type.
            (
                ns::JINGLE_RAW_UDP,
                "<candidate component='1' generation='0' id='a9j3mnbtu1' ip='10.1.1.104' port='13540'/>",
                &["10.1.1.104:13540"],
            ),
            (ns::JINGLE_RAW_UDP, "<candidate component='1' generation='0' id='a' ip='10.1.1.104' port='1' type='host'/>", &[]),
            // No address, no port, no type, no such type: no candidate.
            (ns::JINGLE_ICE_UDP, "<candidate ip='0d0-4.local' port='50000' type='relay'/>", &[]),
            (ns::JINGLE_ICE_UDP, "<candidate ip='203.0.113.7' type='relay'/><candidate ip='203.0.113.7' port='65536' type='relay'/>", &[]),
            (ns::JINGLE_ICE_UDP, "<candidate port='50000' type='relay'/><candidate ip='203.0.113.7' port='5'/>", &[]),
            (ns::JINGLE_S5B, "<candidate cid='h' host='192.0.2.1' jid='a@a/a' port='5086' priority='8257636' type='direct'/>", &[]),
        ];
        for (namespace, children, expected) in table {
            let found: Vec<String> = transport(namespace, children).relayed().map(|address| address.to_string()).collect();
            assert_eq!(found, *expected, "{children}");
        }
    }

    #[test]
    fn what_clients_leave_out_has_a_default() {
        // stanza.js writes no generation; gathering-complete stands in the namespace of ICE-UDP.
        let transport =
            transport(ns::JINGLE_ICE_UDP, "<candidate ip='192.0.2.3' port='1' type='host'/><gathering-complete/><trickle xmlns='x'/>");
        assert!(transport.gathering_complete);
        let candidate = &transport.candidates[0];
        assert_eq!((candidate.component, candidate.generation, &*candidate.protocol, candidate.priority), (1, 0, "udp", None));
    }

    #[test]
    fn a_huge_list_is_read_up_to_its_bound() {
        let transport = transport(ns::JINGLE_ICE_UDP, &"<candidate ip='192.0.2.3' port='1' type='host'/>".repeat(CANDIDATES_MAX + 5));
        assert_eq!((transport.candidates.len(), transport.candidates_left_out), (CANDIDATES_MAX, 5));
    }

    /// Candidates as given, as written, and what is amiss.
    fn check(namespace: &str, table: &[(&str, &str, &[&str])]) {
        for (given, expected, amiss) in table {
            let (content, problems) = testing::content(&format!("<transport xmlns='{namespace}'><candidate {given}/></transport>"));
            let xml = testing::written(|out| content.transport.unwrap().write(out));
            let expected = match *expected {
                "" => format!("<transport xmlns='{namespace}'/>"),
                attributes => format!("<transport xmlns='{namespace}'><candidate {attributes}/></transport>"),
            };
            let problems: Vec<_> = problems.into_iter().map(|problem| problem.text).collect();
            assert_eq!((xml, problems), (expected, amiss.iter().map(ToString::to_string).collect()), "{given}");
        }
    }

    #[test]
    fn xep_0176_s5_3_and_xep_0371_s5_3_attributes() {
        let host = "component='1' foundation='1' generation='0' id='el0747fg11' ip='10.0.1.1' network='1' port='8998' priority='2130706431' protocol='udp'";
        let base = "component='1' generation='0' ip='10.0.1.1' network='0' port='9' protocol='udp' type='host'";
        let table: &[(&str, &str, &[&str])] = &[
            (&format!("{host} type='host'"), &format!("{host} type='host'"), &[]),
            (
                &format!("type='srflx' rel-port='8998' rel-addr='10.0.1.1' {host}"),
                &format!("{host} rel-addr='10.0.1.1' rel-port='8998' type='srflx'"),
                &[],
            ),
            // Monal.
            (
                &format!("type='srflx' rel_port='8998' rel-addr='10.0.1.1' {host}"),
                &format!("{host} rel-addr='10.0.1.1' rel-port='8998' type='srflx'"),
                &[],
            ),
            // stanza.js writes neither generation nor network nor id.
            ("ip='10.0.1.1' port='9' type='host'", base, &[]),
            (
                "ip='fd00::1' port='9' type='host' protocol='tcp' tcptype='active'",
                "component='1' generation='0' ip='fd00::1' network='0' port='9' protocol='tcp' tcptype='active' type='host'",
                &[],
            ),
            // Movim, and what browsers name.
            (&format!("{base} network-id='3'").replace("network='0'", ""), &base.replace("network='0'", "network='3'"), &[]),
            (&format!("{base} network-id='0'"), &format!("{base} network-id='0'"), &[]),
            (&format!("{base} network-cost='10' ufrag='a&apos;b'"), &format!("{base} network-cost='10' ufrag='a&apos;b'"), &[]),
            // XEP-0176's examples have priorities that are too wide for SDP.
            (&format!("{base} priority='9000000000'"), &base.replace("port='9'", "port='9' priority='9000000000'"), &[]),
            (&format!("{base} rel-addr='0.0.0.0'"), &base.replace("type=", "rel-addr='0.0.0.0' rel-port='0' type="), &[]),
            (&format!("{base} rel-port='9'"), base, &["<candidate/>: no rel-addr, expected one"]),
            (&base.replace(" type='host'", ""), "", &["<candidate/>: no type, expected one"]),
            (&base.replace("component='1'", "component='256'"), base, &["<candidate/>: component='256', expected a number from 0 to 255"]),
            (&base.replace("port='9'", "port='65536'"), "", &["<candidate/>: port='65536', expected a number from 0 to 65535"]),
            (&base.replace("ip='10.0.1.1'", ""), "", &["<candidate/>: no ip, expected one"]),
            (
                &base.replace("type='host'", "type='local'"),
                "",
                &["<candidate/>: type='local', expected 'host', 'srflx', 'prflx' or 'relay'"],
            ),
        ];
        check(ns::JINGLE_ICE_UDP, table);
        check(ns::JINGLE_ICE, table);
    }

    #[test]
    fn xep_0177_s4_2_attributes() {
        check(
            ns::JINGLE_RAW_UDP,
            &[
                (
                    "component='1' generation='0' id='a9j3mnbtu1' ip='10.1.1.104' port='13540'",
                    "component='1' generation='0' id='a9j3mnbtu1' ip='10.1.1.104' port='13540'",
                    &[],
                ),
                (
                    "ip='10.1.1.104' port='1' type='host' protocol='udp'",
                    "component='1' generation='0' ip='10.1.1.104' port='1' type='host'",
                    &[],
                ),
                ("port='1'", "", &["<candidate/>: no ip, expected one"]),
            ],
        );
    }

    #[test]
    fn extensions_are_attributes_where_xml_and_the_specification_let_them() {
        let extension = |name: &str, value: &str| Parameter { name: name.into(), value: Some(value.into()) };
        let candidate = Candidate {
            component: 1,
            ip: "10.0.1.1".into(),
            port: 9,
            protocol: UDP.into(),
            kind: Some(CandidateType::Host),
            extensions: [("a", "1"), ("a", "2"), ("port", "3"), ("1x", "4"), ("x y='z'", "5"), ("xmlns", "6"), ("b", "'\0")]
                .map(|(name, value)| extension(name, value))
                .to_vec(),
            ..Candidate::default()
        };
        let base = "component='1' generation='0' ip='10.0.1.1' network='0' port='9' protocol='udp' type='host'";
        assert_eq!(testing::written(|out| candidate.write(&Method::IceUdp, out)), format!("<candidate {base} a='1' b='&apos;\u{fffd}'/>"));
        let many = (0..EXTENSIONS_MAX + 2).map(|number| format!(" a{number}='1'")).collect::<String>();
        let (content, problems) = testing::content(&format!("<transport xmlns='{}'><candidate {base}{many}/></transport>", ns::JINGLE_ICE));
        assert_eq!((content.transport.unwrap().candidates[0].extensions.len(), problems.len()), (EXTENSIONS_MAX, 2));
    }
}
