//! XEP-0045 §6: what services and rooms say of themselves, and to whom.

use crate::world::rooms::{HOST, ROOM, answer, configure, create, join};
use crate::world::{World, doap};

fn disco(to: &str, what: &str, content: &str) -> String {
    format!("<iq to='{to}' type='get' id='d'><query xmlns='http://jabber.org/protocol/disco#{what}'>{content}</query></iq>")
}

#[tokio::test]
async fn s6_2_and_s6_3_a_service_says_what_it_is_and_which_rooms_are_public() {
    let world = World::within("muc-disco", &["a", "root"], Default::default(), 1_000_000).await;
    let (a, root) = (world.client("a", "1").await, world.client("root", "1").await);
    let info = answer(&world, &a, &disco(HOST, "info", "")).await;
    for part in ["category='conference' type='text'", "'http://jabber.org/protocol/muc'", "muc#stable_id'", "'urn:xmpp:occupant-id:0'"] {
        assert!(info.contains(part), "{part}: {info}");
    }
    for number in 0..5 {
        create(&world, &a, &format!("room{number}@{HOST}"), "a", &[("roomname", "Named")]).await;
    }
    create(&world, &a, &format!("hidden@{HOST}"), "a", &[("publicroom", "0")]).await;
    // §10.1.1: nobody has configured it yet.
    join(&world, &a, &format!("locked@{HOST}"), "a").await;
    let listed = answer(&world, &a, &disco(HOST, "items", "")).await;
    assert_eq!(listed.matches("<item jid='room").count(), 5, "{listed}");
    assert!(listed.contains("name='Named'") && !listed.contains("hidden@") && !listed.contains("locked@"), "{listed}");
    let all = answer(&world, &root, &disco(HOST, "items", "")).await;
    assert!(all.contains("hidden@") && all.contains("locked@"), "administrators see all: {all}");
    let page = "<set xmlns='http://jabber.org/protocol/rsm'><max>2</max><after>room1@conference.localhost</after></set>";
    let page = answer(&world, &a, &disco(HOST, "items", page)).await;
    assert!(page.contains("room2@") && page.contains("room3@") && !page.contains("room4@"), "{page}");
    assert!(page.contains("<first index='2'>room2@conference.localhost</first>") && page.contains("<count>5</count>"), "{page}");
    let nothing = answer(&world, &a, &format!("<iq to='{HOST}' type='get' id='v'><query xmlns='urn:q'/></iq>")).await;
    assert!(nothing.contains("<service-unavailable"), "{nothing}");
}

#[tokio::test]
async fn s6_4_and_s6_5_a_room_says_what_it_is_and_who_is_there_to_those_who_are() {
    let world = World::new("muc-disco-room", &["a", "b", "c"]).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    create(&world, &a, ROOM, "alice", &[("membersonly", "1"), ("roomname", "A Dark Cave"), ("enablelogging", "1")]).await;
    let info = answer(&world, &b, &disco(ROOM, "info", "")).await;
    for part in ["name='A Dark Cave'", "'muc_membersonly'", "'urn:xmpp:mam:2'", "muc#self-ping-optimization'", "muc#roominfo"] {
        assert!(info.contains(part), "{part}: {info}");
    }
    let items = answer(&world, &b, &disco(ROOM, "items", "")).await;
    assert!(!items.contains("alice"), "{items}");
    let items = answer(&world, &a, &disco(ROOM, "items", "")).await;
    assert!(items.contains("<item jid='coven@conference.localhost/alice'/>"), "{items}");
    let admin = "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='b@localhost'/></query>";
    answer(&world, &a, &format!("<iq to='{ROOM}' type='set' id='m'>{admin}</iq>")).await;
    answer(&world, &a, &format!("<iq to='{ROOM}' type='set' id='m'>{}</iq>", admin.replace("b@", "c@"))).await;
    let c = world.client("c", "1").await;
    join(&world, &b, ROOM, "bob").await;
    join(&world, &c, ROOM, "carol").await;
    // `muc#roomconfig_presencebroadcast`: moderators see all, others themselves besides.
    configure(&world, &a, ROOM, &[("presencebroadcast", "moderator")]).await;
    for (client, expected) in [(&a, ["alice", "bob", "carol"].as_slice()), (&b, &["alice", "bob"]), (&c, &["alice", "carol"])] {
        let items = answer(&world, client, &disco(ROOM, "items", "")).await;
        let seen: Vec<_> = ["alice", "bob", "carol"].into_iter().filter(|nick| items.contains(&format!("/{nick}'"))).collect();
        assert_eq!(seen, expected, "{items}");
    }
    // XEP-0059 §2.2
    let page = "<set xmlns='http://jabber.org/protocol/rsm'><max>1</max><after>alice</after></set>";
    let items = answer(&world, &a, &disco(ROOM, "items", page)).await;
    assert!(items.contains("/bob'") && !items.contains("/alice'") && !items.contains("/carol'"), "{items}");
    assert!(items.contains("<first index='1'>bob</first><last>bob</last><count>3</count>"), "{items}");
    let items = answer(&world, &a, &disco(ROOM, "items", &page.replace("alice", "nobody"))).await;
    assert!(items.contains("<item-not-found"), "{items}");
    let ping = answer(&world, &b, &format!("<iq to='{ROOM}' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
    assert!(ping.contains("type='result'"), "{ping}");
}

#[tokio::test]
async fn s16_3_what_a_room_can_do_follows_its_configuration_and_stands_in_the_doap_file() {
    let world = World::new("muc-disco-features", &["a"]).await;
    let a = world.client("a", "1").await;
    let of = |info: &str| -> Vec<String> {
        info.split("<feature var='").skip(1).filter_map(|rest| rest.split('\'').next()).map(str::to_owned).collect()
    };
    // Options, and the features that a room has with them only.
    let options: [(&str, &[&str]); 4] = [
        ("enablelogging", &["urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", "urn:xmpp:message-retract:1#tombstone"]),
        ("enablehats", &["urn:xmpp:hats:0", "http://jabber.org/protocol/commands"]),
        ("registration", &["jabber:iq:register", "http://jabber.org/protocol/muc#register"]),
        ("allowvoicerequests", &["http://jabber.org/protocol/muc#request"]),
    ];
    let with = |value: &'static str| options.map(|(option, _)| (option, value));
    create(&world, &a, ROOM, "a", &with("1")).await;
    let everything = of(&answer(&world, &a, &disco(ROOM, "info", "")).await);
    create(&world, &a, &format!("plain@{HOST}"), "a", &with("0")).await;
    let little = of(&answer(&world, &a, &disco(&format!("plain@{HOST}"), "info", "")).await);
    for feature in options.iter().flat_map(|(_, features)| *features) {
        assert!(
            everything.iter().any(|one| one == feature) && !little.iter().any(|one| one == feature),
            "{feature}: {everything:?} {little:?}"
        );
    }
    for feature in ["muc", "muc#roomconfig", "muc#roominfo", "muc#stable_id"].map(|name| format!("http://jabber.org/protocol/{name}")) {
        assert!(little.contains(&feature), "{feature}: {little:?}");
    }
    assert!(everything.len() > 20, "{everything:?}");
    everything.iter().for_each(|feature| doap::must_name(feature));
}
