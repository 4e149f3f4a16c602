//! SDP and Jingle, both ways and without loss: `docs/sdp-mapping.md` is the table.
//!
//! Everything here is pure. Text becomes lines ([`parse`]), lines become what one party has said of itself in a session ([`Description`], made
//! of the contents that [`jingle`](crate::jingle) reads and writes), and back ([`write`](mod@write)):
//!
//! ```text
//! SDP text ⇄ SessionDescription ⇄ Description ⇄ Jingle ⇄ <jingle/>
//!   parse/write              map          stanzas   jingle::*
//! ```
//!
//! - [`line`]: the lines of SDP as values, [`parse`] and [`write`](mod@write) their text;
//! - [`map`]: lines to contents and contents to lines;
//! - [`description`]: what one party has said, with the order of its m= lines; [`apply`] of a stanza to it, [`diff`] of two;
//! - [`convert`]: text to text, as `campanile sdp` does;
//! - [`warning`]: what one side says and the other cannot.

pub mod apply;
pub mod convert;
#[cfg(test)]
mod corpus;
pub mod description;
pub mod diff;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod line;
#[cfg(test)]
mod losses;
pub mod map;
#[cfg(test)]
mod normal;
#[cfg(test)]
mod pairs;
pub mod parse;
#[cfg(test)]
mod roundtrip;
#[cfg(test)]
mod strategies;
#[cfg(test)]
mod table;
pub mod warning;
pub mod write;

pub use description::{Description, Section, State};
pub use line::SessionDescription;
pub use parse::{SdpError, parse, parse_attribute, parse_fragment};
pub use warning::{Place, Warning};
pub use write::{write, write_attribute};
