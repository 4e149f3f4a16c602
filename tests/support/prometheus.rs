//! Debian's Prometheus, run against one server: scrapes it once a second, as fast as the relay's threads publish.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::folder::Folder;
use super::{PATIENCE, http};

/// A running Prometheus; ends with the test.
pub struct Prometheus {
    _process: Process,
    address: SocketAddr,
    _folder: Folder,
}

struct Process(Child);

impl Prometheus {
    /// Scrapes `target` under the job `campanile`, and evaluates these rules.
    pub fn start(target: SocketAddr, rules: &Path) -> Self {
        let folder = Folder::new();
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\nrule_files: [{}]\nscrape_configs:\n  \
             - {{ job_name: campanile, static_configs: [{{ targets: [\"{target}\"] }}] }}\n",
            rules.display()
        );
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        // between finding a free port and taking it another may be faster
        for _ in 0..3 {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let log = fs::File::create(folder.path().join("log")).unwrap();
            let process = Command::new("prometheus")
                .current_dir(folder.path())
                .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"])
                .arg(format!("--web.listen-address={address}"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("Prometheus is installed: tests/run does it");
            let mut process = Process(process);
            if process.is_ready(address) {
                return Self { _process: process, address, _folder: folder };
            }
        }
        panic!("Prometheus does not start: {}", fs::read_to_string(folder.path().join("log")).unwrap())
    }

    /// `data` of an answer to the API.
    pub fn api(&self, path: &str) -> Value {
        let answer = http::get(self.address, path);
        let value: Value = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.body));
        assert_eq!(value["status"], "success", "{path}: {}", answer.body);
        value["data"].clone()
    }

    /// What a query gives now: labels and value of each series.
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let data = self.api(&format!("/api/v1/query?query={}", escaped(query)));
        let series = data["result"].as_array().expect("a list");
        let value = |one: &Value| one["value"][1].as_str().and_then(|text| text.parse().ok()).expect("a number");
        series.iter().map(|one| (one["metric"].clone(), value(one))).collect()
    }
}

impl Process {
    fn is_ready(&mut self, address: SocketAddr) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && self.0.try_wait().unwrap().is_none() {
            // it does not say when it listens
            if http::answers(address) && http::get(address, "/-/ready").status == 200 {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // it is ours, and may have ended
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// RFC 3986 §2.1.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}
