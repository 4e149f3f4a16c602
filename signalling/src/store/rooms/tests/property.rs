//! Whatever changes a room goes through, what is loaded is what they make of it in memory.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;

/// Stanzas of one room.
const STANZAS: usize = 24;
const ROOMS: usize = 16;

fn people() -> impl Strategy<Value = BareJid> {
    prop::sample::select(&["a@x.lit", "b@x.lit", "ü@x.lit", "x.lit"][..]).prop_map(bare)
}

/// A little text, with what is special somewhere.
fn text() -> impl Strategy<Value = String> {
    prop::sample::select(&["", "a", "Ä ' \" <&>", "\n☾\u{1F514}", "%_\\"][..]).prop_map(str::to_owned)
}

fn affiliated() -> impl Strategy<Value = Affiliated> {
    (prop::sample::select(Affiliation::ALL), prop::option::of(text()), prop::option::of(text()))
        .prop_map(|(affiliation, nick, reason)| Affiliated { affiliation, nick, reason })
}

fn subject() -> impl Strategy<Value = Subject> {
    let from = prop::sample::select(&["r@c.lit", "r@c.lit/ü", "r@c.lit/a'b"][..]).prop_map(jid);
    (from, prop::option::of(text()), 0..i64::from(u32::MAX), text()).prop_map(|(from, occupant_id, at, text)| Subject {
        from,
        occupant_id,
        at: from_millis(at),
        text,
    })
}

fn hats() -> impl Strategy<Value = Hats> {
    let hat = (text(), prop::option::of(text()), prop::option::of(text())).prop_map(|(title, hue, lang)| Hat { title, hue, lang });
    let worn = prop::collection::btree_map(people(), prop::collection::vec(text(), 1..3), 0..3);
    (prop::collection::btree_map(text(), hat, 0..4), worn).prop_map(|(known, worn)| Hats { known, worn })
}

fn config() -> impl Strategy<Value = RoomConfig> {
    let flags = prop::array::uniform4(any::<bool>());
    // What forms have as one line has no other.
    let line = || text().prop_map(|text| text.replace('\n', " ").trim().to_owned());
    (line(), text(), prop::option::of(line()), flags, prop::sample::select(Whois::ALL), prop::option::of(any::<u32>())).prop_map(
        |(name, description, password, [persistent, public, members_only, moderated], whois, occupants_max)| RoomConfig {
            name,
            description,
            password: password.filter(|password| !password.is_empty()),
            persistent,
            public,
            members_only,
            moderated,
            whois,
            occupants_max: occupants_max.filter(|max| *max > 0),
            contacts: vec![bare("a@x.lit")],
            ..RoomConfig::of_new_room(moderated)
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    let card = text().prop_map(|text| Card::new(format!("<vCard xmlns='vcard-temp'><FN>{}</FN></vCard>", text.len()).into()));
    prop_oneof![
        1 => config().prop_map(|config| Change::Configure(Box::new(config))),
        4 => (people(), prop::option::of(affiliated())).prop_map(|(jid, entry)| Change::Affiliate(jid, entry)),
        2 => (people(), prop::option::of(text())).prop_map(|(jid, nick)| Change::Request(jid, nick)),
        1 => prop::option::of(subject()).prop_map(|subject| Change::Subject(subject.map(Box::new))),
        1 => prop::option::of(card).prop_map(Change::VCard),
        1 => hats().prop_map(|hats| Change::Hats(Box::new(hats))),
    ]
}

pub async fn what_is_loaded_is_what_the_changes_make(store: &Store) {
    let mut runner = TestRunner::default();
    let stanzas = prop::collection::vec(prop::collection::vec(change(), 1..4), STANZAS);
    for number in 0..ROOMS {
        let mut expected = new_room(&format!("r{number}@c.lit"));
        create(store, &expected).await;
        for changes in stanzas.new_tree(&mut runner).unwrap().current() {
            for change in changes.clone() {
                change.apply(&mut expected);
            }
            store.rooms().commit(&expected.jid, changes.clone()).await.unwrap();
            let loaded = load(store, &expected.jid).await.unwrap();
            assert_eq!(loaded, expected, "after {changes:#?}");
        }
    }
}
