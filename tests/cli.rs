//! Promise: every verb helps, does what it says, and fails in one clear line.

use std::fs;

use crate::support::folder::Folder;
use crate::support::server::{PASSWORD, Server, campanile, text};
use crate::support::wire::Wire;

fn run(folder: &Folder, arguments: &[&str]) -> (bool, String) {
    let output = campanile(folder.path()).args(arguments).output().unwrap();
    (output.status.success(), text(&output))
}

#[test]
fn every_verb_has_help() {
    let folder = Folder::new();
    let (ok, help) = run(&folder, &["--help"]);
    assert!(ok);
    for verb in ["serve", "drain", "check", "user", "probe", "sdp"] {
        assert!(help.contains(verb), "{help}");
        let (ok, help) = run(&folder, &[verb, "--help"]);
        assert!(ok && help.contains("--config"), "{verb}: {help}");
    }
    let (ok, version) = run(&folder, &["--version"]);
    assert!(ok && version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    assert!(!run(&folder, &["sing"]).0);
}

#[test]
fn check_names_file_line_and_key_and_changes_nothing() {
    let folder = Folder::new();
    for (config, parts) in [
        ("[c2s]\nlisten = [\"nonsense\"]\n", &["campanile.toml", "2", "c2s.listen"][..]),
        ("[c2s]\nlisten = [\"[::]:0\"]\nlissten = 1\n", &["campanile.toml", "3", "lissten"]),
        ("[turn]\nports = [9, 1]\n", &["campanile.toml", "turn.ports"]),
        ("[server\n", &["campanile.toml", "1"]),
        ("[muc]\nhost = 5\n", &["muc.host"]),
    ] {
        fs::write(folder.path().join("campanile.toml"), config).unwrap();
        let (ok, said) = run(&folder, &["check"]);
        assert!(!ok, "{config}: {said}");
        for part in parts {
            assert!(said.contains(part), "{config}: {part} is missing in {said}");
        }
    }
    fs::write(folder.path().join("campanile.toml"), "[server]\ndomains = [\"localhost\"]\n").unwrap();
    let (ok, said) = run(&folder, &["check"]);
    assert!(ok, "{said}");
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["campanile.toml"]);
    let (ok, said) = run(&folder, &["check", "--config", "missing.toml"]);
    assert!(!ok && said.contains("missing.toml"), "{said}");
    // a service that is not built yet is not switched on silently
    fs::write(folder.path().join("campanile.toml"), "[sip]\nudp = [\"[::]:5060\"]\n").unwrap();
    let (ok, said) = run(&folder, &["check"]);
    assert!(!ok && said.contains("sip"), "{said}");
}

#[test]
fn every_documented_default_parses() {
    let folder = Folder::new();
    let documented = fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/campanile.toml")).unwrap();
    fs::write(folder.path().join("campanile.toml"), documented).unwrap();
    let (ok, said) = run(&folder, &["check"]);
    assert!(ok, "{said}");
}

/// A key has a reader, or the example file says that it has none yet. A reader names the key behind its section (`config.turn.ports`,
/// `limits.calls`) in a file that is no test.
#[test]
fn every_documented_key_is_read_or_said_not_to_be() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "signalling/src", "relay/src"] {
        read_sources(&root.join(folder), &mut sources);
    }
    // The one rule of the configuration that others only call.
    sources.push(fs::read_to_string(root.join("config/src/told.rs")).unwrap().split("#[cfg(test)]").next().unwrap_or_default().to_owned());
    let is_read = |key: &str| {
        sources.iter().any(|source| {
            source.match_indices(key).any(|(at, _)| {
                let is_part = |c: char| c.is_alphanumeric() || c == '_';
                let (before, after) = (&source[..at], &source[at + key.len()..]);
                let line = before.rsplit('\n').next().unwrap_or_default();
                let in_string = line.matches('"').count() % 2 == 1;
                !before.ends_with(is_part) && !after.starts_with(is_part) && !line.trim_start().starts_with("//") && !in_string
            })
        })
    };
    let (mut section, mut note, mut in_keys) = ("", String::new(), false);
    let documented = fs::read_to_string(root.join("dist/campanile.toml")).unwrap();
    for line in documented.lines() {
        if let Some(name) = line.strip_prefix('[') {
            (section, note) = (name.trim_end_matches(']'), String::new());
        } else if let Some(comment) = line.strip_prefix("# ") {
            // what stands above a group of keys is said of all of them
            if std::mem::take(&mut in_keys) {
                note.clear();
            }
            note.push_str(comment);
        } else if let Some(key) = line.strip_prefix('#').map(|key| key.split([' ', '.']).next().unwrap_or_default()) {
            in_keys = true;
            let path = format!("{section}.{key}");
            let is_said = note.contains("Not built yet") || note.contains("Not read yet");
            assert!(is_said || is_read(&path), "nobody reads {path}, and dist/campanile.toml does not say so");
        }
    }
}

