//! Names for what disco#info says: XEP-0115 §5 (Entity Capabilities, version 1.6) and XEP-0390 §4 (version 0.3). Pure.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use super::Info;
use crate::ns;
use crate::xml::XmlWriter;

/// XEP-0115 §4, `node`: what software this is.
const SOFTWARE: &str = "urn:x-campanile:server";

/// The hash functions of XEP-0390, by their names in XEP-0300.
const HASHES: [(&str, &digest::Algorithm); 2] = [("sha-256", &digest::SHA256), ("sha3-256", &digest::SHA3_256)];

/// XEP-0115 §6.3 and XEP-0390 §5.2: what a server puts among its stream features.
pub fn stream_features(info: &Info) -> Vec<Bytes> {
    let mut first = XmlWriter::new();
    first.open("c").ns(ns::CAPS).attr("hash", "sha-1").attr("node", SOFTWARE).attr("ver", &version(info)).close();
    let mut second = XmlWriter::new();
    second.open("c").ns(ns::CAPS_2);
    for (name, hash) in hashes(info) {
        second.open("hash").ns(ns::HASHES).attr("algo", name).text(&hash).close();
    }
    second.close();
    vec![first.finish(), second.finish()]
}

/// XEP-0115 §6.2 and XEP-0390 §4.3: whether a node is a name of just this information.
pub fn names(info: &Info, node: &str) -> bool {
    if let Some(version_asked) = node.strip_prefix(SOFTWARE).and_then(|rest| rest.strip_prefix('#')) {
        return version_asked == version(info);
    }
    let Some(asked) = node.strip_prefix(ns::CAPS_2).and_then(|rest| rest.strip_prefix('#')) else { return false };
    let Some((name, value)) = asked.rsplit_once('.') else { return false };
    hashes(info).any(|(known, hash)| known == name && hash == value)
}

/// XEP-0115 §5.1.
fn version(info: &Info) -> String {
    let mut s = String::new();
    let mut add = |part: &str| {
        s.push_str(part);
        s.push('<');
    };
    let mut identities: Vec<_> = info.identities.iter().map(|of| (of.category, of.kind, of.lang, &*of.name)).collect();
    identities.sort_unstable();
    for (category, kind, lang, name) in identities {
        add(&format!("{category}/{kind}/{lang}/{name}"));
    }
    let mut features = info.features.clone();
    features.sort_unstable();
    features.iter().for_each(|feature| add(feature));
    let mut forms: Vec<_> = info.forms.iter().collect();
    forms.sort_unstable_by_key(|form| form.form_type);
    for form in forms {
        add(form.form_type);
        let mut fields: Vec<_> = form.fields.iter().collect();
        fields.sort_unstable();
        for super::Field { var, values, .. } in fields {
            add(var);
            let mut values: Vec<_> = values.iter().collect();
            values.sort_unstable();
            values.into_iter().for_each(|value| add(value));
        }
    }
    BASE64_STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, s.as_bytes()))
}

/// XEP-0390 §4.2.
fn hashes(info: &Info) -> impl Iterator<Item = (&'static str, String)> {
    let input = hash_input(info);
    HASHES.into_iter().map(move |(name, algorithm)| (name, BASE64_STANDARD.encode(digest::digest(algorithm, &input))))
}

/// XEP-0390 §4.1.
fn hash_input(info: &Info) -> Vec<u8> {
    let unit = |text: &str| [text.as_bytes(), b"\x1f"].concat();
    let joined = |mut parts: Vec<Vec<u8>>, end: u8| {
        parts.sort_unstable();
        let mut all = parts.concat();
        all.push(end);
        all
    };
    let features = joined(info.features.iter().map(|feature| unit(feature)).collect(), 0x1c);
    let identity = |of: &super::Described| {
        let mut all = [of.category, of.kind, of.lang, &*of.name].map(unit).concat();
        all.push(0x1e);
        all
    };
    let identities = joined(info.identities.iter().map(identity).collect(), 0x1c);
    let field = |var: &str, values: &[String]| {
        let mut all = unit(var);
        all.extend(joined(values.iter().map(|value| unit(value)).collect(), 0x1e));
        all
    };
    let form = |form: &super::Form| {
        let form_type = field("FORM_TYPE", &[form.form_type.to_owned()]);
        let fields = form.fields.iter().map(|of| field(of.var, &of.values));
        joined(std::iter::once(form_type).chain(fields).collect(), 0x1d)
    };
    let extensions = joined(info.forms.iter().map(form).collect(), 0x1c);
    [features, identities, extensions].concat()
}

#[cfg(test)]
mod tests {
    use super::super::{Described, Field, Form};
    use super::*;

    fn described(kind: &'static str, lang: &'static str, name: &'static str) -> Described {
        Described { category: "client", kind, lang, name: name.into() }
    }

