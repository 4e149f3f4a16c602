//! Promise: what a user publishes at the own account (a picture, what plays, bookmarks, keys) is shown to contacts and to the own devices that want to
//! see it, whatever clients they use (XEP-0163 and what rests on it).

use serde_json::json;

use crate::foreign_clients::become_contacts;
use crate::support::network::Network;
use crate::support::peers::{self, Peer};
use crate::support::server::{CONFIG, PASSWORD, Server};
use crate::support::tls;
use crate::support::wire::Wire;

/// slixmpp's plugins for PEP, avatars, bookmarks, private and public storage, vCard4, tunes, moods and so on, from one to the other.
#[test]
#[ignore = "slixmpp: run tests/run"]
pub fn slixmpp_shows_what_slixmpp_publishes() {
    peers::python(&Server::start(), "slixmpp_pep.py", json!({})).said(&[
        "discovery",
        "last_items",
        "filtered",
        "events",
        "interest",
        "payloads",
        "avatar",
        "avatar_from_vcard",
        "bookmarks",
        "bookmarks_converted",
        "storage",
        "explicit",
    ]);
}

/// Every method of aioxmpp's `PEPClient`, `AvatarService`, `VCardService` and `BookmarkClient`; one of its devices speaks XEP-0390 only.
#[test]
#[ignore = "aioxmpp: run tests/run"]
fn aioxmpp_shows_what_aioxmpp_publishes() {
    peers::debian_python(&Server::start(), "aioxmpp_pep.py", json!({})).said(&[
        "services",
        "publication",
        "claims",
        "avatars",
        "vcards",
        "bookmarks",
    ]);
}

/// Dino shows, on its screen, the picture that a contact has set with slixmpp, and joins the room that slixmpp has bookmarked for its own user. The
/// room is played by hand: presence to `carol@localhost/Romeo`.
#[test]
#[ignore = "slixmpp, Dino, Xvfb, xdotool, a network namespace: run tests/run"]
fn dino_shows_the_avatar_and_the_bookmark_that_slixmpp_set() {
    const COLOUR: &str = "ff00c8";
    let _network = Network::enter();
    // the port that Dino takes when there is no SRV record
    let server = Server::build(
        &CONFIG.replacen("listen = [\"127.0.0.1:0\"]", "listen = [\"127.0.0.1:5222\"]", 1),
        "",
        &["alice@localhost", "bob@localhost", "carol@localhost"],
    );
    become_contacts(&server);
    let set = peers::python(&server, "set_pep.py", json!({ "room": "carol@localhost", "nick": "Romeo", "colour": COLOUR }));
    let hash = set.get("avatar")["hash"].as_str().expect("text");
    let (mut bob, mut room) = (Wire::online(&server, "bob", "home"), Wire::online(&server, "carol", "Romeo"));

    let mut dino = peers::desktop("dino.py");
    dino.arg(server.folder()).arg(tls::ca_file(server.folder())).args(["alice@localhost/dino", PASSWORD, COLOUR]);
    let mut dino = Peer::start(&mut dino);
    dino.expect("started", &[]);
    let join = room.stanza("presence", &["from='alice@localhost/dino'", "http://jabber.org/protocol/muc'"]);
    let id = join.split_once(" id='").and_then(|(_, rest)| rest.split_once('\'')).expect("Dino gives it one").0;
    room.send(&format!(
        "<presence to='alice@localhost/dino' id='{id}'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='member' role='participant'/>\
         <status code='110'/></x></presence>"
    ));
    dino.expect("room", &[("jid", "carol@localhost")]);
    bob.send("<message to='alice@localhost' type='chat'><body>Wherefore art thou?</body></message>");
    // it fetches a picture once there is something to show it with
    dino.expect("shown", &[]);
    bob.send("<message to='alice@localhost' type='chat'><body>bye</body></message>");
    dino.done();
    let got: Vec<_> = dino.all("avatar").collect();
    assert!(got.iter().any(|one| one["from"] == "bob@localhost" && one["hash"] == hash && one["is_it"] == true), "{got:?}");
}
