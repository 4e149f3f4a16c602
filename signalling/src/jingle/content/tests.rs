use super::*;
use crate::jingle::candidate::CandidateType;
use crate::jingle::reason::Condition;
use crate::jingle::rtp::PAYLOAD_TYPES_MAX;
use crate::jingle::testing::{self, jingle, read};

#[test]
fn s6_2_example_10() {
    let jingle = read(
        "<iq from='romeo@montague.lit/orchard' id='xs51r0k4' to='juliet@capulet.lit/balcony' type='set'>
          <jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='romeo@montague.lit/orchard' sid='a73sjjvkla37jfea'>
            <content creator='initiator' name='voice'>
              <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>
                <payload-type id='96' name='speex' clockrate='16000'/>
                <payload-type id='97' name='speex' clockrate='8000'/>
                <payload-type id='18' name='G729'/>
                <payload-type id='0' name='PCMU' />
                <payload-type id='103' name='L16' clockrate='16000' channels='2'/>
                <payload-type id='98' name='x-ISAC' clockrate='8000'/>
              </description>
              <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' pwd='asd88fgpdd777uzjYhagZg' ufrag='8hhy'>
                <candidate component='1' foundation='1' generation='0' id='el0747fg11' ip='10.0.1.1' network='1' port='8998'
                           priority='2130706431' protocol='udp' type='host'/>
              </transport>
            </content>
          </jingle>
        </iq>",
    )
    .unwrap();
    assert_eq!((jingle.action, &*jingle.sid), (Action::SessionInitiate, "a73sjjvkla37jfea"));
    let [content] = &jingle.contents[..] else { panic!("{jingle:?}") };
    assert_eq!((content.creator, &*content.name, content.senders, content.media()), (Party::Initiator, "voice", None, "audio"));
    let Some(Description::Rtp(rtp)) = &content.description else { panic!("{content:?}") };
    let names: Vec<_> = rtp
        .payload_types
        .iter()
        .map(|payload| (payload.id, payload.name.as_deref().unwrap(), payload.clockrate, payload.channels))
        .collect();
    assert_eq!(
        names[1..5],
        [(97, "speex", Some(8000), None), (18, "G729", None, None), (0, "PCMU", None, None), (103, "L16", Some(16000), Some(2))]
    );
    assert_eq!(content.transport.as_ref().unwrap().candidates[0].kind, Some(CandidateType::Host));
    assert!(content.is_call());
}

#[test]
fn s7_2_every_action_and_no_other() {
    let actions = [
        "content-accept",
        "content-add",
        "content-modify",
        "content-reject",
        "content-remove",
        "description-info",
        "security-info",
        "session-accept",
        "session-info",
        "session-initiate",
        "session-terminate",
        "transport-accept",
        "transport-info",
        "transport-reject",
        "transport-replace",
    ];
    for action in actions {
        assert_eq!(jingle(action, "").map(|jingle| jingle.action.as_str()), Ok(action));
    }
    for action in ["", "initiate", "Session-Initiate", "source-add"] {
        assert_eq!(jingle(action, ""), Err(JingleError::Action(Some(action.into()))));
    }
}

#[test]
fn s7_1_a_sid_is_required_and_bounded() {
    let iq = |attribute: &str| {
        read(&format!(
            "<iq type='set' id='i' from='a@a/a' to='b@b/b'><jingle xmlns='urn:xmpp:jingle:1' action='session-info' {attribute}/></iq>"
        ))
    };
    assert_eq!(iq(""), Err(JingleError::Sid(None)));
    assert_eq!(iq("sid=''"), Err(JingleError::Sid(Some("".into()))));
    assert_eq!(iq(&format!("sid='{}'", "s".repeat(257))), Err(JingleError::Sid(Some("s".repeat(256).into()))));
    assert_eq!(iq("sid='not an nmtoken &amp; still a sid'").map(|jingle| jingle.sid), Ok("not an nmtoken & still a sid".into()));
}

#[test]
fn s7_3_defaults_and_unknown_values() {
    let table = [
        ("<content creator='responder' name='v' senders='none'/>", Party::Responder, "v", Some(Senders::None)),
        ("<content name='v'/>", Party::Initiator, "v", None),
        ("<content creator='initiator' senders='rejected'/>", Party::Initiator, "", None),
        ("<content creator='nobody' name='v' disposition='early-session'><x xmlns='y'/></content>", Party::Initiator, "v", None),
    ];
    for (xml, creator, name, senders) in table {
        let jingle = jingle("content-modify", xml).unwrap();
        let content = &jingle.contents[0];
        assert_eq!((content.creator, &*content.name, content.senders), (creator, name, senders), "{xml}");
    }
    let long = format!("<content creator='initiator' name='{}'/>", "n".repeat(NAME_BYTES_MAX + 1));
    assert_eq!(jingle("content-add", &long), Err(JingleError::ContentName("n".repeat(NAME_BYTES_MAX).into())));
}

