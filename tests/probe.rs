//! Promise: `campanile probe` places a real call and says which step fails and what to look at.

use crate::support::folder::Folder;
use crate::support::server::{CONFIG, Server, campanile, text};
use serde_json::Value;

#[test]
fn a_call_through_a_server_of_its_own_succeeds() {
    let folder = Folder::new();
    let output = campanile(folder.path()).args(["probe", "--self", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON on standard output");
    let said = report.to_string();
    for relay in ["udp", "tcp", "tls", "mux"] {
        assert!(said.contains(&format!("\"transport\":\"{relay}\"")), "{relay} is missing in {said}");
    }
    assert!(said.contains("\"step\":\"mux\""), "{said}");
}

#[test]
fn a_call_through_the_running_server_succeeds_and_leaves_no_account() {
    let server = Server::build(&with_ports(CONFIG), "", &[]);
    let accounts = text(&server.command(&["user", "list"]));
    let output = server.command(&["probe"]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(text(&server.command(&["user", "list"])), accounts);
}

/// Where only proxies may connect, and the probe is no proxy, it introduces itself (PROXY protocol, LOCAL).
#[test]
fn a_call_through_the_one_port_behind_a_proxy_succeeds() {
    let config = CONFIG
        .replace("[server]", "[server]\nmux = [\"127.0.0.1:0\"]\nproxy_protocol = [\"127.0.0.0/8\"]")
        .replace("listen = [\"127.0.0.1:0\"]\ndirect_tls = [\"127.0.0.1:0\"]", "listen = []\ndirect_tls = []")
        .replace("tcp = [\"127.0.0.1:0\"]\ntls = [\"127.0.0.1:0\"]", "tcp = []\ntls = []");
    let server = Server::build(&with_ports(&config), "", &[]);
    let output = server.command(&["probe", "--json"]);
    assert!(output.status.success(), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains("mux") && said.contains("direct TLS at 127.0.0.1"), "{said}");
}

/// Another process cannot know ports that the server picked.
fn with_ports(config: &str) -> String {
    let mut config = config.to_owned();
    while config.contains(":0\"") {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        config = config.replacen(":0\"", &format!(":{free}\""), 1);
    }
    config
}

#[test]
fn without_a_server_the_failing_step_is_named() {
    let folder = Folder::new();
    let output = campanile(folder.path()).arg("probe").output().unwrap();
    assert!(!output.status.success());
    let said = text(&output);
    assert!(said.contains("no server runs from") && !said.contains("panicked"), "{said}");
}
