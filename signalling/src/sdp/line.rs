//! The lines of SDP as values: RFC 8866 §5, and the attributes that the mapping knows. Values that Jingle has too are the same types.

use smol_str::SmolStr;

use crate::jingle::candidate::Candidate;
use crate::jingle::rtp::{Bandwidth, Crypto, Feedback, Msid, Parameter, ZrtpHash};
use crate::jingle::secret::Secret;
use crate::jingle::transport::{Fingerprint, RemoteCandidate, Setup};

/// A session description, or a fragment of one (RFC 8840 §9), which has attributes and media only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionDescription {
    /// §5.2; `None` in a fragment.
    pub origin: Option<Origin>,
    /// §5.3: `s=`.
    pub name: SmolStr,
    /// §5.9: `t=`, start and stop.
    pub timing: Vec<(u64, u64)>,
    /// `i=`, `u=`, `e=`, `p=`, `r=`, `z=`, `k=`: for people or out of use.
    pub others: Vec<OtherLine>,
    /// §5.7.
    pub connection: Option<Connection>,
    /// §5.8.
    pub bandwidths: Vec<Bandwidth>,
    /// §5.13.
    pub attributes: Vec<Numbered>,
    /// §5.14.
    pub media: Vec<MediaDescription>,
}

/// `o=`: RFC 8866 §5.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// `-` where there is none.
    pub username: SmolStr,
    /// Identifies the session, in digits; may be longer than 64 bits.
    pub session_id: SmolStr,
    /// Grows by one with each change: RFC 3264 §5.
    pub version: u64,
    /// Of who made it.
    pub address: Connection,
}

/// `c=`: RFC 8866 §5.7, always of `IN`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// `IP6` and not `IP4`.
    pub is_ipv6: bool,
    /// An address or a name, with what follows it after `/` in multicast.
    pub address: SmolStr,
}

/// A line of a type that the mapping does not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherLine {
    /// Where it stands, from 1; 0 in what was not parsed.
    pub line: u32,
    /// `i`, `u`, `e`…
    pub kind: char,
    /// What comes behind the `=`.
    pub value: SmolStr,
}

/// A media description: RFC 8866 §5.14.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MediaDescription {
    /// Where its `m=` stands, from 1; 0 in what was not parsed.
    pub line: u32,
    /// `audio`, `video`, `application`…
    pub media: SmolStr,
    /// 0: refused, or bundled only.
    pub port: u16,
    /// How many ports, if said.
    pub ports: Option<u16>,
    /// `UDP/TLS/RTP/SAVPF`…
    pub protocol: SmolStr,
    /// Payload types in RTP.
    pub formats: Vec<SmolStr>,
    /// `i=`, `k=`.
    pub others: Vec<OtherLine>,
    /// More than one only in multicast.
    pub connections: Vec<Connection>,
    /// §5.8.
    pub bandwidths: Vec<Bandwidth>,
    /// §5.13.
    pub attributes: Vec<Numbered>,
}

/// An attribute and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Where it stands, from 1; 0 in what was not parsed.
    pub line: u32,
    /// What it says.
    pub attribute: Attribute,
}

impl From<Attribute> for Numbered {
    fn from(attribute: Attribute) -> Self {
        Self { line: 0, attribute }
    }
}

words! {
    /// RFC 8866 §6.7, seen from the party whose description it is.
    pub enum Direction {
        /// Neither sends.
        Inactive = "inactive",
        /// It receives only.
        RecvOnly = "recvonly",
        /// It sends only.
        SendOnly = "sendonly",
        /// Both.
        SendRecv = "sendrecv",
    }
}

/// An `a=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// RFC 5888 §4.
    Mid(SmolStr),
    /// RFC 5888 §5.
    Group {
        /// `BUNDLE`, `LS`…
        semantics: SmolStr,
        /// In their order.
        mids: Vec<SmolStr>,
    },
    /// RFC 8866 §6.7.
    Direction(Direction),
    /// RFC 8866 §6.6.
    Rtpmap {
        /// Which payload type.
        payload: u8,
        /// Name of the encoding.
        name: SmolStr,
        /// In Hz; RFC 4475's bodies have none.
        clockrate: Option<u32>,
        /// What follows the second slash.
        channels: Option<u8>,
    },
    /// RFC 8866 §6.15.
    Fmtp {
        /// Which payload type.
        payload: u8,
        /// Split at `;`.
        parameters: Vec<Parameter>,
    },
    /// RFC 8866 §6.4, in ms.
    Ptime(u32),
    /// RFC 8866 §6.5, in ms.
    Maxptime(u32),
    /// RFC 4585 §4.2.
    RtcpFb {
        /// `None` is `*`.
        payload: Option<u8>,
        /// Which kind.
        feedback: Feedback,
    },
    /// RFC 4585 §4.2: minimal interval of regular reports, in ms.
    RtcpFbTrrInt {
        /// `None` is `*`.
        payload: Option<u8>,
        /// In ms.
        value: u32,
    },
    /// RFC 3605.
    Rtcp {
        /// Port of RTCP.
        port: u16,
        /// Its address, where it is another.
        address: Option<Connection>,
    },
    /// RFC 5761.
    RtcpMux,
    /// RFC 5506.
    RtcpRsize,
    /// RFC 8285 §5.
    Extmap {
        /// Local identifier.
        id: u16,
        /// Seen from the party.
        direction: Option<Direction>,
        /// Which extension.
        uri: SmolStr,
        /// Split at spaces.
        parameters: Vec<Parameter>,
    },
    /// RFC 8285 §6.
    ExtmapAllowMixed,
    /// RFC 5576 §4.1.
    Ssrc {
        /// Which source.
        ssrc: u32,
        /// Empty name: a source without attributes, which RFC 5576 does not have and some write.
        parameter: Parameter,
    },
    /// RFC 5576 §4.2.
    SsrcGroup {
        /// `FID`…
        semantics: SmolStr,
        /// In their order.
        sources: Vec<u32>,
    },
    /// RFC 8830 §2.
    Msid(Msid),
    /// RFC 4145 §4.
    Setup(Setup),
    /// RFC 8122 §5.
    Fingerprint(Fingerprint),
    /// RFC 8839 §5.4.
    IceUfrag(SmolStr),
    /// RFC 8839 §5.4.
    IcePwd(Secret),
    /// RFC 8839 §5.6.
    IceOptions(Vec<SmolStr>),
    /// RFC 8839 §5.1.
    Candidate(Box<Candidate>),
    /// RFC 8839 §5.2.
    RemoteCandidates(Vec<RemoteCandidate>),
    /// RFC 8840 §8.2.
    EndOfCandidates,
    /// RFC 4568 §4.
    Crypto(Crypto),
    /// RFC 6189 §8.
    ZrtpHash(ZrtpHash),
    /// RFC 8841 §5.
    SctpPort(u16),
    /// Drafts before RFC 8841.
    Sctpmap {
        /// Port of SCTP.
        port: u16,
        /// `webrtc-datachannel`.
        protocol: SmolStr,
        /// How many streams.
        streams: Option<u16>,
    },
    /// Any other: Jingle has no element for it, so it is carried. The text of those known here (`rid`, `simulcast`, `bundle-only`, `ice-lite`,
    /// `tls-id`, `max-message-size`, `msid-semantic`…) has been checked.
    Other {
        /// What comes before the colon.
        name: SmolStr,
        /// What comes behind it.
        value: Option<SmolStr>,
    },
}
