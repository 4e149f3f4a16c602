//! XEP-0060 §5.1 to §5.5 and XEP-0163 §6: nodes as service discovery shows them.

use super::service::PubSub;
use crate::features::disco::{Info, Items, no_such_node};
use crate::iq::Iq;
use crate::rsm;
use crate::stanza::error::StanzaError;

impl PubSub {
    /// §5.3 and §5.4: what a node is.
    ///
    /// # Errors
    /// `item-not-found` for a node that is not there or that the asker may not see.
    pub async fn disco_info(&self, _iq: &Iq, _node: &str) -> Result<Info, StanzaError> {
        Err(no_such_node())
    }

    /// §5.2 and §5.5: the nodes of a service, or the items of one node.
    ///
    /// # Errors
    /// As [`PubSub::disco_info`].
    pub async fn disco_items(&self, _iq: &Iq, node: Option<&str>, _page: rsm::Request) -> Result<Items, StanzaError> {
        match node {
            Some(_) => Err(no_such_node()),
            None => Ok(Items::default()),
        }
    }
}
