//! What a client of a script says of itself: disco#info (XEP-0030), and its hash in presence (XEP-0115 §5.1).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An identity and features.
#[derive(Debug, Clone, Default)]
pub struct Caps {
    /// `category/type/name`.
    pub identity: String,
    pub features: Vec<String>,
}

impl Caps {
    fn identity(&self) -> (&str, &str, &str) {
        let mut parts = self.identity.splitn(3, '/');
        let mut next = || parts.next().unwrap_or_default();
        match (next(), next(), next()) {
            ("", _, _) => ("client", "pc", ""),
            identity => identity,
        }
    }

    /// The `ver` of XEP-0115 §5.1 with SHA-1.
    pub fn ver(&self) -> String {
        let (category, kind, name) = self.identity();
        let mut features = self.features.clone();
        features.sort();
        let text: String = [format!("{category}/{kind}//{name}")].into_iter().chain(features).map(|part| part + "<").collect();
        STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
    }

    /// The children of a disco#info result.
    pub fn info(&self) -> String {
        let (category, kind, name) = self.identity();
        let name = if name.is_empty() { String::new() } else { format!(" name='{name}'") };
        let features: String = self.features.iter().map(|feature| format!("<feature var='{feature}'/>")).collect();
        format!("<identity category='{category}' type='{kind}'{name}/>{features}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xep0115_s5_2_the_simple_generation_example() {
        let features = ["disco#info", "disco#items", "muc", "caps"].map(|name| format!("http://jabber.org/protocol/{name}")).to_vec();
        let caps = Caps { identity: "client/pc/Exodus 0.9.1".to_owned(), features };
        assert_eq!(caps.ver(), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }
}
