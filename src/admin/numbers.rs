//! Parts that count in plain numbers, as families of `/metrics`: the relay, whose threads share nothing, and the authenticator.

use campanile_relay::{AuthFailure, DropReason, ERROR_CODES, PerTransport, Stats};
use campanile_signalling::auth::AuthStats;

use super::metrics::Family;

/// What the relay did since it started, and what it holds.
#[must_use]
pub fn relay(stats: &Stats) -> Vec<Family> {
    let (used, available) = stats.ports;
    vec![
        transports(Family::gauge("campanile_turn_allocations", "Live TURN allocations."), stats.allocations),
        transports(Family::counter("campanile_turn_allocations_total", "TURN allocations made."), stats.allocations_made),
        transports(Family::gauge("campanile_turn_connections", "Open TURN connections; none over UDP."), stats.connections),
        directions(
            Family::counter("campanile_turn_relayed_packets_total", "Datagrams relayed."),
            stats.to_peer.packets,
            stats.to_client.packets,
        ),
        directions(
            Family::counter("campanile_turn_relayed_bytes_total", "Bytes of payload relayed."),
            stats.to_peer.bytes,
            stats.to_client.bytes,
        ),
        Family::counter("campanile_turn_bindings_total", "STUN Binding requests answered.").with(&[], stats.bindings),
        Family::counter("campanile_turn_challenges_total", "Requests without credentials, answered with a challenge.")
            .with(&[], stats.challenges),
        Family::counter("campanile_turn_requests_total", "Successful TURN requests.").with(&[], stats.requests),
        Family::counter("campanile_turn_received_packets_total", "Datagrams received by the relay's threads.").with(&[], stats.received),
        Family::counter("campanile_turn_receive_batches_total", "Batches in which they were received; few per batch: idle threads.")
            .with(&[], stats.batches),
        DropReason::ALL.iter().zip(stats.drops).fold(
            Family::counter("campanile_turn_dropped_packets_total", "Packets that went nowhere, by reason."),
            |family, (reason, count)| family.with(&[("reason", reason.label())], count),
        ),
        AuthFailure::ALL.iter().zip(stats.auth_failures).fold(
            Family::counter("campanile_turn_auth_failures_total", "TURN requests whose credentials were not good, by reason."),
            |family, (reason, count)| family.with(&[("reason", reason.label())], count),
        ),
        ERROR_CODES
            .iter()
            .zip(stats.errors)
            .fold(Family::counter("campanile_turn_errors_total", "TURN error responses, by code."), |family, (code, count)| {
                family.with(&[("code", &code.to_string())], count)
            }),
        Family::gauge("campanile_turn_ports_used", "Relayed ports in use, both address families together.").with(&[], used.into()),
        Family::gauge("campanile_turn_ports", "Relayed ports that there are.").with(&[], available.into()),
    ]
}

fn transports(family: Family, counts: PerTransport) -> Family {
    [("udp", counts.udp), ("tcp", counts.tcp), ("tls", counts.tls)]
        .into_iter()
        .fold(family, |family, (transport, count)| family.with(&[("transport", transport)], count))
}

fn directions(family: Family, to_peer: u64, to_client: u64) -> Family {
    family.with(&[("direction", "to_peer")], to_peer).with(&[("direction", "to_client")], to_client)
}

/// What clients have not acknowledged (XEP-0198), in stanzas, and with what waits for them in bytes.
#[must_use]
pub fn mailboxes((stanzas, bytes): (u64, u64)) -> Vec<Family> {
    vec![
        Family::gauge("campanile_c2s_unacknowledged_stanzas", "Stanzas sent that clients have not acknowledged.").with(&[], stanzas),
        Family::gauge("campanile_c2s_mailbox_bytes", "Bytes of stanzas that wait for clients or are not acknowledged.").with(&[], bytes),
    ]
}

/// What became of attempts to log in.
#[must_use]
pub fn auth(stats: &AuthStats) -> Vec<Family> {
    let outcomes =
        [("succeeded", stats.succeeded), ("failed", stats.failed), ("refused", stats.refused), ("unavailable", stats.unavailable)];
    vec![
        outcomes.into_iter().fold(
            Family::counter(
                "campanile_auth_attempts_total",
                "Attempts to log in, by outcome; refused: too many at once for one account and source.",
            ),
            |family, (outcome, count)| family.with(&[("outcome", outcome)], count),
        ),
        Family::counter("campanile_auth_delayed_total", "Attempts to log in that had to wait because earlier ones had failed.")
            .with(&[], stats.delayed),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::metrics::Metrics;

    #[test]
    fn the_relay_s_numbers_keep_their_labels() {
        let mut stats = Stats { ports: (3, 100), bindings: 5, ..Stats::default() };
        stats.allocations.tls = 2;
        stats.to_client.bytes = 77;
        stats.count_drop(DropReason::NoPermission);
        stats.count_auth_failure(AuthFailure::Expired);
        stats.count_error(486);
        let metrics = Metrics::new().unwrap();
        metrics.numbers(move || relay(&stats)).unwrap();
        let text = metrics.text().unwrap();
        for line in [
            "campanile_turn_allocations{transport=\"tls\"} 2",
            "campanile_turn_allocations{transport=\"udp\"} 0",
            "campanile_turn_relayed_bytes_total{direction=\"to_client\"} 77",
            "campanile_turn_dropped_packets_total{reason=\"no_permission\"} 1",
            "campanile_turn_dropped_packets_total{reason=\"malformed\"} 0",
            "campanile_turn_auth_failures_total{reason=\"expired\"} 1",
            "campanile_turn_errors_total{code=\"486\"} 1",
            "campanile_turn_bindings_total 5",
            "campanile_turn_ports_used 3",
            "campanile_turn_ports 100",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_authenticator_s_numbers_keep_their_labels() {
        let stats = AuthStats { succeeded: 4, failed: 2, delayed: 1, ..AuthStats::default() };
        let metrics = Metrics::new().unwrap();
        metrics.numbers(move || auth(&stats)).unwrap();
        let text = metrics.text().unwrap();
        assert!(text.contains("campanile_auth_attempts_total{outcome=\"succeeded\"} 4\n"), "{text}");
        assert!(text.contains("campanile_auth_delayed_total 1\n"), "{text}");
    }
}
