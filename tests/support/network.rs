//! A network of a test's own: a namespace with `lo` and one more interface, since desktop programs believe that without a way out they are
//! offline. Nothing in it reaches the machine's network, nor the other way round, and any port is free.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd as _;

const SET_UP: &str = "set -e; ip link set lo up; ip link add out type veth peer name far; ip address add 10.77.0.1/24 dev out; \
    ip link set out up; ip link set far up; ip route add default via 10.77.0.2; echo ready; exec cat";

/// The calling thread, and the programs that it starts, are inside until this is dropped.
pub struct Network {
    before: File,
    holder: Child,
}

impl Network {
    /// Makes one and goes in. Takes root.
    pub fn enter() -> Self {
        let before = File::open("/proc/thread-self/ns/net").expect("Linux");
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", SET_UP])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is installed");
        let mut said = String::new();
        BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut said).unwrap();
        let network = Self { before, holder };
        assert_eq!(said, "ready\n", "no network namespace: this test takes root and iproute2");
        let inside = File::open(format!("/proc/{}/ns/net", network.holder.id())).unwrap();
        move_into_link_name_space(inside.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may");
        network
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        move_into_link_name_space(self.before.as_fd(), Some(LinkNameSpaceType::Network)).expect("it came from there");
        // `cat` ends with its input
        drop(self.holder.stdin.take());
        self.holder.wait().expect("it is ours");
    }
}
