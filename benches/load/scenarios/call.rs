//! A whole Jingle call between two sessions: 22 stanzas, one after the other. propose and proceed (XEP-0353); session-initiate with the
//! description of a browser's offer (audio and video, 3 kB), ringing, three transport-info from each side, session-accept,
//! session-terminate, each of them with its answer. The unit is one call whose every stanza has arrived.

use std::time::Instant;

use anyhow::ensure;

use super::Load;
use crate::client::Client;
use crate::framer::attribute;
use crate::servers::Server;
use crate::servers::floor::Floor;

/// The two sessions.
pub struct Calls {
    alice: Client,
    bob: Client,
    count: u64,
}

impl Calls {
    /// Logs both in, of the pair of accounts with this number.
    pub async fn between_sessions(server: &Server, tls: bool, pair: usize) -> anyhow::Result<Self> {
        let mut alice = server.log_in(tls, 2 * pair, "caller").await?;
        let bob = server.log_in(tls, 2 * pair + 1, "callee").await?;
        alice.settle().await?;
        Ok(Self { alice, bob, count: 0 })
    }

    /// Connects both to the floor, which needs no log-in, and passes the stanzas on as they are.
    pub async fn on_the_floor(floor: &Floor) -> anyhow::Result<Self> {
        Ok(Self { alice: Client::connect(floor.address).await?, bob: Client::connect(floor.address).await?, count: 0 })
    }

    async fn call(&mut self) -> anyhow::Result<()> {
        let sid = format!("call{}", super::super::unique());
        let account = self.bob.jid.split('/').next().unwrap_or_default().to_owned();
        self.count += 1;
        let propose = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'/>";
        let message = |to: &str, name: &str, inside: &str| {
            format!(
                "<message to='{to}' id='{sid}-{name}' type='chat'><{name} xmlns='urn:xmpp:jingle-message:0' id='{sid}'>{inside}</{name}><store xmlns='urn:xmpp:hints'/></message>"
            )
        };
        let Self { alice, bob, .. } = self;
        pass(alice, bob, &message(&account, "propose", propose), &format!("{sid}-propose"), "video").await?;
        pass(bob, alice, &message(&alice.jid, "proceed", ""), &format!("{sid}-proceed"), "proceed").await?;
        let initiator = format!("initiator='{}'", alice.jid);
        let responder = format!("responder='{}'", bob.jid);
        request(alice, bob, &sid, "session-initiate", &initiator, &description("actpass"), "B2").await?;
        request(bob, alice, &sid, "session-info", &initiator, "<ringing xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>", "ringing").await?;
        for number in 0..3 {
            let (port, there) = (40_000 + number, transport(number));
            request(alice, bob, &sid, "transport-info", &initiator, &there, &port.to_string()).await?;
            request(bob, alice, &sid, "transport-info", &initiator, &there, &port.to_string()).await?;
        }
        request(bob, alice, &sid, "session-accept", &responder, &description("active"), "B2").await?;
        request(alice, bob, &sid, "session-terminate", "", "<reason><success/></reason>", "success").await
    }
}

impl Load for Calls {
    async fn round(&mut self, end: Instant) -> anyhow::Result<u64> {
        let first = self.count;
        while Instant::now() < end {
            self.call().await?;
        }
        Ok(self.count - first)
    }
}

/// A Jingle request and its answer.
async fn request(
    from: &mut Client,
    to: &mut Client,
    sid: &str,
    action: &str,
    attributes: &str,
    inside: &str,
    shows: &str,
) -> anyhow::Result<()> {
    let id = format!("{sid}-{}", super::super::unique());
    let text = format!(
        "<iq to='{}' id='{id}' type='set'><jingle xmlns='urn:xmpp:jingle:1' action='{action}' {attributes} sid='{sid}'>{inside}</jingle></iq>",
        to.jid
    );
    pass(from, to, &text, &id, shows).await?;
    let answer = format!("<iq to='{}' id='{id}' type='result'/>", from.jid);
    pass(to, from, &answer, &id, "result").await
}

/// One stanza on its way: what arrives has its id, its sender, and what it shows by.
async fn pass(from: &mut Client, to: &mut Client, text: &str, id: &str, shows: &str) -> anyhow::Result<()> {
    from.send(text).await?;
    let arrived = to.expect(|element| attribute(element, "id") == Some(id)).await?;
    ensure!(
        attribute(arrived.as_bytes(), "from").unwrap_or_default() == from.jid && arrived.contains(shows),
        "not what was sent: {arrived}"
    );
    Ok(())
}

/// Two contents as they come out of a browser's offer.
fn description(setup: &str) -> String {
    let payload = |id: u32, name: &str, clock: u32| {
        format!(
            "<payload-type id='{id}' name='{name}' clockrate='{clock}'><parameter name='minptime' value='10'/>\
             <rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='nack' subtype='pli'/>\
             <rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='transport-cc'/></payload-type>"
        )
    };
    let content = |name: &str, payloads: String| {
        format!(
            "<content creator='initiator' name='{name}' senders='both'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='{name}'>{payloads}\
             <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='1656081975'><parameter name='cname' value='RqPPmvUZCwEbWQn0'/></source>\
             <rtcp-mux/><rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' id='1' uri='urn:ietf:params:rtp-hdrext:ssrc-audio-level'/>\
             </description><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='Yq3T' pwd='f0c6bCzqWx0CS3JqLdXyQ1Jm'>\
             <fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='{setup}'>02:1A:CC:54:27:AB:EB:9C:53:3F:3E:4B:65:2E:\
             7D:46:3F:54:42:CD:54:F1:7A:03:A2:7D:F9:B0:7F:46:19:B2</fingerprint></transport></content>"
        )
    };
    let video = payload(96, "VP8", 90_000) + &payload(98, "VP9", 90_000) + &payload(102, "H264", 90_000);
    content("audio", payload(111, "opus", 48_000))
        + &content("video", video)
        + "<group xmlns='urn:xmpp:jingle:apps:grouping:0' semantics='BUNDLE'><content name='audio'/><content name='video'/></group>"
}

fn transport(number: u32) -> String {
    format!(
        "<content creator='initiator' name='audio'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='Yq3T' pwd='f0c6bCzqWx0CS3JqLdXyQ1Jm'>\
         <candidate component='1' foundation='{number}' generation='0' id='c{number}' ip='192.0.2.{number}' network='1' port='{}' \
         priority='2130706431' protocol='udp' type='host'/></transport></content>",
        40_000 + number
    )
}