/// The Rust sources of a folder, each up to its tests.
fn read_sources(folder: &std::path::Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            into.push(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned());
        }
    }
}

#[test]
fn accounts_with_the_server_stopped_and_running() {
    let server = Server::start();
    let command = |arguments: &[&str]| {
        let output = server.command(arguments);
        (output.status.success(), text(&output))
    };
    let (ok, said) = command(&["user", "add", "dave@localhost", "--password", PASSWORD]);
    assert!(ok, "{said}");
    let mut dave = Wire::online(&server, "dave", "home");
    let (ok, said) = command(&["user", "add", "dave@localhost", "--password", "other"]);
    assert!(!ok && said.contains("dave@localhost"), "{said}");
    for wrong in ["dave", "dave@elsewhere.example", "da ve@localhost", "dave@localhost/home"] {
        assert!(!command(&["user", "add", wrong, "--password", "x"]).0, "{wrong}");
    }
    assert!(command(&["user", "list"]).1.contains("dave@localhost"));
    // a new password ends the sessions of the old one
    let (ok, said) = command(&["user", "passwd", "dave@localhost", "--password", "changed"]);
    assert!(ok, "{said}");
    let end = dave.until_closed();
    assert!(end.contains("<stream:error"), "{end}");
    let mut wire = Wire::secure(&server);
    wire.scram(crate::support::scram::Hash::Sha256, "dave", "changed").expect("the new password");
    let mut wire = Wire::secure(&server);
    wire.scram(crate::support::scram::Hash::Sha256, "dave", PASSWORD).expect_err("the old password");
    let (ok, said) = command(&["user", "delete", "dave@localhost"]);
    assert!(ok, "{said}");
    assert!(!command(&["user", "list"]).1.contains("dave@localhost"));
    assert!(!command(&["user", "delete", "dave@localhost"]).0);
    let mut wire = Wire::secure(&server);
    wire.scram(crate::support::scram::Hash::Sha1, "dave", "changed").expect_err("no account");
}

