//! Parts that count in plain numbers, as families of `/metrics`: the relay, whose threads share nothing, and the authenticator.

use campanile_relay::{AuthFailure, BATCH_SIZES, Batches, DropReason, ERROR_CODES, PerFamily, PerTransport, Stats};
use campanile_signalling::auth::AuthStats;
use campanile_signalling::muc::Counts;

use super::metrics::Family;

/// What the relay did since it started, and what it holds.
#[must_use]
pub fn relay(stats: &Stats) -> Vec<Family> {
    vec![
        transports(Family::gauge("campanile_turn_allocations", "Live TURN allocations."), stats.allocations),
        families(
            Family::gauge(
                "campanile_turn_relayed_addresses",
                "Relayed addresses of the live allocations; one may have one of each family.",
            ),
            stats.relayed,
        ),
        transports(Family::counter("campanile_turn_allocations_total", "TURN allocations made."), stats.allocations_made),
        Family::counter("campanile_turn_moves_total", "Allocations whose client moved to another address or connection (RFC 8016).")
            .with(&[], stats.moves),
        transports(Family::gauge("campanile_turn_connections", "Open TURN connections; none over UDP."), stats.connections),
        Family::gauge(
            "campanile_turn_data_connections",
            "Data connections of TCP allocations, those included that wait for their client or peer.",
        )
        .with(&[], stats.data_connections),
        Family::counter("campanile_turn_data_connections_total", "Data connections of TCP allocations that clients bound.")
            .with(&[], stats.data_connections_made),
        directions(
            Family::counter("campanile_turn_relayed_packets_total", "Datagrams relayed, and chunks of data connections."),
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
        batches(
            "campanile_turn_receive_batch_packets",
            "Datagrams that a relay thread received at once from one socket: 1 when idle, 64 at its limit.",
            &stats.receives,
        ),
        batches("campanile_turn_send_batch_packets", "Datagrams that a relay thread sent together.", &stats.sends),
        Family::counter(
            "campanile_turn_joined_refused_total",
            "Runs of joined datagrams (GSO) that a path or device refused, so that each was sent on its own.",
        )
        .with(&[], stats.joined_refused),
        Family::gauge(
            "campanile_turn_workers_without_joining",
            "Relay threads that join no datagrams at present, since devices refuse joined ones or the kernel knows none.",
        )
        .with(&[], stats.workers_apart),
        stats.busy.iter().zip(0..).fold(
            Family::counter(
                "campanile_turn_worker_busy_seconds_total",
                "Time that each relay thread was at work and did not wait for packets.",
            ),
            |family, (busy, worker): (_, u32)| family.with_time(&[("worker", &worker.to_string())], *busy),
        ),
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
            .map(u16::to_string)
            .chain(["other".to_owned()])
            .zip(stats.errors)
            .fold(Family::counter("campanile_turn_errors_total", "TURN error responses, by code."), |family, (code, count)| {
                family.with(&[("code", &code)], count)
            }),
        families(
            Family::gauge("campanile_turn_ports_used", "Relayed ports in use, those that are reserved for a second half included."),
            stats.ports_used,
        ),
        families(Family::gauge("campanile_turn_ports", "Relayed ports that there are."), stats.ports),
    ]
}

fn transports(family: Family, counts: PerTransport) -> Family {
    [("udp", counts.udp), ("tcp", counts.tcp), ("tls", counts.tls)]
        .into_iter()
        .fold(family, |family, (transport, count)| family.with(&[("transport", transport)], count))
}

fn families(family: Family, counts: PerFamily) -> Family {
    family.with(&[("family", "ipv4")], counts.ipv4).with(&[("family", "ipv6")], counts.ipv6)
}

fn batches(name: &'static str, help: &'static str, batches: &Batches) -> Family {
    Family::histogram(name, help, &BATCH_SIZES, &batches.counts, batches.packets)
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

/// Nodes of publish-subscribe in memory, and what is under way at them.
#[must_use]
pub fn nodes(in_memory: usize, tasks: usize) -> Vec<Family> {
    vec![
        Family::gauge("campanile_pubsub_nodes_in_memory", "Addresses of nodes of publish-subscribe that are in memory.")
            .with(&[], in_memory as u64),
        Family::gauge(
            "campanile_pubsub_tasks",
            "Tasks that bring out notifications or follow what has happened; 0 once everybody is told.",
        )
        .with(&[], tasks as u64),
    ]
}

/// Rooms in memory, who is in them, and what is under way there.
#[must_use]
pub fn rooms(counts: &Counts) -> Vec<Family> {
    let gauge = |name, help, value: usize| Family::gauge(name, help).with(&[], value as u64);
    vec![
        gauge("campanile_muc_rooms_in_memory", "Addresses of rooms that are in memory.", counts.rooms),
        gauge("campanile_muc_rooms_occupied", "Rooms in which somebody is.", counts.occupied),
        gauge("campanile_muc_occupants", "Sessions in rooms.", counts.occupants),
        gauge(
            "campanile_muc_tasks",
            "Tasks that bring out what rooms send or store what they decide; 0 once everybody is told.",
            counts.tasks,
        ),
    ]
}

/// Whether the server takes nobody new (`campanile drain`).
#[must_use]
pub fn draining(is_draining: bool) -> Vec<Family> {
    vec![
        Family::gauge("campanile_draining", "1 while the server takes no new sessions and allocations, since it will end.")
            .with(&[], is_draining.into()),
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
        let busy = vec![std::time::Duration::from_millis(1500), std::time::Duration::from_secs(2)];
        let mut stats = Stats { bindings: 5, busy, ..Stats::default() };
        (stats.ports_used.ipv6, stats.ports.ipv6, stats.relayed.ipv4) = (3, 100, 7);
        stats.receives.count(3);
        stats.sends.count(64);
        stats.allocations.tls = 2;
        (stats.joined_refused, stats.workers_apart) = (9, 1);
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
            "campanile_turn_errors_total{code=\"other\"} 0",
            "campanile_turn_ports_used{family=\"ipv6\"} 3",
            "campanile_turn_ports{family=\"ipv6\"} 100",
            "campanile_turn_relayed_addresses{family=\"ipv4\"} 7",
            "campanile_turn_receive_batch_packets_bucket{le=\"2\"} 0",
            "campanile_turn_receive_batch_packets_bucket{le=\"4\"} 1",
            "campanile_turn_receive_batch_packets_sum 3",
            "campanile_turn_send_batch_packets_bucket{le=\"+Inf\"} 1",
            "campanile_turn_joined_refused_total 9",
            "campanile_turn_workers_without_joining 1",
            "campanile_turn_worker_busy_seconds_total{worker=\"0\"} 1.5",
            "campanile_turn_worker_busy_seconds_total{worker=\"1\"} 2",
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
