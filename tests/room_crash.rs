//! Promise: a server that is killed in the middle of configurations, bans, subjects and messages of a room has the old state of the room or the new one,
//! all that it has answered, and never a mix. The room comes back with its affiliations, subject, configuration and archive; a temporary one does not.

use crate::support::PATIENCE;
use crate::support::server::Server;
use crate::support::wire::{Wire, attribute};

const COMMANDS: usize = 400;
const ROOM: &str = "coven@conference.localhost";
const MUC: &str = "http://jabber.org/protocol/muc";

/// A configuration, with the value of each field.
fn form(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| format!("<field var='muc#roomconfig_{name}'><value>{value}</value></field>");
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>{MUC}#roomconfig</value></field>{fields}</x>"
    )
}

/// The owner configures the room.
fn configure(id: &str, room: &str, fields: &[(&str, &str)]) -> String {
    format!("<iq type='set' to='{room}' id='{id}'><query xmlns='{MUC}#owner'>{}</query></iq>", form(fields))
}

/// One stanza, several fields, of which some have columns of their own.
fn configuration(number: usize) -> String {
    let text = format!("n{number}.");
    let flag = |odd: bool| if odd { "1" } else { "0" };
    let fields = [
        ("roomname", text.as_str()),
        ("roomdesc", text.as_str()),
        ("publicroom", flag(is_public(number))),
        ("moderatedroom", flag(is_public(number))),
    ];
    configure(&format!("c{number}."), ROOM, &fields)
}

fn is_public(number: usize) -> bool {
    !number.is_multiple_of(2)
}

/// One stanza, four people: two are banned, and the bans of two are lifted.
fn bans(number: usize) -> String {
    let (banned, others) = outcasts(number);
    let ban = |name: &&str| format!("<item affiliation='outcast' jid='{name}@localhost'><reason>n{number}.</reason></item>");
    let lift = |name: &&str| format!("<item affiliation='none' jid='{name}@localhost'/>");
    let items: String = banned.iter().map(ban).chain(others.iter().map(lift)).collect();
    format!("<iq type='set' to='{ROOM}' id='b{number}.'><query xmlns='{MUC}#admin'>{items}</query></iq>")
}

/// Who is banned after a stanza, and who is not.
fn outcasts(number: usize) -> ([&'static str; 2], [&'static str; 2]) {
    let (even, odd) = (["mercutio", "tybalt"], ["paris", "benvolio"]);
    if number.is_multiple_of(2) { (even, odd) } else { (odd, even) }
}

fn message(number: usize) -> String {
    format!("<message type='groupchat' to='{ROOM}' id='m{number}.'><body>m{number}.</body></message><r xmlns='urn:xmpp:sm:3'/>")
}

fn subject(number: usize) -> String {
    format!("<message type='groupchat' to='{ROOM}' id='s{number}.'><subject>s{number}.</subject></message>")
}

/// The numbers that follow a text, each with a full stop behind it, in order.
fn numbers(text: &str, before: &str) -> Vec<usize> {
    text.split(before).skip(1).filter_map(|rest| rest.split_once('.')?.0.parse().ok()).collect()
}

/// How many requests were answered; there is no answer without those before.
fn answered(text: &str, letter: char) -> usize {
    assert!(!text.contains("type='error'"), "{text}");
    (0..COMMANDS).filter(|number| text.contains(&format!("id='{letter}{number}.'"))).count()
}

/// Enters a room; all that comes up to the subject.
fn join(wire: &mut Wire, room: &str, nick: &str) -> String {
    wire.send(&format!("<presence to='{room}/{nick}'><x xmlns='{MUC}'/></presence>"));
    let presence = wire.expect("code='110'");
    presence + &wire.expect("<subject") + &wire.expect("</message>")
}

/// All bodies in the room's archive, in order, and the last one's.
fn archived(wire: &mut Wire) -> Vec<usize> {
    let mut bodies = Vec::new();
    let mut after = String::new();
    loop {
        let set = format!("<set xmlns='http://jabber.org/protocol/rsm'><max>100</max>{after}</set>");
        wire.send(&format!("<iq type='set' to='{ROOM}' id='mam'><query xmlns='urn:xmpp:mam:2'>{set}</query></iq>"));
        let results = wire.expect("<fin ") + &wire.expect("</iq>");
        bodies.extend(numbers(&results, "<body>m"));
        let fin = &results[results.find("<fin ").unwrap()..];
        if attribute(fin, "complete") == Some("true") {
            return bodies;
        }
        let last = fin.split("<last>").nth(1).and_then(|rest| rest.split("</last>").next()).unwrap_or_else(|| panic!("{fin}"));
        after = format!("<after>{last}</after>");
    }
}

