//! campanile: the release binary, with nothing of it in use but the relay, and its bounds on counts out of the way.

use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::Command;

use super::{PORTS, SECRET};

/// Writes its configuration.
pub fn command(binary: &Path, folder: &Path, address: SocketAddrV4, tls: SocketAddrV4) -> anyhow::Result<Command> {
    let (ip, (first, last)) = (address.ip(), PORTS);
    let config = format!(
        r#"
[server]
data_dir = "data"
log = "warn"
public_address = "{ip}"
[tls]
certificate = "cert.pem"
key = "key.pem"
[c2s]
listen = []
direct_tls = []
[http]
listen = []
tls_listen = []
[admin]
listen = []
[turn]
udp = ["{address}"]
tcp = ["{address}"]
tls = ["{tls}"]
ports = [{first}, {last}]
secret = "{SECRET}"
allow_peers = ["127.0.0.0/8"]
[limits]
allocations = 20000
allocations_per_source = 20000
relay_bytes_per_second = 4000000000
relay_early_bytes_per_second = 4000000000
connections = 20000
connections_per_source = 20000
"#
    );
    fs::write(folder.join("campanile.toml"), config)?;
    let mut command = Command::new(binary);
    command.arg("serve").arg("--config").arg("campanile.toml").env_remove("RUST_LOG");
    Ok(command)
}
