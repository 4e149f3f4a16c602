//! Conversations for the tables of RFC 6121: appendix A and §3 (subscriptions), §4 (presence), §8.5 (delivery by type and kind of address).

use bytes::Bytes;
use campanile_signalling::jid::BareJid;
use campanile_signalling::router::Limits;
use campanile_signalling::stanza::Stanza;
use campanile_signalling::store::{RosterChange, RosterItem, Subscription};
use campanile_signalling::xml::Bindings;

use crate::world::{Client, World, befriend};

const ROSTER: &str = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>";

fn jid(name: &str) -> BareJid {
    BareJid::new(name, "localhost").expect("a JID")
}

async fn world(name: &str, accounts: &[&str]) -> World {
    World::within(name, accounts, Limits::default(), 1 << 20).await
}

impl World {
    /// Gives an account a state of appendix A.1 towards a contact, by its name: the subscription, then `o` and `i` for what is pending.
    async fn set_state(&self, account: &str, contact: &str, state: &str) {
        let (subscription, pending) = state.split_once('+').unwrap_or((state, ""));
        let mut changes = Vec::new();
        // `none` is the state of a contact that is not in the roster, too.
        if state != "none" && state != "none+i" {
            changes.push(RosterChange::Set(RosterItem {
                subscription: Subscription::from_name(subscription).expect("a subscription"),
                ask: pending.contains('o'),
                ..RosterItem::new(jid(contact))
            }));
        }
        if pending.contains('i') {
            let stanza = format!("<presence xmlns='jabber:client' type='subscribe' from='{contact}@localhost' to='{account}@localhost'/>");
            changes.push(RosterChange::AddRequest { from: jid(contact), stanza: Bytes::from(stanza) });
        }
        self.store.rosters().apply(&jid(account), changes).await.expect("stores");
    }

    /// The state that is stored, and whether the contact is approved beforehand.
    async fn state(&self, account: &str, contact: &str) -> (String, bool) {
        let items = self.store.rosters().load(&jid(account)).await.expect("reads");
        let item = items.into_iter().find(|item| item.jid == jid(contact)).unwrap_or_else(|| RosterItem::new(jid(contact)));
        let requests = self.store.rosters().requests(&jid(account)).await.expect("reads");
        let pending = format!("{}{}", if item.ask { "o" } else { "" }, if requests.is_empty() { "" } else { "i" });
        let separator = if pending.is_empty() { "" } else { "+" };
        (format!("{}{separator}{pending}", item.subscription.name()), item.approved)
    }

    /// A client that is available and interested in its roster.
    async fn interested(&self, account: &str) -> Client {
        let client = self.online(account, "x").await;
        client.ask(ROSTER).await;
        client
    }

    async fn route(&self, xml: &str) {
        let stanza = Stanza::parse(xml.to_owned().into(), &Bindings::client()).unwrap_or_else(|error| panic!("{error:?} in {xml}"));
        self.router.route(stanza, None).await;
    }
}

fn has(received: &[String], parts: &[&str]) -> bool {
    received.iter().any(|stanza| parts.iter().all(|part| stanza.contains(part)))
}

const STATES: [&str; 9] = ["none", "none+o", "none+i", "none+oi", "to", "to+i", "from", "from+o", "both"];

