//! `Config`: one plain struct per section of `campanile.toml`; `Default` is the documented default (`dist/campanile.toml`).
//!
//! [`load`] reads file and environment, [`check`] judges what needs more than one key, [`live`] says what a reload may change.
//! A section is handed to the part of the server that it configures; nothing takes the whole [`Config`].

#![deny(missing_docs)]

pub mod check;
pub mod domain;
mod limits;
pub mod live;
pub mod load;
mod problem;
pub mod told;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use limits::Limits;
pub use load::{Loaded, load};
pub use problem::{Origin, Origins, Problem, Problems, Severity, key_path};
pub use value::{ContactAddress, HostTemplate, Network, PortRange, PublicAddress, Secret};

/// Everything an operator can set. Each field is one `[section]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who this server is.
    pub server: Server,
    /// The database.
    pub storage: Storage,
    /// Certificates.
    pub tls: Tls,
    /// How accounts come about.
    pub auth: Auth,
    /// Client streams (RFC 6120).
    pub c2s: C2s,
    /// Streams to other servers. Not built yet.
    pub s2s: S2s,
    /// WebSocket, call page, host-meta.
    pub http: Http,
    /// The operator's HTTP.
    pub admin: Admin,
    /// External components (XEP-0114). Not built yet.
    pub components: Components,
    /// Group chat (XEP-0045). Not built yet.
    pub muc: Muc,
    /// Publish-subscribe (XEP-0060).
    pub pubsub: Pubsub,
    /// File upload (XEP-0363). Not built yet.
    pub upload: Upload,
    /// SOCKS5 bytestreams (XEP-0065). Not built yet.
    pub proxy: Proxy,
    /// STUN and TURN (RFC 8489, RFC 8656), told to clients by XEP-0215.
    pub turn: Turn,
    /// The RTP relay (XEP-0278, SIP calls, conferences). Not built yet.
    pub relay: Relay,
    /// The SIP gateway. Not built yet.
    pub sip: Sip,
    /// Several nodes. Not built yet.
    pub cluster: Cluster,
    /// Message archive (XEP-0313).
    pub archive: Archive,
    /// Messages for accounts that are not online (XEP-0160).
    pub offline: Offline,
    /// Sizes, rates and counts.
    pub limits: Limits,
}

/// `[server]`: who this server is, where it keeps its files, what it logs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Virtual hosts, normalised (lower case, U-labels); the first is the default.
    #[serde(deserialize_with = "value::domains")]
    pub domains: Vec<String>,
    /// Folder of database file, generated certificate, keys and control socket.
    pub data_dir: PathBuf,
    /// What relays and services advertise, one per address family; empty: the local address on which the client's packet came. Host names are
    /// looked up again every minute.
    #[serde(deserialize_with = "value::one_or_list")]
    pub public_address: Vec<PublicAddress>,
    /// Log filter in the syntax of `RUST_LOG`, which overrides it.
    pub log: String,
    /// Form of the log lines.
    pub log_format: LogFormat,
    /// Bare JIDs of administrators; clients cannot register their names.
    #[serde(deserialize_with = "value::bare_jids")]
    pub admins: Vec<String>,
    /// TLS for XMPP (XEP-0368), HTTPS and TURN (RFC 7443) on one port, told apart by ALPN and first bytes.
    #[serde(deserialize_with = "value::list")]
    pub mux: Vec<SocketAddr>,
    /// The port at which clients reach `mux`, where a proxy stands before it; XEP-0215 tells it.
    pub mux_public_port: Option<NonZeroU16>,
    /// TCP proxies (HAProxy, nginx) whose connections to `mux` begin with a PROXY header (version 2 or 1).
    #[serde(deserialize_with = "value::list")]
    pub proxy_protocol: Vec<Network>,
    /// How long `campanile drain` waits for calls to end, seconds.
    pub drain_s: u64,
    /// Whom to write to about this server (XEP-0157).
    pub contact: Contact,
}

