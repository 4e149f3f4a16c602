//! What vcard-temp (XEP-0054) and vCard4 (RFC 6350, in the XML of RFC 6351) both can say of somebody, as one value: XEP-0292 §11. Pure.
//!
//! Each format also says what the other cannot: whole properties, and parameters and parts of properties that both know. That stays where it is, as long
//! as the property says the same ([`Card::write_temp`], [`Card::write_vcard4`]). Images are left to `avatar.rs`.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use bytes::Bytes;

use crate::ns;
use crate::xml::{Bindings, Element, Node, XmlWriter};

/// Kinds of telephones and addresses that both know, as vCard4 writes them.
const KINDS: [&str; 7] = ["home", "work", "voice", "fax", "pager", "cell", "video"];
/// Parts of a name: vcard-temp, vCard4.
const NAME: [(&str, &str); 5] =
    [("FAMILY", "surname"), ("GIVEN", "given"), ("MIDDLE", "additional"), ("PREFIX", "prefix"), ("SUFFIX", "suffix")];
/// Parts of an address.
const ADDRESS: [(&str, &str); 7] = [
    ("POBOX", "pobox"),
    ("EXTADD", "ext"),
    ("STREET", "street"),
    ("LOCALITY", "locality"),
    ("REGION", "region"),
    ("PCODE", "code"),
    ("CTRY", "country"),
];
/// Properties that are one text in both, the same name in upper case and in lower case, and the type of the value in vCard4.
const TEXTS: [(&str, &str, &str); 8] = [
    ("FN", "fn", "text"),
    ("BDAY", "bday", "date"),
    ("TITLE", "title", "text"),
    ("ROLE", "role", "text"),
    ("URL", "url", "uri"),
    ("TZ", "tz", "text"),
    ("UID", "uid", "text"),
    ("REV", "rev", "timestamp"),
];

/// A telephone, an electronic or a postal address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Reach<T> {
    value: T,
    kinds: BTreeSet<&'static str>,
    preferred: bool,
}

/// What both formats can say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Card {
    texts: [Option<String>; TEXTS.len()],
    name: [Option<String>; NAME.len()],
    nicknames: Vec<String>,
    organization: Option<String>,
    notes: Vec<String>,
    categories: Vec<String>,
    place: Option<(String, String)>,
    keys: Vec<String>,
    jids: Vec<String>,
    emails: Vec<Reach<String>>,
    telephones: Vec<Reach<String>>,
    addresses: Vec<Reach<[Option<String>; ADDRESS.len()]>>,
}

impl Card {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads `<vCard xmlns='vcard-temp'/>`.
    #[must_use]
    pub fn of_temp(vcard: Node<'_>) -> Self {
        Self::read_temp(vcard.children())
    }

