//! XEP-0012: Last Activity, version 2.0: of the server, and of accounts for whoever sees their presence. `features/presence.rs` keeps when
//! an account left, in `store/last_activity.rs`.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::iq::{Iq, IqTable, Reply, To};
use crate::jid::Jid;
use crate::ns;
use crate::pipeline::{Effects, Verdict, Walk};
use crate::router::Router;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, Stanza};
use crate::xml::{Bindings, XmlWriter};

/// Tells since when somebody is away.
#[derive(Debug)]
pub struct LastActivity {
    router: Router,
    started: Instant,
}

impl LastActivity {
    /// §3 and §5; `started` is when the server was.
    pub fn register(router: &Router, started: Instant, table: &mut IqTable) {
        let last = Arc::new(Self { router: router.clone(), started });
        for to in [To::Server, To::Account, To::Contact] {
            table.feature(to, ns::LAST_ACTIVITY);
        }
        table.get(To::Server, (ns::LAST_ACTIVITY, "query"), &last, Self::of_server);
        table.get(To::Account, (ns::LAST_ACTIVITY, "query"), &last, Self::of_account);
        table.get(To::Contact, (ns::LAST_ACTIVITY, "query"), &last, Self::of_account);
    }

    /// §5.
    async fn of_server(self: Arc<Self>, _: Iq) -> Result<Reply, StanzaError> {
        Ok(answer(self.started.elapsed().as_secs(), ""))
    }

    /// §3. Without a subscription the answer does not tell whether there is such an account.
    async fn of_account(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let account = iq.account();
        let seen = |from: &Jid| {
            let home = self.router.home_in_memory(&account)?;
            home.with(|account| (iq.to == To::Account || account.shows_presence_to(from)).then_some(account.available().next().is_none()))
        };
        match iq.stanza.from().and_then(seen) {
            None => return Err(forbidden()),
            Some(false) => return Ok(answer(0, "")),
            Some(true) => {}
        }
        let left = self.router.store().last_activities().load(&account).await;
        let Some(left) = left.map_err(self.router.internal("load a last activity"))? else {
            return Err(StanzaError::item_not_found().with_text("the account was never there"));
        };
        let seconds = SystemTime::now().duration_since(left.left_at).unwrap_or_default().as_secs();
        let presence = Stanza::parse(left.presence, &Bindings::empty()).ok();
        let status = presence.as_ref().and_then(|presence| presence.child(ns::CLIENT, "status"));
        Ok(answer(seconds, status.map(|status| status.text()).as_deref().unwrap_or_default()))
    }
}

/// Stage of `pipeline::INBOUND`, §4: a request to a resource goes no further either, whether it is there or not.
pub fn inbound(walk: &Walk<'_>, stanza: &mut Stanza, _: &mut Effects) -> Verdict {
    let Kind::Iq(IqType::Get) = stanza.kind() else { return Verdict::Pass };
    let to_resource = stanza.to().is_some_and(|to| !to.is_bare());
    if !to_resource || !stanza.payload().is_some_and(|payload| payload.is(ns::LAST_ACTIVITY, "query")) {
        return Verdict::Pass;
    }
    match stanza.from() {
        Some(from) if from.bare_str() == walk.account.jid.as_str() || walk.account.shows_presence_to(from) => Verdict::Pass,
        _ => Verdict::Bounce(forbidden()),
    }
}

fn forbidden() -> StanzaError {
    StanzaError::forbidden().with_text("only for those who see the account's presence")
}

fn answer(seconds: u64, status: &str) -> Reply {
    let mut xml = XmlWriter::new();
    xml.open("query").ns(ns::LAST_ACTIVITY).attr("seconds", &seconds.to_string());
    if !status.is_empty() {
        xml.text(status);
    }
    xml.close();
    Reply::Payload(xml.finish())
}