/// `[server.contact]`: addresses that people are told, as URIs; `{domain}` in one stands for the domain asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contact {
    /// About abuse of the service.
    #[serde(deserialize_with = "value::list")]
    pub abuse: Vec<ContactAddress>,
    /// To the administrators; the server's vCard names them, too.
    #[serde(deserialize_with = "value::list")]
    pub admin: Vec<ContactAddress>,
    /// What users think of the service.
    #[serde(deserialize_with = "value::list")]
    pub feedback: Vec<ContactAddress>,
    /// Sales and marketing.
    #[serde(deserialize_with = "value::list")]
    pub sales: Vec<ContactAddress>,
    /// About weaknesses.
    #[serde(deserialize_with = "value::list")]
    pub security: Vec<ContactAddress>,
    /// Pages that say whether the service is up.
    #[serde(deserialize_with = "value::list")]
    pub status: Vec<ContactAddress>,
    /// Help.
    #[serde(deserialize_with = "value::list")]
    pub support: Vec<ContactAddress>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            domains: vec!["localhost".to_owned()],
            data_dir: PathBuf::from("data"),
            public_address: Vec::new(),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            admins: Vec::new(),
            mux: Vec::new(),
            mux_public_port: None,
            proxy_protocol: Vec::new(),
            drain_s: 3600,
            contact: Contact::default(),
        }
    }
}

/// `server.log_format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line per event.
    #[default]
    Text,
    /// One JSON object per event.
    Json,
}

/// `[storage]`: the database.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// `sqlite:PATH` or `postgres://user:password@host/database`; `{data_dir}` stands for `server.data_dir`.
    #[serde(deserialize_with = "value::database_url")]
    pub url: String,
}

impl Default for Storage {
    fn default() -> Self {
        Self { url: "sqlite:{data_dir}/campanile.db".to_owned() }
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the address of a PostgreSQL server holds its password
        let scheme = self.url.split(':').next().unwrap_or_default();
        let shown = if scheme == "sqlite" { self.url.as_str() } else { scheme };
        f.debug_struct("Storage").field("url", &shown).finish()
    }
}

/// `[tls]`: certificates. Without `certificate` and `key` one is made at first start and kept in `data_dir`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the certificate chain, leaf first.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key.
    pub key: Option<PathBuf>,
    /// Certificates for single domains, chosen by SNI (RFC 6066 §3); keys normalised like `server.domains`.
    #[serde(deserialize_with = "value::domain_map")]
    pub hosts: BTreeMap<String, HostCertificate>,
}

/// `[tls.hosts."example.org"]`: the certificate of one domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `certificate` and `key`")]
pub struct HostCertificate {
    /// PEM file with the certificate chain, leaf first.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// `[auth]`: how accounts come about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// XEP-0077: anyone may make an account.
    pub registration: bool,
    /// SASL ANONYMOUS (RFC 4505, XEP-0175): anyone may log in for one session.
    pub anonymous: bool,
}

/// `[c2s]`: client streams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct C2s {
    /// STARTTLS, and direct TLS by its first byte.
    #[serde(deserialize_with = "value::list")]
    pub listen: Vec<SocketAddr>,
    /// Direct TLS (XEP-0368).
    #[serde(deserialize_with = "value::list")]
    pub direct_tls: Vec<SocketAddr>,
    /// TCP proxies (HAProxy, nginx) whose connections to both begin with a PROXY header (version 2 or 1).
    #[serde(deserialize_with = "value::list")]
    pub proxy_protocol: Vec<Network>,
    /// `false` lets clients log in without TLS: for tests and trusted links only.
    pub require_tls: bool,
}

impl Default for C2s {
    fn default() -> Self {
        Self { listen: vec![value::any(5222)], direct_tls: vec![value::any(5223)], proxy_protocol: Vec::new(), require_tls: true }
    }
}

/// `[s2s]`: streams to other servers. Not built yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S2s {
    /// STARTTLS.
    #[serde(deserialize_with = "value::list")]
    pub listen: Vec<SocketAddr>,
    /// Direct TLS (XEP-0368).
    #[serde(deserialize_with = "value::list")]
    pub direct_tls: Vec<SocketAddr>,
}