    fn read_temp<'n>(properties: impl Iterator<Item = Node<'n>>) -> Self {
        let text = |of: Node<'_>, name: &str| of.child(ns::VCARD, name).and_then(trimmed);
        let parts = |of: Node<'_>, names: &[(&str, &str)]| names.iter().map(|(name, _)| text(of, name)).collect::<Vec<_>>();
        let mut card = Self::default();
        for child in properties.filter(|child| child.ns() == ns::VCARD) {
            match child.name() {
                "N" if card.name.iter().all(Option::is_none) => card.name = array(parts(child, &NAME)),
                "NICKNAME" => {
                    let names = trimmed(child).unwrap_or_default();
                    card.nicknames.extend(names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned));
                }
                "ORG" if card.organization.is_none() => card.organization = text(child, "ORGNAME"),
                // §11.1.1.
                "DESC" => card.notes.splice(0..0, trimmed(child)).for_each(drop),
                "NOTE" => card.notes.extend(trimmed(child)),
                "CATEGORIES" => card.categories.extend(child.children_named(ns::VCARD, "KEYWORD").filter_map(trimmed)),
                "GEO" if card.place.is_none() => card.place = text(child, "LAT").zip(text(child, "LON")),
                "KEY" => card.keys.extend(text(child, "CRED")),
                "JABBERID" => card.jids.extend(trimmed(child)),
                "EMAIL" => card.emails.extend(text(child, "USERID").map(|value| reach_of_temp(child, value))),
                "TEL" => card.telephones.extend(text(child, "NUMBER").map(|value| reach_of_temp(child, number(&value)))),
                "ADR" => card.addresses.push(reach_of_temp(child, array(parts(child, &ADDRESS)))),
                name => {
                    if let Some(place) = TEXTS.iter().position(|(known, ..)| *known == name)
                        && card.texts[place].is_none()
                    {
                        card.texts[place] = trimmed(child);
                    }
                }
            }
        }
        card.addresses.retain(|address| address.value.iter().any(Option::is_some));
        card
    }

    /// Reads `<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>`.
    #[must_use]
    pub fn of_vcard4(vcard: Node<'_>) -> Self {
        Self::read_vcard4(vcard.children())
    }

    fn read_vcard4<'n>(properties: impl Iterator<Item = Node<'n>>) -> Self {
        let value = |property: Node<'_>| property.children().filter(|child| child.name() != "parameters").find_map(trimmed);
        let text = |of: Node<'_>, name: &str| of.child(ns::VCARD4, name).and_then(trimmed);
        let parts = |of: Node<'_>, names: &[(&str, &str)]| names.iter().map(|(_, name)| text(of, name)).collect::<Vec<_>>();
        let mut card = Self::default();
        for child in properties.filter(|child| child.ns() == ns::VCARD4) {
            let name = child.name();
            match name {
                "n" if card.name.iter().all(Option::is_none) => card.name = array(parts(child, &NAME)),
                "nickname" => card.nicknames.extend(child.children_named(ns::VCARD4, "text").filter_map(trimmed)),
                "org" if card.organization.is_none() => card.organization = value(child),
                "note" => card.notes.extend(value(child)),
                "categories" => card.categories.extend(child.children_named(ns::VCARD4, "text").filter_map(trimmed)),
                "geo" if card.place.is_none() => {
                    let place = value(child).and_then(|uri| {
                        let (lat, lon) = uri.strip_prefix("geo:")?.split_once(',')?;
                        Some((lat.to_owned(), lon.split([';', ',']).next()?.to_owned()))
                    });
                    card.place = place;
                }
                "key" => card.keys.extend(text(child, "text")),
                "impp" => card.jids.extend(value(child).and_then(|uri| uri.strip_prefix("xmpp:").map(str::to_owned))),
                "email" => card.emails.extend(value(child).map(|value| reach_of_vcard4(child, value))),
                "tel" => {
                    let telephone = value(child).map(|value| reach_of_vcard4(child, number(value.strip_prefix("tel:").unwrap_or(&value))));
                    card.telephones.extend(telephone);
                }
                "adr" => card.addresses.push(reach_of_vcard4(child, array(parts(child, &ADDRESS)))),
                _ => {
                    if let Some(place) = TEXTS.iter().position(|(_, known, _)| *known == name)
                        && card.texts[place].is_none()
                    {
                        card.texts[place] = value(child);
                    }
                }
            }
        }
        card.addresses.retain(|address| address.value.iter().any(Option::is_some));
        card
    }

    /// Writes `<vCard xmlns='vcard-temp'/>`, with what this format alone can say taken from the one before.
    #[must_use]
    pub fn write_temp(&self, before: Option<Node<'_>>) -> Bytes {
        let read = |property: Node<'_>| Self::read_temp(std::iter::once(property));
        with_rest(self.only_temp(), before, read)
    }

    fn only_temp(&self) -> Bytes {
        let mut xml = XmlWriter::new();
        xml.open("vCard").ns(ns::VCARD);
        for ((name, ..), text) in TEXTS.iter().zip(&self.texts) {
            write_text(&mut xml, name, text.as_deref());
        }
        if self.name.iter().any(Option::is_some) {
            xml.open("N");
            NAME.iter().zip(&self.name).for_each(|((name, _), text)| write_text(&mut xml, name, text.as_deref()));
            xml.close();
        }
        write_text(&mut xml, "NICKNAME", (!self.nicknames.is_empty()).then(|| self.nicknames.join(",")).as_deref());
        if let Some(organization) = &self.organization {
            xml.open("ORG").open("ORGNAME").text(organization).close().close();
        }
        for (place, note) in self.notes.iter().enumerate() {
            write_text(&mut xml, if place == 0 { "DESC" } else { "NOTE" }, Some(note));
        }
        if !self.categories.is_empty() {
            xml.open("CATEGORIES");
            self.categories.iter().for_each(|category| write_text(&mut xml, "KEYWORD", Some(category)));
            xml.close();
        }
        if let Some((lat, lon)) = &self.place {
            xml.open("GEO").open("LAT").text(lat).close().open("LON").text(lon).close().close();
        }
        for key in &self.keys {
            xml.open("KEY").open("CRED").text(key).close().close();
        }
        self.jids.iter().for_each(|jid| write_text(&mut xml, "JABBERID", Some(jid)));
        for email in &self.emails {
            xml.open("EMAIL");
            write_kinds_of_temp(&mut xml, email);
            xml.open("INTERNET").close().open("USERID").text(&email.value).close().close();
        }
        for telephone in &self.telephones {
            xml.open("TEL");
            write_kinds_of_temp(&mut xml, telephone);
            xml.open("NUMBER").text(&telephone.value).close().close();
        }
        for address in &self.addresses {
            xml.open("ADR");
            write_kinds_of_temp(&mut xml, address);
            ADDRESS.iter().zip(&address.value).for_each(|((name, _), text)| write_text(&mut xml, name, text.as_deref()));
            xml.close();
        }
        xml.close();
        xml.finish()
    }

    /// Writes `<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>`, with what this format alone can say taken from the one before.
    #[must_use]
    pub fn write_vcard4(&self, before: Option<Node<'_>>) -> Bytes {
        let read = |property: Node<'_>| Self::read_vcard4(std::iter::once(property));
        with_rest(self.only_vcard4(), before, read)
    }

    fn only_vcard4(&self) -> Bytes {
        let mut xml = XmlWriter::new();
        xml.open("vcard").ns(ns::VCARD4);
        for ((_, name, type_), text) in TEXTS.iter().zip(&self.texts) {
            write_value(&mut xml, name, type_, text.as_deref());
        }
        if self.name.iter().any(Option::is_some) {
            xml.open("n");
            NAME.iter().zip(&self.name).for_each(|((_, name), text)| write_text(&mut xml, name, text.as_deref()));
            xml.close();
        }
        self.nicknames.iter().for_each(|nickname| write_value(&mut xml, "nickname", "text", Some(nickname)));
        write_value(&mut xml, "org", "text", self.organization.as_deref());
        self.notes.iter().for_each(|note| write_value(&mut xml, "note", "text", Some(note)));
        if !self.categories.is_empty() {
            xml.open("categories");
            self.categories.iter().for_each(|category| write_text(&mut xml, "text", Some(category)));
            xml.close();
        }
        let place = self.place.as_ref().map(|(lat, lon)| format!("geo:{lat},{lon}"));
        write_value(&mut xml, "geo", "uri", place.as_deref());
        self.keys.iter().for_each(|key| write_value(&mut xml, "key", "text", Some(key)));
        self.jids.iter().for_each(|jid| write_value(&mut xml, "impp", "uri", Some(&format!("xmpp:{jid}"))));
        for email in &self.emails {
            xml.open("email");
            write_kinds_of_vcard4(&mut xml, email);
            xml.open("text").text(&email.value).close().close();
        }
        for telephone in &self.telephones {
            xml.open("tel");
            write_kinds_of_vcard4(&mut xml, telephone);
            // §11.3.5; what is no number stays a text.
            match is_number(&telephone.value) {
                true => xml.open("uri").text(&format!("tel:{}", telephone.value)).close(),
                false => xml.open("text").text(&telephone.value).close(),
            };
            xml.close();
        }
        for address in &self.addresses {
            xml.open("adr");
            write_kinds_of_vcard4(&mut xml, address);
            // RFC 6351: each part stands there.
            for ((_, name), text) in ADDRESS.iter().zip(&address.value) {
                xml.open(name);
                if let Some(text) = text {
                    xml.text(text);
                }
                xml.close();
            }
            xml.close();
        }
        xml.close();
        xml.finish()
    }
}

