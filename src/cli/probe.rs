//! `campanile probe`: a real call through the listening sockets of a running server, or with `--self` of one of its own.

use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use campanile_config::{Config, told};
use campanile_signalling::auth::Authenticator;
use campanile_signalling::jid::BareJid;
use campanile_signalling::net::tls;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::user::{same_user, tell, with_accounts};
use super::{line_on_stderr, load, print};
use crate::control::{self, Request};
use crate::logging;
use crate::probe::Transport;
use crate::probe::client::random_name;
use crate::probe::own_server::{Listening, OwnServer};
use crate::probe::report::{Report, Step};
use crate::probe::steps::{self, Account, Proxies, Stage, Target};
use crate::probe::trust::Trust;

/// What the WebRTC stack logs of a refusal is told better by the step that fails.
const LOG: &str = "off,campanile=warn";

/// Arguments of `campanile probe`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Start a server for it, with the built-in defaults, on free ports of this machine and in a temporary folder
    #[arg(long = "self", conflicts_with = "config")]
    own: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Exit code 0 when every step succeeded.
pub fn run(file: Option<&Path>, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let mut report = Report::new(!arguments.json);
    let result = runtime.block_on(probe(file, arguments.own, &mut report));
    report.finish();
    result?;
    if arguments.json {
        print(&format!("{:#}", report.json()))?;
    } else {
        print(&report.table(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()))?;
    }
    let failures = report.failures();
    for (step, sentence) in &failures {
        line_on_stderr(&format!("{step} failed: {sentence}"));
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Errors are those that come before the first step; what fails in a step stands in the report.
async fn probe(file: Option<&Path>, own: bool, report: &mut Report) -> anyhow::Result<()> {
    if !own {
        let config = load(file)?.config;
        logging::start(config.server.log_format, LOG)?;
        same_user(&config.server.data_dir)?;
        let data_dir = &config.server.data_dir;
        if control::ask(data_dir, &Request::Status).await?.is_none() {
            bail!("no server runs from {}: start it with `campanile serve`, or let --self start one", data_dir.display());
        }
        return place_calls(&config, None, report).await;
    }
    logging::start(campanile_config::LogFormat::Text, LOG)?;
    report.begin(Step::Server);
    let server = match OwnServer::start().await {
        Ok(server) => server,
        Err(error) => {
            report.failed(format!("{error:#}"));
            return Ok(());
        }
    };
    report.done(format!("{} STARTTLS, {} direct TLS", addresses(&server.listening.c2s), addresses(&server.listening.direct_tls)));
    // Not the environment's overrides: the server does not see them either.
    let config = campanile_config::load(Some(&server.config()), [])?.config;
    let result = place_calls(&config, Some(&server.listening), report).await;
    if !report.failures().is_empty() {
        line_on_stderr(&format!("the server's last words:{}", server.last_words()));
    }
    report.begin(Step::Stop);
    match server.stop().await {
        Ok(()) => report.done(String::new()),
        Err(error) => report.failed(format!("{error:#}")),
    }
    result
}

fn addresses(list: &[SocketAddr]) -> String {
    list.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(" ")
}

/// Makes the accounts, runs the steps until they end or a signal comes, and takes everything away again.
async fn place_calls(config: &Config, listening: Option<&Listening>, report: &mut Report) -> anyhow::Result<()> {
    let target = target(config, listening)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let accounts = new_accounts()?;

    report.begin(Step::Accounts);
    if let Err(error) = create(config, &target.domain, &accounts).await {
        report.failed(format!("{error:#}"));
        return delete(config, &target.domain, &accounts).await;
    }
    report.done(accounts.iter().map(|account| format!("{}@{}", account.username, target.domain)).collect::<Vec<_>>().join(", "));

    let mut stage = Stage::default();
    let interrupted = tokio::select! {
        () = steps::run(&target, &accounts, &mut stage, report) => false,
        _ = interrupt.recv() => true,
        _ = terminate.recv() => true,
    };
    if interrupted {
        report.interrupted();
    }
    stage.clear().await;
    delete(config, &target.domain, &accounts).await
}

fn new_accounts() -> anyhow::Result<[Account; 2]> {
    let account = || anyhow::Ok(Account { username: format!("probe-{}", random_name(10)?), password: random_name(32)? });
    Ok([account()?, account()?])
}

async fn create(config: &Config, domain: &str, accounts: &[Account; 2]) -> anyhow::Result<()> {
    for account in accounts {
        let jid = BareJid::new(&account.username, domain)?;
        with_accounts(config, async |authenticator| Ok(authenticator.create_account(&jid, &account.password).await?)).await?;
    }
    Ok(())
}

/// Deletes those that are there, the second also when the first cannot be. Nothing is left behind but on a crash, and then under a name
/// that says what it was.
async fn delete(config: &Config, domain: &str, accounts: &[Account; 2]) -> anyhow::Result<()> {
    let mut errors = Vec::new();
    for account in accounts {
        if let Err(error) = delete_one(config, &BareJid::new(&account.username, domain)?).await {
            errors.push(format!("{error:#}"));
        }
    }
    if errors.is_empty() { Ok(()) } else { bail!("{}", errors.join("; ")) }
}

async fn delete_one(config: &Config, jid: &BareJid) -> anyhow::Result<()> {
    let remove = async |authenticator: &Authenticator| {
        // One that was never made is as good as deleted.
        authenticator.delete_account(jid).await?;
        Ok(())
    };
    with_accounts(config, remove)
        .await
        .with_context(|| format!("the throw-away account {jid} is left behind, `campanile user delete {jid}` removes it"))?;
    let told = tell(&config.server.data_dir, &Request::AccountDeleted { account: jid.to_string() }).await;
    told.with_context(|| format!("the throw-away account {jid} is deleted, but"))?;
    Ok(())
}

/// What the configuration says of the server under test; `listening` where its ports are not those of the configuration.
fn target(config: &Config, listening: Option<&Listening>) -> anyhow::Result<Target> {
    let domain = config.server.domains.first().context("server.domains is empty")?.clone();
    let Listening { c2s: start_tls, direct_tls, mux } = match listening {
        Some(listening) => listening.clone(),
        None => Listening {
            c2s: reachable("c2s.listen", &config.c2s.listen)?,
            direct_tls: reachable("c2s.direct_tls", &config.c2s.direct_tls)?,
            mux: reachable("server.mux", &config.server.mux)?,
        },
    };
    let has_way_in = [&start_tls, &direct_tls, &mux].iter().any(|list| !list.is_empty());
    ensure!(has_way_in, "c2s.listen, c2s.direct_tls and server.mux are all empty: there is no way to log in");
    let transports = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Mux];
    let kinds = told::kinds(config);
    let told = transports.into_iter().zip(told::ports(&kinds)).filter(|(_, ports)| !ports.is_empty());
    let fronts = transports.into_iter().zip(kinds).filter_map(|(transport, kind)| Some((transport, kind.public_port?.get())));
    Ok(Target {
        domain,
        start_tls,
        direct_tls,
        mux,
        proxies: Proxies {
            c2s: config.c2s.proxy_protocol.clone(),
            turn: config.turn.proxy_protocol.clone(),
            mux: config.server.proxy_protocol.clone(),
        },
        transports: told.map(|(transport, _)| transport).collect(),
        fronts: fronts.collect(),
        relay_ports: (config.turn.ports.first, config.turn.ports.last),
        trust: Arc::new(Trust::load(&certificates(config))?),
    })
}

/// The files whose certificates the server may present.
fn certificates(config: &Config) -> Vec<std::path::PathBuf> {
    let default = config.tls.certificate.clone().unwrap_or_else(|| config.server.data_dir.join(tls::GENERATED_CERTIFICATE));
    std::iter::once(default).chain(config.tls.hosts.values().map(|host| host.certificate.clone())).collect()
}

/// Where a listener can be reached from this machine: one on all addresses is on loopback too.
fn reachable(key: &str, listeners: &[SocketAddr]) -> anyhow::Result<Vec<SocketAddr>> {
    let mut reachable = Vec::new();
    for listener in listeners {
        if listener.port() == 0 {
            bail!("{key} has port 0, which only the server itself knows: give it a port, or use --self");
        }
        match listener.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => reachable.push((Ipv4Addr::LOCALHOST, listener.port()).into()),
            // [::] serves both families, or falls back to IPv4 where there is no IPv6.
            IpAddr::V6(ip) if ip.is_unspecified() => {
                reachable.push((Ipv4Addr::LOCALHOST, listener.port()).into());
                reachable.push((Ipv6Addr::LOCALHOST, listener.port()).into());
            }
            _ => reachable.push(*listener),
        }
    }
    Ok(reachable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Answer, Control};
    use crate::lock::DataDir;
    use crate::lock::tests::Folder;
    use campanile_signalling::store::Store;
    use tokio_util::sync::CancellationToken;

    #[tokio::test]
    async fn an_account_that_cannot_be_deleted_properly_keeps_no_other() {
        let folder = Folder::new();
        let mut config = Config::default();
        config.server.data_dir = folder.path().to_owned();
        config.storage.url = format!("sqlite:{}/campanile.db", folder.path().display());
        let accounts = new_accounts().unwrap();
        create(&config, "localhost", &accounts).await.unwrap();
        let lock = DataDir::claim(folder.path()).unwrap();
        let stop = CancellationToken::new();
        let refuse = async |_| Answer::Error { message: "busy".to_owned() };
        let server = tokio::spawn(Control::bind(&lock).unwrap().serve(refuse, stop.clone()));
        let error = format!("{:#}", delete(&config, "localhost", &accounts).await.unwrap_err());
        for account in &accounts {
            assert!(error.contains(&account.username), "{error}");
        }
        let store = Store::open(&config.storage.url, folder.path()).await.unwrap();
        assert_eq!(store.accounts().count().await.unwrap(), 0);
        store.close().await;
        stop.cancel();
        server.await.unwrap();
    }

    #[test]
    fn listeners_on_all_addresses_are_reached_over_loopback() {
        for (listeners, expected) in [
            (vec!["0.0.0.0:5222"], vec!["127.0.0.1:5222"]),
            (vec!["[::]:5222"], vec!["127.0.0.1:5222", "[::1]:5222"]),
            (vec!["192.0.2.1:5222", "[2001:db8::1]:5222"], vec!["192.0.2.1:5222", "[2001:db8::1]:5222"]),
        ] {
            let parse = |list: &[&str]| list.iter().map(|address| address.parse().unwrap()).collect::<Vec<SocketAddr>>();
            assert_eq!(reachable("c2s.listen", &parse(&listeners)).unwrap(), parse(&expected));
        }
        let error = reachable("c2s.listen", &["[::]:0".parse().unwrap()]).unwrap_err().to_string();
        assert!(error.contains("c2s.listen") && error.contains("--self"), "{error}");
    }

    #[test]
    fn the_defaults_make_a_target() {
        let folder = std::env::temp_dir().join(format!("campanile-target-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut config = Config::default();
        config.server.data_dir = folder.clone();
        let error = format!("{:#}", target(&config, None).unwrap_err());
        assert!(error.contains("certificate"), "{error}");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(folder.join(tls::GENERATED_CERTIFICATE), certificate.pem()).unwrap();
        let target = target(&config, None).unwrap();
        assert_eq!(target.domain, "localhost");
        assert_eq!(target.transports, [Transport::Udp, Transport::Tcp, Transport::Tls]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
