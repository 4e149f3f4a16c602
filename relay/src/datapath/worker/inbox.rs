//! What others want of a worker: the shells of TCP and TLS clients, the other workers, `Relay`.

use std::sync::mpsc::TryRecvError;

use bytes::{Bytes, BytesMut};
use campanile_ice::stun::turn::{Frame, stream_frame};

use super::{Control, Inbox, Payload, Stream, Worker};
use crate::datapath::batch::Batch;
use crate::datapath::flow::Client;
use crate::stats::DropReason;
use crate::turn::server::Now;
use crate::turn::stream::{Outbox, Turn, ends_with_bind};

/// What is taken from the inbox before sockets are looked at again.
const INBOX_BATCH: usize = 64;

impl Worker {
    /// Returns whether there is nothing left.
    pub(super) fn read_inbox(&mut self, batch: &mut Batch, now: Now) -> bool {
        for _ in 0..INBOX_BATCH {
            match self.inbox.try_recv() {
                Ok(Inbox::Connected(client, outbox)) => self.connected(client, outbox, now),
                Ok(Inbox::Frames(id, bytes, turn)) => self.read_frames(id, bytes, turn, batch, now),
                Ok(Inbox::PassedOn { client, from, bytes }) => {
                    if let Some(route) = self.server.handle_passed_on(client, from, &bytes, now) {
                        let payload = Payload::Bytes(&bytes[route.payload.clone()]);
                        self.forward(route, payload, batch, now);
                    }
                    self.work_outputs(batch, now);
                }
                Ok(Inbox::PeerConnected(connection, is_connected)) => {
                    self.server.handle_peer_connected(connection, is_connected, now.at);
                    self.work_outputs(batch, now);
                }
                Ok(Inbox::PeerArrived(arrival)) => {
                    // Without a permission it is closed by being dropped.
                    if let Some(connection) = self.server.handle_peer_arrived(arrival.socket, arrival.remote, now.at) {
                        self.registry.data.connected(connection, arrival.stream);
                    }
                    self.work_outputs(batch, now);
                }
                Ok(Inbox::Disconnected(id)) => {
                    self.streams.remove(&id);
                    self.server.handle_disconnected(id, now.at);
                    self.work_outputs(batch, now);
                }
                Err(_) => return true,
            }
        }
        false
    }

    pub(super) fn connected(&mut self, client: Client, outbox: Outbox, now: Now) {
        if let Some(id) = client.via.stream() {
            self.streams.insert(id, Stream { client, outbox, pending: BytesMut::new() });
            self.server.handle_connected(client, now.at);
        }
    }

    pub(super) fn read_frames(&mut self, id: u64, mut bytes: Bytes, turn: Turn, batch: &mut Batch, now: Now) {
        let Some(client) = self.streams.get(&id).map(|stream| stream.client) else {
            match self.left.get(&id) {
                Some(&worker) => self.tell(worker, Control::Frames(id, bytes, turn)),
                None => self.count_lost(&bytes, DropReason::ClientGone),
            }
            return;
        };
        let mut is_paused = false;
        let mut rest = bytes.clone();
        while let Frame::Whole(length) = stream_frame(&bytes) {
            let frame = bytes.split_to(length);
            is_paused = ends_with_bind(&frame);
            if let Some(route) = self.demultiplex(client, &frame, now) {
                if let Some(stream) = self.streams.get(&id) {
                    stream.outbox.trust();
                }
                let payload = Payload::Bytes(&frame[route.payload.clone()]);
                self.forward(route, payload, batch, now);
            }
            self.work_outputs(batch, now);
            if let Some((worker, outbox)) = self.leaving.take() {
                self.left.insert(id, worker);
                outbox.move_to(worker);
                return self.tell(worker, Control::Adopt(client, outbox, rest, turn));
            }
            if !self.streams.contains_key(&id) {
                // What follows a ConnectionBind is data of its connection's, and none comes with it (`ends_with_bind`).
                return self.count_lost(&bytes, DropReason::ClientGone);
            }
            rest = bytes.clone();
        }
        if is_paused && let Some(stream) = self.streams.get(&id) {
            stream.outbox.resume();
        }
    }

    /// Returns whether the worker is to end.
    pub(super) fn read_control(&mut self, batch: &mut Batch, now: Now) -> bool {
        loop {
            match self.control.try_recv() {
                Ok(Control::Link(key, call)) => self.server.handle_link(key, call),
                Ok(Control::Accepted(key, call)) => self.server.handle_accepted(key, call),
                Ok(Control::EndSession(tag)) => self.server.handle_session_end(tag, now.at),
                Ok(Control::Unlink(key, call)) => self.server.handle_unlink(key, call, now.at),
                Ok(Control::Revoke(account)) => self.server.handle_revoke(&account, now.at),
                Ok(Control::Frames(id, bytes, turn)) => self.read_frames(id, bytes, turn, batch, now),
                Ok(Control::Adopt(client, outbox, frames, turn)) => {
                    // Its end has been told to the other worker.
                    if let (Some(id), false) = (client.via.stream(), outbox.is_closed()) {
                        self.connected(client, outbox, now);
                        self.read_frames(id, frames, turn, batch, now);
                    }
                }
                Ok(Control::Expect(client, home, is_theirs)) => self.server.handle_expect(client, home, is_theirs),
                Ok(Control::Shutdown) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => break,
            }
        }
        self.work_outputs(batch, now);
        false
    }
}
