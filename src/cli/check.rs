//! `campanile check`: reads the configuration and everything it names, says what is wrong with file, line and key, changes nothing.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use campanile_config::domain::{self, Reach};
use campanile_config::{Config, Loaded, Origin, Origins, Problem, PublicAddress, Severity, key_path};
use campanile_signalling::net::tls::{Certificates, Leaf, Pair, Settings};

use super::{line_on_stderr, load, print};
use crate::{logging, names};

/// A certificate that ends earlier than this is worth a warning: whatever renews it should have done so.
const ENDS_SOON: Duration = Duration::from_secs(14 * 86_400);

/// Exit code 0 unless there is an error; warnings do not count.
pub fn run(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let loaded = load(file)?;
    let problems = problems(&loaded, SystemTime::now());
    for problem in &problems {
        let kind = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        line_on_stderr(&format!("{kind}: {problem}"));
    }
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Ok(ExitCode::FAILURE);
    }
    let what = loaded.file.as_ref().map_or("the built-in defaults".to_owned(), |file| file.display().to_string());
    let warnings = match problems.len() {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        count => format!(", with {count} warnings"),
    };
    print(&format!("{what}: no errors{warnings}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Errors first, each kind in the order of their places.
fn problems(loaded: &Loaded, now: SystemTime) -> Vec<Problem> {
    let mut findings = Findings { origins: &loaded.origins, problems: loaded.warnings.clone() };
    let config = &loaded.config;
    if let Err(message) = logging::parse(&config.server.log) {
        findings.add(Severity::Error, "server.log", message);
    }
    for domain in names::not_of_addresses(config) {
        findings.add(Severity::Error, "server.domains", format!("{domain} has characters that RFC 7622 does not allow in an address"));
    }
    data_dir(config, &mut findings);
    if let Some(file) = &loaded.file {
        secrets_in_file(config, file, &mut findings);
    }
    certificates(config, now, &mut findings);
    own_address(config, outward_address(), &mut findings);
    own_names(config, &mut findings);
    findings.problems.sort_by(|a, b| (a.severity, &a.origin).cmp(&(b.severity, &b.origin)));
    findings.problems
}

struct Findings<'a> {
    origins: &'a Origins,
    problems: Vec<Problem>,
}

impl Findings<'_> {
    fn add(&mut self, severity: Severity, key: &str, message: impl Into<String>) {
        self.problems.push(self.origins.problem(severity, key, message));
    }
}

fn data_dir(config: &Config, findings: &mut Findings<'_>) {
    let path = &config.server.data_dir;
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => findings.add(Severity::Error, "server.data_dir", format!("{} is not a folder", path.display())),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {} // made at the first start
        Err(error) => findings.add(Severity::Error, "server.data_dir", format!("{} cannot be read: {error}", path.display())),
    }
}

/// Secrets belong in a file that others cannot read, or in a variable.
fn secrets_in_file(config: &Config, file: &Path, findings: &mut Findings<'_>) {
    let others_read = fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o004 != 0);
    let secrets = [
        ("turn.secret", config.turn.secret.is_some()),
        ("components.secrets", !config.components.secrets.is_empty()),
        ("storage.url", config.storage.url.starts_with("postgres")),
    ];
    for (key, is_set) in secrets {
        if others_read && is_set && matches!(findings.origins.of(key), Origin::File { .. }) {
            findings.add(
                Severity::Warning,
                key,
                format!("a secret in a file that every user of this machine can read: chmod o= {}", file.display()),
            );
        }
    }
}

/// A certificate that is configured.
struct Shown {
    key: String,
    leaf: Leaf,
}

