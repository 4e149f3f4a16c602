//! Channel bindings: values that tie a log-in to the TLS connection under it (RFC 5056), so that who sits between two TLS connections cannot
//! pass it on. The shell computes them after the handshake; here they are an argument.

use std::fmt;

/// The types that the server knows; the name is its "unique prefix" in IANA's registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingType {
    /// RFC 9266: keying material that both ends export. Ties to the connection.
    TlsExporter,
    /// RFC 5929 §4: a hash of the server's certificate. Ties to the certificate only.
    TlsServerEndPoint,
}

impl BindingType {
    /// Strongest first.
    const ALL: [Self; 2] = [Self::TlsExporter, Self::TlsServerEndPoint];

    /// The registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::TlsServerEndPoint => "tls-server-end-point",
        }
    }
}

/// What a log-in on one connection may be bound to. Dropped once it is of no more use: idle connections hold nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings(Option<Box<Values>>);

#[derive(Clone, PartialEq, Eq)]
struct Values {
    exporter: Option<Vec<u8>>,
    end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    /// The values of a connection; `None` where a type is not defined for it.
    #[must_use]
    pub fn new(exporter: Option<Vec<u8>>, end_point: Option<Vec<u8>>) -> Self {
        let any = exporter.is_some() || end_point.is_some();
        Self(any.then(|| Box::new(Values { exporter, end_point })))
    }

    /// The types to announce (XEP-0440), strongest first.
    pub fn types(&self) -> impl Iterator<Item = BindingType> {
        BindingType::ALL.into_iter().filter(|binding| self.get(*binding).is_some())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The value that the client must show for the type of this name; `None`: the type is not offered on this connection.
    pub(super) fn named(&self, name: &str) -> Option<&[u8]> {
        self.get(BindingType::ALL.into_iter().find(|binding| binding.name() == name)?)
    }

    fn get(&self, binding: BindingType) -> Option<&[u8]> {
        let values = self.0.as_deref()?;
        match binding {
            BindingType::TlsExporter => values.exporter.as_deref(),
            BindingType::TlsServerEndPoint => values.end_point.as_deref(),
        }
    }
}

impl fmt::Debug for ChannelBindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.types()).finish()
    }
}
