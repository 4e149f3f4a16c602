//! coturn as Debian ships it, set up to be quick: a relay thread for each core, no log, no command line, no second address, no DTLS.

use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::Command;
use std::thread;

use super::{PORTS, SECRET};

/// Its database as the package brings it. Without one its threads make the tables, all at once, and some then know no secret.
const DATABASES: [&str; 2] = ["/var/lib/turn/turndb", "/usr/share/doc/coturn/examples/var/db/turndb"];

/// Everything stands on its command line, but for the database, in which there is nothing.
pub fn command(folder: &Path, address: SocketAddrV4, tls: SocketAddrV4) -> Command {
    let (ip, (first, last)) = (address.ip(), PORTS);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let here = folder.display();
    if !DATABASES.iter().any(|database| fs::copy(database, folder.join("turndb")).is_ok()) {
        eprintln!("coturn's database is not where Debian has it");
    }
    let mut command = Command::new("turnserver");
    command.args(["-n", "--no-cli", "--no-rfc5780", "--no-dtls", "--no-stdout-log", "--simple-log", "--no-software-attribute"]);
    command.args([
        "--use-auth-secret",
        "--no-auth-pings",
        "--no-dynamic-ip-list",
        "--no-dynamic-realms",
        "--realm=localhost",
        "--allow-loopback-peers",
        "--log-file=/dev/null",
    ]);
    command.arg(format!("--static-auth-secret={SECRET}"));
    command.arg(format!("--relay-threads={cores}"));
    command.arg(format!("--listening-ip={ip}")).arg(format!("--relay-ip={ip}"));
    command.arg(format!("--listening-port={}", address.port())).arg(format!("--tls-listening-port={}", tls.port()));
    command.arg(format!("--min-port={first}")).arg(format!("--max-port={last}"));
    command.arg(format!("--cert={here}/cert.pem")).arg(format!("--pkey={here}/key.pem"));
    command.arg(format!("--pidfile={here}/coturn.pid")).arg(format!("--userdb={here}/turndb"));
    command
}