/// `[http]`: WebSocket (RFC 7395), host-meta (XEP-0156) and the call page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// HTTP in clear.
    #[serde(deserialize_with = "value::list")]
    pub listen: Vec<SocketAddr>,
    /// HTTPS.
    #[serde(deserialize_with = "value::list")]
    pub tls_listen: Vec<SocketAddr>,
    /// The address under which clients reach this listener, without a final slash; absent: built from the request.
    #[serde(deserialize_with = "value::public_url")]
    pub public_url: Option<String>,
    /// Reverse proxies whose forwarded client address counts.
    #[serde(deserialize_with = "value::list")]
    pub trusted_proxies: Vec<Network>,
    /// TCP proxies (HAProxy, nginx) whose connections to `listen` and `tls_listen` begin with a PROXY header (version 2 or 1).
    #[serde(deserialize_with = "value::list")]
    pub proxy_protocol: Vec<Network>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: vec![value::loopback(5280)],
            tls_listen: vec![value::any(5443)],
            public_url: None,
            trusted_proxies: vec![Network::loopback_v4(), Network::loopback_v6()],
            proxy_protocol: Vec::new(),
        }
    }
}

/// `[admin]`: `/metrics`, `/health`, `/ready`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// HTTP in clear, for the operator.
    #[serde(deserialize_with = "value::list")]
    pub listen: Vec<SocketAddr>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: vec![value::loopback(5380)] }
    }
}

/// `[components]`: external components (XEP-0114). Not built yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Components {
    /// Where components connect.
    #[serde(deserialize_with = "value::list")]
    pub listen: Vec<SocketAddr>,
    /// The secret of each component, by its domain.
    #[serde(deserialize_with = "value::domain_map")]
    pub secrets: BTreeMap<String, Secret>,
}

/// A section of a service that has a domain of its own, by default a subdomain of each virtual host, and perhaps listeners, by default none.
macro_rules! service {
    ($(#[$doc:meta])* $name:ident below $label:literal $({ $($(#[$key_doc:meta])* $key:ident: $type:ty,)* })?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Domain of the service; `{domain}` stands for each of `server.domains`.
            pub host: HostTemplate,
            $($($(#[$key_doc])* pub $key: $type,)*)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self { host: HostTemplate::below($label), $($($key: Default::default(),)*)? }
            }
        }
    };
}

service! {
    /// `[muc]`: group chat (XEP-0045).
    Muc below "conference" {
        /// Who creates rooms there.
        create: MayCreate,
    }
}

service! {
    /// `[pubsub]`: publish-subscribe (XEP-0060) beside the nodes of accounts (XEP-0163).
    Pubsub below "pubsub" {
        /// Who creates nodes there.
        create: MayCreate,
    }
}

/// `muc.create`, `pubsub.create`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MayCreate {
    /// Everyone, other servers' users too.
    Anyone,
    /// Accounts of this server, anonymous ones not.
    #[default]
    Local,
    /// `server.admins`.
    Admins,
}

service! {
    /// `[upload]`: file upload (XEP-0363). Not built yet.
    Upload below "upload"
}

service! {
    /// `[proxy]`: SOCKS5 bytestreams (XEP-0065). Not built yet.
    Proxy below "proxy" {
        /// Where clients connect.
        #[serde(deserialize_with = "value::list")]
        listen: Vec<SocketAddr>,
    }
}

/// `[turn]`: STUN (RFC 8489) and TURN (RFC 8656).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    /// The name told to clients; absent: `server.public_address`, else the domain.
    #[serde(deserialize_with = "value::host")]
    pub host: Option<String>,
    /// STUN and TURN over UDP.
    #[serde(deserialize_with = "value::list")]
    pub udp: Vec<SocketAddr>,
    /// STUN and TURN over TCP.
    #[serde(deserialize_with = "value::list")]
    pub tcp: Vec<SocketAddr>,
    /// STUN and TURN over TLS.
    #[serde(deserialize_with = "value::list")]
    pub tls: Vec<SocketAddr>,
    /// The port at which clients reach `udp`, where it is another one.
    pub udp_public_port: Option<NonZeroU16>,
    /// The port at which clients reach `tcp`, where it is another one.
    pub tcp_public_port: Option<NonZeroU16>,
    /// The port at which clients reach `tls`, where it is another one.
    pub tls_public_port: Option<NonZeroU16>,
    /// TCP proxies (HAProxy, nginx) whose connections to `tcp` and `tls` begin with a PROXY header (version 2 or 1).
    #[serde(deserialize_with = "value::list")]
    pub proxy_protocol: Vec<Network>,
    /// NAT behaviour discovery (RFC 5780): two addresses of this host that differ in IP address and port. Empty: none.
    #[serde(deserialize_with = "value::list")]
    pub nat_discovery: Vec<SocketAddr>,
    /// Ports of relayed addresses.
    pub ports: PortRange,
    /// TURN REST shared secret: names `EXPIRY:anything` made with it by other programs are accepted.
    pub secret: Option<Secret>,
    /// Peer networks opened beyond the safe defaults.
    #[serde(deserialize_with = "value::list")]
    pub allow_peers: Vec<Network>,
    /// Peer networks closed beyond the safe defaults; wins over `allow_peers`.
    #[serde(deserialize_with = "value::list")]
    pub deny_peers: Vec<Network>,
    /// Which peers the sessions of this server may reach through the relay, of those that the rules for peers allow.
    pub fence: Fence,
    /// Life of issued credentials, seconds.
    pub credentials_s: u64,
    /// Credentials for SASL ANONYMOUS sessions too.
    pub anonymous: bool,
    /// Allocations move with clients that change networks (RFC 8016).
    pub mobility: bool,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            host: None,
            udp: vec![value::any(3478)],
            tcp: vec![value::any(3478)],
            tls: vec![value::any(5349)],
            udp_public_port: None,
            tcp_public_port: None,
            tls_public_port: None,
            proxy_protocol: Vec::new(),
            nat_discovery: Vec::new(),
            ports: PortRange::new(49152, 65535),
            secret: None,
            allow_peers: Vec::new(),
            deny_peers: Vec::new(),
            fence: Fence::Off,
            credentials_s: 86400,
            anonymous: false,
            mobility: true,
        }
    }
}

