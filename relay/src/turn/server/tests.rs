//! The server against clients that hold to the RFC, clients that do not, and random ones; with time that the test sets.

mod allocate;
mod authenticate;
mod bench;
mod connect;
mod discovery;
mod ends;
mod fence;
mod icmp;
mod mobility;
mod model;
mod permission;
mod properties;
mod quota;
mod refresh;
mod relayed;
