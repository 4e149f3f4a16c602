//! What disco#info says (XEP-0030 §3) as a value, and its names: XEP-0115 §5 (Entity Capabilities, version 1.6) and XEP-0390 §4 (version 0.3), for what
//! the server says of itself and what clients say of themselves. Pure.

use std::borrow::Cow;

use aws_lc_rs::digest::{self, Algorithm};
use bytes::Bytes;

use crate::ns;
use crate::xml::{Node, XmlWriter};

/// What disco#info says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info<'a> {
    /// §3.1.
    pub identities: Vec<Described<'a>>,
    /// §3.1: `var` of each.
    pub features: Vec<&'a str>,
    /// XEP-0128.
    pub forms: Vec<Form<'a>>,
}

/// An identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Described<'a> {
    /// From the registrar's list, as `server`.
    pub category: &'a str,
    /// From the registrar's list, as `im`.
    pub kind: &'a str,
    /// `xml:lang`; empty for none.
    pub lang: &'a str,
    /// For people; may be empty.
    pub name: Cow<'a, str>,
}

/// A form of XEP-0128.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form<'a> {
    /// What its fields mean (XEP-0068).
    pub form_type: Cow<'a, str>,
    /// The other fields.
    pub fields: Vec<Field<'a>>,
}

/// A field of such a form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field<'a> {
    /// Its name.
    pub var: &'a str,
    /// In order.
    pub values: Vec<String>,
    /// The type of XEP-0004 §3.3.
    pub type_: &'a str,
}

/// What a `<query/>` says.
#[derive(Debug)]
pub struct Reading<'a> {
    /// What counts.
    pub info: Info<'a>,
    /// XEP-0390 §4.1, steps 1 to 3: there is nothing else in it.
    pub is_strict: bool,
}

/// XEP-0115 §5.4, steps 3.3 to 3.5: it says something twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IllFormed;

/// How a name is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// XEP-0115.
    Caps,
    /// XEP-0390.
    Caps2,
}

/// The hash function of this name in IANA's registry, which XEP-0300 follows and XEP-0115 speaks of. Those that are broken for this purpose are unknown,
/// but for SHA-1, which XEP-0115 §9.1 demands.
#[must_use]
pub fn algorithm(name: &str) -> Option<&'static Algorithm> {
    Some(match name {
        "sha-1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha-224" => &digest::SHA224,
        "sha-256" => &digest::SHA256,
        "sha-384" => &digest::SHA384,
        "sha-512" => &digest::SHA512,
        "sha3-256" => &digest::SHA3_256,
        "sha3-384" => &digest::SHA3_384,
        "sha3-512" => &digest::SHA3_512,
        _ => return None,
    })
}