/// Each pair of files alone; then which certificate each needed name gets, and whether it holds it.
fn certificates(config: &Config, now: SystemTime, findings: &mut Findings<'_>) {
    let mut pairs = Vec::new();
    if let (Some(certificate), Some(key)) = (&config.tls.certificate, &config.tls.key) {
        pairs.push((None, "tls.certificate".to_owned(), Pair { certificate: certificate.clone(), key: key.clone() }));
    }
    for (host, files) in &config.tls.hosts {
        let pair = Pair { certificate: files.certificate.clone(), key: files.key.clone() };
        pairs.push((Some(host.clone()), key_path(&["tls", "hosts", host]), pair));
    }

    let mut default = None;
    let mut hosts = Vec::new();
    let mut complete = true;
    for (host, key, pair) in pairs {
        private_key_mode(&pair.key, &key, findings);
        match read_pair(&pair, &config.server.data_dir) {
            Ok(leaf) => {
                validity(&leaf, &key, now, findings);
                match host {
                    None => default = Some(Shown { key, leaf }),
                    Some(host) => hosts.push((host, Shown { key, leaf })),
                }
            }
            Err(message) => {
                findings.add(Severity::Error, &key, message);
                complete = false;
            }
        }
    }
    if complete {
        held_names(config, default.as_ref(), &hosts, findings);
    }
}

/// What the pair's certificate says. Nothing is generated, since there is a default.
fn read_pair(pair: &Pair, data_dir: &Path) -> Result<Leaf, String> {
    let settings = Settings { default: Some(pair.clone()), hosts: Vec::new(), names: Vec::new(), data_dir: data_dir.to_owned() };
    let certificates = Certificates::load(settings).map_err(|error| error.to_string())?;
    certificates.leaves().into_iter().next().ok_or_else(|| format!("{} holds no certificate", pair.certificate.display()))
}

fn private_key_mode(path: &Path, key: &str, findings: &mut Findings<'_>) {
    // a file that cannot be read is reported with its pair
    if let Ok(found) = fs::metadata(path)
        && found.permissions().mode() & 0o007 != 0
    {
        findings.add(Severity::Warning, key, format!("every user of this machine can use the private key {}: chmod o= it", path.display()));
    }
}

