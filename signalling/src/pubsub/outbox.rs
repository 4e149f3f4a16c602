//! Notifications of one node on their way: what its outbox holds.

use std::sync::Arc;

use bytes::Bytes;

use super::event::{Event, EventKind, ShownItem};
use super::homes::Group;
use crate::outbox::{Bounds, Parcel};

/// What may wait; the publishers of a node wait for each other.
pub(super) const BOUNDS: Bounds = Bounds { count: 256, bytes: 8 * 1024 * 1024, each: usize::MAX };

/// One event and those who see it in the same form.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Shared by all forms of it.
    pub event: Arc<Event>,
    /// Of the messages.
    pub id: String,
    /// Who.
    pub group: Group,
}

impl Delivery {
    pub fn new(event: &Arc<Event>, id: String, group: Group) -> Self {
        Self { event: event.clone(), id, group }
    }
}

impl Parcel for Delivery {
    /// The event counts for each of its forms, as it is written for each.
    fn bytes(&self) -> usize {
        const HEAD: usize = 200;
        HEAD + match &self.event.kind {
            EventKind::Published { items, .. } => items.iter().map(size).sum(),
            EventKind::Last { item, .. } => size(item),
            EventKind::Retracted { ids } => ids.iter().map(String::len).sum(),
            EventKind::Configured { form } | EventKind::Associated { form, .. } => form.as_ref().map_or(0, Bytes::len),
            _ => 0,
        }
    }
}

fn size(item: &ShownItem) -> usize {
    item.id.len() + item.payload.as_ref().map_or(0, Bytes::len)
}