impl<'a> Info<'a> {
    /// Reads what somebody says. `lang` is the language around the `<query/>`.
    ///
    /// # Errors
    /// See [`IllFormed`].
    pub fn read(query: Node<'a>, lang: &'a str) -> Result<Reading<'a>, IllFormed> {
        let mut reading = Reading { info: Self::default(), is_strict: true };
        let lang = query.attr_ns(ns::XML, "lang").unwrap_or(lang);
        let info = &mut reading.info;
        for child in query.children() {
            let attr = |name| child.attr(name).unwrap_or_default();
            match (child.ns(), child.name()) {
                (ns::DISCO_INFO, "identity") => info.identities.push(Described {
                    category: attr("category"),
                    kind: attr("type"),
                    lang: child.attr_ns(ns::XML, "lang").unwrap_or(lang),
                    name: attr("name").into(),
                }),
                (ns::DISCO_INFO, "feature") => info.features.push(attr("var")),
                (ns::DATA_FORMS, "x") => match read_form(child, &mut reading.is_strict)? {
                    Some(form) => info.forms.push(form),
                    None => reading.is_strict = false,
                },
                _ => reading.is_strict = false,
            }
        }
        let twice = has_twice(info.identities.iter())
            || has_twice(info.features.iter())
            || has_twice(info.forms.iter().map(|form| &form.form_type));
        if twice { Err(IllFormed) } else { Ok(reading) }
    }

    /// The `<query/>` of an answer.
    #[must_use]
    pub fn write(&self, node: Option<&str>) -> Bytes {
        let mut xml = XmlWriter::new();
        xml.open("query").ns(ns::DISCO_INFO).attr_opt("node", node);
        for of in &self.identities {
            xml.open("identity").attr("category", of.category).attr("type", of.kind);
            if !of.lang.is_empty() {
                xml.attr("xml:lang", of.lang);
            }
            if !of.name.is_empty() {
                xml.attr("name", &of.name);
            }
            xml.close();
        }
        for feature in &self.features {
            xml.open("feature").attr("var", feature).close();
        }
        self.forms.iter().for_each(|form| form.write(&mut xml));
        xml.close();
        xml.finish()
    }

    /// The hash that names it.
    #[must_use]
    pub fn hash(&self, method: Method, algorithm: &'static Algorithm) -> digest::Digest {
        match method {
            Method::Caps => digest::digest(algorithm, self.verification_string().as_bytes()),
            Method::Caps2 => digest::digest(algorithm, &self.hash_input()),
        }
    }

    /// XEP-0115 §5.1.
    fn verification_string(&self) -> String {
        let mut s = String::new();
        // §5.1, note: what is written `&lt;` stays that.
        let mut add = |part: &str| {
            s.push_str(&part.replace('<', "&lt;"));
            s.push('<');
        };
        let mut identities: Vec<_> = self.identities.iter().collect();
        identities.sort_unstable();
        for of in identities {
            add(&of.joined());
        }
        let mut features: Vec<_> = self.features.iter().collect();
        features.sort_unstable();
        features.into_iter().for_each(|feature| add(feature));
        let mut forms: Vec<_> = self.forms.iter().collect();
        forms.sort_unstable_by_key(|form| &form.form_type);
        for form in forms {
            add(&form.form_type);
            let mut fields: Vec<_> = form.fields.iter().collect();
            fields.sort_unstable();
            for Field { var, values, .. } in fields {
                add(var);
                let mut values: Vec<_> = values.iter().collect();
                values.sort_unstable();
                values.into_iter().for_each(|value| add(value));
            }
        }
        s
    }

    /// XEP-0390 §4.1.
    fn hash_input(&self) -> Vec<u8> {
        let unit = |text: &str| [text.as_bytes(), b"\x1f"].concat();
        let joined = |mut parts: Vec<Vec<u8>>, end: u8| {
            parts.sort_unstable();
            let mut all = parts.concat();
            all.push(end);
            all
        };
        let features = joined(self.features.iter().map(|feature| unit(feature)).collect(), 0x1c);
        let identity = |of: &Described<'_>| {
            let mut all = [of.category, of.kind, of.lang, &of.name].map(unit).concat();
            all.push(0x1e);
            all
        };
        let identities = joined(self.identities.iter().map(identity).collect(), 0x1c);
        let field = |var: &str, values: &[String]| {
            let mut all = unit(var);
            all.extend(joined(values.iter().map(|value| unit(value)).collect(), 0x1e));
            all
        };
        let form = |form: &Form<'_>| {
            let form_type = field("FORM_TYPE", &[form.form_type.clone().into_owned()]);
            let fields = form.fields.iter().map(|of| field(of.var, &of.values));
            joined(std::iter::once(form_type).chain(fields).collect(), 0x1d)
        };
        let extensions = joined(self.forms.iter().map(form).collect(), 0x1c);
        [features, identities, extensions].concat()
    }

    /// Whether no other information with the same verification string has other features that end so. The string does not say where identities
    /// end and forms begin, so that a feature of one could be the name of an identity or the value of a field of the other; but its parts are the same.
    #[must_use]
    pub fn has_only_as_features(&self, end: &str) -> bool {
        let in_form = |form: &Form<'_>| {
            let ends = |text: &str| text.ends_with(end);
            ends(&form.form_type) || form.fields.iter().any(|of| ends(of.var) || of.values.iter().any(|value| ends(value)))
        };
        !self.identities.iter().any(|of| of.joined().ends_with(end)) && !self.forms.iter().any(in_form)
    }
}

impl Described<'_> {
    fn joined(&self) -> String {
        [self.category, self.kind, self.lang, &self.name].join("/")
    }
}

impl Form<'_> {
    fn write(&self, xml: &mut XmlWriter) {
        xml.open("x").ns(ns::DATA_FORMS).attr("type", "result");
        xml.open("field").attr("var", "FORM_TYPE").attr("type", "hidden").open("value").text(&self.form_type).close().close();
        for Field { var, values, type_ } in &self.fields {
            xml.open("field").attr("var", var).attr("type", type_);
            for value in values {
                xml.open("value").text(value).close();
            }
            xml.close();
        }
        xml.close();
    }
}

