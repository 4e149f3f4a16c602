//! `data_dir/secret.key`: the server's own secrets, one `name = base64` per line, made on first use.
//!
//! They key what outsiders see but must not be able to compute: invented salts of unknown accounts, issued TURN credentials. Mode 0600. The file
//! is replaced whole (written beside, synced, renamed), under a lock, so that two processes that start together agree.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{StoreError, folder};

/// The secrets file of one data directory. Its calls block briefly: use them at start-up.
#[derive(Debug, Clone)]
pub struct Secrets {
    data_dir: PathBuf,
}

impl Secrets {
    /// The secrets kept in `data_dir`, which is made (mode 0700) when it is missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        folder::create(data_dir)?;
        Ok(Self { data_dir: data_dir.to_owned() })
    }

    /// The secret `name` (letters, digits, `-`, `.`), `len` random bytes if it was not there. One that was keeps the length it has.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds a line that is no secret.
    pub fn get_or_create(&self, name: &str, len: usize) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        debug_assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)));
        let _lock = self.lock()?;
        let path = self.data_dir.join("secret.key");
        let mut text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == ErrorKind::NotFound => Zeroizing::default(),
            Err(error) => return Err(StoreError::file("read", path, error)),
        };
        if let Some(secret) = find(&text, name).map_err(|line| StoreError::Secret { path: path.clone(), line })? {
            return Ok(secret);
        }
        let mut secret = Zeroizing::new(vec![0; len]);
        rand::fill(&mut secret).expect("the system's random generator works");
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("{name} = {}\n", STANDARD.encode(&*secret)));
        self.replace(&path, text.as_bytes())?;
        Ok(secret)
    }

    /// Held while the file is read and replaced; let go when dropped.
    fn lock(&self) -> Result<File, StoreError> {
        let path = self.data_dir.join("secret.lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = open.map_err(|error| StoreError::file("open", &path, error))?;
        file.lock().map_err(|error| StoreError::file("lock", &path, error))?;
        Ok(file)
    }

    fn replace(&self, path: &Path, contents: &[u8]) -> Result<(), StoreError> {
        let beside = self.data_dir.join("secret.key.new");
        let written = || -> std::io::Result<()> {
            if let Err(error) = fs::remove_file(&beside) // left by a crash, perhaps with another mode
                && error.kind() != ErrorKind::NotFound
            {
                return Err(error);
            }
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside)?;
            file.write_all(contents)?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            File::open(&self.data_dir)?.sync_all()
        };
        written().map_err(|error| StoreError::file("write", path, error))
    }
}

/// The secret `name` in the file's text; the number of a line that cannot be read.
fn find(text: &str, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, usize> {
    let mut found = None;
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').ok_or(number)?;
        let value = STANDARD.decode(value.trim()).map(Zeroizing::new).map_err(|_| number)?;
        if value.is_empty() {
            return Err(number);
        }
        if key.trim() == name && found.is_none() {
            found = Some(value);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::folder::Temporary;
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_kept() {
        let folder = Temporary::new();
        let data = folder.path().join("data");
        let secrets = Secrets::open(&data).unwrap();
        let turn = secrets.get_or_create("turn", 32).unwrap();
        let salts = secrets.get_or_create("salts", 16).unwrap();
        assert_eq!((turn.len(), salts.len()), (32, 16));
        let again = Secrets::open(&data).unwrap();
        assert_eq!(again.get_or_create("turn", 32).unwrap(), turn);
        assert_eq!(again.get_or_create("salts", 16).unwrap(), salts);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data), 0o700);
        assert_eq!(mode(&data.join("secret.key")), 0o600);
    }

    #[test]
    fn processes_that_start_together_agree() {
        let folder = Temporary::new();
        let data = folder.path().to_owned();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let data = data.clone();
                std::thread::spawn(move || Secrets::open(&data).unwrap().get_or_create("turn", 32).unwrap())
            })
            .collect();
        let secrets: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(secrets.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_damaged_file_is_named_with_its_line_and_left_alone() {
        let folder = Temporary::new();
        let path = folder.path().join("secret.key");
        fs::write(&path, "# made by hand\nturn = AAAA\nsalts: nothing\n").unwrap();
        let error = Secrets::open(folder.path()).unwrap().get_or_create("salts", 16).unwrap_err();
        assert!(error.to_string().contains("secret.key line 3"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "# made by hand\nturn = AAAA\nsalts: nothing\n");
    }
}