#[test]
pub fn a_killed_server_has_the_old_state_of_a_room_or_the_new_one() {
    let mut server = Server::start();
    let [mut owner, mut admin, mut chair] = ["owner", "admin", "chair"].map(|resource| Wire::bound(&server, "alice", resource));
    let mut talker = Wire::bound(&server, "bob", "talker");
    let mut lone = Wire::bound(&server, "carol", "lone");
    chair.send(&format!("<presence to='{ROOM}/chair'><x xmlns='{MUC}'/></presence>"));
    chair.expect("code='201'");
    owner.send(&configure("made", ROOM, &[("persistentroom", "1"), ("enablelogging", "1"), ("changesubject", "1")]));
    let made = owner.stanza("iq", &["id='made'"]);
    assert!(made.contains("type='result'"), "{made}");
    join(&mut talker, ROOM, "talker");
    lone.send(&format!("<presence to='heath@conference.localhost/lone'><x xmlns='{MUC}'/></presence>"));
    lone.expect("code='201'");
    let answer =
        lone.iq("made", "type='set' to='heath@conference.localhost'", &format!("<query xmlns='{MUC}#owner'>{}</query>", form(&[])));
    assert!(answer.contains("type='result'"), "{answer}");
    talker.send("<enable xmlns='urn:xmpp:sm:3'/>");
    talker.expect("<enabled");
    chair.forget();

    owner.send(&(0..COMMANDS).map(configuration).collect::<String>());
    admin.send(&(0..COMMANDS).map(bans).collect::<String>());
    chair.send(&(0..COMMANDS).map(subject).collect::<String>());
    talker.send(&(0..COMMANDS).map(message).collect::<String>());
    let (configured, banned) = (owner.expect("id='c20.'"), admin.expect("id='b20.'"));
    let (titled, talked) = (chair.expect("<subject>s20."), talker.expect("<a ") + &talker.expect("h='20'"));
    server.signal("KILL");
    server.ended(PATIENCE).expect("SIGKILL");
    let configured = answered(&(configured + &owner.until_closed()), 'c');
    let banned = answered(&(banned + &admin.until_closed()), 'b');
    let titled = numbers(&(titled + &chair.until_closed()), "<subject>s").into_iter().max().unwrap();
    // XEP-0198 §4: what the server has handled, it has.
    let handled = |text: &str| text.split("<a ").skip(1).filter_map(|rest| attribute(rest, "h")?.parse::<usize>().ok()).max();
    let talked = handled(&(talked + &talker.until_closed())).unwrap();
    assert!(talked >= 20);

    let server = server.restart(&[]);
    let mut owner = Wire::bound(&server, "alice", "after");
    let config = owner.iq("c", &format!("type='get' to='{ROOM}'"), &format!("<query xmlns='{MUC}#owner'/>"));
    let [name, description] = numbers(&config, "<value>n")[..] else { panic!("{config}") };
    assert_eq!(name, description, "all fields of a stanza are there, or none: {config}");
    assert!(name + 1 >= configured, "what was answered is there: {name} of {configured}");
    let flag = |name: &str| {
        let field = config.split(&format!("var='muc#roomconfig_{name}'")).nth(1).and_then(|rest| rest.split("</field>").next());
        field.and_then(|field| field.split("<value>").nth(1)).map(|value| value.starts_with('1') || value.starts_with("true"))
    };
    assert_eq!((flag("publicroom"), flag("moderatedroom")), (Some(is_public(name)), Some(is_public(name))), "{config}");
    assert_eq!(flag("persistentroom"), Some(true), "{config}");
    let items = owner.iq("i", "type='get' to='conference.localhost'", "<query xmlns='http://jabber.org/protocol/disco#items'/>");
    assert_eq!(items.contains(ROOM), is_public(name), "the list says what the configuration says: {items}");

    let list = |affiliation: &str| format!("<query xmlns='{MUC}#admin'><item affiliation='{affiliation}'/></query>");
    let banned_now = owner.iq("b", &format!("type='get' to='{ROOM}'"), &list("outcast"));
    let [one, two] = numbers(&banned_now, "<reason>n")[..] else { panic!("{banned_now}") };
    assert_eq!(one, two, "all bans of a stanza are there, or none: {banned_now}");
    assert!(one + 1 >= banned, "what was answered is there: {one} of {banned}");
    let (expected, others) = outcasts(one);
    assert!(expected.iter().all(|name| banned_now.contains(&format!("'{name}@localhost'"))), "{banned_now}");
    assert!(!others.iter().any(|name| banned_now.contains(&format!("'{name}@localhost'"))), "{banned_now}");
    let owners = owner.iq("o", &format!("type='get' to='{ROOM}'"), &list("owner"));
    assert!(owners.contains("'alice@localhost'"), "{owners}");

    // Messages are there in order, without a gap, and those that the server has taken.
    let bodies = archived(&mut owner);
    assert!(bodies.len() >= talked, "what was acknowledged is there: {} of {talked}", bodies.len());
    assert_eq!(bodies, (0..bodies.len()).collect::<Vec<_>>());

    // Nobody is there; whoever enters sees what was said last, and the subject.
    let entered = join(&mut owner, ROOM, "chair");
    assert_eq!(entered.matches("<presence ").count(), 1, "no ghost: {entered}");
    let shown = numbers(&entered, "<body>m");
    assert!(shown.iter().eq(&bodies[bodies.len() - shown.len()..]) && !shown.is_empty(), "{entered}");
    let last = numbers(&entered, "<subject>s").into_iter().max().unwrap();
    assert!(last >= titled, "what was told is there: {last} of {titled}");

    // A temporary room ends with the process.
    let mut lone = Wire::bound(&server, "carol", "after");
    let info = lone.iq("d", "type='get' to='heath@conference.localhost'", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    assert!(info.contains("item-not-found"), "{info}");
    lone.send(&format!("<presence to='heath@conference.localhost/lone'><x xmlns='{MUC}'/></presence>"));
    lone.expect("code='201'");
    assert!([name, one, last, bodies.len()].iter().any(|last| last + 1 < COMMANDS), "the server was killed in the middle");
}
