//! One server per `data_dir`: the folder, closed to others, and a lock that ends with the process.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tracing::warn;

const LOCK_FILE: &str = "server.lock";
/// Made by `campanile user`, which may come before the first start.
const SECRETS_FILE: &str = "secret.key";

/// The right to serve from a `data_dir`; let go when dropped, also by a crash.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the folder if needed, closes it to others (mode 0700) and locks it.
    ///
    /// # Errors
    /// Another server holds it; or the system's error, with the path.
    pub fn claim(path: &Path) -> anyhow::Result<Self> {
        let is_ours = !path.exists() || is_empty(path) || [LOCK_FILE, SECRETS_FILE].iter().any(|name| path.join(name).exists());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("server.data_dir: the folder {} cannot be made", path.display()))?;

        let file = path.join(LOCK_FILE);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .with_context(|| format!("server.data_dir: {} cannot be written", file.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // only for the message: an unreadable file gives one without the process
                let process = match lock.read_to_string(&mut holder) {
                    Ok(_) if !holder.trim().is_empty() => format!(", process {},", holder.trim()),
                    _ => String::new(),
                };
                bail!(
                    "another campanile{process} serves from {} already: stop it, or give this one another server.data_dir",
                    path.display()
                );
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("{} cannot be locked", file.display())),
        }
        lock.set_len(0)
            .and_then(|()| lock.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(lock, "{}", std::process::id()))
            .with_context(|| format!("{} cannot be written", file.display()))?;
        close_to_others(path, &lock, is_ours)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether a server serves from the folder.
///
/// # Errors
/// The system's, with the path.
pub fn is_served(path: &Path) -> anyhow::Result<bool> {
    let file = path.join(LOCK_FILE);
    let lock = match File::open(&file) {
        Ok(lock) => lock,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", file.display())),
    };
    // Shared, so that two that ask do not take each other for a server; let go at once.
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("{} cannot be locked", file.display())),
    }
}

fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// A folder that was there before with other people's files in it, `/tmp` say, is left as it is.
fn close_to_others(path: &Path, lock: &File, is_ours: bool) -> anyhow::Result<()> {
    const STICKY: u32 = 0o1000;
    let folder = fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
    if folder.mode() & 0o077 == 0 {
        return Ok(());
    }
    if is_ours && folder.mode() & STICKY == 0 && folder.uid() == lock.metadata().with_context(|| format!("{}", path.display()))?.uid() {
        return fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("{} cannot be closed to others", path.display()));
    }
    warn!(data_dir = %path.display(), mode = format!("{:o}", folder.mode() & 0o7777), "others can enter the data folder; `chmod 700` closes it");
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A folder for one test, removed at its end.
    pub(crate) struct Folder(PathBuf);

    impl Folder {
        pub(crate) fn new() -> Self {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("campanile-{}-{number}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_second_server_is_refused_until_the_first_ends() {
        let folder = Folder::new();
        let path = folder.path().join("a/data");
        let first = DataDir::claim(&path).unwrap();
        let refusal = DataDir::claim(&path).unwrap_err().to_string();
        assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
        assert!(refusal.contains("server.data_dir"), "{refusal}");
        drop(first);
        DataDir::claim(&path).unwrap();
    }

    #[test]
    fn the_folder_is_closed_to_others() {
        let folder = Folder::new();
        let made = folder.path().join("made");
        drop(DataDir::claim(&made).unwrap());
        assert_eq!(mode(&made), 0o700);
        fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).unwrap();
        drop(DataDir::claim(&made).unwrap());
        assert_eq!(mode(&made), 0o700);
    }

    #[test]
    fn a_folder_with_other_things_in_it_keeps_its_mode() {
        let folder = Folder::new();
        fs::write(folder.path().join("other"), "").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        drop(DataDir::claim(folder.path()).unwrap());
        assert_eq!(mode(folder.path()), 0o755);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let folder = Folder::new();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        let error = format!("{:#}", DataDir::claim(&path).unwrap_err());
        assert!(error.contains(path.to_str().unwrap()) && error.contains("server.data_dir"), "{error}");
    }
}