/// Properties that stand once in a card, where a vCard may have several: the first is read, the others stay.
fn is_single(name: &str) -> bool {
    matches!(name, "N" | "n" | "ORG" | "org" | "GEO" | "geo") || TEXTS.iter().any(|(temp, vcard4, _)| [*temp, *vcard4].contains(&name))
}

/// What was written anew, each property as it stood before where it says the same, and what no property of the card says. `read` reads one property.
fn with_rest(fresh: Bytes, before: Option<Node<'_>>, read: impl Fn(Node<'_>) -> Card) -> Bytes {
    let Some(before) = before else { return fresh };
    let Ok(element) = Element::parse(&fresh, &Bindings::empty()) else { return fresh };
    let namespace = element.root().ns();
    // They may be thousands.
    let mut known: HashMap<Card, VecDeque<Node<'_>>> = HashMap::new();
    let (mut seen, mut rest) = (HashSet::new(), Vec::new());
    for property in before.children() {
        let card = read(property);
        if card.is_empty() || (is_single(property.name()) && !seen.insert(property.name())) {
            rest.push(property);
        } else {
            known.entry(card).or_default().push_back(property);
        }
    }
    let mut xml = XmlWriter::new();
    xml.open(element.root().name()).ns(namespace);
    for property in element.root().children() {
        let before = known.get_mut(&read(property)).and_then(VecDeque::pop_front);
        before.unwrap_or(property).write(&mut xml, namespace);
    }
    rest.iter().for_each(|property| property.write(&mut xml, namespace));
    xml.close();
    xml.finish()
}

