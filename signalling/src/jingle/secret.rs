//! Text that no log shows.

use std::fmt;
use std::ops::Deref;

use smol_str::SmolStr;

/// A password or a key; `Debug` does not say it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(SmolStr);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<SmolStr> for Secret {
    fn from(text: SmolStr) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}
