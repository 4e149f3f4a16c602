//! Promise: what a user keeps on the server is there from every device, and shown to those it is for.

use serde_json::json;

use crate::support::peers;
use crate::support::server::Server;
use crate::support::wire::Wire;

#[test]
#[ignore = "slixmpp: run tests/run"]
pub fn slixmpp_finds_all_that_an_account_keeps() {
    let server = Server::with("server.contact = { abuse = [\"mailto:abuse@{domain}\"] }");
    let events = peers::python(&server, "account_data.py", json!({}));
    for event in ["private data", "avatar", "activity, time, version", "discovery", "blocking", "left"] {
        events.get(event);
    }
}

/// XEP-0054 and XEP-0049 over a restart, as another device finds them.
#[test]
pub fn what_was_answered_is_there_after_a_restart() {
    let server = Server::start();
    let vcard = "<vCard xmlns='vcard-temp'><FN>Alice &amp; Co</FN></vCard>";
    let private = "<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'>kept</x></query>";
    let block = "<block xmlns='urn:xmpp:blocking'><item jid='bob@localhost'/></block>";
    let mut phone = Wire::online(&server, "alice", "phone");
    for (id, content) in [("v", vcard), ("p", private), ("b", block)] {
        assert!(phone.iq(id, "type='set'", content).contains("type='result'"), "{content}");
    }
    let server = server.restart(&[]);
    let mut laptop = Wire::online(&server, "alice", "laptop");
    for (request, expected) in [
        ("<vCard xmlns='vcard-temp'/>", vcard),
        ("<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'/></query>", private),
        ("<blocklist xmlns='urn:xmpp:blocking'/>", "<item jid='bob@localhost'/>"),
    ] {
        let answer = laptop.iq("g", "type='get'", request);
        assert!(answer.contains(expected), "{answer}");
    }
}