fn trimmed(node: Node<'_>) -> Option<String> {
    Some(node.text().trim().to_owned()).filter(|text| !text.is_empty())
}

fn array<const N: usize>(parts: Vec<Option<String>>) -> [Option<String>; N] {
    parts.try_into().unwrap_or([const { None }; N])
}

fn reach_of_temp<T>(node: Node<'_>, value: T) -> Reach<T> {
    let has = |name: &str| node.child(ns::VCARD, name).is_some();
    let kinds = KINDS.into_iter().filter(|kind| has(&kind.to_ascii_uppercase())).collect();
    Reach { value, kinds, preferred: has("PREF") }
}

fn reach_of_vcard4<T>(node: Node<'_>, value: T) -> Reach<T> {
    let Some(parameters) = node.child(ns::VCARD4, "parameters") else { return Reach { value, kinds: BTreeSet::new(), preferred: false } };
    let types = parameters.children_named(ns::VCARD4, "type").flat_map(|type_| type_.children().filter_map(trimmed));
    let types: Vec<String> = types.map(|type_| type_.to_ascii_lowercase()).collect();
    let kinds = KINDS.into_iter().filter(|kind| types.iter().any(|type_| type_ == kind)).collect();
    Reach { value, kinds, preferred: parameters.child(ns::VCARD4, "pref").is_some() }
}

fn write_text(xml: &mut XmlWriter, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        xml.open(name).text(text).close();
    }
}

fn write_value(xml: &mut XmlWriter, name: &str, type_: &str, text: Option<&str>) {
    if let Some(text) = text {
        xml.open(name).open(type_).text(text).close().close();
    }
}

fn write_kinds_of_temp<T>(xml: &mut XmlWriter, reach: &Reach<T>) {
    for kind in &reach.kinds {
        xml.open(&kind.to_ascii_uppercase()).close();
    }
    if reach.preferred {
        xml.open("PREF").close();
    }
}

