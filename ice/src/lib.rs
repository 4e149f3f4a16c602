//! STUN messages and their integrity (RFC 8489), with TURN's additions (RFC 8656). No I/O, no clock.

pub mod stun;
