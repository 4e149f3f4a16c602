use super::*;
use crate::jingle::candidate::Candidate;
use crate::jingle::testing::{content, written};

/// Transport as given, as written, and what is amiss.
type Row<'t> = (&'t str, &'t str, &'t [&'t str]);

fn check(table: &[Row<'_>]) {
    for (given, expected, amiss) in table {
        let (content, problems) = content(given);
        let xml = written(|out| content.transport.unwrap().write(out));
        let problems: Vec<_> = problems.into_iter().map(|problem| problem.text).collect();
        assert_eq!((&*xml, problems), (*expected, amiss.iter().map(ToString::to_string).collect()), "{given}");
    }
}

/// Children of ICE-UDP's.
fn check_children(table: &[Row<'_>]) {
    for (given, expected, amiss) in table {
        let around = |children: &str| match children {
            "" => "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/>".to_owned(),
            children => format!("<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>{children}</transport>"),
        };
        check(&[(&around(given), &around(expected), amiss)]);
    }
}

#[test]
fn xep_0176_s5_and_xep_0371_s5_attributes_and_options() {
    check(&[
        (
            "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='8hhy' pwd='asd88fgpdd777uzjYhagZg'/>",
            "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' pwd='asd88fgpdd777uzjYhagZg' ufrag='8hhy'/>",
            &[],
        ),
        (
            "<transport xmlns='urn:xmpp:jingle:transports:ice:0' ice2='1'><trickle xmlns='http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option'/></transport>",
            "<transport xmlns='urn:xmpp:jingle:transports:ice:0' ice2='true'><trickle xmlns='http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option'/></transport>",
            &[],
        ),
        (
            "<transport xmlns='urn:xmpp:jingle:transports:ice:0' ice2='false'/>",
            "<transport xmlns='urn:xmpp:jingle:transports:ice:0'/>",
            &[],
        ),
        (
            "<transport xmlns='urn:xmpp:jingle:transports:ice:0' ice2='maybe'/>",
            "<transport xmlns='urn:xmpp:jingle:transports:ice:0'/>",
            &["<transport/>: ice2='maybe', expected 'true' or 'false'"],
        ),
        (
            "<transport xmlns='urn:xmpp:jingle:transports:ice:0'><candidate xmlns='http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option'/><ice2 xmlns='http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option'/></transport>",
            "<transport xmlns='urn:xmpp:jingle:transports:ice:0' ice2='true'><candidate xmlns='http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option'/></transport>",
            &[],
        ),
        // In ICE-UDP it is an element as other options are.
        (
            "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ice2='true'><ice2 xmlns='http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option'/></transport>",
            "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'><ice2 xmlns='http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option'/></transport>",
            &["attribute ice2 in <transport/>"],
        ),
        // Kept by its name: what is in it is its own.
        (
            "<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='vj3hs98y' mode='tcp'><candidate cid='hft54dqy'/></transport>",
            "<transport xmlns='urn:xmpp:jingle:transports:s5b:1'/>",
            &[],
        ),
    ]);
    let option = |name: &str| format!("<{name} xmlns='http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option'/>");
    let both = option("trickle") + &option("renomination");
    check_children(&[
        (&both, &both, &[]),
        (&(both.clone() + &option("trickle")), &both, &[]),
        ("<trickle xmlns='x'/>", "", &["<trickle xmlns='x'/> in <transport/>"]),
    ]);
    let options = ["trickle", "not a name", "xmlns", "a:b", "<x/>"].map(SmolStr::from).to_vec();
    let transport = Transport { options, ..Transport::default() };
    let xml = written(|out| transport.write(out));
    assert_eq!(xml, format!("<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>{}</transport>", option("trickle")));
}

#[test]
fn xep_0176_s5_7_remote_candidates_and_xep_0371_s7_the_end_of_candidates() {
    check_children(&[
        ("<remote-candidate ip='10.0.1.2' component='1' port='9001'/>", "<remote-candidate component='1' ip='10.0.1.2' port='9001'/>", &[]),
        ("<remote-candidate ip='10.0.1.2' port='9001'/>", "<remote-candidate component='1' ip='10.0.1.2' port='9001'/>", &[]),
        ("<remote-candidate ip='10.0.1.2'/>", "", &["<remote-candidate/>: no port, expected one"]),
        ("<gathering-complete/>", "<gathering-complete/>", &[]),
        ("<gathering-complete xmlns='urn:xmpp:jingle:transports:ice:0'/>", "<gathering-complete/>", &[]),
    ]);
    let ice = "<transport xmlns='urn:xmpp:jingle:transports:ice:0'><gathering-complete/></transport>";
    check(&[(ice, ice, &[])]);
}

#[test]
fn xep_0320_s1_fingerprints() {
    let sha = "02:1A:CC:54:27:AB:EB:9C:53:3F:3E:4B:65:2E:7D:46:3F:54:42:CD:54:F1:7A:03:A2:7D:F9:B0:7F:46:19:B2";
    let one = format!("<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='actpass'>{sha}</fingerprint>");
    let two = one.replace("sha-256", "sha-512");
    let without = one.replace(" setup='actpass'", "");
    check_children(&[
        (&one, &one, &[]),
        (&without, &without, &[]),
        (&one.replace(sha, &format!("\n  {sha}\n")).replace("setup", "required='true' setup"), &one, &[]),
        // One is enough to know it of all.
        (&format!("{without}{two}"), &format!("{one}{two}"), &[]),
        (
            &format!("{one}{}", two.replace("actpass", "active")),
            &format!("{one}{two}"),
            &["<fingerprint/>: setup='active', expected the same as in the one before"],
        ),
        (&one.replace("actpass", "passive"), &one.replace("actpass", "passive"), &[]),
        (&one.replace("actpass", "both"), &without, &["<fingerprint/>: setup='both', expected 'active', 'passive' or 'actpass'"]),
        (&one.replace(" hash='sha-256'", ""), "", &["<fingerprint/>: no hash, expected one"]),
        (
            &one.replace(sha, "02:1A&#10;a=x"),
            "",
            &["<fingerprint/>: text '02:1A\\na=x', expected pairs of hexadecimal digits with colons between"],
        ),
        (&one.replace("jingle:apps:dtls:0", "x"), "", &["<fingerprint xmlns='urn:xmpp:x'/> in <transport/>"]),
    ]);
}

#[test]
fn a_password_is_in_no_log() {
    let transport = Transport { pwd: Some("asd88fgpdd777uzjYhagZg".into()), ..Transport::default() };
    assert!(!format!("{transport:?}").contains("asd88"));
}

#[test]
fn xep_0343_s4_2_data_channels() {
    let sctpmap = |attributes: &str| format!("<sctpmap xmlns='urn:xmpp:jingle:transports:dtls-sctp:1' {attributes}/>");
    let whole = sctpmap("number='5000' protocol='webrtc-datachannel' streams='1024'");
    check_children(&[
        (&whole, &whole, &[]),
        // The text has another name for the port than the schema.
        (&whole.replace("number", "port"), &whole, &[]),
        (&sctpmap("number='5000'"), &sctpmap("number='5000' protocol='webrtc-datachannel'"), &["<sctpmap/>: no protocol, expected one"]),
        (&sctpmap("protocol='webrtc-datachannel'"), "", &["<sctpmap/>: no number, expected one"]),
        (
            "<channel xmlns='urn:xmpp:jingle:transports:webrtc-datachannel:0' id='1' negotiated='true'/>",
            "",
            &["<channel xmlns='urn:xmpp:jingle:transports:webrtc-datachannel:0'/> in <transport/>"],
        ),
    ]);
}

#[test]
fn every_list_has_a_bound() {
    let table = [
        ("<candidate ip='192.0.2.3' port='1' type='host'/>", "candidate", CANDIDATES_MAX),
        ("<remote-candidate ip='10.0.1.2' port='9001'/>", "remote-candidate", REMOTE_CANDIDATES_MAX),
        ("<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-1' setup='active'>AB</fingerprint>", "fingerprint", FINGERPRINTS_MAX),
    ];
    for (element, name, max) in table {
        let (content, problems) =
            content(&format!("<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>{}</transport>", element.repeat(max + 2)));
        let xml = written(|out| content.transport.unwrap().write(out));
        assert_eq!(xml.matches(&format!("<{name} ")).count(), max, "{name}");
        let problems: Vec<_> = problems.into_iter().map(|problem| problem.text).collect();
        assert_eq!(problems, [format!("<{name}/>: more than {max} of them, expected {max} at most")]);
    }
    let options: String = (0..OPTIONS_MAX + 2)
        .map(|number| format!("<o{number} xmlns='http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option'/>"))
        .collect();
    let (content, _) = content(&format!("<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>{options}</transport>"));
    assert_eq!(content.transport.unwrap().options.len(), OPTIONS_MAX);
}

#[test]
fn a_namespace_that_no_element_may_have_is_not_written() {
    let candidates = vec![Candidate { ip: "10.0.1.1".into(), ..Candidate::default() }];
    let transport = Transport { method: Method::Other(ns::XML.into()), candidates, ..Transport::default() };
    assert_eq!(written(|out| transport.write(out)), "");
}