fn write_kinds_of_vcard4<T>(xml: &mut XmlWriter, reach: &Reach<T>) {
    if reach.kinds.is_empty() && !reach.preferred {
        return;
    }
    xml.open("parameters");
    if !reach.kinds.is_empty() {
        xml.open("type");
        reach.kinds.iter().for_each(|kind| write_text(xml, "text", Some(kind)));
        xml.close();
    }
    if reach.preferred {
        xml.open("pref").open("integer").text("1").close().close();
    }
    xml.close();
}

/// RFC 3966 §3: no white space in a number.
fn number(text: &str) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join("-");
    if is_number(&joined) { joined } else { text.to_owned() }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.()".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From §12.2, shortened.
    const TEMP: &str = "<vCard xmlns='vcard-temp'><FN>Peter Saint-Andre</FN><BDAY>1966-08-06</BDAY><TITLE>Executive Director</TITLE>\
        <ROLE>Patron Saint</ROLE><URL>https://stpeter.im/</URL><N><FAMILY>Saint-Andre</FAMILY><GIVEN>Peter</GIVEN></N>\
        <NICKNAME>stpeter,psa</NICKNAME><ORG><ORGNAME>XMPP Standards Foundation</ORGNAME></ORG><DESC>More information</DESC>\
        <GEO><LAT>39.59</LAT><LON>-105.01</LON></GEO><JABBERID>stpeter@jabber.org</JABBERID>\
        <EMAIL><WORK/><INTERNET/><USERID>psaintan@cisco.com</USERID></EMAIL>\
        <TEL><VOICE/><WORK/><PREF/><NUMBER>+1-303-308-3282</NUMBER></TEL><TEL><NUMBER>ask me</NUMBER></TEL>\
        <ADR><WORK/><EXTADD>Suite 600</EXTADD><STREET>1899 Wynkoop Street</STREET><LOCALITY>Denver</LOCALITY></ADR></vCard>";
    /// From §4.1.1 and §12.3.
    const VCARD4: &str = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Peter Saint-Andre</text></fn>\
        <bday><date>1966-08-06</date></bday><title><text>Executive Director</text></title><role><text>Patron Saint</text></role>\
        <url><uri>https://stpeter.im/</uri></url><n><surname>Saint-Andre</surname><given>Peter</given></n>\
        <nickname><text>stpeter</text></nickname><nickname><text>psa</text></nickname>\
        <org><text>XMPP Standards Foundation</text></org><note><text>More information</text></note><geo><uri>geo:39.59,-105.01</uri></geo>\
        <impp><uri>xmpp:stpeter@jabber.org</uri></impp>\
        <email><parameters><type><text>work</text></type></parameters><text>psaintan@cisco.com</text></email>\
        <tel><parameters><type><text>voice</text><text>work</text></type><pref><integer>1</integer></pref></parameters><uri>tel:+1-303-308-3282</uri></tel>\
        <tel><text>ask me</text></tel>\
        <adr><parameters><type><text>work</text></type></parameters><pobox/><ext>Suite 600</ext><street>1899 Wynkoop Street</street>\
        <locality>Denver</locality><region/><code/><country/></adr></vcard>";

    fn element(xml: &str) -> Element {
        Element::parse(xml.as_bytes(), &Bindings::empty()).unwrap()
    }

    fn text(bytes: Bytes) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn s11_each_format_is_the_other() {
        let (temp, vcard4) = (element(TEMP), element(VCARD4));
        let card = Card::of_temp(temp.root());
        assert_eq!(card, Card::of_vcard4(vcard4.root()));
        assert_eq!(text(card.write_vcard4(None)), VCARD4);
        assert_eq!(text(card.write_temp(None)), TEMP);
        assert!(!card.is_empty() && Card::of_temp(element("<vCard xmlns='vcard-temp'><PHOTO/><FN> </FN></vCard>").root()).is_empty());
    }

    #[test]
    fn s11_what_one_format_alone_can_say_stays() {
        let temp = element("<vCard xmlns='vcard-temp'><FN>A</FN><PHOTO><BINVAL>eA==</BINVAL></PHOTO><x xmlns='urn:x'/></vCard>");
        let vcard4 = element(
            "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>B</text></fn><gender><sex>F</sex></gender>\
             <impp><uri>sip:b@x</uri></impp><key><uri>https://x/</uri></key></vcard>",
        );
        let written = text(Card::of_vcard4(vcard4.root()).write_temp(Some(temp.root())));
        assert_eq!(written, "<vCard xmlns='vcard-temp'><FN>B</FN><PHOTO><BINVAL>eA==</BINVAL></PHOTO><x xmlns='urn:x'/></vCard>");
        let written = text(Card::of_temp(temp.root()).write_vcard4(Some(vcard4.root())));
        let rest = "<gender><sex>F</sex></gender><impp><uri>sip:b@x</uri></impp><key><uri>https://x/</uri></key></vcard>";
        assert_eq!(written, format!("<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>A</text></fn>{rest}"));
    }

    #[test]
    fn s11_a_property_that_says_the_same_stays_as_it_is() {
        let temp = "<vCard xmlns='vcard-temp'><FN>A</FN><URL>https://a/</URL><ORG><ORGNAME>X</ORGNAME><ORGUNIT>Y</ORGUNIT></ORG>\
                    <TEL><MSG/><HOME/><NUMBER>1 2</NUMBER></TEL><URL>https://b/</URL></vCard>";
        let vcard4 = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><parameters><language><language-tag>en</language-tag></language></parameters>\
                      <text>A</text></fn><url><uri>https://a/</uri></url><org><text>X</text><text>Y</text></org>\
                      <tel><parameters><type><text>home</text><text>text</text></type></parameters><uri>tel:1-2</uri></tel><url><uri>https://c/</uri></url></vcard>";
        let (of_temp, of_vcard4) = (element(temp), element(vcard4));
        let card = Card::of_temp(of_temp.root());
        assert_eq!(card, Card::of_vcard4(of_vcard4.root()));
        assert_eq!(text(card.write_temp(Some(of_temp.root()))), temp);
        assert_eq!(text(card.write_vcard4(Some(of_vcard4.root()))), vcard4);
        // Of what another one has changed, that alone.
        let changed = element(&temp.replace("<FN>A</FN>", "<FN>B</FN>").replace("<NUMBER>1 2<", "<NUMBER>3<"));
        let written = text(Card::of_temp(changed.root()).write_vcard4(Some(of_vcard4.root())));
        let telephone = "<tel><parameters><type><text>home</text></type></parameters><uri>tel:3</uri></tel>";
        let kept = "<url><uri>https://a/</uri></url><org><text>X</text><text>Y</text></org>";
        let expected = format!("<fn><text>B</text></fn>{kept}{telephone}<url><uri>https://c/</uri></url></vcard>");
        assert_eq!(written, format!("<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'>{expected}"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for odd in [
            "<vCard xmlns='vcard-temp'><NICKNAME> a , ,b</NICKNAME><NOTE>n</NOTE><DESC>d</DESC><TEL><HOME/><NUMBER>+49 (30) 123</NUMBER></TEL></vCard>",
            "<vCard xmlns='vcard-temp'><ADR><HOME/></ADR><KEY><TYPE>pgp</TYPE><CRED>k &lt;</CRED></KEY><CATEGORIES><KEYWORD>x</KEYWORD></CATEGORIES></vCard>",
            "<vCard xmlns='vcard-temp'/>",
        ] {
            let card = Card::of_temp(element(odd).root());
            assert_eq!(Card::of_temp(element(&text(card.write_temp(None))).root()), card, "{odd}");
            assert_eq!(Card::of_vcard4(element(&text(card.write_vcard4(None))).root()), card, "{odd}");
        }
    }
}
