//! XEP-0153: vCard-Based Avatars, version 1.1, from the server's side, as XEP-0398 §4 asks: the hash of the vCard's photo is put into
//! the presence of clients that do not say themselves which image they show.

use bytes::Bytes;

use crate::ns;
use crate::pipeline::{Effects, Verdict, Walk};
use crate::stanza::{Kind, PresenceType, Stanza};
use crate::xml::XmlWriter;

/// Stage of `pipeline::OUTBOUND`: available presence, broadcast or directed, gets the hash, unless the client names an image or says that there
/// is none (XEP-0398 §4).
pub fn outbound(walk: &Walk<'_>, stanza: &mut Stanza, _: &mut Effects) -> Verdict {
    if let (Kind::Presence(PresenceType::Available), Some(hash)) = (stanza.kind(), &walk.account.photo_hash)
        && said(stanza).is_none()
    {
        put(stanza, hash);
    }
    Verdict::Pass
}

/// A presence that is in force, when the vCard's photo has become another: as it stands from now on, and as contacts get it now. `None` where the
/// client speaks for itself.
pub fn revised(presence: &Stanza, before: Option<&str>, now: Option<&str>) -> Option<(Stanza, Stanza)> {
    let said = said(presence);
    if said.as_deref().is_some_and(|said| before.is_none_or(|before| !said.eq_ignore_ascii_case(before))) {
        return None;
    }
    let mut standing = presence.clone();
    match now {
        Some(hash) => {
            put(&mut standing, hash);
            Some((standing.clone(), standing))
        }
        None => {
            standing.remove_children(|child| child.is(ns::VCARD_UPDATE, "x"));
            let told = standing.clone().with_child(&update(""));
            Some((standing, told))
        }
    }
}

/// What the `<photo/>` of a presence says; `None` without one.
fn said(presence: &Stanza) -> Option<String> {
    let update = presence.child(ns::VCARD_UPDATE, "x")?.element().ok()?;
    Some(update.root().child(ns::VCARD_UPDATE, "photo")?.text().trim().to_owned())
}

fn put(presence: &mut Stanza, hash: &str) {
    presence.remove_children(|child| child.is(ns::VCARD_UPDATE, "x"));
    presence.add_child(&update(hash));
}

/// §3.1 and, for no image, §4.1.
fn update(hash: &str) -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open("x").ns(ns::VCARD_UPDATE).open("photo");
    if !hash.is_empty() {
        xml.text(hash);
    }
    xml.close().close();
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Account, Targets};
    use crate::jid::BareJid;
    use crate::pipeline::Moment;
    use crate::stanza::Framing;
    use crate::xml::Bindings;

    const HASH: &str = "01b87fcd030b72895ff8e88db57ec525450f000d";

    fn stanza(xml: &str) -> Stanza {
        Stanza::parse(xml.to_owned().into(), &Bindings::client()).unwrap()
    }

    fn written(stanza: &Stanza) -> String {
        String::from_utf8(stanza.to_bytes(Framing::Stream).to_vec()).unwrap()
    }

    fn x(photo: &str) -> String {
        format!("<x xmlns='vcard-temp:x:update'>{photo}</x>")
    }

    #[test]
    fn xep0398_s4_what_a_client_says_of_its_image_stays() {
        let mut account = Account::new(BareJid::parse("juliet@capulet.com").unwrap(), Vec::new(), Vec::new());
        let ours = x(&format!("<photo>{HASH}</photo>"));
        let (none, other, empty) = (x("<photo/>"), x("<photo>abc</photo>"), "<x xmlns='vcard-temp:x:update'/>".to_owned());
        for (presence, expected) in [
            ("<presence/>".to_owned(), format!("<presence>{ours}</presence>")),
            ("<presence to='room@muc/nick'/>".to_owned(), format!("<presence to='room@muc/nick'>{ours}</presence>")),
            (format!("<presence><show>dnd</show>{empty}</presence>"), format!("<presence><show>dnd</show>{ours}</presence>")),
            (format!("<presence>{none}</presence>"), format!("<presence>{none}</presence>")),
            (format!("<presence>{other}</presence>"), format!("<presence>{other}</presence>")),
            ("<presence type='unavailable'/>".to_owned(), "<presence type='unavailable'/>".to_owned()),
            ("<message/>".to_owned(), "<message/>".to_owned()),
        ] {
            for hash in [None, Some(HASH.to_owned())] {
                account.photo_hash.clone_from(&hash);
                let mut stanza = stanza(&presence);
                let moment = Moment::for_tests();
                let walk = Walk { account: &account, sender: None, targets: &Targets::Nobody, moment: &moment };
                assert_eq!(outbound(&walk, &mut stanza, &mut Effects::default()), Verdict::Pass);
                assert_eq!(written(&stanza), if hash.is_some() { expected.clone() } else { presence.clone() });
            }
        }
    }

    #[test]
    fn a_new_photo_is_told_for_clients_that_leave_it_to_the_server() {
        let with = |photo: &str| format!("<presence>{}</presence>", x(&format!("<photo>{photo}</photo>")));
        for (presence, before, now, expected) in [
            ("<presence/>".to_owned(), None, Some("b"), Some((with("b"), with("b")))),
            (with("A"), Some("a"), Some("b"), Some((with("b"), with("b")))),
            (with("a"), Some("a"), None, Some(("<presence/>".to_owned(), format!("<presence>{}</presence>", x("<photo/>"))))),
            (with("own"), Some("a"), Some("b"), None),
            (with("own"), None, Some("b"), None),
            (format!("<presence>{}</presence>", x("<photo/>")), Some("a"), Some("b"), None),
        ] {
            let got = revised(&stanza(&presence), before, now).map(|(standing, told)| (written(&standing), written(&told)));
            assert_eq!(got, expected, "{presence} {before:?} {now:?}");
        }
    }
}
