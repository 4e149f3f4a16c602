//! RFC 8656 §9 and §12, RFC 8489 §9.2: properties over random bytes, altered requests, and a model.

use std::collections::HashMap as Map;

use campanile_ice::stun::{Class, Message, Method};
use proptest::prelude::*;

use super::bench::{Ask, Bench};
use crate::turn::server::DeliveryHeader;

proptest! {
    /// Whatever bytes come, nothing is relayed and nobody gets a success but for a Binding request.
    #[test]
    fn garbage_gets_no_success(bytes in proptest::collection::vec(any::<u8>(), 0..120), head in 0..8usize) {
        let heads: [&[u8]; 8] = [
            &[], &[0, 1], &[0, 3, 0, 8], &[0, 4], &[0, 8], &[0, 9], &[0, 0x16], &[0x40, 0],
        ];
        let mut bench = Bench::new();
        let client = bench.client();
        bench.allocate(&client);
        let mut bytes = [heads[head], bytes.as_slice()].concat();
        for is_mended in [false, true] {
            if is_mended && bytes.len() >= 20 {
                bytes.truncate(bytes.len() & !3);
                let length = (bytes.len() - 20) as u16;
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                bytes[4..8].copy_from_slice(&campanile_ice::stun::MAGIC_COOKIE.to_be_bytes());
            }
            prop_assert_eq!(bench.server.handle_channel_data(client.client, &bytes, bench.now.at), None);
            prop_assert_eq!(bench.server.handle_message(client.client, &bytes, bench.now), None);
            bench.work();
            for (_, answer) in bench.sent.drain(..) {
                let answer = Message::parse(&answer).unwrap();
                prop_assert!(answer.class() == Class::Error || answer.method() == Method::BINDING || answer.method() == Method::ALLOCATE);
            }
        }
        prop_assert_eq!(bench.server.allocations.len(), 1);
    }

    /// A signed request with any byte changed does nothing.
    #[test]
    fn altered_requests_do_nothing(at in any::<prop::sample::Index>(), flip in 1..=255u8, which in 0..3usize) {
        let mut bench = Bench::new();
        let client = bench.client();
        if which > 0 {
            bench.allocate(&client);
        }
        let request = [Ask::allocate(), Ask::new(Method::REFRESH).lifetime(0), Ask::new(Method::CHANNEL_BIND).channel(0x4000).peer("8.8.8.8:1")][which].clone();
        let mut bytes = client.sign(request);
        let index = at.index(bytes.len());
        bytes[index] ^= flip;
        let before = (bench.server.allocations.len(), bench.server.flows.len());
        bench.server.handle_message(client.client, &bytes, bench.now);
        bench.work();
        prop_assert_eq!((bench.server.allocations.len(), bench.server.flows.len()), before);
        for (_, answer) in bench.sent.drain(..) {
            let answer = Message::parse(&answer).unwrap();
            // The type field may turn it into a Binding request, which anyone may make.
            prop_assert!(answer.class() == Class::Error || answer.method() == Method::BINDING);
        }
    }

    /// The server agrees with a model of permissions and channels over random requests and time: no byte passes without a permission.
    #[test]
    fn a_model_agrees(steps in proptest::collection::vec((0..7u8, 0..3usize, 0..3u16, 0..200u64), 1..60)) {
        let peers = ["8.8.8.1:1", "8.8.8.1:2", "8.8.8.2:1"];
        let mut bench = Bench::new();
        let mut client = bench.client();
        let start = bench.now.at;
        let mut model = Model::default();
        for (what, peer, number, seconds) in steps {
            let channel = 0x4000 + number;
            let name = peers[peer];
            let now = bench.now.at.duration_since(start).as_secs();
            client.nonce = bench.auth.nonce(client.client.remote.into(), bench.now.time);
            model.expire(now);
            match what {
                0 => {
                    let code = bench.ask(&client, Ask::allocate()).code();
                    prop_assert_eq!(code, model.allocated.map(|_| 437));
                    model.allocated.get_or_insert(now + 600);
                }
                1 => {
                    let code = bench.permit(&client, name);
                    prop_assert_eq!(code, model.needs_allocation());
                    if code.is_none() {
                        model.permit(ip(name), now + 300);
                    }
                }
                2 => {
                    let conflict = model.channels.iter().any(|(bound, (to, _))| (*bound == channel) != (*to == name));
                    let expected = model.needs_allocation().or(conflict.then_some(400));
                    prop_assert_eq!(bench.bind(&client, channel, name), expected);
                    if expected.is_none() {
                        model.channels.insert(channel, (name, now + 600));
                        model.permit(ip(name), now + 600);
                    }
                }
                3 => {
                    let code = bench.ask(&client, Ask::new(Method::REFRESH).lifetime(if number == 0 { 0 } else { 700 })).code();
                    prop_assert_eq!(code, model.needs_allocation());
                    match number {
                        0 => model = Model::default(),
                        _ => model.allocated = model.allocated.map(|_| now + 700),
                    }
                }
                _ => bench.pass(seconds),
            }
            let now = bench.now.at.duration_since(start).as_secs();
            model.expire(now);
            for name in peers {
                prop_assert_eq!(bench.send(&client, name).is_some(), model.permissions.contains_key(ip(name)));
                let from = bench.hear_peer(bench.next_socket, name);
                prop_assert_eq!(from.is_some(), model.permissions.contains_key(ip(name)));
                let is_bound = model.channels.values().any(|(to, until)| *to == name && *until > now);
                prop_assert_eq!(matches!(from, Some(DeliveryHeader::Channel(_))), is_bound && from.is_some());
            }
            for channel in 0x4000..0x4003 {
                let expected = model.channels.get(&channel).filter(|(to, until)| *until > now && model.permissions.contains_key(ip(to)));
                prop_assert_eq!(bench.send_on(&client, channel), expected.map(|(to, _)| to.to_string()));
            }
        }
    }
}

#[derive(Default)]
struct Model {
    allocated: Option<u64>,
    permissions: Map<&'static str, u64>,
    channels: Map<u16, (&'static str, u64)>,
}

impl Model {
    fn permit(&mut self, ip: &'static str, until: u64) {
        let known = self.permissions.entry(ip).or_default();
        *known = until.max(*known);
    }

    fn expire(&mut self, now: u64) {
        self.permissions.retain(|_, until| *until > now);
        // Channels are held for five minutes more.
        self.channels.retain(|_, (_, until)| *until + 300 > now);
        if self.allocated.is_some_and(|until| until <= now) {
            *self = Self::default();
        }
    }

    fn needs_allocation(&self) -> Option<u16> {
        if self.allocated.is_some() { None } else { Some(437) }
    }
}

fn ip(peer: &'static str) -> &'static str {
    peer.split_once(':').unwrap().0
}
