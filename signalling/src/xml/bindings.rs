//! Namespace declarations in force around an element: those of the stream header, or of a stanza's start tag on top of them.

use std::sync::Arc;

use crate::ns;

/// A default namespace and prefixes. A clone counts one reference; most streams declare nothing but the content namespace and `stream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bindings {
    /// The default namespace; empty when none is declared.
    default: Arc<str>,
    prefixes: Arc<[(Box<str>, Arc<str>)]>,
}

impl Bindings {
    /// Nothing declared: what surrounds a WebSocket frame (RFC 7395 §3.3.3) or a stored element.
    #[must_use]
    pub fn empty() -> Self {
        Self { default: Arc::from(""), prefixes: Arc::from([]) }
    }

    /// `jabber:client` as default and the prefix `stream`: what almost every client's stream header declares.
    #[must_use]
    pub fn client() -> Self {
        Self::new(ns::CLIENT, [("stream", ns::STREAM)])
    }

    /// This default namespace (empty: none) and these prefixes.
    #[must_use]
    pub fn new<'a>(default: &str, prefixes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            default: Arc::from(default),
            prefixes: prefixes.into_iter().map(|(prefix, uri)| (Box::from(prefix), Arc::from(uri))).collect(),
        }
    }

    /// The default namespace; empty when none is declared.
    #[must_use]
    pub fn default_ns(&self) -> &str {
        &self.default
    }

    /// The namespace of a prefix declared here. `xml` and `xmlns` are never declared and not found here.
    #[must_use]
    pub fn prefix(&self, prefix: &str) -> Option<&str> {
        self.position(prefix).map(|index| &*self.prefixes[index].1)
    }

    /// All prefixes and their namespaces.
    pub fn prefixes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.prefixes.iter().map(|(prefix, uri)| (&**prefix, &**uri))
    }

    pub(crate) fn position(&self, prefix: &str) -> Option<usize> {
        self.prefixes.iter().position(|(declared, _)| **declared == *prefix)
    }

    /// The namespace of a prefix by its position.
    pub(crate) fn uri(&self, index: usize) -> &Arc<str> {
        &self.prefixes[index].1
    }
}

impl Default for Bindings {
    fn default() -> Self {
        Self::empty()
    }
}