    fn software(fields: &[(&'static str, &[&str])]) -> Form {
        let field = |(var, values): &(&'static str, &[&str])| {
            let values = values.iter().map(ToString::to_string).collect();
            Field { var, values, type_: "text-multi" }
        };
        let fields = fields.iter().map(field).collect();
        Form { form_type: "urn:xmpp:dataforms:softwareinfo", fields }
    }

    /// The features of XEP-0115's examples, in no order.
    const FEATURES: [&str; 4] = [
        "http://jabber.org/protocol/muc",
        "http://jabber.org/protocol/disco#items",
        "http://jabber.org/protocol/caps",
        "http://jabber.org/protocol/disco#info",
    ];

    #[test]
    fn xep0115_s5_2_and_5_3() {
        let simple = Info { identities: vec![described("pc", "", "Exodus 0.9.1")], features: FEATURES.to_vec(), forms: Vec::new() };
        assert_eq!(version(&simple), "QgayPKawpkPSDYmwT/WM94uAlu0=");
        let complex = Info {
            identities: vec![described("pc", "en", "Psi 0.11"), described("pc", "el", "Ψ 0.11")],
            features: FEATURES.to_vec(),
            forms: vec![software(&[
                ("software_version", &["0.11"]),
                ("ip_version", &["ipv6", "ipv4"]),
                ("os", &["Mac"]),
                ("os_version", &["10.5.1"]),
                ("software", &["Psi"]),
            ])],
        };
        assert_eq!(version(&complex), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
    }

    #[test]
    fn xep0390_s4_5_1() {
        let features = "http://jabber.org/protocol/si http://jabber.org/protocol/bytestreams http://jabber.org/protocol/chatstates \
            http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items urn:xmpp:ping jabber:iq:time jabber:iq:privacy \
            jabber:iq:version http://jabber.org/protocol/rosterx urn:xmpp:time jabber:x:oob http://jabber.org/protocol/ibb \
            http://jabber.org/protocol/si/profile/file-transfer urn:xmpp:receipts jabber:iq:roster jabber:iq:last";
        let info = Info {
            identities: vec![described("mobile", "", "BombusMod")],
            features: features.split_whitespace().collect(),
            forms: Vec::new(),
        };
        let got: Vec<_> = hashes(&info).collect();
        assert_eq!(
            got,
            [
                ("sha-256", "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=".to_owned()),
                ("sha3-256", "79mdYAfU9rEdTOcWDO7UEAt6E56SUzk/g6TnqUeuD9Q=".to_owned()),
            ]
        );
        for (node, known) in [
            ("urn:xmpp:caps#sha-256.kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=", true),
            ("urn:xmpp:caps#sha3-256.79mdYAfU9rEdTOcWDO7UEAt6E56SUzk/g6TnqUeuD9Q=", true),
            ("urn:xmpp:caps#sha3-256.kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=", false),
            ("urn:xmpp:caps#sha-256", false),
            ("urn:xmpp:caps#", false),
            ("urn:x-campanile:server", false),
            ("urn:x-campanile:server#", false),
            ("http://example.org/#x", false),
        ] {
            assert_eq!(names(&info, node), known, "{node}");
        }
        assert!(names(&info, &format!("{SOFTWARE}#{}", version(&info))));
    }

    #[test]
    fn xep0390_s4_5_2() {
        let features = "games:board http://jabber.org/protocol/activity http://jabber.org/protocol/activity+notify \
            http://jabber.org/protocol/bytestreams http://jabber.org/protocol/chatstates http://jabber.org/protocol/commands \
            http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items http://jabber.org/protocol/evil \
            http://jabber.org/protocol/feature-neg http://jabber.org/protocol/geoloc http://jabber.org/protocol/geoloc+notify \
            http://jabber.org/protocol/ibb http://jabber.org/protocol/iqibb http://jabber.org/protocol/mood \
            http://jabber.org/protocol/mood+notify http://jabber.org/protocol/rosterx http://jabber.org/protocol/si \
            http://jabber.org/protocol/si/profile/file-transfer http://jabber.org/protocol/tune http://www.facebook.com/xmpp/messages \
            http://www.xmpp.org/extensions/xep-0084.html#ns-metadata+notify jabber:iq:avatar jabber:iq:browse jabber:iq:dtcp \
            jabber:iq:filexfer jabber:iq:ibb jabber:iq:inband jabber:iq:jidlink jabber:iq:last jabber:iq:oob jabber:iq:privacy \
            jabber:iq:roster jabber:iq:time jabber:iq:version jabber:x:data jabber:x:event jabber:x:oob urn:xmpp:avatar:metadata+notify \
            urn:xmpp:ping urn:xmpp:receipts urn:xmpp:time";
        let info = Info {
            identities: vec![described("pc", "ru", "Ткаббер"), described("pc", "en", "Tkabber")],
            features: features.split_whitespace().collect(),
            forms: vec![software(&[
                ("software", &["Tkabber"]),
                ("software_version", &["0.11.1-svn-20111216-mod (Tcl/Tk 8.6b2)"]),
                ("os", &["Windows"]),
                ("os_version", &["XP"]),
            ])],
        };
        assert_eq!(
            hashes(&info).map(|(_, hash)| hash).collect::<Vec<_>>(),
            ["u79ZroNJbdSWhdSp311mddz44oHHPsEBntQ5b1jqBSY=", "XpUJzLAc93258sMECZ3FJpebkzuyNXDzRNwQog8eycg=",]
        );
    }
}
