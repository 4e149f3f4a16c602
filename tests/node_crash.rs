//! Promise: a server that is killed in the middle of a publication or of a change of configuration has the old state of the node or the new one, all
//! that it has answered, and never a mix.

use crate::support::PATIENCE;
use crate::support::server::Server;
use crate::support::wire::Wire;

const COMMANDS: usize = 400;
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

fn form(form_type: &str, fields: &[(&str, String)]) -> String {
    let field = |(name, value): &(&str, String)| format!("<field var='pubsub#{name}'><value>{value}</value></field>");
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>{PUBSUB}#{form_type}</value></field>{fields}</x>"
    )
}

/// One command, two items.
fn publication(number: usize) -> String {
    let item = |id| format!("<item id='{id}'><entry xmlns='http://www.w3.org/2005/Atom'><title>n{number}.</title></entry></item>");
    format!(
        "<iq type='set' to='pubsub.localhost' id='p{number}.'><pubsub xmlns='{PUBSUB}'><publish node='feed'>{}{}</publish></pubsub></iq>",
        item("one"),
        item("two")
    )
}

/// One command, several fields, of which some have columns of their own.
fn configuration(number: usize) -> String {
    let fields = ["title", "description", "body_xslt"].map(|name| (name, format!("n{number}.")));
    let access = if number.is_multiple_of(2) { "open" } else { "whitelist" };
    let fields: Vec<_> = fields.into_iter().chain([("access_model", access.to_owned())]).collect();
    let form = form("node_config", &fields);
    format!(
        "<iq type='set' to='pubsub.localhost' id='c{number}.'><pubsub xmlns='{PUBSUB}#owner'><configure node='feed'>{form}</configure></pubsub></iq>"
    )
}

/// A bookmark, which private XML and another node have, too.
fn bookmark(number: usize) -> String {
    format!(
        "<iq type='set' id='b{number}.'><pubsub xmlns='{PUBSUB}'><publish node='urn:xmpp:bookmarks:1'><item id='room@muc.localhost'>\
         <conference xmlns='urn:xmpp:bookmarks:1' name='n{number}.'/></item></publish></pubsub></iq>"
    )
}

/// The numbers `n…` in a text, in order.
fn numbers(text: &str) -> Vec<usize> {
    text.split('n').skip(1).filter_map(|rest| rest.split_once('.')?.0.parse().ok()).collect()
}

/// How many requests were answered; there is no answer without those before.
fn answered(text: &str, letter: char) -> usize {
    let answered = (0..COMMANDS).filter(|number| text.contains(&format!("id='{letter}{number}.'"))).count();
    assert!(!text.contains("type='error'"), "{text}");
    answered
}

#[test]
pub fn a_killed_server_has_the_old_state_of_a_node_or_the_new_one() {
    let mut server = Server::start();
    let (mut publisher, mut owner) = (Wire::bound(&server, "alice", "publisher"), Wire::bound(&server, "alice", "owner"));
    let mut reader = Wire::bound(&server, "bob", "reader");
    let create = format!("<pubsub xmlns='{PUBSUB}'><create node='feed'/></pubsub>");
    assert!(owner.iq("create", "type='set' to='pubsub.localhost'", &create).contains("type='result'"));
    publisher.send(&(0..COMMANDS).map(publication).collect::<String>());
    owner.send(&(0..COMMANDS).map(configuration).collect::<String>());
    reader.send(&(0..COMMANDS).map(bookmark).collect::<String>());
    publisher.expect("id='p20.'");
    let (configured, bookmarked) = (owner.expect("id='c20.'"), reader.expect("id='b20.'"));
    server.signal("KILL");
    server.ended(PATIENCE).expect("SIGKILL");
    let published = answered(&publisher.until_closed(), 'p') + 20;
    let configured = answered(&(configured + &owner.until_closed()), 'c');
    let bookmarked = answered(&(bookmarked + &reader.until_closed()), 'b');

    let server = server.restart(&[]);
    let mut alice = Wire::bound(&server, "alice", "after");
    let items = alice.iq("i", "type='get' to='pubsub.localhost'", &format!("<pubsub xmlns='{PUBSUB}'><items node='feed'/></pubsub>"));
    let [one, two] = numbers(&items)[..] else { panic!("{items}") };
    assert_eq!(one, two, "both items of a command are there, or none: {items}");
    assert!(one + 1 >= published, "what was answered is there: {one} of {published}");

    let get = format!("<pubsub xmlns='{PUBSUB}#owner'><configure node='feed'/></pubsub>");
    let config = alice.iq("c", "type='get' to='pubsub.localhost'", &get);
    let [title, description, xslt] = numbers(&config)[..] else { panic!("{config}") };
    assert!(title == description && description == xslt, "all fields of a command are there, or none: {config}");
    assert!(title + 1 >= configured, "what was answered is there: {title} of {configured}");
    let access = if title.is_multiple_of(2) { "open" } else { "whitelist" };
    let field = config.split("var='pubsub#access_model'").nth(1).and_then(|rest| rest.split("</field>").next()).expect("the field");
    let chosen = field.rsplit("</option>").next().expect("the value stands behind or without options");
    assert!(chosen.contains(access) || field.contains(&format!("><value>{access}</value>")), "{field}");

    // What is kept in two nodes and in private XML is the same again when the account comes back.
    let mut bob = Wire::bound(&server, "bob", "after");
    let mut shown = |request: &str| {
        let answer = bob.iq("b", "type='get'", request);
        let [number] = numbers(&answer)[..] else { panic!("{answer}") };
        number
    };
    let native = shown(&format!("<pubsub xmlns='{PUBSUB}'><items node='urn:xmpp:bookmarks:1'/></pubsub>"));
    let old = shown(&format!("<pubsub xmlns='{PUBSUB}'><items node='storage:bookmarks'/></pubsub>"));
    let private = shown("<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>");
    assert_eq!((native, native), (old, private));
    assert!(native + 1 >= bookmarked, "what was answered is there: {native} of {bookmarked}");
    assert!(one + 1 < COMMANDS || title + 1 < COMMANDS || native + 1 < COMMANDS, "the server was killed in the middle");
}
