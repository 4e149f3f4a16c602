//! XEP-0167 §9: changes of the description.

use super::*;

#[test]
fn xep_0167_s9_description_info() {
    let info = |name: &str, media: &str, children: &str, beside: &str| {
        let description = format!("<description xmlns='{}' media='{media}'>{children}</description>", ns::JINGLE_RTP);
        stanza("description-info", &named("initiator", name, &(description + beside)))
    };
    let own = |children: &str, expected: &[&str]| check(&initiator(), Initiator, &info("a", "audio", children, ""), expected);
    // As in example 14, parameters that are not named stay.
    own(
        "<payload-type id='111' name='opus' clockrate='48000' channels='2'><parameter name='minptime' value='20'/></payload-type>",
        &["-a=fmtp:111 minptime=10;useinbandfec=1", "+a=fmtp:111 minptime=20;useinbandfec=1"],
    );
    own(
        "<payload-type id='8' name='PCMA' clockrate='8000'/>",
        &["-m=audio 9 UDP/TLS/RTP/SAVPF 111 0", "+m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8", "+a=rtpmap:8 PCMA/8000"],
    );
    own("<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='5'><parameter name='cname' value='c'/></source>", &["+a=ssrc:5 cname:c"]);
    own("", &[]);
    // The other party's is about its own description.
    check(&responder(), Initiator, &info("a", "audio", "<payload-type id='8' name='PCMA' clockrate='8000'/>", ""), &[]);
    // The whole: what is not there is gone, lines that are carried too.
    let mut carrying = initiator();
    carrying.sections[0].content.carried.push(crate::jingle::content::Carried { kind: 'a', value: "label:1".into() });
    let whole = format!("<line xmlns='{}' type='a'>jingle-whole</line>", ns::SDP);
    check(
        &carrying,
        Initiator,
        &info("a", "audio", "<payload-type id='0' name='PCMU' clockrate='8000'/>", &whole),
        &[
            "-m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
            "-a=rtpmap:111 opus/48000/2",
            "-a=fmtp:111 minptime=10;useinbandfec=1",
            "-a=label:1",
            "-a=rtcp-mux",
            "+m=audio 9 UDP/TLS/RTP/SAVPF 0",
        ],
    );
    // XEP-0338: groups alone.
    let group = |contents: &str| {
        stanza("description-info", &format!("<group xmlns='{}' semantics='BUNDLE'>{contents}</group>", ns::JINGLE_GROUPING))
    };
    check(
        &initiator(),
        Initiator,
        &group("<content name='v'/><content name='a'/><content name='x'/>"),
        &["-a=group:BUNDLE a v", "+a=group:BUNDLE v a"],
    );
    check(&initiator(), Initiator, &group(""), &["-a=group:BUNDLE a v"]);
    check(&initiator(), Responder, &group(""), &[]);
    assert_eq!(error(&initiator(), Initiator, &stanza("description-info", "")), "bad-request: description-info without contents");
    let wrong = "bad-request: description-info of content 'a': expected a description of the kind that it has";
    assert_eq!(error(&initiator(), Initiator, &info("a", "video", "", "")), wrong);
}
