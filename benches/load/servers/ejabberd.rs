//! ejabberd as Debian ships it, with the modules of its default configuration that concern accounts and messages, and no others. It runs
//! without Erlang's distribution, so that it needs no daemon for ports, and its schedulers do not spin while they wait: by default they
//! do, and would be charged for it here.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Setup;
use crate::client::PASSWORD;

/// Writes the configuration.
pub fn command(folder: &Path, port: u16, api: u16, setup: Setup) -> anyhow::Result<Command> {
    let archive = if setup.archive { "  mod_mam: {default: always}\n" } else { "" };
    // as in Debian's configuration, but for who may create nodes
    let pubsub = if setup.pubsub { "  mod_pubsub: {access_createnode: all, plugins: [flat, pep]}\n" } else { "" };
    let rooms = if setup.rooms {
        // as in Debian's configuration, but for how many may be there: 200
        let kept = setup.archive;
        format!("  mod_muc: {{access_mam: all, max_users: 5000, default_room_options: {{mam: {kept}, max_users: 5000}}}}\n")
    } else {
        String::new()
    };
    let here = folder.display();
    let config = format!(
        r#"hosts: [localhost]
loglevel: error
certfiles: ["{here}/both.pem"]
auth_method: internal
auth_password_format: scram
acl:
  loopback: {{ip: [127.0.0.0/8]}}
listen:
  - {{port: {port}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: true, max_stanza_size: 262144, access: all}}
  - {{port: {api}, ip: "127.0.0.1", module: ejabberd_http, request_handlers: {{/api: mod_http_api}}}}
api_permissions:
  "load": {{who: [{{acl: loopback}}], what: [register]}}
modules:
  mod_adhoc: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_http_api: {{}}
  mod_last: {{}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_roster: {{versioning: true}}
  mod_stream_mgmt: {{}}
  mod_vcard: {{search: false}}
  mod_vcard_xupdate: {{}}
  mod_version: {{}}
{archive}{pubsub}{rooms}"#
    );
    fs::write(folder.join("ejabberd.yml"), config)?;
    let both = fs::read_to_string(folder.join("cert.pem"))? + &fs::read_to_string(folder.join("key.pem"))?;
    fs::write(folder.join("both.pem"), both)?;
    let mut command = Command::new("erl");
    // the options of ejabberdctl and of Debian's ejabberdctl.cfg; then what spinning there is
    command.args(["+P", "262144", "+Q", "65536", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "-noinput"]);
    command.args(["-mnesia", "dir", &format!("\"{here}/mnesia\""), "-s", "ejabberd"]);
    command.env("EJABBERD_CONFIG_PATH", folder.join("ejabberd.yml")).env("EJABBERD_LOG_PATH", folder.join("ejabberd.log"));
    command.env("ERL_LIBS", "/usr/lib/x86_64-linux-gnu").env("ERL_CRASH_DUMP_BYTES", "0").env("HOME", folder);
    Ok(command)
}

/// Makes the accounts by its command `register`, over its HTTP interface since each `ejabberdctl` starts an Erlang of its own.
pub async fn register(api: SocketAddr, count: usize) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(api).await?;
    let mut answer = Vec::new();
    for account in 0..count {
        let body = format!(r#"{{"user":"u{account}","host":"localhost","password":"{PASSWORD}"}}"#);
        let head = format!(
            "POST /api/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await?;
        answer.clear();
        // The body is one JSON string, in which nothing follows the closing quote.
        while !(answer.ends_with(b"\"") && answer.windows(4).any(|four| four == b"\r\n\r\n")) {
            ensure!(stream.read_buf(&mut answer).await? > 0, "the API closed the connection");
        }
        let text = std::str::from_utf8(&answer).context("an answer in UTF-8")?;
        ensure!(text.starts_with("HTTP/1.1 200"), "register: {text}");
    }
    Ok(())
}