#[test]
pub fn an_account_is_disabled_and_enabled_with_the_server_stopped_and_running() {
    let server = Server::start();
    let command = |arguments: &[&str]| {
        let output = server.command(arguments);
        (output.status.success(), text(&output))
    };
    let mut alice = Wire::online(&server, "alice", "home");
    let (ok, said) = command(&["user", "disable", "alice@localhost", "--reason", "Call 212-555-1212."]);
    assert!(ok && said.contains("alice@localhost disabled, 1 session ended"), "{said}");
    // at once, and with the reason
    let end = alice.until_closed();
    assert!(end.contains("<policy-violation") && end.contains("Call 212-555-1212."), "{end}");
    // RFC 6120 §6.5.2, told to the owner only
    let mut wire = Wire::secure(&server);
    let failure = wire.scram(crate::support::scram::Hash::Sha256, "alice", PASSWORD).expect_err("disabled");
    assert!(failure.contains("<account-disabled/>") && failure.contains("Call 212-555-1212."), "{failure}");
    let failure = wire.scram(crate::support::scram::Hash::Sha256, "alice", "guess").expect_err("wrong");
    assert!(failure.contains("<not-authorized/>") && !failure.contains("212"), "{failure}");
    assert!(command(&["user", "list"]).1.contains("alice@localhost (disabled)"));
    assert!(command(&["user", "show", "alice@localhost"]).1.contains("disabled\tCall 212-555-1212."));
    assert!(command(&["user", "enable", "alice@localhost"]).0);
    let mut alice = Wire::online(&server, "alice", "home");
    assert!(!command(&["user", "disable", "nobody@localhost"]).0);
    assert!(!command(&["user", "enable", "nobody@localhost"]).0);

    let (ok, said) = command(&["user", "show", "alice@localhost"]);
    assert!(ok && said.contains("account\talice@localhost\n") && said.contains("session\talice@localhost/home\t0"), "{said}");
    assert!(command(&["user", "sessions"]).1.contains("alice@localhost/home\t0"));
    assert!(!command(&["user", "sessions", "bob@localhost"]).1.contains("alice"));
    assert!(!command(&["user", "kick", "alice@localhost/other"]).0);
    let (ok, said) = command(&["user", "kick", "alice@localhost/home", "--reason", "tidying up"]);
    assert!(ok && said.contains("1 session ended"), "{said}");
    let end = alice.until_closed();
    assert!(end.contains("<policy-violation") && end.contains("tidying up"), "{end}");
    Wire::online(&server, "alice", "home");

    // without the server the same verbs act on the database
    let mut server = server;
    server.signal("TERM");
    server.ended(std::time::Duration::from_secs(12)).expect("stops");
    let command = |arguments: &[&str]| {
        let output = server.command(arguments);
        (output.status.success(), text(&output))
    };
    assert!(command(&["user", "disable", "alice@localhost"]).0);
    assert!(command(&["user", "show", "alice@localhost"]).1.contains("no server runs here"));
    let (ok, said) = command(&["user", "kick", "alice@localhost"]);
    assert!(!ok && said.contains("no server runs here"), "{said}");
    let server = server.restart(&[]);
    let failure = Wire::secure(&server).scram(crate::support::scram::Hash::Sha256, "alice", PASSWORD).expect_err("disabled");
    assert!(failure.contains("<account-disabled/>"), "{failure}");
}

/// XEP-0077 §3.2 for the operator's deletion: with the server running at once, else at its next start.
#[test]
pub fn contacts_of_a_deleted_account_are_told() {
    let server = Server::start();
    let befriend = |server: &Server, a: &str| {
        let (mut a, mut carol) = (Wire::online(server, a, "a"), Wire::online(server, "carol", "c"));
        carol.iq("r", "type='get'", "<query xmlns='jabber:iq:roster'/>");
        carol.send(&format!("<presence type='subscribe' to='{}'/>", a.jid.split('/').next().expect("bare")));
        a.stanza("presence", &["type='subscribe'"]);
        a.send("<presence type='subscribed' to='carol@localhost'/>");
        carol.stanza("presence", &["type='subscribed'"]);
        (a, carol)
    };
    let (mut alice, mut carol) = befriend(&server, "alice");
    assert!(server.command(&["user", "delete", "alice@localhost"]).status.success());
    alice.expect_stream_error("not-authorized");
    carol.stanza("presence", &["type='unavailable'", "from='alice@localhost/a'"]);
    carol.stanza("presence", &["type='unsubscribed'", "from='alice@localhost'"]);
    drop(carol);

    drop(befriend(&server, "bob"));
    let mut server = server;
    server.signal("TERM");
    server.ended(std::time::Duration::from_secs(12)).expect("stops");
    assert!(server.command(&["user", "delete", "bob@localhost"]).status.success());
    let server = server.restart(&[]);
    let mut carol = Wire::bound(&server, "carol", "c");
    loop {
        let roster = carol.iq("r", "type='get'", "<query xmlns='jabber:iq:roster'/>");
        assert!(roster.contains("jid='bob@localhost'"), "{roster}");
        if roster.split("jid='bob@localhost'").nth(1).is_some_and(|item| item.contains("subscription='none'")) {
            break;
        }
    }
}

#[test]
fn a_password_is_read_from_standard_input() {
    use std::io::Write as _;
    use std::process::Stdio;
    let folder = Folder::new();
    let mut child = campanile(folder.path())
        .args(["user", "add", "alice@localhost"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().expect("piped").write_all(b"from a pipe\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}