/// `turn.fence` (docs/adr/0007-fence.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fence {
    /// Addresses that the other party of one of the session's live calls has offered, or from which an authenticated connectivity check came.
    Session,
    /// Any.
    #[default]
    Off,
}

/// `[relay]`: the RTP relay. Not built yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// Ports of relayed RTP and RTCP.
    pub ports: PortRange,
}

impl Default for Relay {
    fn default() -> Self {
        Self { ports: PortRange::new(30000, 39999) }
    }
}

/// `[sip]`: the SIP gateway. Not built yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sip {
    /// SIP over UDP.
    #[serde(deserialize_with = "value::list")]
    pub udp: Vec<SocketAddr>,
    /// SIP over TCP.
    #[serde(deserialize_with = "value::list")]
    pub tcp: Vec<SocketAddr>,
    /// SIP over TLS.
    #[serde(deserialize_with = "value::list")]
    pub tls: Vec<SocketAddr>,
}

/// `[cluster]`: several nodes. Not built yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Address of the NATS server; absent: one node.
    pub nats: Option<String>,
    /// Name of this node.
    pub node: Option<String>,
}

/// `[archive]`: message archive (XEP-0313).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// What is archived for an account that has not said otherwise.
    pub default: ArchiveDefault,
    /// Age at which archived messages are deleted, days.
    pub keep_days: u32,
}

impl Default for Archive {
    fn default() -> Self {
        Self { default: ArchiveDefault::Always, keep_days: 365 }
    }
}

/// `archive.default` (XEP-0441 §2.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArchiveDefault {
    /// Every message.
    #[default]
    Always,
    /// Messages from and to contacts of the roster.
    Roster,
    /// None.
    Never,
}

/// `[offline]`: messages for accounts that are not online (XEP-0160).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Offline {
    /// Age at which kept messages are deleted, days.
    pub keep_days: u32,
}

impl Default for Offline {
    fn default() -> Self {
        Self { keep_days: 30 }
    }
}
