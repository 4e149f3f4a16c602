//! What is announced stands in the DOAP file.

/// A feature of service discovery has its specification there.
pub fn must_name(feature: &str) {
    let doap = include_str!("../../../campanile.doap");
    let specification = match feature {
        "http://jabber.org/protocol/pubsub#collections" | "http://jabber.org/protocol/pubsub#multi-collections" => "xep-0248.html",
        pubsub if pubsub.starts_with("http://jabber.org/protocol/pubsub") => "xep-0060.html",
        "http://jabber.org/protocol/muc#self-ping-optimization" => "xep-0410.html",
        muc if muc.starts_with("http://jabber.org/protocol/muc") || muc.starts_with("muc_") => "xep-0045.html",
        "urn:xmpp:occupant-id:0" => "xep-0421.html",
        "urn:xmpp:message-moderate:0" | "urn:xmpp:message-moderate:1" => "xep-0425.html",
        "urn:xmpp:hats:0" => "xep-0317.html",
        "urn:xmpp:pep-vcard-conversion:0" => "xep-0398.html",
        "urn:xmpp:bookmarks-conversion:0" => "xep-0411.html",
        "urn:xmpp:bookmarks:1#compat" | "urn:xmpp:bookmarks:1#compat-pep" => "xep-0402.html",
        "http://jabber.org/protocol/commands" => "xep-0050.html",
        "http://jabber.org/protocol/disco#info" | "http://jabber.org/protocol/disco#items" => "xep-0030.html",
        "jabber:iq:register" => "xep-0077.html",
        "jabber:iq:roster" => "rfc6121",
        "http://jabber.org/protocol/rsm" => "xep-0059.html",
        "msgoffline" => "xep-0160.html",
        "urn:xmpp:mam:2" | "urn:xmpp:mam:2#extended" | "urn:xmpp:mam:2#groupchat-field" => "xep-0313.html",
        "urn:xmpp:message-retract:1" | "urn:xmpp:message-retract:1#tombstone" => "xep-0424.html",
        "urn:xmpp:sid:0" => "xep-0359.html",
        "jabber:iq:version" => "xep-0092.html",
        "http://jabber.org/protocol/caps" => "xep-0115.html",
        "jabber:iq:last" => "xep-0012.html",
        "jabber:iq:private" => "xep-0049.html",
        "urn:xmpp:blocking" => "xep-0191.html",
        "urn:xmpp:caps" => "xep-0390.html",
        "urn:xmpp:time" => "xep-0202.html",
        "vcard-temp" => "xep-0054.html",
        "urn:ietf:params:xml:ns:vcard-4.0" => "xep-0292.html",
        "urn:xmpp:mds:server-assist:0" => "xep-0490.html",
        "urn:xmpp:carbons:2" => "xep-0280.html",
        "urn:xmpp:extdisco:1" | "urn:xmpp:extdisco:2" => "xep-0215.html",
        "urn:xmpp:ping" => "xep-0199.html",
        "urn:xmpp:push:0" => "xep-0357",
        unknown => panic!("{unknown} is announced: name its specification here and in campanile.doap"),
    };
    assert!(doap.contains(specification), "{feature} is announced, but campanile.doap lacks {specification}");
}
