//! Tests of rooms by section of XEP-0045.

mod history;
mod join;
mod leave;
mod messages;
mod model;
mod moves;
mod nick;