/// Type, the contact's state, for each state of the user: whether the stanza is routed, and the state after it, `!` for a pre-approval.
type OutboundRow = (&'static str, &'static str, [(bool, &'static str); 9]);

/// The same for what comes in: whether it is delivered, the state after it, the server's answer.
type InboundRow = (&'static str, &'static str, [(bool, &'static str, Option<&'static str>); 9]);

/// Tables 2 to 5. The contact's own state is such that it would show the stanza if it came.
#[tokio::test]
async fn a_2_outbound_subscription_stanzas_in_every_state() {
    let table: [OutboundRow; 4] = [
        (
            "subscribe",
            "none",
            ["none+o", "none+o", "none+oi", "none+oi", "to", "to+i", "from+o", "from+o", "both"].map(|after| (true, after)),
        ),
        ("unsubscribe", "from", ["none", "none", "none+i", "none+i", "none", "none+i", "from", "from", "from"].map(|after| (true, after))),
        (
            "subscribed",
            "none+o",
            [
                (false, "none!"),
                (false, "none+o!"),
                (true, "from"),
                (true, "from+o"),
                (false, "to!"),
                (true, "both"),
                (false, "from"),
                (false, "from+o"),
                (false, "both"),
            ],
        ),
        (
            "unsubscribed",
            "to",
            [
                (false, "none"),
                (false, "none+o"),
                (true, "none"),
                (true, "none+o"),
                (false, "to"),
                (true, "to"),
                (true, "none"),
                (true, "none+o"),
                (true, "to"),
            ],
        ),
    ];
    let names: Vec<_> = (0..36).flat_map(|index| [format!("a{index}"), format!("b{index}")]).collect();
    let world = world("a2", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (row, (kind, contact_state, cells)) in table.iter().enumerate() {
        for (column, (before, (routed, after))) in STATES.iter().zip(cells).enumerate() {
            let (a, b) = (format!("a{}", row * 9 + column), format!("b{}", row * 9 + column));
            world.set_state(&a, &b, before).await;
            world.set_state(&b, &a, contact_state).await;
            // A log-in that finds the other in memory would make rosters agree that differ on purpose.
            let bob = world.interested(&b).await;
            let alice = world.client(&a, "x").await;
            alice.ask(ROSTER).await;
            // §3.1.2: a full address is taken for the bare one.
            let to = if column % 2 == 0 { format!("{b}@localhost") } else { format!("{b}@localhost/x") };
            alice.send(&format!("<presence type='{kind}' to='{to}' id='s{column}'><status>why</status></presence>")).await;
            let what = format!("{kind} out of {before}");
            let came = bob.received();
            let stanza =
                [&*format!("from='{a}@localhost' to='{b}@localhost'"), &format!("type='{kind}'"), &format!("id='s{column}'"), "why"];
            assert_eq!(has(&came, &stanza), *routed, "{what}: {came:#?}");
            let (expected, approved) = after.strip_suffix('!').map_or((*after, false), |state| (state, true));
            assert_eq!(world.state(&a, &b).await, (expected.to_owned(), approved), "{what}");
            // §2.1.6: a roster push exactly when the roster shows something else.
            let shown = |state: &str| state.replace("+i", "").replace('i', "");
            let pushes: Vec<_> = alice.received().into_iter().filter(|stanza| stanza.contains("jabber:iq:roster")).collect();
            assert_eq!(!pushes.is_empty(), shown(before) != shown(expected) || approved, "{what}: {pushes:#?}");
            for push in pushes {
                let subscription = expected.split('+').next().unwrap_or_default();
                assert!(push.contains(&format!("subscription='{subscription}'")), "{what}: {push}");
                assert_eq!(push.contains("ask='subscribe'"), expected.contains("+o"), "{what}: {push}");
                assert_eq!(push.contains("approved='true'"), approved, "{what}: {push}");
            }
        }
    }
}

/// Tables 6 to 9. The contact's own state is such that it would show the server's answer if it came.
#[tokio::test]
async fn a_3_inbound_subscription_stanzas_in_every_state() {
    let (none, granted, gone) = (None, Some("subscribed"), Some("unsubscribed"));
    let table: [InboundRow; 4] = [
        (
            "subscribe",
            "none+o",
            [
                (true, "none+i", none),
                (true, "none+oi", none),
                (false, "none+i", none),
                (false, "none+oi", none),
                (true, "to+i", none),
                (false, "to+i", none),
                (false, "from", granted),
                (false, "from+o", granted),
                (false, "both", granted),
            ],
        ),
        (
            "unsubscribe",
            "to",
            [
                (false, "none", none),
                (false, "none+o", none),
                (true, "none", gone),
                (true, "none+o", gone),
                (false, "to", none),
                (true, "to", gone),
                (true, "none", gone),
                (true, "none+o", gone),
                (true, "to", gone),
            ],
        ),
        (
            "subscribed",
            "to",
            [
                (false, "none"),
                (true, "to"),
                (false, "none+i"),
                (true, "to+i"),
                (false, "to"),
                (false, "to+i"),
                (false, "from"),
                (true, "both"),
                (false, "both"),
            ]
            .map(|(deliver, after)| (deliver, after, None)),
        ),
        (
            "unsubscribed",
            "to",
            [
                (false, "none"),
                (true, "none"),
                (false, "none+i"),
                (true, "none+i"),
                (true, "none"),
                (true, "none+i"),
                (false, "from"),
                (true, "from"),
                (true, "from"),
            ]
            .map(|(deliver, after)| (deliver, after, None)),
        ),
    ];
    let names: Vec<_> = (0..36).flat_map(|index| [format!("a{index}"), format!("b{index}")]).collect();
    let world = world("a3", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (row, (kind, contact_state, cells)) in table.iter().enumerate() {
        for (column, (before, (deliver, after, reply))) in STATES.iter().zip(cells).enumerate() {
            let (a, b) = (format!("a{}", row * 9 + column), format!("b{}", row * 9 + column));
            world.set_state(&a, &b, before).await;
            world.set_state(&b, &a, contact_state).await;
            // alice first: her log-in would make rosters agree that differ on purpose.
            let alice = world.interested(&a).await;
            let bob = world.client(&b, "x").await;
            bob.ask(ROSTER).await;
            alice.forget();
            world
                .route(&format!("<presence type='{kind}' from='{b}@localhost/x' to='{a}@localhost' id='s'><status>why</status></presence>"))
                .await;
            let what = format!("{kind} into {before}");
            let came = alice.received();
            let at = |parts: &[&str]| came.iter().position(|stanza| parts.iter().all(|part| stanza.contains(part)));
            let stanza = at(&[&format!("from='{b}@localhost' to='{a}@localhost'"), &format!("type='{kind}'"), "why"]);
            assert_eq!(stanza.is_some(), *deliver, "{what}: {came:#?}");
            assert_eq!(world.state(&a, &b).await, ((*after).to_owned(), false), "{what}");
            // §3.1.6, §3.2.3, §3.3.3: the stanza comes before the push.
            if let (Some(stanza), Some(push)) = (stanza, at(&["jabber:iq:roster"])) {
                assert!(stanza < push, "{what}: {came:#?}");
            }
            let answer = bob.received();
            for answered in ["subscribed", "unsubscribed"] {
                let came = has(&answer, &[&format!("from='{a}@localhost' to='{b}@localhost'"), &format!(" type='{answered}'")]);
                // The request is not answered to a contact whose own state would not show it.
                assert_eq!(came, *reply == Some(answered), "{what}: {answer:#?}");
            }
        }
    }
}

#[tokio::test]
async fn s3_1_3_one_request_waits_whole_until_it_is_answered() {
    let world = world("s313", &["alice", "bob", "carol"]).await;
    let (alice, carol) = (world.interested("alice").await, world.interested("carol").await);
    let request = "<presence type='subscribe' to='bob@localhost' id='ID'><status xml:lang='en'>WHO</status><nick xmlns='http://jabber.org/protocol/nick'>Ali</nick></presence>";
    alice.send(&request.replace("ID", "first").replace("WHO", "it is me")).await;
    alice.send(&request.replace("ID", "second").replace("WHO", "me again")).await;
    carol.send(&request.replace("ID", "third").replace("WHO", "carol")).await;
    let bob = world.client("bob", "b").await;
    bob.send("<presence/>").await;
    let parts = [
        "type='subscribe'",
        "from='alice@localhost'",
        "to='bob@localhost'",
        "id='first'",
        "it is me",
        "<nick xmlns='http://jabber.org/protocol/nick'>Ali</nick>",
    ];
    bob.expect(&[&["from='bob@localhost/b'"], &parts, &["from='carol@localhost'"]]);
    // Security warning of §3.1.3: no roster item before it is approved.
    let roster = bob.ask(ROSTER).await;
    assert!(!roster[0].contains("<item"), "{roster:?}");
    // Each new resource is asked, until the answer.
    let phone = world.client("bob", "phone").await;
    phone.send("<presence/>").await;
    assert_eq!(phone.received().iter().filter(|stanza| stanza.contains("type='subscribe'")).count(), 2);
    phone.send("<presence type='subscribed' to='alice@localhost'/>").await;
    phone.send("<presence type='unsubscribed' to='carol@localhost'/>").await;
    carol.expect(&[&["ask='subscribe'"], &["type='unsubscribed'", "from='bob@localhost'"], &["subscription='none'"]]);
    let tablet = world.client("bob", "tablet").await;
    tablet.send("<presence/>").await;
    assert!(!has(&tablet.received(), &["type='subscribe'"]));
    // Requests while one is available reach every available resource at once.
    [&bob, &phone, &tablet].into_iter().for_each(Client::forget);
    carol.send(&request.replace("ID", "again").replace("WHO", "please")).await;
    for client in [&bob, &phone, &tablet] {
        client.expect(&[&["type='subscribe'", "please"]]);
    }
}

#[tokio::test]
async fn s3_2_2_unavailable_presence_comes_before_the_end_of_the_subscription() {
    let world = world("s322", &["alice", "bob"]).await;
    let (alice, bob) = (world.interested("alice").await, world.interested("bob").await);
    befriend(&alice, &bob).await;
    let phone = world.online("alice", "phone").await;
    // §4.6.1: directed presence makes no difference, and is not ended twice.
    phone.send("<presence to='bob@localhost/x'/>").await;
    bob.forget();
    alice.send("<presence type='unsubscribed' to='bob@localhost'/>").await;
    bob.expect(&[
        &["type='unavailable'", "from='alice@localhost/x'"],
        &["type='unavailable'", "from='alice@localhost/phone'"],
        &["type='unsubscribed'", "from='alice@localhost'"],
        &["subscription='from'"],
    ]);
    world.router.unbind(&phone.session).await;
    bob.expect(&[]);
    // §3.3.3: the contact unsubscribes.
    alice.forget();
    bob.send("<presence/>").await;
    alice.send("<presence type='unsubscribe' to='bob@localhost'/>").await;
    let told = alice.received();
    assert!(has(&told, &["type='unavailable'", "from='bob@localhost/x'"]), "{told:#?}");
    bob.expect(&[&["from='bob@localhost/x'"], &["type='unsubscribe'"], &["subscription='none'"]]);
}

#[tokio::test]
async fn s3_4_a_pre_approved_contact_is_granted_at_once() {
    let world = world("s34", &["alice", "bob"]).await;
    let (alice, bob) = (world.interested("alice").await, world.interested("bob").await);
    bob.send("<presence type='subscribed' to='alice@localhost'/>").await;
    bob.expect(&[&["approved='true'", "subscription='none'", "jid='alice@localhost'"]]);
    alice.expect(&[]);
    // §3.4.2: it can be taken back, and the contact never hears of it.
    bob.send("<presence type='unsubscribed' to='alice@localhost'/>").await;
    bob.expect(&[&["<item jid='alice@localhost' subscription='none'/>"]]);
    alice.expect(&[]);
    bob.send("<presence type='subscribed' to='alice@localhost'/>").await;
    // §4.3.2, rule 1: a probe, which is answered by `unsubscribed`, does not take it back.
    world.route("<presence type='probe' from='alice@localhost' to='bob@localhost'/>").await;
    bob.forget();
    alice.send("<presence type='subscribe' to='bob@localhost'/>").await;
    alice.expect(&[&["ask='subscribe'"], &["type='subscribed'"], &["subscription='to'"], &["from='bob@localhost/x'"]]);
    bob.expect(&[&["approved='true'", "subscription='from'"]]);
    assert_eq!(world.state("bob", "alice").await, ("from".to_owned(), true));
}

#[tokio::test]
async fn s4_presence_of_a_session_from_its_beginning_to_its_end() {
    let world = world("s4", &["alice", "bob", "carol", "dave"]).await;
    let (alice, bob) = (world.interested("alice").await, world.interested("bob").await);
    befriend(&alice, &bob).await;
    // carol sees bob and is not seen; dave is seen and sees nothing.
    let (carol, dave) = (world.interested("carol").await, world.interested("dave").await);
    carol.send("<presence type='subscribe' to='bob@localhost'/>").await;
    bob.send("<presence type='subscribed' to='carol@localhost'/>").await;
    bob.send("<presence type='subscribe' to='dave@localhost'/>").await;
    dave.send("<presence type='subscribed' to='bob@localhost'/>").await;
    [&alice, &bob, &carol, &dave].into_iter().for_each(Client::forget);

    // §4.2.2 and §4.3: initial presence goes to subscribers and all own resources; answers to what a probe would ask come to the new one only.
    let phone = world.client("bob", "phone").await;
    phone.send("<presence id='p1'><show>chat</show><status>in</status><priority>5</priority><x xmlns='urn:x'/></presence>").await;
    let whole = "<show>chat</show><status>in</status><priority>5</priority><x xmlns='urn:x'/></presence>";
    for client in [&alice, &carol, &bob] {
        client.expect(&[&["from='bob@localhost/phone'", "id='p1'", whole]]);
    }
    dave.expect(&[]);
    let seen = phone.received();
    assert_eq!(seen.len(), 4, "{seen:#?}");
    for from in ["bob@localhost/phone", "bob@localhost/x", "alice@localhost/x", "dave@localhost/x"] {
        assert!(has(&seen, &[&format!("from='{from}'"), "to='bob@localhost/phone'"]), "{from} in {seen:#?}");
    }
    // §4.4: subsequent presence asks nobody again.
    phone.send("<presence><show>away</show></presence>").await;
    for client in [&alice, &carol, &bob, &phone] {
        client.expect(&[&["from='bob@localhost/phone'", "<show>away</show>"]]);
    }
    // §4.5.2: unavailable presence goes whole to the same, and to the resource that leaves.
    phone.send("<presence type='unavailable' id='u1'><status>going on vacation</status></presence>").await;
    for client in [&alice, &carol, &bob, &phone] {
        client.expect(&[&["from='bob@localhost/phone'", "type='unavailable'", "id='u1'", "going on vacation"]]);
    }
    // Once gone, presence of others is not for it, and its own comes to begin anew.
    alice.send("<presence><show>xa</show></presence>").await;
    phone.expect(&[]);
    phone.send("<presence/>").await;
    assert!(has(&phone.received(), &["from='alice@localhost/x'", "<show>xa</show>"]));
    // An ungraceful end.
    alice.forget();
    world.router.unbind(&phone.session).await;
    alice.expect(&[&["from='bob@localhost/phone'", "type='unavailable'"]]);
    // §4.7.2.3.
    for priority in ["128", "-129", "x", ""] {
        bob.forget();
        bob.send(&format!("<presence id='bad'><priority>{priority}</priority></presence>")).await;
        bob.expect(&[&["type='error'", "id='bad'", "bad-request"]]);
    }
    alice.expect(&[]);
}

#[tokio::test]
async fn s4_3_2_probes_are_answered_by_what_the_sender_may_see() {
    let world = world("probes", &["alice", "bob"]).await;
    let (alice, bob) = (world.interested("alice").await, world.online("bob", "b").await);
    let answers = async |probe: &str| alice.ask(&format!("<presence type='probe' id='q' {probe}/>")).await;
    // Rule 1, seen by a third server; a client whose state would not change is not told (A.3.4).
    assert!(answers("to='bob@localhost'").await.is_empty());
    befriend(&alice, &bob).await;
    bob.send("<presence id='pres1'><show>dnd</show></presence>").await;
    let phone = world.client("bob", "phone").await;
    phone.send("<presence/>").await;
    // Rule 4, with the `id` of the presence (§4.3.2.1).
    let all = answers("to='bob@localhost'").await;
    assert!(all.len() == 2 && has(&all, &["from='bob@localhost/b' to='alice@localhost/x' id='pres1'", "<show>dnd</show>"]), "{all:#?}");
    // A full address: that resource, and only that it is there.
    assert_eq!(answers("to='bob@localhost/b'").await, ["<presence from='bob@localhost/b' to='alice@localhost/x' id='q'/>"]);
    assert_eq!(
        answers("to='bob@localhost/none'").await,
        ["<presence from='bob@localhost/none' to='alice@localhost/x' id='q' type='unavailable'/>"]
    );
    // Rule 3: nobody there.
    phone.send("<presence type='unavailable'/>").await;
    bob.send("<presence type='unavailable' id='bye'><status>home</status></presence>").await;
    let absent = answers("to='bob@localhost'").await;
    assert!(
        absent.len() == 1
            && has(
                &absent,
                &[
                    "from='bob@localhost' to='alice@localhost/x' id='q' type='unavailable'",
                    "<status>home</status><delay xmlns='urn:xmpp:delay' from='localhost' stamp='20"
                ]
            ),
        "{absent:#?}"
    );
    // Also where the account has to be loaded first.
    for client in [&phone, &bob] {
        world.router.unbind(&client.session).await;
    }
    world.router.forget(&jid("bob"));
    assert_eq!(answers("to='bob@localhost'").await, absent);
    // One that never was there, and oneself.
    assert!(answers("to='alice@localhost'").await.is_empty());
    // Rule 1 makes rosters that differ agree, as for an account that is gone.
    world.store.accounts().delete(&jid("bob")).await.expect("deletes");
    world.router.forget(&jid("bob"));
    let told = answers("to='bob@localhost'").await;
    assert!(has(&told, &["type='unsubscribed'", "from='bob@localhost'", "id='q'"]) && has(&told, &["subscription='from'"]), "{told:#?}");
}

#[tokio::test]
async fn s4_6_directed_presence() {
    let world = world("s46", &["alice", "bob", "carol"]).await;
    let (alice, bob, carol) = (world.interested("alice").await, world.online("bob", "b").await, world.online("carol", "c").await);
    // §4.6.3, case 3: before initial presence too.
    let phone = world.client("alice", "phone").await;
    phone.send("<presence to='bob@localhost/b'><show>chat</show></presence>").await;
    phone.send("<presence to='carol@localhost'/>").await;
    bob.expect(&[&["from='alice@localhost/phone'", "to='bob@localhost/b'", "<show>chat</show>"]]);
    carol.expect(&[&["from='alice@localhost/phone'", "to='carol@localhost'"]]);
    // It is no subscription: broadcasts do not come.
    phone.send("<presence/>").await;
    phone.send("<presence><show>away</show></presence>").await;
    bob.expect(&[]);
    // §4.6.6: a probe by whoever got it is answered by mere presence of that resource, whatever other resources there are.
    for to in ["alice@localhost/phone", "alice@localhost"] {
        bob.send(&format!("<presence type='probe' to='{to}' id='q'/>")).await;
        bob.expect(&[&["<presence from='alice@localhost/phone' to='bob@localhost/b' id='q'/>"]]);
    }
    carol.send("<presence type='probe' to='alice@localhost/phone'/>").await;
    carol.expect(&[&["<presence from='alice@localhost/phone' to='carol@localhost/c'/>"]]);
    bob.send("<presence type='probe' to='alice@localhost/x'/>").await;
    bob.expect(&[]);
    // Directed unavailable presence ends it.
    phone.send("<presence type='unavailable' to='bob@localhost/b'/>").await;
    bob.expect(&[&["type='unavailable'", "from='alice@localhost/phone'"]]);
    bob.send("<presence type='probe' to='alice@localhost/phone'/>").await;
    bob.expect(&[]);
    // §4.6.1: whoever leaves is not told again.
    phone.send("<presence to='bob@localhost/b'/>").await;
    bob.forget();
    bob.send("<presence type='unavailable' to='alice@localhost/phone'/>").await;
    phone.send("<presence type='unavailable'/>").await;
    carol.expect(&[&["type='unavailable'", "from='alice@localhost/phone'"]]);
    bob.expect(&[]);
    // Nor are one's own resources told twice.
    phone.send("<presence to='alice@localhost'/>").await;
    alice.forget();
    phone.send("<presence/>").await;
    alice.forget();
    phone.send("<presence type='unavailable'/>").await;
    alice.expect(&[&["type='unavailable'", "from='alice@localhost/phone'"]]);
    // A subscription takes precedence: one unavailable presence, not two.
    phone.send("<presence/>").await;
    phone.send("<presence to='bob@localhost'/>").await;
    befriend(&alice, &bob).await;
    world.router.unbind(&phone.session).await;
    bob.expect(&[&["type='unavailable'", "from='alice@localhost/phone'"]]);
}

/// Table 1, with the answers that each cell allows: D, the resource addressed; A, every one of non-negative priority; E, an error; S, nothing;
/// O, kept for later or an error. Nobody is answered for as `offline` is: what that one keeps is dropped in silence.
#[tokio::test]
async fn s8_5_4_messages_by_type_address_and_resources() {
    let world = world("s854", &["carol", "offline", "negative", "one", "more"]).await;
    let carol = world.online("carol", "c").await;
    let mut sessions = vec![world.client("negative", "silent").await, world.client("negative", "n").await, world.client("one", "x").await];
    sessions[1].send("<presence><priority>-1</priority></presence>").await;
    sessions[2].send("<presence/>").await;
    for (resource, priority) in [("x", "0"), ("y", "7"), ("n", "-5")] {
        let client = world.client("more", resource).await;
        client.send(&format!("<presence><priority>{priority}</priority></presence>")).await;
        sessions.push(client);
    }
    sessions.push(world.client("more", "silent").await);
    let types = ["normal", "chat", "groupchat", "headline", "error"];
    for (to, cells) in [
        ("nobody@localhost", "S S E S S"),
        ("nobody@localhost/x", "E S E E S"),
        ("offline@localhost", "O O E S S"),
        ("offline@localhost/x", "E O E E S"),
        ("negative@localhost", "O O E S S"),
        ("negative@localhost/n", "D D D D D"),
        ("negative@localhost/silent", "D D D D D"),
        ("negative@localhost/none", "E O E E S"),
        ("one@localhost", "A A E A S"),
        ("one@localhost/x", "D D D D D"),
        ("one@localhost/none", "E A E E S"),
        ("more@localhost", "A A E A S"),
        ("more@localhost/x", "D D D D D"),
        ("more@localhost/n", "D D D D D"),
        ("more@localhost/silent", "D D D D D"),
        ("more@localhost/none", "E A E E S"),
    ] {
        for (kind, expected) in types.iter().zip(cells.split(' ')) {
            sessions.iter().for_each(Client::forget);
            let answer = carol.ask(&format!("<message to='{to}' type='{kind}' id='m'><body>hi</body></message>")).await;
            let what = format!("{kind} to {to}, {expected}");
            // Nothing says more than `service-unavailable`, from the address that was tried.
            for error in &answer {
                assert!(error.contains("<service-unavailable") && error.contains(&format!("from='{to}'")), "{what}: {error}");
            }
            let mut reached = Vec::new();
            for session in &sessions {
                for stanza in session.received() {
                    assert!(stanza.contains("<body>hi</body>") && stanza.contains(&format!("to='{to}'")), "{what}: {stanza}");
                    reached.push(session.session.jid.to_string());
                }
            }
            let account = to.split('/').next().unwrap_or_default();
            let all: &[&str] = if account == "more@localhost" { &["more@localhost/x", "more@localhost/y"] } else { &["one@localhost/x"] };
            match expected {
                "D" => assert_eq!((reached, answer.len()), (vec![to.to_owned()], 0), "{what}"),
                "A" => assert!(reached == all && answer.is_empty(), "{what}: {reached:?} {answer:?}"),
                "E" => assert!(reached.is_empty() && answer.len() == 1, "{what}: {reached:?} {answer:?}"),
                "S" => assert!(reached.is_empty() && answer.is_empty(), "{what}: {reached:?} {answer:?}"),
                _ => assert!(reached.is_empty() && answer.len() <= 1, "{what}: {reached:?} {answer:?}"),
            }
        }
    }
}

/// §8.5.1, §8.5.2.1.2, §8.5.2.2.2, §8.5.3.1, §8.5.3.2.2.
#[tokio::test]
async fn s8_5_presence_by_type_and_address() {
    let world = world("s85p", &["carol", "bob", "offline"]).await;
    let carol = world.online("carol", "c").await;
    let (b, silent) = (world.online("bob", "b").await, world.client("bob", "silent").await);
    let phone = world.online("bob", "phone").await;
    b.forget();
    // Type, for each address whom it reaches: all available ones, the one addressed, nobody.
    for (kind, bare, matching, connected, missing) in [
        ("", "b phone", "b", "silent", ""),
        ("unavailable", "b phone", "b", "silent", ""),
        ("error", "b phone", "b", "silent", ""),
        ("subscribed", "", "", "", ""),
        ("unsubscribe", "", "", "", ""),
        ("unsubscribed", "", "", "", ""),
        ("probe", "", "", "", ""),
        // The first of these asks; a second one is not shown (A.3.1), so it comes last.
        ("subscribe", "b phone", "", "", ""),
    ] {
        for (to, expected) in [
            ("bob@localhost", bare),
            ("bob@localhost/b", matching),
            ("bob@localhost/silent", connected),
            ("bob@localhost/none", missing),
            ("offline@localhost", ""),
            ("offline@localhost/x", ""),
            ("nobody@localhost", ""),
            ("localhost", ""),
        ] {
            let attribute = if kind.is_empty() { String::new() } else { format!(" type='{kind}'") };
            world.route(&format!("<presence from='carol@localhost/c' to='{to}'{attribute}/>")).await;
            let reached: Vec<_> = [&b, &phone, &silent]
                .into_iter()
                .filter(|client| !client.received().is_empty())
                .map(|client| client.session.jid.resource_str())
                .collect();
            assert_eq!(reached.join(" "), expected, "{kind} to {to}");
            carol.expect(&[]);
        }
    }
    // §3.1.3: a request to a full address, matching or not, counts as one to the bare address.
    let dave = "<presence type='subscribe' from='dave@elsewhere.example' to='bob@localhost/none'/>";
    world.route(dave).await;
    b.expect(&[&["type='subscribe'", "from='dave@elsewhere.example' to='bob@localhost'"]]);
}

/// §8.5.1, §8.5.2.1.3, §8.5.2.2.3, §8.5.3.1, §8.5.3.2.3; RFC 6120 §10.5.
#[tokio::test]
async fn s8_5_requests_by_type_and_address() {
    let world = world("s85iq", &["carol", "bob", "offline"]).await;
    let carol = world.online("carol", "c").await;
    let (b, silent) = (world.online("bob", "b").await, world.client("bob", "silent").await);
    for (to, reached) in [
        ("bob@localhost/b", "b"),
        ("bob@localhost/silent", "silent"),
        ("bob@localhost/none", ""),
        ("bob@localhost", ""),
        ("offline@localhost", ""),
        ("offline@localhost/x", ""),
        ("nobody@localhost", ""),
        ("nobody@localhost/x", ""),
        ("localhost", ""),
        ("localhost/x", ""),
    ] {
        for kind in ["get", "set", "result", "error"] {
            let content = if matches!(kind, "get" | "set") { "<q xmlns='urn:example:q'/>" } else { "" };
            let answer = carol.ask(&format!("<iq to='{to}' type='{kind}' id='i'>{content}</iq>")).await;
            let got: Vec<_> = [&b, &silent]
                .into_iter()
                .filter(|client| !client.received().is_empty())
                .map(|client| client.session.jid.resource_str())
                .collect();
            assert_eq!(got.join(" "), reached, "{kind} to {to}");
            if reached.is_empty() && !content.is_empty() {
                assert!(
                    answer.len() == 1 && has(&answer, &["<service-unavailable", &format!("from='{to}'"), "id='i'"]),
                    "{kind} to {to}: {answer:?}"
                );
            } else {
                assert!(answer.is_empty(), "{kind} to {to}: {answer:?}");
            }
        }
    }
}
