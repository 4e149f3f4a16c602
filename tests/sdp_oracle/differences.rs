//! Where stanza.js 12.22 is known to differ, and why: it loses something, or says something that it was not told. Each as narrow as can be;
//! tests/peers/sdp_oracle.mjs says what was measured.

use crate::support::facts::Facts;

/// Two readings of one text.
pub struct Case<'a> {
    pub name: &'a str,
    pub to: To,
    /// What both got, SDP or Jingle.
    pub text: &'a str,
    /// The SDP that it was made of, if any.
    pub sdp: &'a str,
    pub ours: &'a Facts,
    pub theirs: &'a Facts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    Jingle,
    Sdp,
}

/// What one of the two says and the other does not.
pub struct Fact<'a> {
    content: &'a str,
    word: &'a str,
    rest: &'a str,
}

type Explanation = fn(&Case<'_>, &Fact<'_>) -> bool;

pub struct Difference {
    pub why: &'static str,
    /// Of what we alone say.
    ours: Explanation,
    /// Of what it alone says.
    theirs: Explanation,
}

impl Difference {
    pub fn explains(&self, case: &Case<'_>, is_ours: bool, fact: &str) -> bool {
        let (content, said) = fact.split_once('\t').expect("written so");
        let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
        let explanation = if is_ours { self.ours } else { self.theirs };
        explanation(case, &Fact { content, word, rest })
    }
}

/// Where it throws: a section with a port has no `a=setup` of its own, as in SIP and where the session says it.
pub fn throws_to_jingle(sdp: &str) -> bool {
    sdp.split("\r\nm=").skip(1).any(|section| !section.contains("\r\na=setup:") && section.split(' ').nth(1) != Some("0"))
}

/// Where it throws: a candidate of raw UDP has no protocol.
pub fn throws_to_sdp(jingle: &str) -> bool {
    jingle.contains("urn:xmpp:jingle:transports:raw-udp:1") && jingle.contains("<candidate ")
}

/// What it makes of a refused section that has no codec we know the name of: a description without payload type, which is none.
pub fn is_unreadable(jingle: &str, sdp: &str) -> bool {
    let is_empty = |description: &str| description.split("</description>").next().is_some_and(|inside| !inside.contains("<payload-type"));
    sdp.split("\r\nm=").skip(1).any(|section| section.split(' ').nth(1) == Some("0")) && jingle.split("<description ").skip(1).any(is_empty)
}

