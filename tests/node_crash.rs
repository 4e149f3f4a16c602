//! Promise: a server that is killed in the middle of a publication or of a change of configuration has the old state of the nodes that it touches or the
//! new one, all that it has answered, and never a mix.

use crate::support::PATIENCE;
use crate::support::server::Server;
use crate::support::wire::Wire;

const COMMANDS: usize = 400;
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

/// A node's configuration, with the values of each field.
fn form(fields: &[(&str, &[&str])]) -> String {
    let value = |value: &&str| format!("<value>{value}</value>");
    let field =
        |(name, values): &(&str, &[&str])| format!("<field var='pubsub#{name}'>{}</field>", values.iter().map(value).collect::<String>());
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>{PUBSUB}#node_config</value></field>{fields}</x>"
    )
}

/// The owner configures a node.
fn configure(id: &str, node: &str, fields: &[(&str, &[&str])]) -> String {
    let configure = format!("<pubsub xmlns='{PUBSUB}#owner'><configure node='{node}'>{}</configure></pubsub>", form(fields));
    format!("<iq type='set' to='pubsub.localhost' id='{id}'>{configure}</iq>")
}

fn create(owner: &mut Wire, node: &str, type_: &str) {
    let form = form(&[("node_type", &[type_])]);
    let create = format!("<pubsub xmlns='{PUBSUB}'><create node='{node}'/><configure>{form}</configure></pubsub>");
    let answer = owner.iq(node, "type='set' to='pubsub.localhost'", &create);
    assert!(answer.contains("type='result'"), "{answer}");
}

/// The values of a field in what the owner is told of a node's configuration.
fn values<'c>(config: &'c str, name: &str) -> Vec<&'c str> {
    let field = config.split(&format!("var='pubsub#{name}'")).nth(1).and_then(|rest| rest.split("</field>").next());
    let chosen = field.and_then(|field| field.rsplit("</option>").next()).unwrap_or_else(|| panic!("{name} in {config}"));
    chosen.split("<value>").skip(1).filter_map(|rest| rest.split("</value>").next()).collect()
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
    let text = format!("n{number}.");
    let text = [&*text];
    let fields: [(&str, &[&str]); 4] =
        [("title", &text), ("description", &text), ("body_xslt", &text), ("access_model", &[access_model(number)])];
    configure(&format!("c{number}."), "feed", &fields)
}

fn access_model(number: usize) -> &'static str {
    if number.is_multiple_of(2) { "open" } else { "whitelist" }
}

/// One command, up to four nodes: a collection, and leaves that come and go.
fn association(number: usize) -> String {
    configure(&format!("k{number}."), "all", &[("title", &[&*format!("n{number}.")]), ("children", children(number))])
}

fn children(number: usize) -> &'static [&'static str] {
    if number.is_multiple_of(2) { &["a"] } else { &["b", "c"] }
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
    let mut collector = Wire::bound(&server, "alice", "collector");
    for node in ["feed", "a", "b", "c"] {
        create(&mut owner, node, "leaf");
    }
    create(&mut owner, "all", "collection");
    publisher.send(&(0..COMMANDS).map(publication).collect::<String>());
    owner.send(&(0..COMMANDS).map(configuration).collect::<String>());
    reader.send(&(0..COMMANDS).map(bookmark).collect::<String>());
    collector.send(&(0..COMMANDS).map(association).collect::<String>());
    publisher.expect("id='p20.'");
    let (configured, bookmarked, associated) = (owner.expect("id='c20.'"), reader.expect("id='b20.'"), collector.expect("id='k20.'"));
    server.signal("KILL");
    server.ended(PATIENCE).expect("SIGKILL");
    let published = answered(&publisher.until_closed(), 'p') + 20;
    let configured = answered(&(configured + &owner.until_closed()), 'c');
    let bookmarked = answered(&(bookmarked + &reader.until_closed()), 'b');
    let associated = answered(&(associated + &collector.until_closed()), 'k');

    let server = server.restart(&[]);
    let mut alice = Wire::bound(&server, "alice", "after");
    let items = alice.iq("i", "type='get' to='pubsub.localhost'", &format!("<pubsub xmlns='{PUBSUB}'><items node='feed'/></pubsub>"));
    let [one, two] = numbers(&items)[..] else { panic!("{items}") };
    assert_eq!(one, two, "both items of a command are there, or none: {items}");
    assert!(one + 1 >= published, "what was answered is there: {one} of {published}");

    let mut config_of = |node: &str| {
        alice.iq("c", "type='get' to='pubsub.localhost'", &format!("<pubsub xmlns='{PUBSUB}#owner'><configure node='{node}'/></pubsub>"))
    };
    let config = config_of("feed");
    let [title, description, xslt] = numbers(&config)[..] else { panic!("{config}") };
    assert!(title == description && description == xslt, "all fields of a command are there, or none: {config}");
    assert!(title + 1 >= configured, "what was answered is there: {title} of {configured}");
    assert_eq!(values(&config, "access_model"), [access_model(title)]);

    // What hangs together does so from both sides.
    let config = config_of("all");
    let [collected] = numbers(&config)[..] else { panic!("{config}") };
    assert_eq!(values(&config, "children"), children(collected), "all of a command is there, or nothing: {config}");
    assert!(collected + 1 >= associated, "what was answered is there: {collected} of {associated}");
    for leaf in ["a", "b", "c"] {
        let is_in = children(collected).contains(&leaf);
        assert_eq!(values(&config_of(leaf), "collection") == ["all"], is_in, "{leaf} after {collected}");
    }

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
    assert!([one, title, collected, native].iter().any(|last| last + 1 < COMMANDS), "the server was killed in the middle");
}
