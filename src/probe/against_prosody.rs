//! Promise: the whole probe works with servers that are not ours: Prosody for XMPP, coturn for TURN.
//! Needs both, which `tests/run` installs.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::against_coturn::{Coturn, coturn, free_port};
use super::report::{Report, Step};
use super::steps::{Account, Proxies, Stage, Target, run};
use super::{Transport, TurnService};

struct Prosody {
    child: Child,
    port: u16,
    tls_port: u16,
}

impl Drop for Prosody {
    fn drop(&mut self) {
        // Its folder is coturn's and goes with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prosody with two accounts, telling its clients of these services.
fn prosody(coturn: &Coturn, services: &[TurnService]) -> Prosody {
    let folder = &coturn.folder;
    let (port, tls_port) = (free_port(), free_port());
    for account in ["one", "two"] {
        let accounts = folder.join("data/localhost/accounts");
        std::fs::create_dir_all(&accounts).expect("a folder");
        std::fs::write(accounts.join(format!("{account}.dat")), "return { [\"password\"] = \"secret\"; };").expect("written");
    }
    let services: String = services
        .iter()
        .map(|service| {
            let (type_, transport) = match service.transport {
                Transport::Udp => ("turn", "udp"),
                Transport::Tcp => ("turn", "tcp"),
                Transport::Tls | Transport::Mux => ("turns", "tcp"),
            };
            let TurnService { host, port, username, password, .. } = service;
            format!("{{ type = \"{type_}\", transport = \"{transport}\", host = \"{host}\", port = {port}, username = \"{username}\", password = \"{password}\" }},\n")
        })
        .collect();
    let folder = folder.display();
    let config = format!(
        r#"run_as_root = true
data_path = "{folder}/data"
pidfile = "{folder}/prosody.pid"
log = {{ {{ levels = {{ min = "info" }}, to = "file", filename = "{folder}/prosody.log" }} }}
modules_enabled = {{ "saslauth", "tls", "disco", "roster", "external_services" }}
modules_disabled = {{ "s2s", "http", "posix" }}
authentication = "internal_plain"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ {tls_port} }}
c2s_direct_tls_ssl = {{ key = "{folder}/key.pem", certificate = "{folder}/cert.pem" }}
ssl = {{ key = "{folder}/key.pem", certificate = "{folder}/cert.pem" }}
external_services = {{ {services} }}
VirtualHost "localhost"
"#
    );
    let file = coturn.folder.join("prosody.cfg.lua");
    std::fs::write(&file, config).expect("written");
    let spawned = Command::new("prosody")
        .arg("-F")
        .arg("--config")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = spawned.expect("prosody starts");
    for port in [port, tls_port] {
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert_eq!(child.try_wait().expect("a child"), None, "prosody ended");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Prosody { child, port, tls_port }
}

fn target(coturn: &Coturn, prosody: &Prosody) -> Target {
    Target {
        domain: "localhost".into(),
        start_tls: vec![(Ipv4Addr::LOCALHOST, prosody.port).into()],
        direct_tls: vec![(Ipv4Addr::LOCALHOST, prosody.tls_port).into()],
        mux: Vec::new(),
        proxies: Proxies::default(),
        transports: vec![Transport::Udp, Transport::Tcp, Transport::Tls],
        fronts: Vec::new(),
        relay_ports: (49152, 65535),
        trust: coturn.trust.clone(),
    }
}

fn accounts(password: &str) -> [Account; 2] {
    ["one", "two"].map(|username| Account { username: username.into(), password: password.into() })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "coturn and prosody: run tests/run"]
async fn a_call_over_all_transports_is_measured() {
    let coturn = coturn();
    let services = [Transport::Udp, Transport::Tcp, Transport::Tls].map(|transport| coturn.service(transport, "secret"));
    let prosody = prosody(&coturn, &services);
    let (mut stage, mut report) = (Stage::default(), Report::new(false));
    run(&target(&coturn, &prosody), &accounts("secret"), &mut stage, &mut report).await;
    stage.clear().await;
    println!("{}\n{:#}", report.table(false), report.json());
    assert_eq!(report.failures(), []);
    assert_eq!(report.json()["steps"].as_array().map(Vec::len), Some(3 + 3 * 6));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "coturn and prosody: run tests/run"]
async fn each_failure_names_its_step_and_the_other_transports_are_tried() {
    let coturn = coturn();
    let closed = TurnService { port: free_port(), ..coturn.service(Transport::Udp, "secret") };
    let prosody = prosody(&coturn, &[closed, coturn.service(Transport::Tcp, "wrong")]);
    let (mut stage, mut report) = (Stage::default(), Report::new(false));
    run(&target(&coturn, &prosody), &accounts("secret"), &mut stage, &mut report).await;
    stage.clear().await;
    println!("{}", report.table(false));
    let failures = report.failures();
    let steps: Vec<Step> = failures.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [Transport::Udp, Transport::Tcp, Transport::Tls].map(Step::Relay));
    for ((_, sentence), words) in failures.iter().zip(["nothing listens there", "401", "names no TURN service over TLS"]) {
        assert!(sentence.contains(words), "{words} in {sentence}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "coturn and prosody: run tests/run"]
async fn a_refused_log_in_is_told_with_its_condition() {
    let coturn = coturn();
    let prosody = prosody(&coturn, &[]);
    let (mut stage, mut report) = (Stage::default(), Report::new(false));
    run(&target(&coturn, &prosody), &accounts("guess"), &mut stage, &mut report).await;
    stage.clear().await;
    let failures = report.failures();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].0, Step::LogInCaller);
    assert!(failures[0].1.contains("not-authorized"), "{failures:?}");
}
