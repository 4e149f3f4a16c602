//! Promise: a backup taken while the server works, by the command of the README, is a whole server to go on with.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::folder::Folder;
use crate::support::server::{PASSWORD, Server, text};
use crate::support::wire::Wire;

/// What the writer adds while the backup is made.
const CONTACTS: usize = 40;

#[test]
#[ignore = "needs SQLite's command line: tests/run"]
fn a_hot_backup_of_sqlite_is_whole() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let confirmed = AtomicUsize::new(0);
    let backup = Folder::new();
    // Contacts are added all the while; those confirmed before the backup began must be in it.
    let before = thread::scope(|scope| {
        scope.spawn(|| {
            for count in 0..CONTACTS {
                let item = format!("<query xmlns='jabber:iq:roster'><item jid='c{count}@localhost'/></query>");
                assert!(alice.iq(&format!("s{count}"), "type='set'", &item).contains("type='result'"));
                confirmed.store(count + 1, Ordering::SeqCst);
            }
        });
        while confirmed.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let before = confirmed.load(Ordering::SeqCst);
        fs::create_dir_all(backup.path().join("data")).unwrap();
        let target = backup.path().join("data/campanile.db");
        let copied = Command::new("sqlite3")
            .arg(server.folder().join("data/campanile.db"))
            .arg(format!(".backup '{}'", target.display()))
            .output()
            .expect("sqlite3 is installed");
        assert!(copied.status.success(), "{}", text(&copied));
        before
    });
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
    assert!((before..=CONTACTS).contains(&restored_items), "{restored_items}, of which {before} were there before");
    for contact in 0..restored_items {
        assert!(roster.contains(&format!("jid='c{contact}@localhost'")), "a moment, not a mixture: {roster}");
    }
}
