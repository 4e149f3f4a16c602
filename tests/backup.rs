//! Promise: a backup taken while the server works, by the command of the README, is a whole server to go on with, and nobody waits for it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::support::folder::Folder;
use crate::support::server::{PASSWORD, Server, text};
use crate::support::wire::Wire;

/// Contacts that the writer adds at most; `limits.roster_items` allows more.
const CONTACTS: usize = 900;
/// Copying that much takes long enough for others to write meanwhile.
const PADDING_BYTES: usize = 30_000_000;

/// `sqlite3` on a database.
fn sqlite3(database: &Path, sql: &str) -> Command {
    let mut command = Command::new("sqlite3");
    command.arg(database).arg(sql).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What the README tells SQLite's command line, with this file to be written.
fn told(target: &Path) -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let line = readme.lines().find(|line| line.starts_with("sqlite3 ")).expect("the command");
    let sql = line.split('"').nth(1).expect("what it is told");
    assert!(sql.contains("'/backup/campanile.db'"), "{sql}");
    sql.replace("/backup/campanile.db", &target.display().to_string())
}

#[test]
#[ignore = "needs SQLite's command line: tests/run"]
fn a_hot_backup_of_sqlite_is_whole_and_the_server_writes_meanwhile() {
    let server = Server::start().restart_after(&[], |server| {
        let padding = format!("CREATE TABLE padding (bytes BLOB); INSERT INTO padding VALUES (zeroblob({PADDING_BYTES}))");
        let filled = sqlite3(&server.folder().join("data/campanile.db"), &padding).output().expect("sqlite3 is installed");
        assert!(filled.status.success(), "{}", text(&filled));
    });
    let mut alice = Wire::online(&server, "alice", "home");
    let (confirmed, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let backup = Folder::new();
    fs::create_dir_all(backup.path().join("data")).unwrap();
    let target = backup.path().join("data/campanile.db");
    // Contacts are added all the while; those confirmed before the backup began must be in it.
    let (before, begun, after) = thread::scope(|scope| {
        scope.spawn(|| {
            for count in 0..CONTACTS {
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                let item = format!("<query xmlns='jabber:iq:roster'><item jid='c{count}@localhost'/></query>");
                assert!(
                    alice.iq(&format!("s{count}"), "type='set'", &item).contains("type='result'"),
                    "a write fails while a backup is made"
                );
                confirmed.store(count + 1, Ordering::SeqCst);
            }
        });
        let now = || confirmed.load(Ordering::SeqCst);
        while now() == 0 {
            thread::yield_now();
        }
        let before = now();
        let mut copying = sqlite3(&server.folder().join("data/campanile.db"), &told(&target)).spawn().expect("sqlite3 is installed");
        // its first bytes are written after its moment was taken
        while copying.try_wait().unwrap().is_none() && fs::metadata(&target).map_or(0, |file| file.len()) == 0 {
            thread::yield_now();
        }
        let begun = now();
        let copied = copying.wait_with_output().unwrap();
        let after = now();
        is_over.store(true, Ordering::SeqCst);
        assert!(copied.status.success(), "{}", text(&copied));
        (before, begun, after)
    });
    assert!(
        after > begun && after < CONTACTS,
        "of {before}, {begun} and {after} writes none was confirmed while the backup was made, or they ran out"
    );
    fs::copy(server.folder().join("data/secret.key"), backup.path().join("data/secret.key")).unwrap();
    for file in ["campanile.toml", "cert.pem", "key.pem"] {
        fs::copy(server.folder().join(file), backup.path().join(file)).unwrap();
    }
    drop(server);
    let restored = Server::serve(backup, &[]);
    for user in ["alice", "bob", "carol"] {
        let mut wire = Wire::secure(&restored);
        wire.scram(crate::support::scram::Hash::Sha256, user, PASSWORD).expect("its password is the same");
    }
    let mut alice = Wire::bound(&restored, "alice", "home");
    let roster = alice.iq("r", "type='get'", "<query xmlns='jabber:iq:roster'/>");
    let restored_items = roster.matches("<item ").count();
    // Each write is in it or not at all, and none that came after the copying had begun: it is one moment.
    assert!(
        (before..=begun + 1).contains(&restored_items),
        "{restored_items}, of which {before} were there before and {begun} as it began"
    );
    for contact in 0..restored_items {
        assert!(roster.contains(&format!("jid='c{contact}@localhost'")), "a moment, not a mixture: {roster}");
    }
}