const NO: Explanation = |_, _| false;

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        why: "lines that no XEP has an element for, and those of elements that it does not know",
        ours: |case, fact| match (fact.word, case.to) {
            ("line", _) if case.sdp.is_empty() => fact.rest.starts_with("a=crypto:") || fact.rest.starts_with("a=zrtp-hash:"),
            ("line", _) => case.sdp.lines().any(|line| line == fact.rest),
            ("element", To::Jingle) => matches!(fact.rest, "bandwidth" | "encryption" | "remote-candidate"),
            ("ptime" | "maxptime", To::Jingle) => true,
            _ => false,
        },
        theirs: NO,
    },
    Difference {
        why: "what has no line of SDP: a sid that is no number, who is in the session, another method than ICE-UDP",
        ours: |_, fact| {
            let name = fact.rest.strip_prefix("a=jingle-").and_then(|rest| rest.split(':').next());
            fact.word == "line" && matches!(name, Some("sid" | "initiator" | "responder" | "transport"))
        },
        theirs: NO,
    },
    Difference { why: "extmap-allow-mixed", ours: |_, fact| fact.word == "extmap-allow-mixed", theirs: NO },
    Difference { why: "end of candidates", ours: |_, fact| fact.word == "end-of-candidates", theirs: NO },
    Difference { why: "ICE options", ours: |_, fact| fact.word == "ice-option", theirs: NO },
    Difference {
        why: "generation, id, network and extensions of a candidate that it has",
        ours: |case, fact| {
            let place: Vec<&str> = fact.rest.splitn(5, ' ').take(4).collect();
            fact.word == "candidate-extension" && fact.of_content(case.theirs, &format!("candidate {} ", place.join(" ")))
        },
        theirs: NO,
    },
    Difference {
        why: "a related port 0, as relayed candidates of browsers have it, is lost from SDP, and then the address too",
        ours: |case, fact| {
            let port = fact.rest.strip_suffix(" 0").unwrap_or_default();
            let address = port.rsplit_once(' ').map_or("", |(without, _)| without);
            fact.word == "candidate" && [port, address].iter().any(|without| fact.says(case.theirs, &format!("candidate {without}")))
        },
        theirs: |case, fact| {
            let is_ours = |ours: &str| ours.strip_prefix(&format!("candidate {}", fact.rest)).is_some_and(|more| more.ends_with(" 0"));
            fact.word == "candidate" && fact.all_of(case.ours).any(is_ours)
        },
    },
    Difference {
        why: "sources: it keeps the name of the first, and FID with retransmission; an attribute of the description besides",
        ours: |_, fact| matches!(fact.word, "source" | "sources"),
        theirs: |case, fact| fact.word == "ssrc" && fact.of_content(case.ours, &format!("source {} ", fact.rest)),
    },
    Difference {
        why: "in SDP it gives the second source of a FID the name of the first",
        ours: NO,
        theirs: |case, fact| {
            let (source, name) = fact.rest.split_once(' ').unwrap_or_default();
            let is_second = |group: &str| group.starts_with("sources FID ") && group.ends_with(&format!(" {source}"));
            fact.word == "source" && name.starts_with("cname:") && case.to == To::Sdp && fact.all_of(case.ours).any(is_second)
        },
    },
    Difference {
        why: "streams: one for a section, in Jingle in an element of its own; a track without a name becomes `undefined`",
        ours: |case, fact| {
            fact.word == "msid" && (!fact.of_content(case.theirs, "msid ") || case.sdp.contains(&format!("a=msid:{}\r\n", fact.rest)))
        },
        theirs: |_, fact| fact.word == "msid" && fact.rest.ends_with(" undefined"),
    },
    Difference {
        why: "feedback for all payload types is lost from Jingle, and from SDP goes to each of them",
        ours: |_, fact| fact.word == "feedback" && fact.rest.starts_with("* "),
        theirs: |case, fact| {
            let (_, kind) = fact.rest.split_once(' ').unwrap_or_default();
            fact.word == "feedback" && case.to == To::Jingle && fact.says(case.ours, &format!("feedback * {kind}"))
        },
    },
    Difference {
        why: "a static payload type without a=rtpmap is lost from SDP",
        ours: |case, fact| match fact.word {
            "codec" | "parameter" => case.to == To::Jingle && !has_rtpmaps(case.sdp, fact.id()),
            "order" => case.to == To::Jingle && !has_rtpmaps(case.sdp, fact.rest),
            _ => false,
        },
        theirs: |case, fact| {
            let is_of_ours = |ours: &str| ours.strip_prefix("order ").is_some_and(|ids| !has_rtpmaps(case.sdp, ids));
            fact.word == "order" && case.to == To::Jingle && fact.all_of(case.ours).any(is_of_ours)
        },
    },
    Difference {
        why: "of a payload type without a clock rate it writes `undefined`",
        ours: |case, fact| {
            fact.word == "codec"
                && fact
                    .all_of(case.theirs)
                    .any(|theirs| theirs.starts_with(&format!("codec {} ", fact.id())) && theirs.contains("/undefined/"))
        },
        theirs: |_, fact| fact.word == "codec" && fact.rest.contains("/undefined/"),
    },
    Difference {
        why: "a parameter without a name is called `undefined`",
        ours: |case, fact| {
            let (id, value) = fact.rest.split_once(' ').unwrap_or_default();
            fact.word == "parameter" && fact.says(case.theirs, &format!("parameter {id} undefined={value}"))
        },
        theirs: |_, fact| fact.word == "parameter" && fact.rest.contains(" undefined="),
    },
    Difference {
        why: "an attribute of a header extension",
        ours: |case, fact| {
            fact.word == "extension"
                && fact.rest.rsplit_once(' ').is_some_and(|(without, _)| fact.says(case.theirs, &format!("extension {without}")))
        },
        theirs: |case, fact| fact.word == "extension" && fact.of_content(case.ours, &format!("extension {} ", fact.rest)),
    },
    Difference {
        why: "the profile is always that of DTLS, and without keys and ICE of its own a section has port 0",
        ours: |_, fact| fact.word == "protocol",
        theirs: |case, fact| {
            let is_keyed = fact.of_content(case.theirs, "fingerprint ") && fact.of_content(case.theirs, "ice-ufrag ");
            fact.word == "protocol" || fact.word == "port" && !is_keyed
        },
    },
    Difference {
        why: "a section that is only bundled is read as a refused one: it loses keys and ICE, and if it is of data channels it has no m= line any more",
        ours: |case, fact| match fact.word {
            "port" => fact.says(case.ours, "line a=bundle-only"),
            "media" | "sctp" => case.sdp.contains("\r\na=bundle-only\r\n") && !fact.of_content(case.theirs, "media "),
            _ => false,
        },
        theirs: NO,
    },
    Difference {
        why: "in a BUNDLE the others have what the first has said for all (RFC 8829 §5.2.1), and it leaves it to the reader",
        ours: |case, fact| {
            let is_shared = matches!(fact.word, "ice-ufrag" | "ice-pwd" | "fingerprint" | "setup");
            is_shared
                && !fact.of_content(case.theirs, fact.word)
                && case.theirs.iter().any(|theirs| theirs.ends_with(&format!("\t{} {}", fact.word, fact.rest)))
        },
        theirs: NO,
    },
    Difference {
        why: "a refused section is a content as any other",
        ours: NO,
        theirs: |case, fact| case.to == To::Jingle && !fact.of_content(case.ours, "") && is_refused(case.sdp, fact.content),
    },
    Difference {
        why: "without ICE it writes ICE without candidates",
        ours: |case, fact| {
            let is_raw = fact.says(case.ours, "method urn:xmpp:jingle:transports:raw-udp:1");
            case.to == To::Jingle && is_raw && matches!(fact.word, "method" | "candidate" | "candidate-extension")
        },
        theirs: |case, fact| fact.word == "method" && fact.says(case.ours, "method urn:xmpp:jingle:transports:raw-udp:1"),
    },
    Difference {
        why: "the default destination, and lines that it writes always",
        ours: |case, fact| fact.word == "line" && case.to == To::Sdp && (fact.rest.starts_with("c=") || fact.rest.starts_with("a=rtcp:")),
        theirs: |_, fact| {
            fact.word == "line" && matches!(fact.rest, "c=IN IP4 0.0.0.0" | "a=rtcp:9 IN IP4 0.0.0.0" | "a=msid-semantic:WMS *")
        },
    },
    Difference {
        why: "a direction of data channels",
        ours: |case, fact| fact.word == "senders" && case.to == To::Sdp && fact.says(case.ours, "media application"),
        theirs: NO,
    },
    Difference {
        why: "white space around a fingerprint goes into SDP, line breaks too",
        ours: |case, fact| fact.word == "fingerprint" && case.to == To::Sdp && !case.text.contains(&format!(">{}<", last(fact.rest))),
        theirs: |case, fact| match fact.word {
            "fingerprint" => case.to == To::Sdp && !fact.rest.contains(' '),
            "line" => {
                case.to == To::Sdp
                    && (fact.rest.is_empty()
                        || fact.all_of(case.ours).any(|ours| ours.starts_with("fingerprint ") && last(ours) == fact.rest.trim()))
            }
            _ => false,
        },
    },
];

