//! Prosody as Debian ships it, with the modules of its default configuration that concern accounts and messages, and no others.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Setup;
use crate::client::PASSWORD;
use crate::scram;

/// Writes configuration and accounts.
pub fn command(folder: &Path, port: u16, setup: Setup) -> anyhow::Result<Command> {
    let archive = if setup.archive { r#""mam";"# } else { "" };
    // only administrators create nodes there
    let pubsub = if setup.pubsub { "Component \"pubsub.localhost\" \"pubsub\"\nadmins = { \"u0@localhost\" }\n" } else { "" };
    let muc_archive = if setup.archive { "modules_enabled = { \"muc_mam\" }\n" } else { "" };
    let rooms = if setup.rooms { format!("Component \"conference.localhost\" \"muc\"\n{muc_archive}") } else { String::new() };
    let here = folder.display();
    let config = format!(
        r#"run_as_root = true
data_path = "{here}/data"
pidfile = "{here}/prosody.pid"
log = {{ {{ levels = {{ min = "error" }}, to = "console" }} }}
modules_enabled = {{
    "disco"; "roster"; "saslauth"; "tls"; "blocklist"; "carbons"; "csi_simple"; "pep"; "ping"; "private"; "smacks"; "time"; "uptime";
    "vcard4"; "vcard_legacy"; "version"; {archive}
}}
modules_disabled = {{ "s2s", "http", "posix" }}
authentication = "internal_hashed"
default_archive_policy = true
archive_expires_after = "1y"
c2s_require_encryption = false
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{}}
ssl = {{ key = "{here}/key.pem", certificate = "{here}/cert.pem" }}
VirtualHost "localhost"
{pubsub}{rooms}"#
    );
    fs::write(folder.join("prosody.cfg.lua"), config)?;
    accounts(folder, setup.accounts)?;
    let mut command = Command::new("prosody");
    command.arg("-F").arg("--config").arg(folder.join("prosody.cfg.lua"));
    Ok(command)
}

/// Data files as `prosodyctl adduser` writes them, with keys derived once.
fn accounts(folder: &Path, count: usize) -> anyhow::Result<()> {
    // as Prosody 0.12 makes new passwords
    const SALT: &str = "f0c6bca2-6ac7-4d8e-9d3f-5a8f2e0d7b11";
    const ITERATIONS: u32 = 10_000;
    let salted = scram::salted(PASSWORD, SALT.as_bytes(), ITERATIONS)?;
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let stored = hex(scram::hash(&scram::sign(&salted, b"Client Key")));
    let server = hex(scram::sign(&salted, b"Server Key"));
    let text = format!(
        "return {{\n\t[\"iteration_count\"] = {ITERATIONS};\n\t[\"salt\"] = \"{SALT}\";\n\t[\"server_key\"] = \"{server}\";\n\t[\"stored_key\"] = \"{stored}\";\n}};\n"
    );
    let accounts = folder.join("data/localhost/accounts");
    fs::create_dir_all(&accounts)?;
    for account in 0..count {
        fs::write(accounts.join(format!("u{account}.dat")), &text)?;
    }
    Ok(())
}
