//! RFC 5780 §6: Binding for NAT behaviour discovery, where this server has two addresses and two ports. Over UDP alone.
//!
//! Deviation: PADDING is no longer than the request's, so that a forged request is not made larger.

use campanile_ice::stun::discovery::ChangeRequest;
use campanile_ice::stun::{AttributeType, Class, ErrorCode, Message, Method, Writer};

use super::{Refusal, Server};
use crate::datapath::flow::{Client, Via};
use crate::endpoint::Endpoint;

/// The longest PADDING in a response: the MTU of usual links (§7.6).
const PADDING_BYTES_MAX: usize = 1_500;

/// A UDP socket that the worker listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number among the worker's listening sockets.
    pub number: u16,
    /// One of the addresses that it answers for.
    pub local: Endpoint,
}

/// The four places from which a response may come: by address, then by port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discovery(pub [[Place; 2]; 2]);

impl Discovery {
    /// At which address and port of the four a client has asked.
    fn find(&self, client: Client) -> Option<(usize, usize)> {
        let all = [(0, 0), (0, 1), (1, 0), (1, 1)];
        all.into_iter().find(|&(ip, port)| {
            let place = self.0[ip][port];
            client.via == Via::Udp(place.number) && client.local == place.local
        })
    }
}

impl Server {
    /// Makes Binding responses tell of other addresses, and come from them.
    pub fn set_discovery(&mut self, discovery: Option<Discovery>) {
        self.discovery = discovery;
    }

    /// Whether RFC 5780's attributes are known at the place where a client asks.
    pub(super) fn discovers(&self, client: Client) -> bool {
        self.discovery.is_some_and(|discovery| discovery.find(client).is_some())
    }

    /// §6.1. What the response says besides XOR-MAPPED-ADDRESS, and between which addresses it goes.
    pub(super) fn discover(&self, client: Client, message: &Message<'_>) -> Result<Option<(Client, Writer)>, Refusal> {
        let Some((discovery, (ip, port))) = self.discovery.and_then(|discovery| Some((discovery, discovery.find(client)?))) else {
            return Ok(None);
        };
        let change = message.change_request()?.unwrap_or(ChangeRequest::default());
        let response_port = message.response_port()?;
        let padding = message.get(AttributeType::PADDING);
        if response_port == Some(0) || (response_port.is_some() && padding.is_some()) {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        let origin = discovery.0[ip ^ usize::from(change.ip)][port ^ usize::from(change.port)];
        let other = discovery.0[1 - ip][1 - port];
        let mut writer = Writer::new(Class::Success, Method::BINDING, message.transaction());
        writer.address(AttributeType::MAPPED_ADDRESS, client.remote.into());
        writer.address(AttributeType::RESPONSE_ORIGIN, origin.local.into());
        writer.address(AttributeType::OTHER_ADDRESS, other.local.into());
        if let Some(padding) = padding {
            writer.attribute(AttributeType::PADDING, &vec![0; padding.len().min(PADDING_BYTES_MAX)]);
        }
        let remote = Endpoint { port: response_port.unwrap_or(client.remote.port), ..client.remote };
        Ok(Some((Client { via: Via::Udp(origin.number), remote, local: origin.local }, writer)))
    }
}

/// What a Binding request may contain where discovery is served.
pub(super) fn is_of_discovery(kind: AttributeType) -> bool {
    matches!(kind, AttributeType::CHANGE_REQUEST | AttributeType::PADDING | AttributeType::RESPONSE_PORT)
}
