//! XEP-0357 §7: the publish request. It says how much waits, never who wrote what: it crosses services of others (§9).

use bytes::Bytes;

use super::state::Notice;
use crate::ns;
use crate::xml::XmlWriter;

/// What stands for a message's text, which some services need to be there to show anything.
const NEW_MESSAGE: &str = "New message";

/// The payload of the request, Examples 12 and 13.
pub(super) fn publish(notice: &Notice) -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open("pubsub").ns(ns::PUBSUB);
    xml.open("publish").attr("node", &notice.service.node).open("item");
    xml.open("notification").ns(ns::PUSH);
    xml.open("x").ns(ns::DATA_FORMS).attr("type", "submit");
    field(&mut xml, "FORM_TYPE", "urn:xmpp:push:summary");
    field(&mut xml, "message-count", &notice.messages.to_string());
    if notice.new_message {
        field(&mut xml, "last-message-body", NEW_MESSAGE);
    }
    xml.close();
    if let Some(call) = &notice.call {
        xml.raw(call);
    }
    xml.close().close().close();
    if !notice.service.options.is_empty() {
        xml.open("publish-options").raw(&notice.service.options).close();
    }
    xml.close();
    xml.finish()
}

fn field(xml: &mut XmlWriter, name: &str, value: &str) {
    xml.open("field").attr("var", name).open("value").text(value).close().close();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::Jid;
    use crate::store::PushService;

    #[test]
    fn s7_examples_12_and_13() {
        let options = "<x xmlns='jabber:x:data' type='submit'><field var='secret'><value>s</value></field></x>";
        let service = PushService {
            service: Jid::parse("push.example").unwrap(),
            node: "n'1".to_owned(),
            resource: String::new(),
            options: Bytes::from_static(options.as_bytes()),
        };
        let call = Some(Bytes::from_static(b"<propose xmlns='urn:xmpp:jingle-message:0' id='c'/>"));
        let written = publish(&Notice { service, messages: 2, new_message: true, call });
        let expected = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n&apos;1'><item>\
            <notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data' type='submit'>\
            <field var='FORM_TYPE'><value>urn:xmpp:push:summary</value></field><field var='message-count'><value>2</value></field>\
            <field var='last-message-body'><value>New message</value></field></x>\
            <propose xmlns='urn:xmpp:jingle-message:0' id='c'/></notification></item></publish>\
            <publish-options><x xmlns='jabber:x:data' type='submit'><field var='secret'><value>s</value></field></x></publish-options></pubsub>";
        assert_eq!(written, expected);
    }
}