fn validity(leaf: &Leaf, key: &str, now: SystemTime, findings: &mut Findings<'_>) {
    let days = |duration: Duration| match duration.as_secs() / 86_400 {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    let path = leaf.path.display();
    if let Ok(ago) = now.duration_since(leaf.not_after) {
        findings.add(Severity::Error, key, format!("the certificate {path} ended {} ago: clients refuse it; renew it", days(ago)));
    } else if let Ok(left) = leaf.not_after.duration_since(now)
        && left < ENDS_SOON
    {
        findings.add(Severity::Warning, key, format!("the certificate {path} ends in {}: renew it", days(left)));
    }
    if let Ok(wait) = leaf.not_before.duration_since(now) {
        findings.add(Severity::Error, key, format!("the certificate {path} begins in {} only; is the clock right?", days(wait)));
    }
}

/// Every name a client may ask for, and why.
fn needed(config: &Config) -> Vec<(String, &'static str)> {
    let mut names: Vec<(String, &'static str)> =
        config.server.domains.iter().map(|domain| (domain.clone(), "a domain of server.domains")).collect();
    if !config.turn.tls.is_empty() || !config.server.mux.is_empty() {
        if let Some(host) = &config.turn.host {
            names.push((host.clone(), "turn.host, which clients of TURN over TLS look for"));
        } else {
            for address in &config.server.public_address {
                names.push((address.to_string(), "server.public_address, which clients of TURN over TLS look for"));
            }
        }
    }
    if let Some((host, port)) = names::public_https(config) {
        // On another port a reverse proxy listens, with a certificate of its own, unless TLS goes through to us under this name.
        let is_ours = config.http.tls_listen.iter().chain(&config.server.mux).any(|listener| listener.port() == port);
        if is_ours || config.tls.hosts.contains_key(host) {
            names.push((host.to_owned(), "the host of http.public_url"));
        }
    }
    names
}

/// Whether the certificate that a client gets for each needed name holds it.
fn held_names(config: &Config, default: Option<&Shown>, hosts: &[(String, Shown)], findings: &mut Findings<'_>) {
    for (name, why) in needed(config) {
        let of_host = hosts.iter().find(|(host, _)| *host == name).map(|(_, shown)| shown);
        let covering = || hosts.iter().map(|(_, shown)| shown).find(|shown| shown.leaf.covers(&name));
        let Some(shown) = of_host.or_else(covering).or(default) else {
            if domain::is_public(&name) {
                let message =
                    format!("no certificate is set for `{name}`, {why}: clients will not trust the one this server makes for itself");
                findings.add(Severity::Warning, "tls.certificate", message);
            }
            continue;
        };
        if !shown.leaf.covers(&name) {
            let has: Vec<String> = shown.leaf.names.iter().cloned().chain(shown.leaf.addresses.iter().map(IpAddr::to_string)).collect();
            let message = format!(
                "the certificate {} does not hold `{name}`, {why}; it holds {}",
                shown.leaf.path.display(),
                if has.is_empty() { "no name at all".to_owned() } else { has.join(", ") }
            );
            findings.add(Severity::Warning, &shown.key, message);
        }
    }
}

/// The address that packets to the internet leave with. Connecting a UDP socket sends nothing; 192.0.2.1 is nobody's (RFC 5737).
fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Behind NAT the local address is no use to clients elsewhere.
fn own_address(config: &Config, own: Option<IpAddr>, findings: &mut Findings<'_>) {
    let Some(own) = own else { return };
    let turn = &config.turn;
    let relays = [&turn.udp, &turn.tcp, &turn.tls, &config.server.mux].iter().any(|list| !list.is_empty());
    let tells_v4 = config.server.public_address.iter().any(|address| match address {
        PublicAddress::Ip(ip) => ip.is_ipv4(),
        PublicAddress::Name(_) => true,
    });
    let public = config.server.domains.iter().find(|domain| domain::is_public(domain));
    if let (Some(domain), Reach::Local(kind), true, false) = (public, domain::reach(own), relays, tells_v4) {
        let message = format!(
            "this machine's own address {own} is {kind}, but `{domain}` is a public domain: clients elsewhere cannot reach the relay; \
             set it to the address that the world sees, such as \"203.0.113.7\""
        );
        findings.add(Severity::Warning, "server.public_address", message);
    }
}

/// A server does not start with a name that it cannot look up; that may be another machine, or later.
fn own_names(config: &Config, findings: &mut Findings<'_>) {
    for address in &config.server.public_address {
        let PublicAddress::Name(name) = address else { continue };
        if let Err(error) = (name.as_str(), 0).to_socket_addrs() {
            let message = format!("`{name}` cannot be looked up here: {error}; the server does not start without an answer");
            findings.add(Severity::Warning, "server.public_address", message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::tests::Folder;
    use campanile_config::HostCertificate;

    /// A certificate for `names` that is valid from `from` to `to` days after now; returns its pair of files.
    fn make(folder: &Folder, file: &str, names: &[&str], from: i64, to: i64) -> HostCertificate {
        let mut parameters = rcgen::CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        let at = |days: i64| match u64::try_from(days) {
            Ok(later) => (SystemTime::now() + Duration::from_secs(later * 86_400 + 3_600)).into(),
            Err(_) => (SystemTime::now() - Duration::from_secs(days.unsigned_abs() * 86_400 + 3_600)).into(),
        };
        parameters.not_before = at(from);
        parameters.not_after = at(to);
        let key = rcgen::KeyPair::generate().unwrap();
        let pair =
            HostCertificate { certificate: folder.path().join(format!("{file}.pem")), key: folder.path().join(format!("{file}.key")) };
        fs::write(&pair.certificate, parameters.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(&pair.key, key.serialize_pem()).unwrap();
        fs::set_permissions(&pair.key, fs::Permissions::from_mode(0o600)).unwrap();
        pair
    }

    fn found(config: &Config) -> Vec<(Severity, String, String)> {
        let mut findings = Findings { origins: &Origins::default(), problems: Vec::new() };
        certificates(config, SystemTime::now(), &mut findings);
        findings.problems.into_iter().map(|p| (p.severity, p.key, p.message)).collect()
    }

    fn public(folder: &Folder) -> Config {
        let mut config = Config::default();
        config.server.domains = vec!["example.org".to_owned()];
        config.server.data_dir = folder.path().join("data");
        config
    }

    fn with_default(folder: &Folder, pair: HostCertificate) -> Config {
        let mut config = public(folder);
        (config.tls.certificate, config.tls.key) = (Some(pair.certificate), Some(pair.key));
        config
    }

    #[test]
    fn a_certificate_that_holds_every_name_is_quiet() {
        let folder = Folder::new();
        let mut config = with_default(&folder, make(&folder, "a", &["example.org", "*.example.org"], -1, 60));
        config.turn.host = Some("turn.example.org".to_owned());
        assert_eq!(found(&config), []);
        assert!(!config.server.data_dir.exists(), "check changes nothing");
    }

    #[test]
    fn a_lacking_name_is_found_where_the_certificate_is_set() {
        let folder = Folder::new();
        let mut config = with_default(&folder, make(&folder, "a", &["example.org"], -1, 60));
        config.turn.host = Some("turn.example.net".to_owned());
        config.server.domains.push("example.com".to_owned());
        let problems = found(&config);
        assert_eq!(problems.len(), 2, "{problems:?}");
        for (problem, name) in problems.iter().zip(["`example.com`", "`turn.example.net`"]) {
            assert!(problem.0 == Severity::Warning && problem.1 == "tls.certificate" && problem.2.contains(name), "{problem:?}");
        }
        config.tls.hosts.insert("example.com".to_owned(), make(&folder, "b", &["example.com"], -1, 60));
        config.tls.hosts.insert("turn.example.net".to_owned(), make(&folder, "c", &["wrong.example.net"], -1, 60));
        let problems = found(&config);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].1, "tls.hosts.\"turn.example.net\"");
        assert!(problems[0].2.contains("it holds wrong.example.net"), "{problems:?}");
    }

    #[test]
    fn the_host_of_the_public_url_is_needed_where_the_port_is_ours() {
        let folder = Folder::new();
        let pair = make(&folder, "a", &["example.org"], -1, 60);
        for (url, expected) in [
            ("https://chat.example.org:5443", 1),
            ("https://example.org:5443/chat", 0),
            ("https://chat.example.org", 0), // a reverse proxy's
            ("http://chat.example.org:5443", 0),
        ] {
            let mut config = with_default(&folder, pair.clone());
            config.http.public_url = Some(url.to_owned());
            let problems = found(&config);
            assert_eq!(problems.len(), expected, "{url}: {problems:?}");
            assert!(
                problems.iter().all(|(_, _, message)| message.contains("`chat.example.org`, the host of http.public_url")),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn validity_is_judged_by_the_clock() {
        let folder = Folder::new();
        for (from, to, severity, word) in [
            (-90, 10, Severity::Warning, "ends in 10 days"),
            (-90, -3, Severity::Error, "ended 3 days ago"),
            (3, 60, Severity::Error, "begins in 3 days"),
        ] {
            let problems = found(&with_default(&folder, make(&folder, "a", &["example.org"], from, to)));
            assert!(problems.len() == 1 && problems[0].0 == severity && problems[0].2.contains(word), "{word}: {problems:?}");
        }
    }

    #[test]
    fn unusable_files_are_errors_at_their_key() {
        let folder = Folder::new();
        let (good, other) = (make(&folder, "a", &["example.org"], -1, 60), make(&folder, "b", &["example.org"], -1, 60));
        for (pair, word) in [
            (HostCertificate { key: folder.path().join("none.key"), ..good.clone() }, "none.key"),
            (HostCertificate { certificate: folder.path().join("none.pem"), ..good.clone() }, "none.pem"),
            (HostCertificate { key: other.key, ..good.clone() }, "does not belong"),
        ] {
            let mut config = public(&folder);
            config.tls.hosts.insert("example.org".to_owned(), pair);
            let problems = found(&config);
            assert!(problems.len() == 1 && problems[0].0 == Severity::Error && problems[0].2.contains(word), "{word}: {problems:?}");
            assert_eq!(problems[0].1, "tls.hosts.\"example.org\"");
        }
    }

    #[test]
    fn a_key_that_all_can_read_and_a_public_domain_without_certificate_are_warned_of() {
        let folder = Folder::new();
        let pair = make(&folder, "a", &["example.org"], -1, 60);
        fs::set_permissions(&pair.key, fs::Permissions::from_mode(0o644)).unwrap();
        let problems = found(&with_default(&folder, pair));
        assert!(problems.len() == 1 && problems[0].2.contains("chmod"), "{problems:?}");
        let problems = found(&public(&folder));
        assert!(problems.len() == 1 && problems[0].2.contains("no certificate is set for `example.org`"), "{problems:?}");
        assert_eq!(found(&Config::default()), []);
    }

    #[test]
    fn a_machine_behind_nat_has_to_be_told_its_address() {
        let own = |config: &Config, address: &str| {
            let mut findings = Findings { origins: &Origins::default(), problems: Vec::new() };
            own_address(config, Some(address.parse().unwrap()), &mut findings);
            findings.problems.len()
        };
        let folder = Folder::new();
        let mut config = public(&folder);
        assert_eq!(own(&config, "10.0.0.5"), 1);
        assert_eq!(own(&config, "9.9.9.9"), 0);
        assert_eq!(own(&Config::default(), "10.0.0.5"), 0);
        config.server.public_address = vec![PublicAddress::Ip([9, 9, 9, 9].into())];
        assert_eq!(own(&config, "10.0.0.5"), 0);
    }

    #[test]
    fn a_name_of_this_machine_has_to_be_one() {
        let mut config = Config::default();
        config.server.public_address = ["localhost", "no-such-name.invalid"].map(|name| PublicAddress::Name(name.to_owned())).to_vec();
        let mut findings = Findings { origins: &Origins::default(), problems: Vec::new() };
        own_names(&config, &mut findings);
        let problems = findings.problems;
        assert!(problems.len() == 1 && problems[0].message.contains("`no-such-name.invalid` cannot be looked up"), "{problems:?}");
    }

    #[test]
    fn secrets_in_a_file_open_to_all_are_warned_of() {
        let folder = Folder::new();
        let file = folder.path().join("campanile.toml");
        fs::write(&file, "[turn]\nsecret = \"a long enough secret\"").unwrap();
        for (mode, expected) in [(0o644, 1), (0o640, 0)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let loaded = campanile_config::load(Some(&file), []).unwrap();
            let problems = problems(&loaded, SystemTime::now());
            assert_eq!(problems.iter().filter(|problem| problem.message.contains("chmod o=")).count(), expected, "{problems:?}");
        }
    }

    #[test]
    fn a_domain_has_to_be_fit_for_addresses() {
        let mut config = Config::default();
        assert_eq!(names::not_of_addresses(&config).count(), 0);
        config.server.domains = vec!["bücher.example".to_owned(), "i❤.example".to_owned()];
        assert_eq!(names::not_of_addresses(&config).collect::<Vec<_>>(), ["i❤.example"]);
    }

    #[test]
    fn errors_come_before_warnings() {
        let mut loaded = campanile_config::load(None, []).unwrap();
        loaded.warnings.push(Origins::default().problem(Severity::Warning, "turn.secret", "short"));
        loaded.config.server.log = "loud".to_owned();
        let problems = problems(&loaded, SystemTime::now());
        assert_eq!((problems[0].severity, problems[0].key.as_str()), (Severity::Error, "server.log"));
    }
}
