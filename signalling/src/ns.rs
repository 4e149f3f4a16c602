//! Every XML namespace the server reads or writes, each with the document that defines it.

/// Declares the constants and `intern`, so that a new namespace is one line.
macro_rules! namespaces {
    ($($(#[$doc:meta])* $name:ident = $uri:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $uri;)*

        /// The constant equal to `uri`, if it is one of this module's: lets an owner of namespaces keep a `&'static str`.
        #[must_use]
        pub fn intern(uri: &str) -> Option<&'static str> {
            match uri {
                $($name => Some($name),)*
                _ => None,
            }
        }

        #[cfg(test)]
        const ALL: &[&str] = &[$($name),*];
    };
}

namespaces! {
    /// Content namespace between client and server: RFC 6120 §4.8.3.
    CLIENT = "jabber:client";
    /// Content namespace between servers: RFC 6120 §4.8.3.
    SERVER = "jabber:server";
    /// Content namespace of components: XEP-0114 §3.
    COMPONENT = "jabber:component:accept";
    /// Stream header, features and errors: RFC 6120 §4.8.1.
    STREAM = "http://etherx.jabber.org/streams";
    /// Conditions of stream errors: RFC 6120 §4.9.2.
    STREAM_ERROR = "urn:ietf:params:xml:ns:xmpp-streams";
    /// Conditions of stanza errors: RFC 6120 §8.3.2.
    STANZA_ERROR = "urn:ietf:params:xml:ns:xmpp-stanzas";
    /// STARTTLS: RFC 6120 §5.
    TLS = "urn:ietf:params:xml:ns:xmpp-tls";
    /// SASL: RFC 6120 §6.
    SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
    /// Resource binding: RFC 6120 §7.
    BIND = "urn:ietf:params:xml:ns:xmpp-bind";
    /// The legacy session request: RFC 3921 §3.
    SESSION = "urn:ietf:params:xml:ns:xmpp-session";
    /// WebSocket framing: RFC 7395 §3.3.
    FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
    /// The prefix `xml`: Namespaces in XML 1.0 §3.
    XML = "http://www.w3.org/XML/1998/namespace";
    /// The prefix `xmlns`: Namespaces in XML 1.0 §3.
    XMLNS = "http://www.w3.org/2000/xmlns/";
    /// Contact list: RFC 6121 §2.
    ROSTER = "jabber:iq:roster";
    /// Stream feature of roster versions: RFC 6121 §2.6.
    ROSTER_VER = "urn:xmpp:features:rosterver";
    /// Stream feature of subscription pre-approval: RFC 6121 §3.4.
    PRE_APPROVAL = "urn:xmpp:features:pre-approval";
    /// Server dialback: XEP-0220.
    DIALBACK = "jabber:server:dialback";
    /// Data forms: XEP-0004.
    DATA_FORMS = "jabber:x:data";
    /// Last activity: XEP-0012.
    LAST_ACTIVITY = "jabber:iq:last";
    /// Service discovery, information: XEP-0030 §3.
    DISCO_INFO = "http://jabber.org/protocol/disco#info";
    /// Service discovery, items: XEP-0030 §4.
    DISCO_ITEMS = "http://jabber.org/protocol/disco#items";
    /// Multi-user chat: XEP-0045.
    MUC = "http://jabber.org/protocol/muc";
    /// Multi-user chat, occupants' side: XEP-0045.
    MUC_USER = "http://jabber.org/protocol/muc#user";
    /// Multi-user chat, administration: XEP-0045.
    MUC_ADMIN = "http://jabber.org/protocol/muc#admin";
    /// Multi-user chat, ownership: XEP-0045.
    MUC_OWNER = "http://jabber.org/protocol/muc#owner";
    /// A room's configuration, a form: XEP-0045 §16.5.3.
    MUC_ROOMCONFIG = "http://jabber.org/protocol/muc#roomconfig";
    /// What a room says of itself, a form: XEP-0045 §16.5.4.
    MUC_ROOMINFO = "http://jabber.org/protocol/muc#roominfo";
    /// In-band bytestreams: XEP-0047.
    IBB = "http://jabber.org/protocol/ibb";
    /// Private XML storage: XEP-0049.
    PRIVATE = "jabber:iq:private";
    /// Ad-hoc commands: XEP-0050.
    COMMANDS = "http://jabber.org/protocol/commands";
    /// vcard-temp: XEP-0054.
    VCARD = "vcard-temp";
    /// vCard-based avatars: XEP-0153.
    VCARD_UPDATE = "vcard-temp:x:update";
    /// Result set management: XEP-0059.
    RSM = "http://jabber.org/protocol/rsm";
    /// Publish-subscribe: XEP-0060.
    PUBSUB = "http://jabber.org/protocol/pubsub";
    /// Publish-subscribe events: XEP-0060.
    PUBSUB_EVENT = "http://jabber.org/protocol/pubsub#event";
    /// Publish-subscribe, ownership: XEP-0060.
    PUBSUB_OWNER = "http://jabber.org/protocol/pubsub#owner";
    /// Application conditions of pubsub errors: XEP-0060.
    PUBSUB_ERRORS = "http://jabber.org/protocol/pubsub#errors";
    /// What a node is configured with: XEP-0060 §16.4.4.
    PUBSUB_NODE_CONFIG = "http://jabber.org/protocol/pubsub#node_config";
    /// Options of a subscription: XEP-0060 §16.4.2.
    PUBSUB_SUBSCRIBE_OPTIONS = "http://jabber.org/protocol/pubsub#subscribe_options";
    /// Approval of a subscription: XEP-0060 §16.4.1.
    PUBSUB_SUBSCRIBE_AUTHORIZATION = "http://jabber.org/protocol/pubsub#subscribe_authorization";
    /// What is known of a node: XEP-0060 §16.4.3.
    PUBSUB_META_DATA = "http://jabber.org/protocol/pubsub#meta-data";
    /// Stanza headers and internet metadata: XEP-0131.
    SHIM = "http://jabber.org/protocol/shim";
    /// The Atom syndication format: RFC 4287.
    ATOM = "http://www.w3.org/2005/Atom";
    /// SOCKS5 bytestreams: XEP-0065.
    BYTESTREAMS = "http://jabber.org/protocol/bytestreams";
    /// In-band registration: XEP-0077.
    REGISTER = "jabber:iq:register";
    /// Stream feature of in-band registration: XEP-0077 §8.
    REGISTER_FEATURE = "http://jabber.org/features/iq-register";
    /// Chat states: XEP-0085.
    CHAT_STATES = "http://jabber.org/protocol/chatstates";
    /// Software version: XEP-0092.
    VERSION = "jabber:iq:version";
    /// Entity capabilities: XEP-0115.
    CAPS = "http://jabber.org/protocol/caps";
    /// Entity capabilities 2.0: XEP-0390.
    CAPS_2 = "urn:xmpp:caps";
    /// The form of contact addresses: XEP-0157.
    SERVER_INFO = "http://jabber.org/network/serverinfo";
    /// Direct invitations to a room: XEP-0249.
    CONFERENCE = "jabber:x:conference";
    /// Message receipts: XEP-0184.
    RECEIPTS = "urn:xmpp:receipts";
    /// Invisible command: XEP-0186.
    INVISIBLE = "urn:xmpp:invisible:1";
    /// Blocking command: XEP-0191.
    BLOCKING = "urn:xmpp:blocking";
    /// Application conditions of blocking: XEP-0191.
    BLOCKING_ERRORS = "urn:xmpp:blocking:errors";
    /// Stream management: XEP-0198.
    SM = "urn:xmpp:sm:3";
    /// Ping: XEP-0199.
    PING = "urn:xmpp:ping";
    /// Entity time: XEP-0202.
    TIME = "urn:xmpp:time";
    /// Delayed delivery: XEP-0203.
    DELAY = "urn:xmpp:delay";
    /// Jingle: XEP-0166.
    JINGLE = "urn:xmpp:jingle:1";
    /// Application conditions of Jingle errors: XEP-0166 §10.
    JINGLE_ERRORS = "urn:xmpp:jingle:errors:1";
    /// Jingle RTP sessions: XEP-0167.
    JINGLE_RTP = "urn:xmpp:jingle:apps:rtp:1";
    /// Audio in Jingle RTP sessions, a disco feature: XEP-0167 §10.1.
    JINGLE_RTP_AUDIO = "urn:xmpp:jingle:apps:rtp:audio";
    /// Video in Jingle RTP sessions, a disco feature: XEP-0167 §10.1.
    JINGLE_RTP_VIDEO = "urn:xmpp:jingle:apps:rtp:video";
    /// Informational messages of Jingle RTP sessions: XEP-0167 §8.
    JINGLE_RTP_INFO = "urn:xmpp:jingle:apps:rtp:info:1";
    /// Jingle ICE-UDP transport: XEP-0176.
    JINGLE_ICE_UDP = "urn:xmpp:jingle:transports:ice-udp:1";
    /// Jingle ICE transport: XEP-0371.
    JINGLE_ICE = "urn:xmpp:jingle:transports:ice:0";
    /// Jingle raw UDP transport: XEP-0177.
    JINGLE_RAW_UDP = "urn:xmpp:jingle:transports:raw-udp:1";
    /// Options of ICE, an element each: in no specification, written by Conversations and Monal.
    JINGLE_ICE_OPTION = "http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option";
    /// Jingle DTMF: XEP-0181.
    JINGLE_DTMF = "urn:xmpp:jingle:dtmf:0";
    /// External services, current: XEP-0215.
    EXTDISCO = "urn:xmpp:extdisco:2";
    /// External services, before version 0.5: XEP-0215.
    EXTDISCO_1 = "urn:xmpp:extdisco:1";
    /// Jingle file transfer: XEP-0234.
    JINGLE_FILE_TRANSFER = "urn:xmpp:jingle:apps:file-transfer:5";
    /// Jingle SOCKS5 transport: XEP-0260.
    JINGLE_S5B = "urn:xmpp:jingle:transports:s5b:1";
    /// Jingle in-band transport: XEP-0261.
    JINGLE_IBB = "urn:xmpp:jingle:transports:ibb:1";
    /// ZRTP in Jingle RTP sessions: XEP-0262.
    JINGLE_ZRTP = "urn:xmpp:jingle:apps:rtp:zrtp:1";
    /// Jingle relay nodes: XEP-0278.
    JINGLE_RELAY_NODES = "http://jabber.org/protocol/jinglenodes";
    /// Message carbons: XEP-0280.
    CARBONS = "urn:xmpp:carbons:2";
    /// RTP feedback: XEP-0293.
    JINGLE_RTCP_FB = "urn:xmpp:jingle:apps:rtp:rtcp-fb:0";
    /// RTP header extensions: XEP-0294.
    JINGLE_RTP_HDREXT = "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0";
    /// Stanza forwarding: XEP-0297.
    FORWARD = "urn:xmpp:forward:0";
    /// Cryptographic hashes: XEP-0300.
    HASHES = "urn:xmpp:hashes:2";
    /// Last message correction: XEP-0308.
    CORRECTION = "urn:xmpp:message-correct:0";
    /// Message archive: XEP-0313.
    MAM = "urn:xmpp:mam:2";
    /// DTLS fingerprints: XEP-0320.
    JINGLE_DTLS = "urn:xmpp:jingle:apps:dtls:0";
    /// Message processing hints: XEP-0334.
    HINTS = "urn:xmpp:hints";
    /// Grouping of contents: XEP-0338.
    JINGLE_GROUPING = "urn:xmpp:jingle:apps:grouping:0";
    /// Source-specific media attributes: XEP-0339.
    JINGLE_SSMA = "urn:xmpp:jingle:apps:rtp:ssma:0";
    /// Streams and tracks of RFC 8830 in Jingle: in no specification, written by stanza.js.
    JINGLE_MSID = "urn:xmpp:jingle:apps:rtp:msid:0";
    /// SCTP of data channels: XEP-0343.
    JINGLE_SCTP = "urn:xmpp:jingle:transports:dtls-sctp:1";
    /// What SDP says and no specification of Jingle has an element for: `docs/sdp-mapping.md`, ours.
    SDP = "urn:campanile:sdp:0";
    /// Client state indication: XEP-0352.
    CSI = "urn:xmpp:csi:0";
    /// Jingle message initiation: XEP-0353.
    JINGLE_MESSAGE = "urn:xmpp:jingle-message:0";
    /// Jingle message initiation of versions 0.4 and 0.5: XEP-0353 §10.
    JINGLE_MESSAGE_1 = "urn:xmpp:jingle-message:1";
    /// Push notifications: XEP-0357.
    PUSH = "urn:xmpp:push:0";
    /// Unique and stable stanza ids: XEP-0359.
    STANZA_ID = "urn:xmpp:sid:0";
    /// HTTP file upload: XEP-0363.
    UPLOAD = "urn:xmpp:http:upload:0";
    /// SASL channel-binding types: XEP-0440.
    SASL_CB = "urn:xmpp:sasl-cb:0";
    /// Extensible SASL profile: XEP-0388.
    SASL2 = "urn:xmpp:sasl:2";
    /// Bind 2: XEP-0386.
    BIND2 = "urn:xmpp:bind:0";
    /// FAST authentication tokens: XEP-0484.
    FAST = "urn:xmpp:fast:0";
    /// Chat markers: XEP-0333.
    CHAT_MARKERS = "urn:xmpp:chat-markers:0";
    /// Encrypted messages of OMEMO 0.3, as most clients write them: XEP-0384.
    OMEMO_0 = "eu.siacs.conversations.axolotl";
    /// OMEMO encryption: XEP-0384.
    OMEMO_2 = "urn:xmpp:omemo:2";
    /// OpenPGP for XMPP: XEP-0373.
    OPENPGP = "urn:xmpp:openpgp:0";
    /// Messages encrypted with the OpenPGP of old: XEP-0027.
    ENCRYPTED = "jabber:x:encrypted";
    /// Bookmarks of rooms, an item each, and their node: XEP-0402.
    BOOKMARKS = "urn:xmpp:bookmarks:1";
    /// They are the same as those of private XML, a disco feature that is no namespace: XEP-0402 §6.
    BOOKMARKS_COMPAT = "urn:xmpp:bookmarks:1#compat";
    /// They are the same as those of XEP-0048 in PEP, a disco feature that is no namespace: XEP-0402 §6.
    BOOKMARKS_COMPAT_PEP = "urn:xmpp:bookmarks:1#compat-pep";
    /// Bookmarks in one element, and their node: XEP-0048.
    BOOKMARK_STORAGE = "storage:bookmarks";
    /// Bookmarks of private XML and of PEP are the same, a disco feature that is no namespace: XEP-0411 §2.
    BOOKMARKS_CONVERSION = "urn:xmpp:bookmarks-conversion:0";
    /// Images of avatars, and their node: XEP-0084 §4.1.
    AVATAR_DATA = "urn:xmpp:avatar:data";
    /// Which image is shown, and the node that says it: XEP-0084 §4.2.
    AVATAR_METADATA = "urn:xmpp:avatar:metadata";
    /// Avatars of PEP and of vCards are the same, a disco feature that is no namespace: XEP-0398 §2.
    AVATAR_CONVERSION = "urn:xmpp:pep-vcard-conversion:0";
    /// vCards of version 4: XEP-0292 §3.
    VCARD4 = "urn:ietf:params:xml:ns:vcard-4.0";
    /// The node of an account's vCard of version 4: XEP-0292 §4.1.
    VCARD4_NODE = "urn:xmpp:vcard4";
    /// The node of vCards of an account's contacts: XEP-0292 §5.2.
    VCARD4_CONTACTS = "urn:xmpp:contacts";
    /// Up to where messages have been seen, and its node: XEP-0490.
    MDS = "urn:xmpp:mds:displayed:0";
    /// The server publishes it for clients, a disco feature that is no namespace: XEP-0490 §4.5.2.
    MDS_ASSIST = "urn:xmpp:mds:server-assist:0";
    /// FORM_TYPE of publish options: XEP-0060 §7.1.5.
    PUBLISH_OPTIONS = "http://jabber.org/protocol/pubsub#publish-options";
    /// Stream limits advertisement: XEP-0478.
    STREAM_LIMITS = "urn:xmpp:stream-limits:0";
    /// Message archive, extended: XEP-0313 §7.
    MAM_EXTENDED = "urn:xmpp:mam:2#extended";
    /// Message archive, the field `include-groupchat`: XEP-0313 §7.
    MAM_GROUPCHAT_FIELD = "urn:xmpp:mam:2#groupchat-field";
    /// Offline storage, a disco feature that is no namespace: XEP-0160 §4.
    OFFLINE = "msgoffline";
    /// Data forms validation: XEP-0122.
    FORM_VALIDATION = "http://jabber.org/protocol/xdata-validate";
    /// Message retraction: XEP-0424.
    RETRACTION = "urn:xmpp:message-retract:1";
    /// Message retraction before version 0.4: XEP-0424.
    RETRACTION_0 = "urn:xmpp:message-retract:0";
    /// Message fastening, which older retractions are wrapped in: XEP-0422.
    FASTENING = "urn:xmpp:fasten:0";
    /// Message reactions: XEP-0444.
    REACTIONS = "urn:xmpp:reactions:0";
    /// Message replies: XEP-0461.
    REPLY = "urn:xmpp:reply:0";
    /// Call invites: XEP-0482.
    CALL_INVITES = "urn:xmpp:call-invites:0";
    /// Out of band data: XEP-0066 §3.
    OOB = "jabber:x:oob";
    /// Stateless file sharing: XEP-0447.
    FILE_SHARING = "urn:xmpp:sfs:0";
    /// Stateless inline media sharing: XEP-0385.
    MEDIA_SHARING = "urn:xmpp:sims:1";
    /// Extensible addresses: XEP-0033.
    ADDRESS = "http://jabber.org/protocol/address";
    /// Occupant identifiers: XEP-0421.
    OCCUPANT_ID = "urn:xmpp:occupant-id:0";
    /// Identifiers of messages are kept by rooms, a disco feature that is no namespace: XEP-0045 §7.4.
    MUC_STABLE_ID = "http://jabber.org/protocol/muc#stable_id";
    /// Rooms answer pings to oneself, a disco feature that is no namespace: XEP-0410 §3.3.
    MUC_SELF_PING = "http://jabber.org/protocol/muc#self-ping-optimization";
    /// Hats: XEP-0317.
    HATS = "urn:xmpp:hats:0";
    /// Multiparty Jingle: XEP-0272.
    MUJI = "urn:xmpp:jingle:muji:0";
    /// FORM_TYPE of registration with a room: XEP-0045 §16.5.1.
    MUC_REGISTER = "http://jabber.org/protocol/muc#register";
    /// FORM_TYPE of requests for voice: XEP-0045 §16.5.2.
    MUC_REQUEST = "http://jabber.org/protocol/muc#request";
    /// Moderated message retraction: XEP-0425.
    MODERATION = "urn:xmpp:message-moderate:1";
    /// Moderation before version 0.3: XEP-0425.
    MODERATION_0 = "urn:xmpp:message-moderate:0";
    /// Retracted messages become tombstones, a disco feature that is no namespace: XEP-0424 §4.
    TOMBSTONES = "urn:xmpp:message-retract:1#tombstone";
    /// FORM_TYPE of the commands about hats: XEP-0317 §3.8.
    HATS_COMMANDS = "urn:xmpp:hats:commands";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_namespace_interns_to_itself_and_stands_once() {
        for (i, uri) in ALL.iter().enumerate() {
            assert_eq!(intern(uri), Some(*uri));
            assert!(!ALL[..i].contains(uri), "{uri} is listed twice");
        }
        assert_eq!(intern("urn:example:unknown"), None);
    }
}