impl Fact<'_> {
    /// What else is said of its content.
    fn all_of<'a>(&self, facts: &'a Facts) -> impl Iterator<Item = &'a str> + use<'a, '_> {
        let content = self.content;
        facts.iter().filter_map(move |fact| fact.split_once('\t').filter(|(of, _)| *of == content).map(|(_, fact)| fact))
    }

    /// Whether something that begins so is said of its content.
    fn of_content(&self, facts: &Facts, start: &str) -> bool {
        self.all_of(facts).any(|fact| fact.starts_with(start))
    }

    fn says(&self, facts: &Facts, fact: &str) -> bool {
        facts.contains(&format!("{}\t{fact}", self.content))
    }

    /// Which payload type it is about.
    fn id(&self) -> &str {
        self.rest.split(' ').next().unwrap_or_default()
    }
}

fn last(text: &str) -> &str {
    text.rsplit(' ').next().unwrap_or_default()
}

fn has_rtpmaps(sdp: &str, ids: &str) -> bool {
    ids.split(' ').all(|id| sdp.contains(&format!("a=rtpmap:{id} ")))
}

fn is_refused(sdp: &str, name: &str) -> bool {
    sdp.split("\r\nm=")
        .skip(1)
        .any(|section| section.split(' ').nth(1) == Some("0") && section.lines().any(|line| line.strip_prefix("a=mid:") == Some(name)))
}
