//! Who may do what to whom: the tables of XEP-0045 §5.1.1, §5.1.3, §5.2.1 and §5.2.2. Pure.

use crate::muc::config::{MemberListFor, RoomConfig, Whois};
use crate::muc::model::{Affiliation, Role};
use crate::stanza::error::StanzaError;

/// What somebody is to the room.
pub(in crate::muc::room) type Standing = (Affiliation, Role);

/// §5.1.1, §5.2.1: whether somebody does what moderators do: admins may without being there.
pub(in crate::muc::room) fn moderates((affiliation, role): Standing) -> bool {
    role == Role::Moderator || affiliation >= Affiliation::Admin
}

/// §8.2–§8.5, §9.6–§9.8: whether one occupant may give another one a role; `Role::None` is to kick it. `own`: the other one is itself.
///
/// # Errors
/// `forbidden` for who may not do such things, `not-allowed` for who may not do them to this one.
pub(super) fn change_role(by: Standing, of: Standing, to: Role, own: bool) -> Result<(), StanzaError> {
    let by_affiliation = by.0;
    let (of_affiliation, of_role) = of;
    let administers = by_affiliation >= Affiliation::Admin;
    if !moderates(by) {
        return Err(StanzaError::forbidden());
    }
    let is_moderator = of_role == Role::Moderator;
    match to {
        // §8.2: moderators may kick themselves, as in IRC.
        Role::None if own => Ok(()),
        Role::None if of_affiliation > by_affiliation || (is_moderator && !administers) => Err(StanzaError::not_allowed()),
        Role::None => Ok(()),
        // §8.4, §9.7: by nobody, not even by an owner.
        Role::Visitor | Role::Participant if of_affiliation >= Affiliation::Admin && of_role > to => Err(StanzaError::not_allowed()),
        // §9, §9.7.
        Role::Visitor | Role::Participant if is_moderator && !administers => Err(StanzaError::forbidden()),
        // §8.4: "at or above the moderator's level"; who has no affiliation has no level.
        Role::Visitor if of_affiliation == Affiliation::Member && by_affiliation <= Affiliation::Member => Err(StanzaError::not_allowed()),
        Role::Visitor | Role::Participant => Ok(()),
        Role::Moderator if administers => Ok(()),
        Role::Moderator => Err(StanzaError::forbidden()),
    }
}

/// §9.1–§9.5, §10.3–§10.8: whether somebody may give somebody else an affiliation.
///
/// # Errors
/// `forbidden` for who may not edit such a list, `not-allowed` for who may not ban this one.
pub(super) fn change_affiliation(by: Affiliation, of: Affiliation, to: Affiliation) -> Result<(), StanzaError> {
    match by {
        Affiliation::Owner => Ok(()),
        // §9.1; §5.2.2: an admin is banned by an owner.
        Affiliation::Admin if to == Affiliation::Outcast && of >= Affiliation::Admin => Err(StanzaError::not_allowed()),
        // §10.3–§10.8: the lists of admins and owners are the owners'.
        Affiliation::Admin if of >= Affiliation::Admin || to >= Affiliation::Admin => Err(StanzaError::forbidden()),
        Affiliation::Admin => Ok(()),
        _ => Err(StanzaError::forbidden()),
    }
}

/// §9.2, §9.5, §10.5, §10.8: whether somebody may read the list of those who have an affiliation. In a room where only moderators see real JIDs,
/// the lists of admins and owners are the owners'; elsewhere they are as open as the member list.
pub(super) fn read_affiliations(by: Standing, of: Affiliation, config: &RoomConfig) -> bool {
    let (affiliation, role) = by;
    match of {
        Affiliation::Outcast | Affiliation::None => affiliation >= Affiliation::Admin,
        Affiliation::Member => affiliation >= Affiliation::Admin || reads_members(affiliation, role, config),
        Affiliation::Admin | Affiliation::Owner => {
            let open = config.whois == Whois::Anyone && (affiliation >= Affiliation::Admin || reads_members(affiliation, role, config));
            affiliation == Affiliation::Owner || open
        }
    }
}

/// §9.5, `muc#roomconfig_getmemberlist`: members and moderators of the roles that the owner has chosen, as far as they see real JIDs. A member that is
/// not there counts as what it would be if it were.
fn reads_members(affiliation: Affiliation, role: Role, config: &RoomConfig) -> bool {
    let role = if role == Role::None { config.role_of(affiliation) } else { role };
    let sees_jids = config.whois == Whois::Anyone || role == Role::Moderator;
    let chosen = MemberListFor::ALL.iter().any(|whose| whose.role() == role && config.member_list_for.contains(whose));
    // §5.2.1: others may not. A moderator whom an admin has chosen sees everyone anyway.
    sees_jids && chosen && (affiliation >= Affiliation::Member || (role == Role::Moderator && affiliation != Affiliation::Outcast))
}

/// §8.5, §9.8: whether somebody may read the list of occupants of a role.
pub(super) fn read_roles(by: Standing, of: Role) -> bool {
    let (affiliation, role) = by;
    affiliation >= Affiliation::Admin || (role == Role::Moderator && of != Role::Moderator)
}

#[cfg(test)]
mod tests;
