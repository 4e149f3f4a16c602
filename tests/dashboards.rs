//! Promise: the dashboards and alert rules of `grafana/` show what a server does: each query of each panel gives data while calls go on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::http;
use crate::support::managed::{Managed, Over};
use crate::support::prometheus::Prometheus;
use crate::support::server::{CONFIG, Server, campanile, text};

fn grafana() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana")
}

fn rules() -> PathBuf {
    grafana().join("alerts.yml")
}

/// Name and content of each dashboard.
fn dashboards() -> Vec<(String, Value)> {
    let mut all: Vec<_> = fs::read_dir(grafana().join("dashboards"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name.clone(), serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row")
}

/// Each query of each panel, with where it stands.
fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().expect("targets") {
                let place = format!("{name}, {}, {}", panel["title"], target["refId"]);
                queries.push((place, target["expr"].as_str().expect("a query").to_owned()));
            }
        }
    }
    queries
}

/// The names of our metrics in a text.
fn metrics_named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("campanile_")).map(str::to_owned).collect()
}

/// Expressions of the alert rules. The file is ours: each stands on one line.
fn expressions() -> Vec<String> {
    let text = fs::read_to_string(rules()).unwrap();
    text.lines().filter_map(|line| line.trim().strip_prefix("expr: ").map(str::to_owned)).collect()
}

#[test]
fn each_metric_that_is_drawn_or_watched_is_one_of_the_server_s() {
    let server = Server::build(CONFIG, "", &[]);
    let shown = metrics_named(&http::get(server.address("admin"), "/metrics").body);
    let (queries, expressions) = (queries(), expressions());
    assert!(queries.len() > 60 && expressions.len() >= 15, "{} queries, {} rules", queries.len(), expressions.len());
    for (place, expression) in queries.into_iter().chain(expressions.into_iter().map(|rule| (String::from("alerts.yml"), rule))) {
        let named = metrics_named(&expression);
        assert!(!named.is_empty() || expression.starts_with("up{"), "{place} draws nothing of ours: {expression}");
        for metric in named {
            assert!(shown.contains(&metric), "{place}: the server shows no {metric}");
        }
    }
}

/// Labels are words of closed lists: no address, no account, no session.
#[test]
fn no_label_tells_one_user_from_another() {
    let server = Server::start();
    let before = series(&server);
    let mut clients: Vec<_> =
        ["alice", "bob", "carol"].iter().map(|user| Managed::online(&server, Over::DirectTls, user, "a very own resource")).collect();
    clients.iter_mut().for_each(|client| drop(client.until_ack()));
    assert_eq!(series(&server), before, "users and their sessions add no series");
}

/// Names with labels.
fn series(server: &Server) -> BTreeSet<String> {
    let text = http::get(server.address("admin"), "/metrics").body;
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name.to_owned()).collect()
}

/// What Grafana needs, and what it would not complain of but people would.
#[test]
fn dashboards_are_whole() {
    let mut uids = BTreeSet::new();
    let all = dashboards();
    assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["calls.json", "relay.json", "sessions.json"]);
    for (name, dashboard) in &all {
        assert!(uids.insert(dashboard["uid"].to_string()) && dashboard["title"].is_string(), "{name}");
        let variables: Vec<_> =
            dashboard["templating"]["list"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(variables, ["datasource", "job", "instance"], "{name}");
        let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            let place = format!("{name}, {}", panel["title"]);
            assert!(ids.insert(panel["id"].as_u64()), "{place}: its id is another's");
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap_or_else(|| panic!("{place}: no {key}"));
            for (x, y) in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
                assert!(x < 24 && taken.insert((x, y)), "{place} lies over another panel, or outside");
            }
        }
        for panel in panels(dashboard) {
            let place = format!("{name}, {}", panel["title"]);
            assert!(panel["description"].as_str().is_some_and(|text| text.len() > 10), "{place}: what is it?");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{place}: of what unit?");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{place}");
        }
    }
    for (place, query) in queries() {
        let metrics = query.matches("campanile_").count();
        assert_eq!(query.matches("job=~\"$job\",instance=~\"$instance\"}").count(), metrics, "{place} mixes all servers: {query}");
    }
}

