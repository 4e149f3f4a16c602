//! XEP-0490: Message Displayed Synchronization, version 1.0.1. Clients publish it to a node like any other, whose defaults are in
//! `pubsub/wellknown.rs`; here is server assist (§4.5.1).

use bytes::Bytes;

use crate::homes::Home;
use crate::iq::{IqTable, To};
use crate::jid::Jid;
use crate::ns;
use crate::pipeline::{Effects, Verdict, Walk};
use crate::pubsub::model::NodeAddress;
use crate::pubsub::publish;
use crate::pubsub::request::NewItem;
use crate::router::Router;
use crate::stanza::error::StanzaError;
use crate::stanza::{Child, Kind, Stanza};

/// §4.2.
const PRIVATE: &[(&str, &str)] = &[
    ("pubsub#persist_items", "true"),
    ("pubsub#max_items", "max"),
    ("pubsub#send_last_published_item", "never"),
    ("pubsub#access_model", "whitelist"),
];

/// Up to where a chat has been seen.
#[derive(Debug)]
pub struct Displayed {
    chat: Jid,
    payload: Bytes,
}

/// §4.5.2.
pub fn register(table: &mut IqTable) {
    table.feature(To::Account, ns::MDS_ASSIST);
}

/// Stage of `pipeline::OUTBOUND`, §4.5.3: what is for the account's other clients alone is taken out of a message before it is archived or copied.
pub fn outbound(_: &Walk<'_>, stanza: &mut Stanza, effects: &mut Effects) -> Verdict {
    let is_displayed = |child: &Child<'_>| child.is(ns::MDS, "displayed");
    if let (Kind::Message(_), Some(chat)) = (stanza.kind(), stanza.to().cloned())
        && let Some(displayed) = stanza.child(ns::MDS, "displayed")
    {
        match displayed.element() {
            Ok(element) => effects.displayed = Some(Box::new(Displayed { chat, payload: element.root().to_bytes() })),
            Err(error) => return Verdict::Bounce(StanzaError::bad_request(error.to_string())),
        }
        stanza.remove_children(is_displayed);
    }
    Verdict::Pass
}

/// Publishes what a message has said. It comes before the message goes on, so that the marks of one client are published in their order.
pub async fn keep(router: &Router, home: &Home, displayed: Displayed) {
    let Some(pubsub) = router.pubsub() else { return };
    let address = NodeAddress { service: home.jid.clone(), node: ns::MDS.to_owned() };
    let published = async {
        let options = pubsub.node(&address).await?.is_none().then_some(PRIVATE);
        let item =
            NewItem { id: Some(displayed.chat.as_str().to_owned()), payload: Some(displayed.payload), payload_ns: ns::MDS.to_owned() };
        pubsub.own(&home.jid, publish(ns::MDS, vec![item], options)).await
    };
    if let Err(error) = published.await {
        // Its client hears nothing of it: the message that brought it is delivered.
        tracing::debug!(account = %home.jid, %error, "a mark of what was seen is not published");
    }
}