#[test]
fn errors_name_what_they_found_and_what_they_expected() {
    let table = [
        (JingleError::Action(None), "<jingle/>: no action, expected one of XEP-0166 §7.2, as 'session-initiate' is".to_owned()),
        (
            JingleError::Action(Some("call\n".into())),
            "<jingle/>: action='call\\n', expected one of XEP-0166 §7.2, as 'session-initiate' is".to_owned(),
        ),
        (JingleError::Sid(Some("".into())), "<jingle/>: sid='', expected one of 1 to 256 bytes".to_owned()),
        (JingleError::ContentName("n".repeat(256).into()), format!("<content/>: name='{}…', expected 256 bytes at most", "n".repeat(64))),
    ];
    for (error, expected) in table {
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn xep_0167_s8_informational_payloads() {
    let table = [
        ("<ringing xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>", Some("ringing")),
        // As XEP-0166 §6.8, example 30, has it.
        ("<ringing xmlns='urn:xmpp:jingle:apps:rtp:1:info'/>", Some("ringing")),
        ("<mute xmlns='urn:xmpp:jingle:apps:rtp:info:1' creator='responder' name='voice'/>", Some("mute")),
        ("", None),
    ];
    for (xml, expected) in table {
        assert_eq!(jingle("session-info", xml).unwrap().info_name(), expected, "{xml}");
    }
    assert_eq!(jingle("transport-info", "<ringing xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>").unwrap().info, None);
}

#[test]
fn what_is_a_call() {
    let table = [
        (
            "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'/><transport xmlns='urn:xmpp:jingle:transports:raw-udp:1'/>",
            true,
            "video",
        ),
        // XEP-0343: a data channel.
        (
            "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'><sctpmap xmlns='urn:xmpp:jingle:transports:dtls-sctp:1' number='5000'/></transport>",
            true,
            "data",
        ),
        ("<description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/><transport xmlns='urn:xmpp:jingle:transports:s5b:1'/>", false, "file"),
        (
            "<description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/>",
            false,
            "file",
        ),
        ("<description xmlns='urn:xmpp:jingle:apps:stub:0'/><transport xmlns='urn:xmpp:jingle:transports:stub:0'/>", false, "stub:0"),
    ];
    for (xml, is_call, media) in table {
        let jingle = jingle("session-initiate", &format!("<content creator='initiator' name='a'>{xml}</content>")).unwrap();
        assert_eq!((jingle.contents[0].is_call(), jingle.contents[0].media()), (is_call, media), "{xml}");
    }
}

#[test]
fn lists_are_read_up_to_their_bounds_and_strangers_are_passed_over() {
    let contents = "<content creator='initiator' name='a'/>".repeat(CONTENTS_MAX + 1);
    assert_eq!(jingle("content-add", &contents).unwrap().contents.len(), CONTENTS_MAX);
    let payloads = "<payload-type id='96'/>".repeat(PAYLOAD_TYPES_MAX + 1);
    let content = format!("<content><description xmlns='urn:xmpp:jingle:apps:rtp:1'>{payloads}</description></content>");
    let Some(Description::Rtp(rtp)) = jingle("content-add", &content).unwrap().contents[0].description.clone() else { panic!() };
    assert_eq!((rtp.payload_types.len(), &*rtp.media), (PAYLOAD_TYPES_MAX, ""));

    let jingle = jingle(
        "session-terminate",
        "<group xmlns='urn:xmpp:jingle:apps:grouping:0' semantics='BUNDLE'/><content xmlns='other'/><reason><busy/></reason><payload-type/>
         <content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'><payload-type id='no'/><payload-type id='300'/></description></content>",
    )
    .unwrap();
    assert_eq!(jingle.reason.unwrap().condition, Some(Condition::Busy));
    assert_eq!(jingle.contents.len(), 1);
}

#[test]
fn s7_1_parties_contents_and_what_stands_beside_them() {
    let jingle = |attributes: &str, children: &str| {
        format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate'{attributes} sid='s'>{children}</jingle>")
    };
    let group = "<group xmlns='urn:xmpp:jingle:apps:grouping:0' semantics='BUNDLE'><content name='voice'/><content name='webcam'/></group>";
    let content = "<content creator='initiator' disposition='early-session' name='voice' senders='both'/>";
    let amiss = |text: &str, content: Option<&str>| vec![(text.to_owned(), content.map(str::to_owned))];
    let table = [
        (jingle(" initiator='a@a/a' responder='b@b/b'", content), jingle(" initiator='a@a/a' responder='b@b/b'", content), vec![]),
        // XEP-0338 §2.
        (jingle("", &format!("{group}{content}")), jingle("", &format!("{content}{group}")), vec![]),
        (
            jingle("", "<group xmlns='urn:xmpp:jingle:apps:grouping:0'/>"),
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'/>".to_owned(),
            amiss("<group/>: no semantics, expected one", None),
        ),
        (
            jingle("", "<content creator='us' name='x' senders='me' y='z'/>"),
            jingle("", "<content creator='initiator' name='x'/>"),
            [
                amiss("<content/>: creator='us', expected 'initiator' or 'responder'", Some("x")),
                amiss("<content/>: senders='me', expected 'both', 'initiator', 'none' or 'responder'", Some("x")),
                amiss("attribute y in <content/>", Some("x")),
            ]
            .concat(),
        ),
        (
            jingle(" x='y'", "<content/><x xmlns='y'/>"),
            jingle("", "<content creator='initiator' name=''/>"),
            [
                amiss("attribute x in <jingle/>", None),
                amiss("<content/>: no name, expected one", Some("")),
                amiss("<content/>: no creator, expected one", Some("")),
                amiss("<x xmlns='y'/> in <jingle/>", None),
            ]
            .concat(),
        ),
        // Kept by their namespaces alone.
        (
            jingle(
                "",
                "<content creator='initiator' name='f'><description xmlns='urn:xmpp:jingle:apps:file-transfer:3'><offer/></description></content><content creator='initiator' name='o'><description xmlns='x' a='b'/></content>",
            ),
            jingle(
                "",
                "<content creator='initiator' name='f'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/></content><content creator='initiator' name='o'><description xmlns='x'/></content>",
            ),
            vec![],
        ),
        // Jitsi has the description's child in the transport.
        (
            jingle(
                "",
                "<content creator='initiator' name='a'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'><rtcp-mux/></transport><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></content>",
            ),
            jingle(
                "",
                "<content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'><rtcp-mux/></description><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content>",
            ),
            vec![],
        ),
    ];
    for (given, expected, amiss) in table {
        let (jingle, problems) = testing::whole(&given);
        let problems: Vec<_> = problems.into_iter().map(|problem| (problem.text, problem.content.map(|name| name.to_string()))).collect();
        assert_eq!((testing::written(|out| jingle.write(out)), problems), (expected, amiss), "{given}");
    }
}

#[test]
fn s7_3_there_is_one_of_each() {
    let rtp = |media: &str| format!("<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='{media}'/>");
    let ice = |ufrag: &str| format!("<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='{ufrag}'/>");
    let (content, problems) = testing::content(&[rtp("audio"), ice("a"), rtp("video"), ice("b")].concat());
    assert_eq!((content.media(), content.transport.as_ref().unwrap().ufrag.as_deref()), ("audio", Some("a")));
    let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let expected = ["description", "transport"].map(|name| format!("content 'a': <{name}/>: more than 1 of them, expected 1 at most"));
    assert_eq!(said, expected);
}

#[test]
fn a_content_s_name_makes_no_line_of_a_message() {
    let (_, problems) = testing::whole(
        "<jingle xmlns='urn:xmpp:jingle:1' action='content-add' sid='s'><content creator='initiator' name='0&#10;warning: &#x9b;31m'><x/></content></jingle>",
    );
    assert_eq!(problems[0].to_string(), "content '0\\nwarning: \\u{9b}31m': <x xmlns='urn:xmpp:jingle:1'/> in <content/>");
}

#[test]
fn what_sdp_has_and_jingle_has_not_is_carried() {
    let line = |kind: &str, text: &str| format!("<line xmlns='urn:campanile:sdp:0' type='{kind}'>{text}</line>");
    let protocol = |text: &str| format!("<protocol xmlns='urn:campanile:sdp:0'>{text}</protocol>");
    let kinds = "expected a letter among abeiprstuz";
    let one_line = "<line/>: text with a line break or NUL, expected one line";
    let no_protocol = "expected a protocol of SDP's m= line";
    let table: &[(&str, &str, &[&str])] = &[
        (&line("a", " rid:1 send "), &line("a", " rid:1 send "), &[]),
        (&line("i", "&lt;a&gt; &amp; b"), &line("i", "&lt;a&gt; &amp; b"), &[]),
        (&line("a", "x&#10;a=y"), "", &[one_line]),
        (&line("a", "x&#13;a=y"), "", &[one_line]),
        (&line("a", "x&#x2028;a=y"), "", &[one_line]),
        (&line("i", "x&#x85;a=y"), "", &[one_line]),
        (&line("m", "audio 9 RTP/AVP 0"), "", &[&format!("<line/>: type='m', {kinds}")]),
        (&line("a=x&#10;a", "y"), "", &[&format!("<line/>: type='a=x\\na', {kinds}")]),
        (&line("", "y"), "", &[&format!("<line/>: type='', {kinds}")]),
        ("<line xmlns='urn:campanile:sdp:0'>y</line>", "", &["<line/>: no type, expected one"]),
        (&line("k", "clear:x"), "", &[&format!("<line/>: type='k', {kinds}")]),
        (&protocol("x").repeat(2), &protocol("x"), &["<protocol/>: more than 1 of them, expected 1 at most"]),
        (&protocol(" RTP/SAVPF\n"), &protocol("RTP/SAVPF"), &[]),
        (&protocol("RTP/AVP 0"), "", &[&format!("<protocol/>: text 'RTP/AVP 0', {no_protocol}")]),
        (&protocol("RTP/AVP&#10;a=x"), "", &[&format!("<protocol/>: text 'RTP/AVP\\na=x', {no_protocol}")]),
        (&protocol(""), "", &[&format!("<protocol/>: text '', {no_protocol}")]),
    ];
    for (given, expected, amiss) in table {
        let (content, problems) = testing::content(given);
        let expected = match *expected {
            "" => "<content creator='initiator' name='a'/>".to_owned(),
            children => format!("<content creator='initiator' name='a'>{children}</content>"),
        };
        let problems: Vec<_> = problems.into_iter().map(|problem| problem.text).collect();
        assert_eq!(
            (testing::written(|out| content.write(out)), problems),
            (expected, amiss.iter().map(ToString::to_string).collect()),
            "{given}"
        );
    }
    let carried = vec![Carried { kind: 'a', value: "x\na=y".into() }, Carried { kind: '\n', value: "x".into() }];
    let content = Content { carried, ..Content::new(Party::Responder, "a") };
    assert_eq!(testing::written(|out| content.write(out)), "<content creator='responder' name='a'/>");
    let (content, problems) = testing::content(&line("a", "x").repeat(CARRIED_MAX + 1));
    assert_eq!((content.carried.len(), problems.len()), (CARRIED_MAX, 1));
}

#[test]
fn xep_0167_s8_and_xep_0181_s2_what_a_session_info_says() {
    let table = [
        ("<hold xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>", &[][..]),
        ("<mute xmlns='urn:xmpp:jingle:apps:rtp:info:1' creator='responder' name='voice'/>", &[]),
        ("<ringing xmlns='urn:xmpp:jingle:apps:rtp:1:info'/>", &[]),
        ("<dtmf xmlns='urn:xmpp:jingle:dtmf:0' code='7' duration='400' volume='42'/>", &[]),
        ("", &[]),
    ];
    for (given, amiss) in table {
        let end = if given.is_empty() { "/>".to_owned() } else { format!(">{given}</jingle>") };
        let xml = format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s'{end}");
        let (jingle, problems) = testing::whole(&xml);
        assert_eq!((testing::written(|out| jingle.write(out)), &problems[..]), (xml, amiss), "{given}");
    }
    let info = Info { namespace: ns::JINGLE.into(), ..Info::new("content") };
    let jingle = Jingle { info: Some(info), ..Jingle::new(Action::SessionInfo, "s") };
    assert_eq!(testing::written(|out| jingle.write(out)), "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s'/>");
}

#[test]
fn problems_are_bounded_and_each_stranger_is_named_once_in_a_content() {
    let strangers: String = (0..super::super::reading::PROBLEMS_MAX + 5).map(|number| format!("<x{number} xmlns='y'/>")).collect();
    let (_, problems) = testing::content(&strangers);
    assert_eq!(problems.len(), super::super::reading::PROBLEMS_MAX);
    let (_, problems) = testing::whole(
        "<jingle xmlns='urn:xmpp:jingle:1' action='content-add' sid='s'>
         <content creator='initiator' name='a'><x/><x/></content><content creator='initiator' name='b'><x/></content></jingle>",
    );
    let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["content 'a': <x xmlns='urn:xmpp:jingle:1'/> in <content/>", "content 'b': <x xmlns='urn:xmpp:jingle:1'/> in <content/>"]
    );
}
