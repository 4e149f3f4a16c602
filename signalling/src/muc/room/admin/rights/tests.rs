//! The tables, cell by cell.

use super::*;
use crate::stanza::Condition;

use Affiliation::{Admin, Member, None as Nobody, Outcast, Owner};
use Role::{Moderator, None as Gone, Participant, Visitor};

/// How a cell of a matrix is written.
fn cell(result: Result<(), StanzaError>) -> &'static str {
    match result.map_err(|error| error.condition) {
        Ok(()) => "yes",
        Err(Condition::Forbidden) => "forbidden",
        Err(Condition::NotAllowed) => "not-allowed",
        Err(other) => panic!("{other}"),
    }
}

/// Who it may be: roles of people without an affiliation, then affiliations, of which admins and owners have power without being there.
const BY: [(&str, Standing); 7] = [
    ("a visitor", (Nobody, Visitor)),
    ("a participant", (Nobody, Participant)),
    ("a moderator", (Nobody, Moderator)),
    ("a member", (Member, Participant)),
    ("a moderating member", (Member, Moderator)),
    ("an admin", (Admin, Moderator)),
    ("an absent owner", (Owner, Gone)),
];

#[test]
fn s5_1_1_s5_1_3_s8_2_s8_4_s9_6_s9_7_who_changes_whose_role() {
    const F: &str = "forbidden";
    const N: &str = "not-allowed";
    const Y: &str = "yes";
    // Each row: of whom, to what; then what visitor, participant, moderator, member, moderating member, admin, owner may.
    for (of, to, expected) in [
        // Kicks (§8.2): "by a moderator"; a moderator "by an admin or owner".
        ((Nobody, Visitor), Gone, [F, F, Y, F, Y, Y, Y]),
        ((Nobody, Participant), Gone, [F, F, Y, F, Y, Y, Y]),
        ((Nobody, Moderator), Gone, [F, F, N, F, N, Y, Y]),
        ((Member, Participant), Gone, [F, F, N, F, Y, Y, Y]),
        ((Member, Moderator), Gone, [F, F, N, F, N, Y, Y]),
        ((Admin, Moderator), Gone, [F, F, N, F, N, Y, Y]),
        ((Owner, Moderator), Gone, [F, F, N, F, N, N, Y]),
        // Voice is granted by a moderator (§8.3).
        ((Nobody, Visitor), Participant, [F, F, Y, F, Y, Y, Y]),
        ((Member, Visitor), Participant, [F, F, Y, F, Y, Y, Y]),
        ((Owner, Visitor), Participant, [F, F, Y, F, Y, Y, Y]),
        // Voice is revoked (§8.4): not from who is "at or above the moderator's level", from admins and owners by nobody.
        ((Nobody, Participant), Visitor, [F, F, Y, F, Y, Y, Y]),
        ((Member, Participant), Visitor, [F, F, N, F, N, Y, Y]),
        ((Admin, Participant), Visitor, [F, F, N, F, N, N, N]),
        ((Admin, Moderator), Visitor, [F, F, N, F, N, N, N]),
        ((Owner, Moderator), Visitor, [F, F, N, F, N, N, N]),
        // A moderator is made by an admin or owner (§9.6), and so is its end (§9.7), except of admins and owners.
        ((Nobody, Visitor), Moderator, [F, F, F, F, F, Y, Y]),
        ((Member, Participant), Moderator, [F, F, F, F, F, Y, Y]),
        ((Nobody, Moderator), Participant, [F, F, F, F, F, Y, Y]),
        ((Nobody, Moderator), Visitor, [F, F, F, F, F, Y, Y]),
        ((Member, Moderator), Participant, [F, F, F, F, F, Y, Y]),
        ((Admin, Moderator), Participant, [F, F, N, F, N, N, N]),
        ((Owner, Moderator), Participant, [F, F, N, F, N, N, N]),
        // Nothing changes.
        ((Owner, Moderator), Moderator, [F, F, F, F, F, Y, Y]),
        ((Nobody, Visitor), Visitor, [F, F, Y, F, Y, Y, Y]),
    ] {
        for ((name, by), expected) in BY.iter().zip(expected) {
            assert_eq!(cell(change_role(*by, of, to, false)), expected, "{name}: {of:?} to {to:?}");
        }
    }
}

