//! campanile: the release binary, TLS not required, its limits on rates and counts out of the way.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use campanile_signalling::auth::{Password, ScramSet};
use campanile_signalling::jid::BareJid;
use campanile_signalling::store::Store;

use super::Setup;
use crate::client::PASSWORD;

/// Writes configuration and accounts.
pub async fn command(binary: &Path, folder: &Path, port: u16, setup: Setup) -> anyhow::Result<Command> {
    let archive = if setup.archive { "always" } else { "never" };
    let mut config = String::new();
    writeln!(
        config,
        r#"
[server]
data_dir = "data"
log = "warn"
public_address = "127.0.0.1"
[tls]
certificate = "cert.pem"
key = "key.pem"
[c2s]
listen = ["127.0.0.1:{port}"]
direct_tls = []
require_tls = false
[http]
listen = []
tls_listen = []
[admin]
listen = []
[turn]
udp = ["127.0.0.1:0"]
tcp = []
tls = []
[archive]
default = "{archive}"
[limits]
bytes_per_second = 4000000000
bytes_burst = 4000000000
connections = 100000
connections_per_source = 100000
room_occupants = 100000
"#
    )?;
    fs::write(folder.join("campanile.toml"), config)?;
    accounts(&folder.join("data"), setup.accounts).await?;
    let mut command = Command::new(binary);
    command.arg("serve").arg("--config").arg("campanile.toml").env_remove("RUST_LOG");
    Ok(command)
}

/// As `campanile user add` makes them, but in one process and with keys derived once.
async fn accounts(folder: &Path, count: usize) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(folder)?;
    let store = Store::open(&format!("sqlite:{}", folder.join("campanile.db").display()), folder).await.context("database")?;
    let password = Password::prepare(PASSWORD).context("password")?;
    let keys = ScramSet::derive(&password, &[7; 32]);
    for account in 0..count {
        store.accounts().create(&BareJid::new(&format!("u{account}"), "localhost").context("JID")?, &keys).await?;
    }
    store.close().await;
    Ok(())
}
