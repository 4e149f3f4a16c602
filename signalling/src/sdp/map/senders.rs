//! XEP-0166 §7.3 against RFC 8866 §6.7: who sends, by the roles of the parties or as one of them sees it.

use crate::jingle::content::{Party, Senders};
use crate::sdp::line::Direction;

/// What a party's direction means for both.
pub(in crate::sdp) const fn from_direction(direction: Direction, party: Party) -> Senders {
    match (direction, party) {
        (Direction::SendRecv, _) => Senders::Both,
        (Direction::Inactive, _) => Senders::None,
        (Direction::SendOnly, Party::Initiator) | (Direction::RecvOnly, Party::Responder) => Senders::Initiator,
        (Direction::SendOnly, Party::Responder) | (Direction::RecvOnly, Party::Initiator) => Senders::Responder,
    }
}

/// The direction as the party sees it.
pub(in crate::sdp) const fn to_direction(senders: Senders, party: Party) -> Direction {
    match (senders, party) {
        (Senders::Both, _) => Direction::SendRecv,
        (Senders::None, _) => Direction::Inactive,
        (Senders::Initiator, Party::Initiator) | (Senders::Responder, Party::Responder) => Direction::SendOnly,
        (Senders::Initiator, Party::Responder) | (Senders::Responder, Party::Initiator) => Direction::RecvOnly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s7_3_by_the_role_of_the_party() {
        let table = [
            (Direction::SendRecv, Senders::Both, Senders::Both),
            (Direction::SendOnly, Senders::Initiator, Senders::Responder),
            (Direction::RecvOnly, Senders::Responder, Senders::Initiator),
            (Direction::Inactive, Senders::None, Senders::None),
        ];
        for (direction, initiator, responder) in table {
            for (party, senders) in [(Party::Initiator, initiator), (Party::Responder, responder)] {
                assert_eq!(from_direction(direction, party), senders, "{direction:?} {party:?}");
                assert_eq!(to_direction(senders, party), direction, "{senders:?} {party:?}");
            }
        }
    }
}
