//! What clients write inside a `<description/>`, how we write the same, and what we say of it.

use super::Rtp;
use crate::jingle::content::{Action, Description, Senders};
use crate::jingle::testing::{content, whole, written};

/// Element, the same as we write it, what is amiss.
type Row<'t> = (&'t str, &'t str, &'t [&'t str]);

fn read(children: &str) -> (Rtp, Vec<String>) {
    let (content, problems) = content(&format!("<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>{children}</description>"));
    let Some(Description::Rtp(rtp)) = content.description else { panic!("{content:?}") };
    (*rtp, problems.into_iter().map(|problem| problem.text).collect())
}

/// Children of a description.
fn check(table: &[Row<'_>]) {
    for (given, expected, amiss) in table {
        let (rtp, problems) = read(given);
        let xml = written(|out| rtp.write(out));
        let inner = xml.strip_prefix("<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'").unwrap();
        let inner = inner.strip_prefix('>').and_then(|inner| inner.strip_suffix("</description>")).unwrap_or_default();
        assert_eq!((inner, problems), (*expected, amiss.iter().map(ToString::to_string).collect()), "{given}");
    }
}

/// Children of a payload type.
fn check_payload(table: &[Row<'_>]) {
    for (given, expected, amiss) in table {
        let expected = match *expected {
            "" => "<payload-type id='96'/>".to_owned(),
            children => format!("<payload-type id='96'>{children}</payload-type>"),
        };
        check(&[(&format!("<payload-type id='96'>{given}</payload-type>"), &expected, amiss)]);
    }
}

#[test]
fn xep_0167_s4_payload_types() {
    check(&[
        ("<payload-type id='18' name='G729'/>", "<payload-type id='18' name='G729'/>", &[]),
        (
            "<payload-type channels='2' clockrate='16000' id='103' maxptime='60' name='L16' ptime='20'/>",
            "<payload-type id='103' name='L16' clockrate='16000' channels='2' ptime='20' maxptime='60'/>",
            &[],
        ),
        ("<payload-type id='128'/>", "", &["<payload-type/>: id='128', expected a number from 0 to 127"]),
        ("<payload-type id='-1'/>", "", &["<payload-type/>: id='-1', expected a number from 0 to 127"]),
        ("<payload-type name='opus'/>", "", &["<payload-type/>: no id, expected one"]),
        (
            "<payload-type id='96' clockrate='48k' channels='256'/>",
            "<payload-type id='96'/>",
            &[
                "<payload-type/>: clockrate='48k', expected a number from 0 to 4294967295",
                "<payload-type/>: channels='256', expected a number from 0 to 255",
            ],
        ),
        (
            "<payload-type id='96' x='1' xml:lang='en'/><payload-type id='97' x='1'/><x/><x/>",
            "<payload-type id='96'/><payload-type id='97'/>",
            &["attribute x in <payload-type/>", "<x xmlns='urn:xmpp:jingle:apps:rtp:1'/> in <description/>"],
        ),
        // A name is a text: whatever it says, it stays one.
        ("<payload-type id='96' name='a&#13;&#10;a=x&lt;'/>", "<payload-type id='96' name='a&#13;&#10;a=x&lt;'/>", &[]),
    ]);
}

#[test]
fn xep_0167_s4_a_time_of_the_description_is_each_payload_types() {
    let (content, problems) = content(
        "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio' ssrc='7' ptime='20' maxptime='60'>
         <payload-type id='0'/><payload-type id='8' ptime='30'/></description>",
    );
    let Some(Description::Rtp(rtp)) = content.description else { panic!() };
    let times: Vec<_> = rtp.payload_types.iter().map(|payload_type| (payload_type.ptime, payload_type.maxptime)).collect();
    assert_eq!(times, [(Some(20), Some(60)), (Some(30), Some(60))]);
    assert_eq!((rtp.ssrc, problems.len()), (Some(7), 0));
}

#[test]
fn xep_0167_s4_parameters_with_and_without_name() {
    check_payload(&[
        ("<parameter name='vbr' value='on'/>", "<parameter name='vbr' value='on'/>", &[]),
        // Four forms of `0-15`, each of which some client writes.
        ("<parameter name='' value='0-15'/>", "<parameter name='' value='0-15'/>", &[]),
        ("<parameter name='0-15'/>", "<parameter name='' value='0-15'/>", &[]),
        ("<parameter name='0-15' value=''/>", "<parameter name='' value='0-15'/>", &[]),
        ("<parameter value='0-15'/>", "<parameter name='' value='0-15'/>", &[]),
        ("<parameter name='' value='111/111'/>", "<parameter name='' value='111/111'/>", &[]),
        // An empty value is another thing than none.
        ("<parameter name='sprop' value=''/>", "<parameter name='sprop' value=''/>", &[]),
        ("<parameter name='' value='0=' />", "<parameter name='' value='0='/>", &[]),
        ("<parameter name='a' value='b=c;d'/>", "<parameter name='a' value='b=c;d'/>", &[]),
        ("<parameter name='' value=''/>", "", &["<parameter/>: neither name nor value, expected one of them"]),
        ("<parameter/>", "", &["<parameter/>: neither name nor value, expected one of them"]),
        ("<parameter xmlns='x' name='a'/>", "", &["<parameter xmlns='x'/> in <payload-type/>"]),
    ]);
    let (rtp, _) = read("<payload-type id='96'><parameter name='' value='0='/><parameter value='F'/></payload-type>");
    let parameters: Vec<_> = rtp.payload_types[0].parameters.iter().map(|of| (&*of.name, of.value.as_deref())).collect();
    assert_eq!(parameters, [("0", Some("")), ("", Some("F"))]);
}

#[test]
fn xep_0293_s3_feedback_of_payload_types_and_of_all() {
    let table: &[Row<'_>] = &[
        (
            "<rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='nack' subtype='pli'/>",
            "<rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='nack' subtype='pli'/>",
            &[],
        ),
        (
            "<rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='goog-remb' subtype=''/>",
            "<rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='goog-remb'/>",
            &[],
        ),
        (
            "<rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='ccm' subtype='tmmbr'><parameter name='smaxpr' value='120'/><parameter name='a' value=''/></rtcp-fb>",
            "<rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='ccm' subtype='tmmbr'><parameter name='smaxpr' value='120'/><parameter name='a'/></rtcp-fb>",
            &[],
        ),
        // All words in the subtype, as stanza.js has them.
        (
            "<rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='ccm' subtype=' tmmbr smaxpr=120  a'/>",
            "<rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='ccm' subtype='tmmbr'><parameter name='smaxpr' value='120'/><parameter name='a'/></rtcp-fb>",
            &[],
        ),
        (
            "<rtcp-fb-trr-int xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' value='100'/>",
            "<rtcp-fb-trr-int xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' value='100'/>",
            &[],
        ),
        // The default is allowed, whatever the schema says; without namespace it is Movim's.
        ("<rtcp-fb-trr-int value='0'/>", "<rtcp-fb-trr-int xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' value='0'/>", &[]),
        (
            "<rtcp-fb-trr-int xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0'/>",
            "<rtcp-fb-trr-int xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' value='0'/>",
            &[],
        ),
        (
            "<rtcp-fb-trr-int xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' value='soon'/>",
            "",
            &["<rtcp-fb-trr-int/>: value='soon', expected a number from 0 to 4294967295"],
        ),
        ("<rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' subtype='pli'/>", "", &["<rtcp-fb/>: no type, expected one"]),
    ];
    check(table);
    check_payload(table);
}

#[test]
fn xep_0167_s4_bandwidth_and_multiplexing() {
    check(&[
        ("<bandwidth type='AS'>128</bandwidth>", "<bandwidth type='AS'>128</bandwidth>", &[]),
        ("<bandwidth type='AS'> 128 </bandwidth>", "<bandwidth type='AS'>128</bandwidth>", &[]),
        // As Movim has it.
        ("<bandwidth type='TIAS' value='128000'/>", "<bandwidth type='TIAS'>128000</bandwidth>", &[]),
        (
            "<bandwidth type='RR'>0</bandwidth><bandwidth type='RS'>0</bandwidth>",
            "<bandwidth type='RR'>0</bandwidth><bandwidth type='RS'>0</bandwidth>",
            &[],
        ),
        ("<bandwidth type='AS'>1&#10;a=x</bandwidth>", "", &["<bandwidth/>: text '1\\na=x', expected a number"]),
        ("<bandwidth type='AS'/>", "", &["<bandwidth/>: text '', expected a number"]),
        ("<bandwidth>128</bandwidth>", "", &["<bandwidth/>: no type, expected one"]),
        ("<rtcp-reduced-size/><rtcp-mux/>", "<rtcp-mux/><rtcp-reduced-size/>", &[]),
    ]);
}

#[test]
fn xep_0167_s7_and_xep_0262_encryption() {
    let key = "key-params='inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:32'";
    let crypto = format!("<crypto crypto-suite='AES_CM_128_HMAC_SHA1_80' {key} session-params='KDR=1 UNENCRYPTED_SRTCP' tag='1'/>");
    let hash = "<zrtp-hash xmlns='urn:xmpp:jingle:apps:rtp:zrtp:1' version='1.10'>fe30efd02423cb05</zrtp-hash>";
    let spaced = hash.replace('>', "> ").replace("</", "\n</");
    check(&[
        (&format!("<encryption required='1'>{crypto}</encryption>"), &format!("<encryption required='1'>{crypto}</encryption>"), &[]),
        (&format!("<encryption required=' true '>{crypto}</encryption>"), &format!("<encryption required='1'>{crypto}</encryption>"), &[]),
        (&format!("<encryption required='0'>{crypto}</encryption>"), &format!("<encryption>{crypto}</encryption>"), &[]),
        (&format!("<encryption>{spaced}</encryption>"), &format!("<encryption>{hash}</encryption>"), &[]),
        (&format!("<encryption>{hash}{crypto}</encryption>"), &format!("<encryption>{crypto}{hash}</encryption>"), &[]),
        ("<encryption required='true'/>", "<encryption required='1'/>", &[]),
        ("<encryption required='yes'/>", "", &["<encryption/>: required='yes', expected 'true' or 'false'"]),
        (&format!("<encryption><crypto {key} tag='1'/></encryption>"), "", &["<crypto/>: no crypto-suite, expected one"]),
        (&format!("<encryption><crypto {key} crypto-suite='x'/></encryption>"), "", &["<crypto/>: no tag, expected one"]),
        ("<encryption><crypto tag='1' crypto-suite='x'/></encryption>", "", &["<crypto/>: no key-params, expected one"]),
        (
            "<encryption><zrtp-hash xmlns='urn:xmpp:jingle:apps:rtp:zrtp:1' version='1.10'>x</zrtp-hash></encryption>",
            "",
            &["<zrtp-hash/>: text 'x', expected hexadecimal digits"],
        ),
        (
            "<encryption><zrtp-hash xmlns='urn:xmpp:jingle:apps:rtp:zrtp:1'>ab</zrtp-hash></encryption>",
            "",
            &["<zrtp-hash/>: no version, expected one"],
        ),
    ]);
    let (rtp, _) = read(&format!("<encryption>{crypto}</encryption>"));
    assert!(!format!("{rtp:?}").contains("inline"), "keys are not shown");
}

#[test]
fn xep_0294_s3_header_extensions() {
    let extension = |attributes: &str| format!("<rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' {attributes}/>");
    let plain = extension("id='1' uri='urn:ietf:params:rtp-hdrext:toffset'");
    check(&[
        (&extension("uri='urn:ietf:params:rtp-hdrext:toffset' id='1'"), &plain, &[]),
        (&extension("id='4907' uri='x' senders='none'"), &extension("id='4907' uri='x' senders='none'"), &[]),
        // The initiator receives: as Conversations has it.
        (&extension("id='2/recvonly' uri='x'"), &extension("id='2' uri='x' senders='responder'"), &[]),
        (&extension("id='2/sendonly' uri='x'"), &extension("id='2' uri='x' senders='initiator'"), &[]),
        (&extension("id='2/sendrecv' uri='x'"), &extension("id='2' uri='x' senders='both'"), &[]),
        (&extension("id='2/inactive' uri='x'"), &extension("id='2' uri='x' senders='none'"), &[]),
        (&extension("id='2/recvonly' uri='x' senders='both'"), &extension("id='2' uri='x' senders='both'"), &[]),
        (
            &extension("id='2/never' uri='x'"),
            &extension("id='2' uri='x'"),
            &["<rtp-hdrext/>: id='2/never', expected a direction of SDP behind the slash"],
        ),
        (&extension("id='0' uri='x'"), "", &["<rtp-hdrext/>: id='0', expected a number from 1 to 65535"]),
        (&extension("id='1'"), "", &["<rtp-hdrext/>: no uri, expected one"]),
        (
            &extension("id='1' uri='x' senders='rejected'"),
            &extension("id='1' uri='x'"),
            &["<rtp-hdrext/>: senders='rejected', expected 'both', 'initiator', 'none' or 'responder'"],
        ),
        (
            "<rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' id='1' uri='x'><parameter name='vad' value='on'/><parameter name='b' value=''/></rtp-hdrext>",
            "<rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' id='1' uri='x'><parameter name='vad' value='on'/><parameter name='b'/></rtp-hdrext>",
            &[],
        ),
        (
            "<extmap-allow-mixed xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0'/>",
            "<extmap-allow-mixed xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0'/>",
            &[],
        ),
    ]);
}

#[test]
fn a_direction_in_an_id_is_that_of_who_speaks() {
    let table = [
        (Action::SessionInitiate, "initiator", Some(Senders::Initiator)),
        (Action::SessionAccept, "initiator", Some(Senders::Responder)),
        (Action::ContentAdd, "responder", Some(Senders::Responder)),
        (Action::ContentAccept, "responder", Some(Senders::Initiator)),
        // Either may have sent it.
        (Action::DescriptionInfo, "initiator", None),
    ];
    for (action, creator, senders) in table {
        let (jingle, problems) = whole(&format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='{}' sid='s'><content creator='{creator}' name='a'>
             <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>
             <rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' id='2/sendonly' uri='x'/></description></content></jingle>",
            action.as_str()
        ));
        let Some(Description::Rtp(rtp)) = &jingle.contents[0].description else { panic!() };
        assert_eq!((rtp.header_extensions[0].senders, problems.is_empty()), (senders, senders.is_some()), "{action:?}");
    }
}

#[test]
fn xep_0339_s2_sources_and_streams() {
    let parameters = "<parameter name='cname' value='Yv/wvbCdsDW2Prgd'/><parameter name='silent'/><parameter name='label' value=''/>";
    let source = format!("<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='1656081975'>{parameters}</source>");
    let group =
        "<ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='FEC-FR'><source ssrc='1'/><source ssrc='4294967295'/></ssrc-group>";
    check(&[
        (&format!("{source}{group}"), &format!("{group}{source}"), &[]),
        (
            "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='4294967296'/>",
            "",
            &["<source/>: ssrc='4294967296', expected a number from 0 to 4294967295"],
        ),
        // Jitsi.
        (
            "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='1' name='n-v0'><ssrc-info xmlns='http://jitsi.org/jitmeet'/></source>",
            "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='1'/>",
            &["attribute name in <source/>", "<ssrc-info xmlns='http://jitsi.org/jitmeet'/> in <source/>"],
        ),
        (
            "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' rid='m0'/>",
            "",
            &["attribute rid in <source/>", "<source/>: no ssrc, expected one"],
        ),
        (
            "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='1'><parameter value='x'/></source>",
            "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='1'/>",
            &["<parameter/>: no name, expected one"],
        ),
        ("<ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0'/>", "", &["<ssrc-group/>: no semantics, expected one"]),
        (
            "<stream xmlns='urn:xmpp:jingle:apps:rtp:msid:0' id='s' track='t'/><stream xmlns='urn:xmpp:jingle:apps:rtp:msid:0' id='-'/>",
            "<stream xmlns='urn:xmpp:jingle:apps:rtp:msid:0' id='s' track='t'/><stream xmlns='urn:xmpp:jingle:apps:rtp:msid:0' id='-'/>",
            &[],
        ),
        ("<stream xmlns='urn:xmpp:jingle:apps:rtp:msid:0' track='t'/>", "", &["<stream/>: no id, expected one"]),
    ]);
}

#[test]
fn what_xml_cannot_hold_is_replaced() {
    let mut rtp = Rtp { media: "a\0\u{b}\u{fffe}".into(), ..Rtp::default() };
    rtp.streams.push(super::Msid { stream: "\u{1}'<&\n".into(), track: None });
    assert_eq!(
        written(|out| rtp.write(out)),
        "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='a\u{fffd}\u{fffd}\u{fffd}'>\
         <stream xmlns='urn:xmpp:jingle:apps:rtp:msid:0' id='\u{fffd}&apos;&lt;&amp;&#10;'/></description>"
    );
}

#[test]
fn every_list_has_a_bound() {
    use super::*;
    let source = "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='1'/>";
    let table = [
        ("<payload-type id='1'/>", PAYLOAD_TYPES_MAX),
        ("<rtcp-fb type='x'/>", FEEDBACKS_MAX),
        ("<bandwidth type='AS'>1</bandwidth>", BANDWIDTHS_MAX),
        ("<rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' id='1' uri='x'/>", HEADER_EXTENSIONS_MAX),
        (source, SOURCES_MAX),
        ("<ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='x'/>", SOURCE_GROUPS_MAX),
        ("<stream xmlns='urn:xmpp:jingle:apps:rtp:msid:0' id='x'/>", STREAMS_MAX),
    ];
    for (element, max) in table {
        let (rtp, problems) = read(&element.repeat(max + 9));
        let name = element[1..].split([' ', '/']).next().unwrap();
        let lengths = [
            rtp.payload_types.len(),
            rtp.feedback.messages.len(),
            rtp.bandwidths.len(),
            rtp.header_extensions.len(),
            rtp.sources.len(),
            rtp.source_groups.len(),
            rtp.streams.len(),
        ];
        assert_eq!(lengths.iter().sum::<usize>(), max, "{name}");
        assert_eq!(problems, [format!("<{name}/>: more than {max} of them, expected {max} at most")]);
    }
    let inner = [
        ("<payload-type id='1'>", "<parameter name='a' value='b'/>", "</payload-type>", PARAMETERS_MAX),
        ("<rtcp-fb type='x'>", "<parameter name='a'/>", "</rtcp-fb>", PARAMETERS_MAX),
        ("<encryption>", "<crypto tag='1' crypto-suite='x' key-params='x'/>", "</encryption>", CRYPTOS_MAX),
        ("<encryption>", "<zrtp-hash xmlns='urn:xmpp:jingle:apps:rtp:zrtp:1' version='1'>ab</zrtp-hash>", "</encryption>", ZRTP_HASHES_MAX),
        ("<ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='x'>", source, "</ssrc-group>", SOURCES_MAX),
    ];
    for (before, element, after, max) in inner {
        let (rtp, problems) = read(&format!("{before}{}{after}", element.repeat(max + 1)));
        let name = element[1..].split([' ', '/']).next().unwrap();
        assert_eq!(problems, [format!("<{name}/>: more than {max} of them, expected {max} at most")]);
        assert_eq!(written(|out| rtp.write(out)).matches(&format!("<{name} ")).count(), max, "{name}");
    }
    // A value that is too long is said and left out, not cut.
    let long = "x".repeat(crate::jingle::reading::VALUE_BYTES_MAX + 1);
    let (rtp, problems) = read(&format!("<payload-type id='1'><parameter name='a' value='{long}'/></payload-type>"));
    assert_eq!((rtp.payload_types[0].parameters.len(), &*problems[0]), (0, "<parameter/>: value of 16385 bytes, expected 16384 at most"));
}
