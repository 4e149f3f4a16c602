//! A terminal for programs that people use in one: tmux with a server of its own, on a socket in the test's folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::server::text;

/// 160 columns by 50 lines with one program in it, which ends with it.
pub struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Runs a program with nothing in its environment but this.
    pub fn start(folder: &Path, environment: &[(&str, &str)], program: &[&str]) -> Self {
        let terminal = Self { socket: folder.join("tmux") };
        let mut command = vec!["new-session", "-d", "-x", "160", "-y", "50", "env", "-i", "TERM=screen", "LC_ALL=C.UTF-8"];
        let environment: Vec<String> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        command.extend(environment.iter().map(String::as_str));
        command.extend(program);
        let started = terminal.tmux(&command);
        assert!(started.status.success(), "{program:?}: {}", text(&started));
        terminal
    }

    /// Types a line and Enter.
    pub fn line(&self, line: &str) {
        for keys in [&["send-keys", "-l", line][..], &["send-keys", "Enter"]] {
            let sent = self.tmux(keys);
            assert!(sent.status.success(), "{line}: {}", text(&sent));
        }
    }

    /// Waits until the screen shows all these texts.
    pub fn expect(&self, texts: &[&str]) {
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = text(&self.tmux(&["capture-pane", "-p"]));
            if texts.iter().all(|text| screen.contains(text)) {
                return;
            }
            assert!(Instant::now() < end, "the screen did not show {texts:?}:\n{screen}");
            // tmux tells nobody that the screen has changed
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for the program's end.
    pub fn ended(&self) {
        let end = Instant::now() + PATIENCE;
        while self.tmux(&["has-session"]).status.success() {
            assert!(Instant::now() < end, "the program goes on:\n{}", text(&self.tmux(&["capture-pane", "-p"])));
            // nor that its last session is over
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        Command::new("tmux").arg("-S").arg(&self.socket).args(["-f", "/dev/null"]).args(arguments).output().expect("tmux is installed")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // fails when the program has ended: then it is gone already
        self.tmux(&["kill-server"]);
    }
}