#[test]
fn s8_2_moderators_may_kick_themselves() {
    for (by, expected) in
        [((Nobody, Participant), "forbidden"), ((Nobody, Moderator), "yes"), ((Admin, Moderator), "yes"), ((Owner, Moderator), "yes")]
    {
        assert_eq!(cell(change_role(by, by, Gone, true)), expected, "{by:?}");
    }
}

#[test]
fn s5_2_1_s5_2_2_who_changes_whose_affiliation() {
    // For each of these, in the order of columns: what an admin may do to it.
    let columns = [Outcast, Nobody, Member, Admin, Owner];
    for (of, by_admin) in [
        (Outcast, ["yes", "yes", "yes", "forbidden", "forbidden"]),
        (Nobody, ["yes", "yes", "yes", "forbidden", "forbidden"]),
        (Member, ["yes", "yes", "yes", "forbidden", "forbidden"]),
        (Admin, ["not-allowed", "forbidden", "forbidden", "forbidden", "forbidden"]),
        (Owner, ["not-allowed", "forbidden", "forbidden", "forbidden", "forbidden"]),
    ] {
        for (to, by_admin) in columns.iter().zip(by_admin) {
            for (by, expected) in [(Outcast, "forbidden"), (Nobody, "forbidden"), (Member, "forbidden"), (Admin, by_admin), (Owner, "yes")]
            {
                assert_eq!(cell(change_affiliation(by, of, *to)), expected, "{by:?}: {of:?} to {to:?}");
            }
        }
    }
}

#[test]
fn s5_2_1_s9_5_s10_5_s10_8_who_reads_which_list() {
    let open = RoomConfig { whois: Whois::Anyone, ..RoomConfig::of_new_room(false) };
    let closed = RoomConfig { whois: Whois::Moderators, ..open.clone() };
    // Outcasts, members, admins, owners; in a non-anonymous room, then in a semi-anonymous one.
    for (by, in_open, in_closed) in [
        ((Outcast, Gone), [false; 4], [false; 4]),
        ((Nobody, Gone), [false; 4], [false; 4]),
        ((Nobody, Participant), [false; 4], [false; 4]),
        ((Nobody, Moderator), [false, true, true, true], [false, true, false, false]),
        ((Member, Gone), [false, true, true, true], [false; 4]),
        ((Member, Participant), [false, true, true, true], [false; 4]),
        ((Member, Moderator), [false, true, true, true], [false, true, false, false]),
        ((Admin, Gone), [true; 4], [true, true, false, false]),
        ((Admin, Moderator), [true; 4], [true, true, false, false]),
        ((Owner, Gone), [true; 4], [true; 4]),
    ] {
        for (config, expected) in [(&open, in_open), (&closed, in_closed)] {
            let may = [Outcast, Member, Admin, Owner].map(|of| read_affiliations(by, of, config));
            assert_eq!(may, expected, "{by:?} {:?}", config.whois);
        }
    }
    // `muc#roomconfig_getmemberlist`: moderators only.
    let chosen = RoomConfig { member_list_for: [MemberListFor::Moderator].into(), ..open };
    assert!(!read_affiliations((Member, Participant), Member, &chosen) && read_affiliations((Member, Moderator), Member, &chosen));
    assert!(read_affiliations((Admin, Gone), Member, &chosen));
}

#[test]
fn s8_5_s9_8_who_reads_whom_by_role() {
    for (by, expected) in [
        ((Nobody, Participant), [false, false, false]),
        ((Nobody, Moderator), [true, true, false]),
        ((Member, Participant), [false, false, false]),
        ((Admin, Gone), [true, true, true]),
        ((Owner, Moderator), [true, true, true]),
    ] {
        assert_eq!([Visitor, Participant, Moderator].map(|of| read_roles(by, of)), expected, "{by:?}");
    }
}
