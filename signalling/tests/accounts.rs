//! Accounts as a whole: what the owner, the contacts and the database see when a password changes, an account goes or an anonymous session ends.

use campanile_signalling::jid::BareJid;
use campanile_signalling::pubsub::model::NodeAddress;
use campanile_signalling::store::Disabled;

use crate::world::{Client, World, befriend};

fn jid(local: &str) -> BareJid {
    BareJid::new(local, "localhost").expect("a JID")
}

/// A registration query of type `set` with these fields.
async fn register(client: &Client, to: &str, fields: &str) {
    client.send(&format!("<iq type='set' id='r'{to}><query xmlns='jabber:iq:register'>{fields}</query></iq>")).await;
}

async fn interested(client: &Client) {
    client.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>").await;
    client.forget();
}

#[tokio::test]
async fn xep0077_s3_2_a_removed_account_is_gone_everywhere() {
    let world = World::new("remove", &["alice", "bob", "carol"]).await;
    let (alice, phone, bob) = (world.online("alice", "a").await, world.online("alice", "phone").await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    interested(&bob).await;
    // carol has asked and is not there; alice has not answered
    let carol = world.online("carol", "c").await;
    carol.send("<presence type='subscribe' to='alice@localhost'/>").await;
    world.router.unbind(&carol.session).await;
    [&alice, &phone, &bob].into_iter().for_each(Client::forget);

    register(&alice, "", "<remove/>").await;
    // §3.2: the result, then a stream error for each session. What siblings see of each other's end comes between.
    let received = alice.received();
    assert!(received[0].contains("id='r' type='result'"), "{received:#?}");
    assert_eq!(received.last().map(String::as_str), Some("close: not-authorized"), "{received:#?}");
    assert_eq!(phone.received().last().map(String::as_str), Some("close: not-authorized"));
    bob.expect(&[&["type='unavailable'", "from='alice@localhost/a'"], &["type='unavailable'", "from='alice@localhost/phone'"]]);

    world.administration.say_farewells().await.expect("the storage works");
    bob.expect(&[
        &["type='unsubscribe'", "from='alice@localhost'"],
        &["subscription='to'", "jid='alice@localhost'"],
        &["type='unsubscribed'", "from='alice@localhost'"],
        &["subscription='none'", "jid='alice@localhost'"],
    ]);
    let of_carol = world.store.rosters().load(&jid("carol")).await.expect("reads");
    assert!(of_carol.iter().all(|item| !item.ask), "her question is answered: {of_carol:?}");
    assert!(world.store.farewells().page(10).await.expect("reads").is_empty(), "each is told once");

    assert!(!world.store.accounts().exists(&jid("alice")).await.expect("reads"));
    assert!(world.store.rosters().load(&jid("alice")).await.expect("reads").is_empty());
    assert!(world.router.home_in_memory(&jid("alice")).is_none());
    bob.send("<message to='alice@localhost' type='chat' id='m'><body>still there?</body><no-store xmlns='urn:xmpp:hints'/></message>")
        .await;
    bob.expect(&[&["type='error'", "<service-unavailable"]]);
    // a stream that was on its way to bind does not come back to life
    let mailbox = std::sync::Arc::new(campanile_signalling::mailbox::Mailbox::new(1000));
    let late = world.router.bind(&jid("alice"), Some("late"), mailbox, std::time::Instant::now()).await;
    assert!(late.is_err());
}

/// TURN credentials are void within a second, whatever presence and the database take.
#[tokio::test]
async fn the_relay_is_told_at_once_of_every_session_that_a_kick_ends() {
    let world = World::new("revoke", &["alice"]).await;
    let (home, phone, late) = (world.online("alice", "a").await, world.online("alice", "phone").await, world.online("alice", "late").await);
    let services = "<iq type='get' id='i' to='localhost'><services xmlns='urn:xmpp:extdisco:2'/></iq>";
    for client in [&home, &phone] {
        assert!(client.ask(services).await[0].contains("password='"));
    }
    let turn = home.session.home.presence_turn().await;
    let (administration, account) = (world.administration.clone(), jid("alice"));
    let kick = tokio::spawn(async move { administration.kick(&account, None, None).await });
    while world.relay_ended.count() < 2 {
        assert!(!kick.is_finished(), "it ended without the relay");
        tokio::task::yield_now().await;
    }
    // Nothing more is issued, be it to one that had nothing yet.
    for client in [&home, &phone, &late] {
        client.send(services).await;
        assert!(!client.received().iter().any(|stanza| stanza.contains("password='")), "{}", client.session.jid);
    }
    world.extdisco.renew(std::time::SystemTime::now() + std::time::Duration::from_secs(80_000));
    assert!(!home.received().iter().any(|stanza| stanza.contains("password='")));
    assert!(!kick.is_finished(), "it waits for its turn");
    drop(turn);
    assert_eq!((kick.await.expect("ends"), world.relay_ended.count()), (3, 2));
}

/// Whoever takes the name next finds nothing that was granted to another.
#[tokio::test]
async fn xep0077_s3_2_a_block_list_keeps_no_subscription_and_no_approval_outlives_the_account() {
    let world = World::new("inherit", &["alice", "bob", "carol"]).await;
    let (alice, bob, carol) = (world.online("alice", "a").await, world.online("bob", "b").await, world.online("carol", "c").await);
    befriend(&alice, &bob).await;
    bob.send("<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='alice@localhost'/></block></iq>").await;
    carol.send("<presence type='subscribed' to='alice@localhost'/>").await;
    let of = async |local: &str| world.store.rosters().load(&jid(local)).await.expect("reads");
    assert!(of("carol").await.iter().any(|item| item.approved), "approved beforehand");
    interested(&bob).await;
    assert!(world.administration.remove(&jid("alice"), || {}).await.expect("removes"));
    bob.forget();
    world.administration.say_farewells().await.expect("the storage works");
    bob.expect(&[&["subscription='to'"], &["subscription='none'"]]);
    assert!(of("carol").await.iter().all(|item| !item.approved));
    assert!(world.store.farewells().page(10).await.expect("reads").is_empty());
    let home = world.router.home_in_memory(&jid("carol")).expect("is online");
    assert!(home.with(|account| account.roster.values().all(|item| !item.approved)));
}

/// A server that dies between the removal and the farewells tells the contacts at its next start.
#[tokio::test]
async fn xep0077_s3_2_contacts_are_told_even_after_a_crash() {
    let world = World::new("crash", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    world.router.unbind(&alice.session).await;
    interested(&bob).await;
    // by another process, say: nobody tells the server
    assert!(world.store.accounts().delete(&jid("alice")).await.expect("deletes"));
    world.administration.say_farewells().await.expect("the storage works");
    let received = bob.received();
    assert!(received.iter().any(|stanza| stanza.contains("subscription='none'")), "{received:#?}");
}

#[tokio::test]
async fn xep0077_s3_2_and_s3_3_each_error() {
    let world = World::new("errors", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    let cancel = |username: &str| {
        format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:register:cancel</value></field>\
             <field var='username'><value>{username}</value></field></x>"
        )
    };
    let change = |username: &str, old: &str, new: &str| {
        format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:register:changepassword</value></field>\
             <field var='username'><value>{username}</value></field><field var='old_password'><value>{old}</value></field>\
             <field var='password'><value>{new}</value></field></x>"
        )
    };
    for (fields, answer) in [
        ("<remove/><username>alice</username>".to_owned(), "<error code='400' type='modify'><bad-request"),
        (cancel("bob@localhost"), "<error code='403' type='auth'><forbidden"),
        ("<username>alice</username>".to_owned(), "<bad-request"),
        ("<username>alice</username><password/>".to_owned(), "<bad-request"),
        ("<password>new</password>".to_owned(), "<bad-request"),
        ("<username>bob</username><password>new</password>".to_owned(), "<error code='405' type='cancel'><not-allowed"),
        ("<username>bob@elsewhere.example</username><password>new</password>".to_owned(), "<not-allowed"),
        ("<username>alice</username><password>&#xad;</password>".to_owned(), "<error code='406' type='modify'><not-acceptable"),
        (change("alice@localhost", "wrong", "new"), "<error code='401' type='auth'><not-authorized"),
        ("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:other</value></field></x>".to_owned(), "<bad-request"),
        ("<x xmlns='jabber:x:data' type='cancel'/>".to_owned(), "type='result'"),
        (change("alice@localhost", "pw", "new"), "type='result'"),
    ] {
        for to in ["", " to='localhost'", " to='alice@localhost'"] {
            register(&alice, to, &fields).await;
            let received = alice.received();
            assert!(received.len() == 1 && received[0].contains(answer), "{fields}{to}: {received:#?}");
            assert!(!received[0].contains("new"), "a password comes back: {received:#?}");
            if answer == "type='result'" {
                break;
            }
        }
    }
    // nobody asks about another's account
    alice.send("<iq type='get' id='o' to='bob@localhost'><query xmlns='jabber:iq:register'/></iq>").await;
    alice.expect(&[&["type='error'", "<service-unavailable"]]);
    alice.send("<iq type='get' id='g' to='localhost'><query xmlns='jabber:iq:register'/></iq>").await;
    alice.expect(&[&["<registered/>", "<username>alice</username>", "<password/>"]]);
    // an account that goes while the request is on its way
    world.store.accounts().delete(&jid("alice")).await.expect("deletes");
    register(&alice, "", "<remove/>").await;
    alice.expect(&[&["<error code='407' type='auth'><registration-required"]]);
}

#[tokio::test]
async fn xep0077_s3_3_a_new_password_ends_the_other_sessions() {
    let world = World::new("passwd", &["alice"]).await;
    let (alice, phone) = (world.online("alice", "a").await, world.online("alice", "phone").await);
    alice.forget();
    let before = world.store.accounts().keys(&jid("alice")).await.expect("reads");
    register(&alice, " to='localhost'", "<username>alice</username><password>newpass</password>").await;
    assert_ne!(world.store.accounts().keys(&jid("alice")).await.expect("reads"), before);
    alice.expect(&[&["type='unavailable'", "from='alice@localhost/phone'"], &["id='r' type='result'"]]);
    assert_eq!(phone.received().last().map(String::as_str), Some("close: not-authorized"));
    // the one that stays works on
    alice.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    alice.expect(&[&["id='p' type='result'"]]);
    let day = std::time::Duration::from_secs(86_400);
    let void = world.store.revocations().load(std::time::SystemTime::now(), day).await.expect("reads");
    assert_eq!(void.into_iter().map(|(account, _)| account).collect::<Vec<_>>(), [jid("alice")]);
}

/// XEP-0215 §3.2: the session that stays gets credentials in the place of those that became void.
#[tokio::test]
async fn xep0215_s3_2_a_new_password_brings_new_turn_credentials() {
    let world = World::new("reissue", &["alice"]).await;
    let (alice, phone) = (world.online("alice", "a").await, world.online("alice", "phone").await);
    world.router.unbind(&phone.session).await;
    alice.forget();
    alice.ask("<iq type='get' id='i' to='localhost'><services xmlns='urn:xmpp:extdisco:2'/></iq>").await;
    register(&alice, "", "<username>alice</username><password>newpass</password>").await;
    alice.expect(&[&["type='set'", "action='modify'", "type='turn'", "username=", "password="], &["id='r' type='result'"]]);
}

/// XEP-0077 §3.3: `old_password` is no way to guess it, and a password changes a few times an hour.
#[tokio::test]
async fn xep0077_s3_3_passwords_are_not_guessed_in_a_session() {
    let world = World::new("guess", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    let guess = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:register:changepassword</value></field>\
                 <field var='username'><value>alice</value></field><field var='old_password'><value>wrong</value></field>\
                 <field var='password'><value>new</value></field></x>";
    for attempt in 0..12 {
        register(&alice, "", guess).await;
        alice.expect(&[&[if attempt < 10 { "<not-authorized" } else { "<resource-constraint" }]]);
    }
    register(&alice, "", &guess.replace("wrong", "pw")).await;
    alice.expect(&[&["<resource-constraint"]]);
}

/// A change that was under way when the owner, or the operator, set another password does not take its place: whoever sits in a session that has
/// ended may have sent it.
#[tokio::test]
async fn xep0077_s3_3_a_change_that_is_overtaken_is_refused() {
    let world = World::new("overtaken", &["alice"]).await;
    let (alice, thief) = (world.online("alice", "a").await, world.online("alice", "thief").await);
    let keys = async || world.store.accounts().keys(&jid("alice")).await.expect("reads").expect("is there");
    let other = |seed: u8| {
        let password = campanile_signalling::auth::Password::prepare("operator's").expect("a password");
        campanile_signalling::auth::ScramSet::derive(&password, &[seed; 32])
    };
    // another process has set a password, and has not told yet
    world.store.accounts().set_keys(&jid("alice"), &other(1)).await.expect("stores");
    let change = "<username>alice</username><password>thief's</password>";
    alice.forget();
    thief.forget();
    register(&thief, "", change).await;
    thief.expect(&[&["<error code='401' type='auth'><not-authorized"]]);
    assert_eq!(keys().await, other(1));
    // it tells: both sessions end, and what they have still sent is worth nothing
    assert_eq!(world.administration.password_changed(&jid("alice")).await.expect("stores"), 2);
    assert!(world.administration.change_password(&thief.session, "thief's").await.is_err());
    assert_eq!(keys().await, other(1));
    // who has logged in since may change it, and again
    let alice = world.online("alice", "b").await;
    for password in ["mine", "mine again"] {
        let before = keys().await;
        register(&alice, "", &format!("<username>alice</username><password>{password}</password>")).await;
        alice.expect(&[&["id='r' type='result'"]]);
        assert_ne!(keys().await, before);
    }
    // two sessions at once: one of them wins, and ends the other
    let laptop = world.online("alice", "laptop").await;
    let changes = [(&alice, "first"), (&laptop, "second")];
    let [(alice, first), (laptop, second)] = changes;
    let both = tokio::join!(
        world.administration.change_password(&alice.session, first),
        world.administration.change_password(&laptop.session, second)
    );
    assert_eq!([both.0.is_ok(), both.1.is_ok()].into_iter().filter(|done| *done).count(), 1, "{both:?}");
}

#[tokio::test]
async fn a_disabled_account_is_cut_off_at_once_and_may_come_back() {
    let world = World::new("disable", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    let since = std::time::Instant::now();
    let disabled = Disabled { reason: Some("spam".to_owned()) };
    world.store.accounts().disable(&jid("alice"), &disabled).await.expect("stores");
    assert_eq!(world.administration.disabled(&jid("alice")).await.expect("stores"), 1);
    assert_eq!(alice.received().last().map(String::as_str), Some("close: policy-violation"));
    bob.expect(&[&["type='unavailable'", "from='alice@localhost/a'"]]);
    let mailbox = || std::sync::Arc::new(campanile_signalling::mailbox::Mailbox::new(1000));
    assert!(world.router.bind(&jid("alice"), None, mailbox(), since).await.is_err(), "a stream that began before");
    // its messages are still taken, as for any account that is not there
    world.store.accounts().enable(&jid("alice")).await.expect("stores");
    world.online("alice", "again").await;
}

#[tokio::test]
async fn the_operator_sees_sessions_and_ends_them() {
    let world = World::new("kick", &["alice", "bob"]).await;
    let (phone, laptop) = (world.client("alice", "phone").await, world.online("alice", "laptop").await);
    let bob = world.online("bob", "b").await;
    let addresses = |account: Option<&BareJid>, after: Option<&str>, count| {
        let sessions = world.router.sessions(account, after, count);
        sessions.into_iter().map(|session| (session.jid.to_string(), session.priority)).collect::<Vec<_>>()
    };
    let all = [("alice@localhost/laptop", Some(0)), ("alice@localhost/phone", None), ("bob@localhost/b", Some(0))];
    let all = all.map(|(address, priority)| (address.to_owned(), priority));
    assert_eq!(addresses(None, None, 10), all);
    assert_eq!(addresses(None, None, 2), all[..2]);
    assert_eq!(addresses(None, Some("alice@localhost/phone"), 2), all[2..]);
    assert_eq!(addresses(Some(&jid("bob")), None, 10), all[2..]);
    assert_eq!(addresses(Some(&jid("nobody")), None, 10), []);

    let one = world.administration.kick(&jid("alice"), Some(&phone.session.jid), None).await;
    assert_eq!((one, phone.received()), (1, vec!["close: policy-violation".to_owned()]));
    assert_eq!(world.administration.kick(&jid("alice"), Some(&phone.session.jid), None).await, 0);
    assert_eq!(world.administration.kick(&jid("alice"), None, Some("tidying up".to_owned())).await, 1);
    assert_eq!(laptop.received().last().map(String::as_str), Some("close: policy-violation"));
    assert_eq!(addresses(None, None, 10), all[2..]);
    bob.forget();
}

#[tokio::test]
async fn xep0175_s3_an_anonymous_account_goes_with_its_session() {
    let world = World::new("anonymous", &["bob"]).await;
    let bob = world.online("bob", "b").await;
    let name = "59bec12a-9bab-452b-88f8-d1563f09e549";
    world.administration.open_anonymous(&jid(name)).await.expect("stores");
    let somebody = world.online(name, "web").await;
    befriend(&somebody, &bob).await;
    interested(&bob).await;
    // §5
    somebody
        .send(&format!("<iq type='get' id='d' to='{name}@localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"))
        .await;
    somebody.expect(&[&["<identity category='account' type='anonymous'/>"]]);
    // §3, item 5: no relay
    for namespace in ["urn:xmpp:extdisco:2", "urn:xmpp:extdisco:1"] {
        somebody.send(&format!("<iq type='get' id='x' to='localhost'><services xmlns='{namespace}'/></iq>")).await;
        let received = somebody.received();
        assert!(received[0].contains("type='stun'") && !received[0].contains("type='turn'") && !received[0].contains("password"));
    }
    let credentials = "<credentials xmlns='urn:xmpp:extdisco:2'><service host='turn.localhost' type='turn'/></credentials>";
    somebody.send(&format!("<iq type='get' id='c' to='localhost'>{credentials}</iq>")).await;
    somebody.expect(&[&["type='error'", "<forbidden"]]);
    // XEP-0077: there is nothing to change
    register(&somebody, "", "<remove/>").await;
    somebody.expect(&[&["<error code='407' type='auth'><registration-required"]]);
    register(&somebody, "", &format!("<username>{name}</username><password>x</password>")).await;
    somebody.expect(&[&["<error code='405' type='cancel'><not-allowed"]]);
    // XEP-0060: it subscribes (§6.1.3.6 would allow the host to refuse that), and makes no nodes
    let pubsub = |content: &str| {
        format!("<iq type='set' id='p' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'>{content}</pubsub></iq>")
    };
    let created = bob.ask(&pubsub("<create node='news'/>")).await.join("");
    assert!(created.contains("type='result'"), "{created}");
    let subscribed = somebody.ask(&pubsub(&format!("<subscribe node='news' jid='{name}@localhost'/>"))).await.join("");
    assert!(subscribed.contains("subscription='subscribed'"), "{subscribed}");
    somebody.forget();
    somebody.send(&pubsub("<create node='graffiti'/>")).await;
    somebody.expect(&[&["type='error'", "<forbidden"]]);

    world.router.unbind(&somebody.session).await;
    world.administration.say_farewells().await.expect("the storage works");
    let received = bob.received();
    for part in ["type='unavailable'", "type='unsubscribe'", "type='unsubscribed'", "subscription='none'"] {
        assert!(received.iter().any(|stanza| stanza.contains(part)), "{part} in {received:#?}");
    }
    assert!(!world.store.accounts().exists(&jid(name)).await.expect("reads"));
    let news = NodeAddress { service: BareJid::parse("pubsub.localhost").expect("a JID"), node: "news".to_owned() };
    let news = world.pubsub.node(&news).await.expect("reads").expect("is there");
    assert!(news.subscriptions.is_empty(), "{news:?}");

    // what a crash has left goes at the start
    world.store.accounts().create_anonymous(&jid("left-over")).await.expect("stores");
    world.administration.clear_anonymous().await.expect("the storage works");
    assert!(!world.store.accounts().exists(&jid("left-over")).await.expect("reads"));
    assert!(world.store.accounts().exists(&jid("bob")).await.expect("reads"));
}

#[tokio::test]
async fn xep0077_s3_1_names_that_are_taken_or_reserved_conflict() {
    use campanile_signalling::auth::Password;
    use campanile_signalling::stanza::Condition;
    let world = World::new("reserved", &["alice"]).await;
    let source = "192.0.2.1".parse().expect("an address");
    let register = async |account: &str| {
        let password = Password::prepare("secret").expect("a password");
        world.administration.register(&jid(account), password, source).await.map_err(|error| error.condition)
    };
    assert_eq!(register("dave").await, Ok(()));
    assert_eq!(register("dave").await, Err(Condition::Conflict));
    assert_eq!(register("alice").await, Err(Condition::Conflict));
    assert_eq!(register("root").await, Err(Condition::Conflict), "an administrator that is still to be made");
    let mut made = 1;
    let last = loop {
        match register(&format!("user{made}")).await {
            Ok(()) => made += 1,
            Err(condition) => break condition,
        }
    };
    assert_eq!((last, made), (Condition::ResourceConstraint, 5), "one place went to the three conflicts, in part");
}