#[test]
#[ignore = "needs Prometheus: tests/run"]
fn promtool_accepts_the_rules() {
    let checked =
        Command::new("promtool").args(["check", "rules"]).arg(rules()).stdin(Stdio::null()).output().expect("promtool is installed");
    let said = text(&checked);
    assert!(checked.status.success() && said.contains(&format!("SUCCESS: {} rules found", expressions().len())), "{said}");
    // what they say of servers that are well, and of others
    let tested =
        Command::new("promtool").args(["test", "rules"]).arg(grafana().join("alerts_test.yml")).stdin(Stdio::null()).output().unwrap();
    assert!(tested.status.success(), "{}", text(&tested));
    let config = grafana().join("prometheus.yml");
    let checked = Command::new("promtool").args(["check", "config", "--syntax-only"]).arg(config).stdin(Stdio::null()).output().unwrap();
    assert!(checked.status.success(), "{}", text(&checked));
}

/// Calls by `campanile probe`, over each kind of relay, while Prometheus watches.
#[test]
#[ignore = "needs Prometheus: tests/run"]
fn every_panel_shows_data_while_calls_go_on() {
    // another process cannot know ports that the server picked
    let mut config = CONFIG.to_owned();
    while config.contains(":0\"") {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        config = config.replacen(":0\"", &format!(":{free}\""), 1);
    }
    let server = Server::build(&config, "", &["alice@localhost"]);
    let prometheus = Prometheus::start(server.address("admin"), &rules());
    let mut alice = Managed::online(&server, Over::DirectTls, "alice", "home");
    let mut missing: Vec<_> = queries().into_iter().map(|(place, query)| (place, filled_in(&query))).collect();
    // what the probe has put through the relay is there to see: a comparison that does not hold gives no data
    for query in ["sum(campanile_calls_total{outcome=\"answered\"}) >= 3", "sum(campanile_turn_allocations_total) >= 6"] {
        missing.push((String::from("the probe"), query.to_owned()));
    }
    let mut calls = probe(&server);
    let end = Instant::now() + Duration::from_secs(240);
    while !missing.is_empty() {
        // what a client asks for is acknowledged: that takes a time to be shown
        alice.until_ack();
        // on a busy machine one look at all panels may take longer than three calls
        if calls.try_wait().unwrap().is_some() {
            succeeded(std::mem::replace(&mut calls, probe(&server)));
        }
        missing.retain(|(_, query)| !prometheus.query(query).iter().any(|(_, value)| value.is_finite()));
        assert!(Instant::now() < end, "no data for {missing:#?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    succeeded(calls);
    judge_rules(&prometheus);
}

/// Three calls: over UDP, TCP and TLS.
fn probe(server: &Server) -> Child {
    let mut probe = campanile(server.folder());
    probe.arg("probe").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn succeeded(probe: Child) {
    let probed = probe.wait_with_output().unwrap();
    assert!(probed.status.success(), "{}", text(&probed));
}

/// Prometheus evaluates each rule, and none cries over a server that is well.
fn judge_rules(prometheus: &Prometheus) {
    let groups = prometheus.api("/api/v1/rules");
    let rules: Vec<_> = groups["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert_eq!(rules.len(), expressions().len());
    for rule in rules {
        assert_eq!((&rule["health"], &rule["state"]), (&"ok".into(), &"inactive".into()), "{rule}");
        assert!(rule["annotations"]["summary"].is_string() && rule["annotations"]["description"].is_string(), "{rule}");
    }
}

/// A query as Grafana sends it, with a window that holds some samples.
fn filled_in(query: &str) -> String {
    let filled = query.replace("$__rate_interval", "30s").replace("$job", "campanile").replace("$instance", ".+");
    assert!(!filled.contains('$'), "a variable that only Grafana knows: {query}");
    filled
}