/// `None` for a form that does not count (XEP-0115 §5.4, step 3.6).
fn read_form<'a>(form: Node<'a>, is_strict: &mut bool) -> Result<Option<Form<'a>>, IllFormed> {
    let mut form_type = None;
    let mut fields = Vec::new();
    for child in form.children() {
        if !child.is(ns::DATA_FORMS, "field") {
            // XEP-0390 §4.1, step 2; titles and instructions say nothing.
            *is_strict &= !matches!(child.name(), "reported" | "item");
            continue;
        }
        let var = child.attr("var").unwrap_or_default();
        let mut values = child.children_named(ns::DATA_FORMS, "value").map(|value| value.text());
        if var != "FORM_TYPE" {
            let type_ = child.attr("type").unwrap_or_default();
            fields.push(Field { var, values: values.map(Cow::into_owned).collect(), type_ });
        } else if child.attr("type") == Some("hidden") {
            let first = values.next();
            if form_type.is_some() || values.any(|value| Some(&value) != first.as_ref()) {
                return Err(IllFormed);
            }
            form_type = first;
        }
    }
    Ok(form_type.map(|form_type| Form { form_type, fields }))
}

fn has_twice<T: Ord>(parts: impl Iterator<Item = T>) -> bool {
    let mut parts: Vec<T> = parts.collect();
    parts.sort_unstable();
    parts.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::xml::{Bindings, Element};
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    pub(crate) const SIMPLE: &str = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' name='Exodus 0.9.1' type='pc'/>\
        <feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>\
        <feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/></query>";

    const COMPLEX: &str = "<query xmlns='http://jabber.org/protocol/disco#info' node='http://psi-im.org#q07IKJEyjvHSyhy//CH0CxmKi8w='>
        <identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/><identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>
        <feature var='http://jabber.org/protocol/muc'/><feature var='http://jabber.org/protocol/caps'/>
        <feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/>
        <x xmlns='jabber:x:data' type='result'>
          <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>
          <field var='ip_version' type='text-multi'><value>ipv4</value><value>ipv6</value></field>
          <field var='os'><value>Mac</value></field><field var='os_version'><value>10.5.1</value></field>
          <field var='software'><value>Psi</value></field><field var='software_version'><value>0.11</value></field>
        </x></query>";

    const BOMBUS: &str = "http://jabber.org/protocol/si http://jabber.org/protocol/bytestreams http://jabber.org/protocol/chatstates \
        http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items urn:xmpp:ping jabber:iq:time jabber:iq:privacy \
        jabber:iq:version http://jabber.org/protocol/rosterx urn:xmpp:time jabber:x:oob http://jabber.org/protocol/ibb \
        http://jabber.org/protocol/si/profile/file-transfer urn:xmpp:receipts jabber:iq:roster jabber:iq:last";

    const TKABBER: &str = "games:board http://jabber.org/protocol/activity http://jabber.org/protocol/activity+notify \
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

    /// A `<query/>` with these features between what comes before and behind them.
    fn query(before: &str, features: &str, behind: &str) -> String {
        let features: String = features.split_whitespace().map(|var| format!("<feature var='{var}'/>")).collect();
        format!("<query xmlns='http://jabber.org/protocol/disco#info'>{before}{features}{behind}</query>")
    }

    fn form(fields: &str) -> String {
        format!("<x xmlns='jabber:x:data' type='result'>{fields}</x>")
    }

    fn with_info<T>(query: &str, lang: &str, look: impl FnOnce(Result<Reading<'_>, IllFormed>) -> T) -> T {
        let element = Element::parse(query.as_bytes(), &Bindings::empty()).unwrap_or_else(|error| panic!("{error:?}: {query}"));
        look(Info::read(element.root(), lang))
    }

    pub(crate) fn name(query: &str, method: Method, function: &str) -> String {
        with_info(query, "", |reading| BASE64_STANDARD.encode(reading.unwrap().info.hash(method, algorithm(function).unwrap())))
    }

    #[test]
    fn xep0115_s5_2_and_5_3() {
        for (query, version) in [(SIMPLE, "QgayPKawpkPSDYmwT/WM94uAlu0="), (COMPLEX, "q07IKJEyjvHSyhy//CH0CxmKi8w=")] {
            assert_eq!(name(query, Method::Caps, "sha-1"), version);
        }
    }

    #[test]
    fn xep0390_s4_5_1_and_4_5_2() {
        let tkabber = "<identity category='client' name='Tkabber' type='pc' xml:lang='en'/>\
            <identity category='client' name='Ткаббер' type='pc' xml:lang='ru'/>";
        let software = form(
            "<field type='hidden' var='FORM_TYPE'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
             <field var='software'><value>Tkabber</value></field>\
             <field var='software_version'><value>0.11.1-svn-20111216-mod (Tcl/Tk 8.6b2)</value></field>\
             <field var='os'><value>Windows</value></field><field var='os_version'><value>XP</value></field>",
        );
        for (query, sha_256, sha3_256) in [
            (
                query("<identity category='client' name='BombusMod' type='mobile'/>", BOMBUS, ""),
                "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=",
                "79mdYAfU9rEdTOcWDO7UEAt6E56SUzk/g6TnqUeuD9Q=",
            ),
            (
                query(tkabber, TKABBER, &software),
                "u79ZroNJbdSWhdSp311mddz44oHHPsEBntQ5b1jqBSY=",
                "XpUJzLAc93258sMECZ3FJpebkzuyNXDzRNwQog8eycg=",
            ),
        ] {
            assert_eq!(name(&query, Method::Caps2, "sha-256"), sha_256);
            assert_eq!(name(&query, Method::Caps2, "sha3-256"), sha3_256);
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let copied = with_info(COMPLEX, "", |reading| reading.unwrap().info.write(Some("n")));
        assert_eq!(name(str::from_utf8(&copied).unwrap(), Method::Caps, "sha-1"), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
    }

    #[test]
    fn xep0115_s5_4_what_is_ill_formed_and_xep0390_s4_1_what_is_not_strict() {
        let hidden = "<field var='FORM_TYPE' type='hidden'><value>f</value></field>";
        let (identity, feature) = ("<identity category='client' type='pc' name='x'/>", "<feature var='a'/>");
        for (content, expected) in [
            (format!("{identity}{feature}"), Ok((true, 0))),
            (format!("{identity}{identity}"), Err(IllFormed)),
            (format!("{identity}<identity category='client' type='pc' name='y'/>"), Ok((true, 0))),
            (format!("{feature}{feature}"), Err(IllFormed)),
            (format!("{feature}<other xmlns='urn:o'/>"), Ok((false, 0))),
            (form(hidden), Ok((true, 1))),
            (form(hidden) + &form(hidden), Err(IllFormed)),
            (form("<field var='FORM_TYPE' type='hidden'><value>f</value><value>g</value></field>"), Err(IllFormed)),
            (form("<field var='FORM_TYPE' type='hidden'><value>f</value><value>f</value></field>"), Ok((true, 1))),
            (form("<field var='FORM_TYPE'><value>f</value></field>"), Ok((false, 0))),
            (form("<field var='a'><value>f</value></field>"), Ok((false, 0))),
            (form(&format!("{hidden}<reported/>")), Ok((false, 1))),
            (form(&format!("<title>t</title>{hidden}")), Ok((true, 1))),
        ] {
            let got =
                with_info(&query(&content, "", ""), "", |reading| reading.map(|reading| (reading.is_strict, reading.info.forms.len())));
            assert_eq!(got, expected, "{content}");
        }
    }

    #[test]
    fn xep0390_s4_1_a_language_is_inherited() {
        let query = "<query xmlns='http://jabber.org/protocol/disco#info' xml:lang='de'><identity category='c' type='t'/>\
            <identity category='c' type='t' xml:lang='en'/></query>";
        let langs = |query: &str, around: &str| {
            with_info(query, around, |reading| reading.unwrap().info.identities.iter().map(|of| of.lang.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(langs(query, "fr"), ["de", "en"]);
        assert_eq!(langs(&query.replace(" xml:lang='de'", ""), "fr"), ["fr", "en"]);
    }

    #[test]
    fn xep0115_s5_1_an_escaped_bracket_separates_nothing() {
        let whole = query("<identity category='client' type='pc'/>", "a b", "");
        let forged = query("<identity category='client' type='pc'/>", "a&lt;b", "");
        assert_ne!(name(&whole, Method::Caps, "sha-1"), name(&forged, Method::Caps, "sha-1"));
    }

    #[test]
    fn another_reading_of_the_same_verification_string_is_told_from_the_first() {
        let only = |query: &str| with_info(query, "", |reading| reading.unwrap().info.has_only_as_features("+notify"));
        let hidden = "<field var='FORM_TYPE' type='hidden'><value>b</value></field>";
        let honest = query("<identity category='client' type='pc'/>", "a b c+notify d", "");
        assert!(only(&honest));
        for forged in [
            query(
                "<identity category='client' type='pc'/>",
                "a",
                &form(&format!("{hidden}<field var='c+notify'><value>d</value></field>")),
            ),
            query(
                "<identity category='client' type='pc'/>",
                "a",
                &form(&format!("{hidden}<field var='c'><value>d+notify</value></field>")),
            ),
            query("<identity category='client' type='pc'/><identity category='http:' type='' name='x+notify'/>", "a", ""),
        ] {
            assert!(!only(&forged), "{forged}");
        }
        let forged = query(
            "<identity category='client' type='pc'/>",
            "a",
            &form(&format!("{hidden}<field var='c+notify'><value>d</value></field>")),
        );
        assert_eq!(name(&honest, Method::Caps, "sha-1"), name(&forged, Method::Caps, "sha-1"), "the string says no more");
    }
}
