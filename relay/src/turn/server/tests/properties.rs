//! RFC 8656, RFC 8489 §9.2: properties over random bytes and altered requests. `model.rs` has those over sequences of requests.

use campanile_ice::stun::{Class, Message, Method};
use proptest::prelude::*;

use super::bench::{Ask, Bench};

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
                prop_assert!(answer.class() == Class::Error || answer.method() == Method::BINDING, "{:?}", answer.method());
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
}
