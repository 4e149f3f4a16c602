//! The steps of the probe, one after the other. A failed one ends the call over its transport; the next transport is tried all the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use campanile_config::Network;
use campanile_signalling::jingle::{Jingle, Party};
use campanile_signalling::ns;
use campanile_signalling::xml::{Element, XmlWriter};

use super::client::{self, Client, Login, Start};
use super::jingle;
use super::measure::Quality;
use super::media::End;
use super::relay_bridge::{Bridge, Observed};
use super::report::{Media, Report, Step};
use super::stun_lens::Method;
use super::trust::Trust;
use super::{Transport, TurnService, mux, services};

/// How long media flows in each call.
const MEDIA: Duration = Duration::from_secs(3);
const GATHERING: Duration = Duration::from_secs(10);
const SIGNALLING: Duration = Duration::from_secs(10);
const ICE: Duration = Duration::from_secs(15);
const DTLS: Duration = Duration::from_secs(10);
const RELEASE: Duration = Duration::from_secs(2);
/// More loss than this is a failure: speech has gaps by then (ITU-T G.107 rates Opus with concealment as good below some 5 %).
const LOSS_MAX: f64 = 0.05;

/// The server under test.
#[derive(Debug, Clone)]
pub struct Target {
    /// The virtual host to log in to.
    pub domain: String,
    /// Listeners with STARTTLS.
    pub start_tls: Vec<SocketAddr>,
    /// Listeners with direct TLS.
    pub direct_tls: Vec<SocketAddr>,
    /// Listeners for everything.
    pub mux: Vec<SocketAddr>,
    /// Who must introduce themselves: to listeners of clients, of the relay, for everything.
    pub proxies: Proxies,
    /// TURN transports that clients are told of.
    pub transports: Vec<Transport>,
    /// The ports of what stands before listeners, which speaks for us there.
    pub fronts: Vec<(Transport, u16)>,
    /// First and last port of relayed addresses, for what is said of failures.
    pub relay_ports: (u16, u16),
    /// Certificates to trust.
    pub trust: Arc<Trust>,
}

/// `proxy_protocol` of each section.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// `[c2s]`
    pub c2s: Vec<Network>,
    /// `[turn]`
    pub turn: Vec<Network>,
    /// `[server]`
    pub mux: Vec<Network>,
}

/// A throw-away account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Local part.
    pub username: String,
    /// Password.
    pub password: String,
}

/// What the probe holds open. It stands outside of [`run`], so that an interrupted run can be cleared up.
#[derive(Default)]
pub struct Stage {
    caller: Option<Client>,
    callee: Option<Client>,
    call: Option<Call>,
}

impl Stage {
    /// Ends call and streams.
    pub async fn clear(&mut self) {
        if let Some(call) = self.call.take() {
            call.end().await;
        }
        for client in [self.caller.take(), self.callee.take()].into_iter().flatten() {
            client.close().await;
        }
    }
}

/// Logs both accounts in and places a call over each transport.
pub async fn run(target: &Target, accounts: &[Account; 2], stage: &mut Stage, report: &mut Report) {
    // One end each, where there are both: so both ways in are tried.
    let ways: Vec<_> = target.ways_in().collect();
    let (Some(first), Some(second)) = (ways.first(), ways.get(1).or(ways.first())) else { return };
    for (step, way, account, slot) in
        [(Step::LogInCaller, first, &accounts[0], &mut stage.caller), (Step::LogInCallee, second, &accounts[1], &mut stage.callee)]
    {
        report.begin(step);
        let login = target.login(*way, account);
        match Client::log_in(&login, &target.trust).await {
            Ok(client) => {
                report.done(client.summary.clone());
                *slot = Some(client);
            }
            Err(error) => return report.failed(format!("{error:#}")),
        }
    }
    let (Some(caller), Some(callee)) = (&mut stage.caller, &mut stage.callee) else { return };

    report.begin(Step::Services);
    let found =
        async { anyhow::Ok((services::discover(caller, &target.domain).await?, services::discover(callee, &target.domain).await?)) };
    let (for_caller, for_callee) = match found.await {
        Ok((for_caller, for_callee)) => (target.placed(for_caller), target.placed(for_callee)),
        Err(error) => return report.failed(format!("{error:#}")),
    };
    if for_caller.is_empty() {
        return report.failed("XEP-0215 names no TURN service: are turn.udp, turn.tcp, turn.tls and server.mux all empty?".to_owned());
    }
    report.done(
        for_caller.iter().map(|service| format!("{} {}:{}", service.transport, service.host, service.port)).collect::<Vec<_>>().join(", "),
    );

    if !target.mux.is_empty() {
        report.begin(Step::Mux);
        match mux::look(target, &accounts[0]).await {
            Ok(said) => report.done(said),
            Err(error) => report.failed(format!("{error:#}")),
        }
    }
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Mux] {
        let of = |services: &[TurnService]| services.iter().find(|service| service.transport == transport).cloned();
        match (of(&for_caller), of(&for_callee)) {
            (Some(for_caller), Some(for_callee)) => {
                let mut scene = Scene { target, transport, services: [for_caller, for_callee], caller, callee, call: &mut stage.call };
                scene.play(report).await;
            }
            _ if target.transports.contains(&transport) => {
                report.begin(Step::Relay(transport));
                report.failed(format!(
                    "XEP-0215 names no TURN service over {transport}, though the configuration has one: is its listener up?"
                ));
            }
            // A convenience that most do without.
            _ if transport == Transport::Mux => {}
            _ => {
                let why = format!("turn.{} is empty, or for this machine alone", transport.to_string().to_ascii_lowercase());
                report.left(Step::Relay(transport), &why);
            }
        }
    }
}

/// Where and how TLS begins.
type WayIn<'a> = (Start, &'a [SocketAddr], &'a [Network]);

impl Target {
    /// Each that there is, the best first.
    fn ways_in(&self) -> impl Iterator<Item = WayIn<'_>> {
        let ways: [WayIn<'_>; 3] = [
            (Start::Direct, &self.direct_tls, &self.proxies.c2s),
            (Start::StartTls, &self.start_tls, &self.proxies.c2s),
            (Start::Direct, &self.mux, &self.proxies.mux),
        ];
        ways.into_iter().filter(|(_, addresses, _)| !addresses.is_empty())
    }

    /// An account's log-in by one of them.
    pub fn login(&self, (start, addresses, proxies): WayIn<'_>, account: &Account) -> Login {
        Login {
            addresses: addresses.to_vec(),
            start,
            proxies: proxies.to_vec(),
            domain: self.domain.clone(),
            username: account.username.clone(),
            password: account.password.clone(),
        }
    }

    /// Which of the services is on which of our ports.
    fn placed(&self, mut services: Vec<TurnService>) -> Vec<TurnService> {
        for service in &mut services {
            let front = |transport| self.fronts.iter().find(|(of, _)| *of == transport).map(|(_, port)| *port);
            let is_mux = match front(Transport::Mux) {
                Some(port) => port == service.port,
                None => self.mux.iter().any(|listener| listener.port() == service.port),
            };
            if service.transport == Transport::Tls && is_mux {
                service.transport = Transport::Mux;
            }
            service.proxies = match service.transport {
                of if front(of).is_some() => Vec::new(),
                Transport::Mux => self.proxies.mux.clone(),
                _ => self.proxies.turn.clone(),
            };
        }
        services
    }
}

/// Both ends of a call and their ways to the relay.
struct Call {
    ends: [End; 2],
    bridges: [Bridge; 2],
}

impl Call {
    async fn end(&self) {
        for end in &self.ends {
            if let Err(error) = end.close().await {
                tracing::warn!(%error, "an end of the call does not close");
            }
        }
    }

    /// Have both allocations been given back?
    async fn released(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        loop {
            if self.bridges.iter().all(|bridge| bridge.observed().released) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// One call over one transport.
struct Scene<'a> {
    target: &'a Target,
    transport: Transport,
    services: [TurnService; 2],
    caller: &'a mut Client,
    callee: &'a mut Client,
    call: &'a mut Option<Call>,
}

impl Scene<'_> {
    async fn play(&mut self, report: &mut Report) {
        let transport = self.transport;
        report.begin(Step::Relay(transport));
        let sid = match client::random_name(16) {
            Ok(sid) => sid,
            Err(error) => return report.failed(format!("{error:#}")),
        };
        let offer = match self.prepare(&sid).await {
            Ok(offer) => offer,
            Err(error) => {
                report.failed(format!("{error:#}"));
                return self.tear_down().await;
            }
        };
        report.done(self.relay_detail());

        let reason = match self.talk(&sid, &offer, report).await {
            Ok(()) => "success",
            Err(error) => {
                report.failed(format!("{error:#}"));
                "failed-transport"
            }
        };
        let failed = reason != "success";
        if !failed {
            report.begin(Step::HangUp(transport));
        }
        let hung_up = self.hang_up(&sid, reason).await;
        let released = self.tear_down_and_look().await;
        match hung_up {
            // The first failure is the one to look at.
            _ if failed => {}
            Ok(()) if released => report.done("both allocations given back".to_owned()),
            Ok(()) => report.done(format!("no answer to giving back the allocations within {} s", RELEASE.as_secs())),
            Err(error) => report.failed(format!("{error:#}")),
        }
    }

    /// Reaches the relay twice, and makes the caller's offer with its candidates.
    async fn prepare(&mut self, sid: &str) -> anyhow::Result<Jingle> {
        let [for_caller, for_callee] = &self.services;
        let trust = &self.target.trust;
        let (caller, callee) = tokio::try_join!(Bridge::open(for_caller, trust), Bridge::open(for_callee, trust))?;
        let origin = Instant::now();
        let ends = [
            End::new(&caller, &for_caller.username, &for_caller.password, 0x1ca1_1e20, origin).await?,
            End::new(&callee, &for_callee.username, &for_callee.password, 0x1ca1_1ee0, origin).await?,
        ];
        let call = self.call.insert(Call { ends, bridges: [caller, callee] });
        let offer = call.ends[0].offer().await?;
        let candidates = gather(&mut call.ends[0], &call.bridges[0], self.transport).await?;
        let offer = jingle::from_sdp(&offer, &candidates, Party::Initiator, sid)?;
        Ok(Jingle { initiator: Some(self.caller.jid.as_str().into()), ..offer })
    }

    fn relay_detail(&self) -> String {
        let Some(bridge) = self.call.as_ref().map(|call| &call.bridges[0]) else { return String::new() };
        let relayed = bridge.observed().allocated.map(|(relayed, _)| format!(", relayed address {relayed}")).unwrap_or_default();
        format!("{}, STUN answers in {:.1} ms{relayed}", bridge.server(), bridge.round_trip().as_secs_f64() * 1e3)
    }

    /// From session-initiate to the measurement.
    async fn talk(&mut self, sid: &str, offer: &Jingle, report: &mut Report) -> anyhow::Result<()> {
        let transport = self.transport;
        report.begin(Step::Negotiation(transport));
        self.negotiate(sid, offer).await?;
        report.done("session-initiate, session-accept, transport-info".to_owned());

        let call = self.call.as_mut().context("no call")?;
        let [caller, callee] = &mut call.ends;
        report.begin(Step::Ice(transport));
        let deadline = tokio::time::Instant::now() + ICE;
        if let Err(error) = tokio::try_join!(caller.ice(deadline), callee.ice(deadline)) {
            return Err(explain_ice(&error, &call.bridges, self.target));
        }
        report.done("relay to relay".to_owned());

        let [caller, callee] = &mut call.ends;
        report.begin(Step::Dtls(transport));
        let deadline = tokio::time::Instant::now() + DTLS;
        tokio::try_join!(caller.connected(deadline), callee.connected(deadline)).with_context(|| {
            format!("ICE works, but no DTLS handshake within {} s: does the relay lose or cut packets of 1200 bytes?", DTLS.as_secs())
        })?;
        report.done("DTLS-SRTP".to_owned());

        report.begin(Step::Media(transport));
        report.progress(&format!("RTP for {} s", MEDIA.as_secs()));
        let (to_callee, to_caller) = tokio::try_join!(caller.send(MEDIA), callee.send(MEDIA))?;
        let (caller_to_callee, callee_to_caller) = tokio::join!(callee.quality(to_callee), caller.quality(to_caller));
        let verdict = judge(&caller_to_callee, &callee_to_caller, &call.bridges);
        let failure = verdict.clone().err();
        report.measured(Media { caller_to_callee, callee_to_caller }, verdict);
        // The report has the sentence; this only ends the call with the right reason.
        failure.map_or(Ok(()), |sentence| Err(anyhow!(sentence)))
    }

    /// XEP-0166 §6.2 to §6.6: the caller tells its candidates at once, the callee one by one by transport-info.
    async fn negotiate(&mut self, sid: &str, offer: &Jingle) -> anyhow::Result<()> {
        let call = self.call.as_mut().context("no call")?;
        let [caller_end, callee_end] = &mut call.ends;
        let (caller_jid, callee_jid) = (self.caller.jid.clone(), self.callee.jid.clone());

        self.caller.request("set", Some(&callee_jid), |xml| offer.write(xml)).await.context("session-initiate is refused")?;
        let arrived = next(self.callee, &caller_jid, sid, "session-initiate").await?;
        let said = callee_end.answer(&jingle::to_sdp(&arrived, Party::Initiator)?).await?;

        let accept = jingle::from_sdp(&said, &[], Party::Responder, sid)?;
        let accept = Jingle { responder: Some(callee_jid.as_str().into()), ..accept };
        self.callee.request("set", Some(&caller_jid), |xml| accept.write(xml)).await.context("session-accept is refused")?;
        let arrived = next(self.caller, &callee_jid, sid, "session-accept").await?;
        caller_end.accept(&jingle::to_sdp(&arrived, Party::Responder)?).await?;

        let candidates = gather(callee_end, &call.bridges[1], self.transport).await?;
        let info = jingle::from_candidates(&candidates, &said, Party::Responder, sid)?;
        self.callee.request("set", Some(&caller_jid), |xml| info.write(xml)).await.context("transport-info is refused")?;
        let arrived = next(self.caller, &callee_jid, sid, "transport-info").await?;
        let mid = accept.contents.first().map_or("", |content| &content.name);
        for candidate in jingle::candidates(&arrived, Party::Responder)? {
            caller_end.add_candidate(&candidate, mid).await?;
        }
        Ok(())
    }

    /// XEP-0166 §6.7.
    async fn hang_up(&mut self, sid: &str, reason: &str) -> anyhow::Result<()> {
        let (caller_jid, callee_jid) = (self.caller.jid.clone(), self.callee.jid.clone());
        let terminate = |xml: &mut XmlWriter| {
            xml.open("jingle").ns(ns::JINGLE).attr("action", "session-terminate").attr("sid", sid);
            xml.open("reason").open(reason).close().close().close();
        };
        self.caller.request("set", Some(&callee_jid), terminate).await.context("session-terminate is refused")?;
        next(self.callee, &caller_jid, sid, "session-terminate").await.map(drop)
    }

    async fn tear_down(&mut self) {
        if let Some(call) = self.call.take() {
            call.end().await;
        }
    }

    async fn tear_down_and_look(&mut self) -> bool {
        let Some(call) = self.call.take() else { return false };
        call.end().await;
        call.released(RELEASE).await
    }
}

/// The next Jingle stanza of this session with this action; others of the same peer are passed over.
async fn next(client: &mut Client, from: &str, sid: &str, action: &str) -> anyhow::Result<Element> {
    let deadline = tokio::time::Instant::now() + SIGNALLING;
    loop {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let stanza = client.next(left).await.with_context(|| format!("acknowledged, but {action} did not arrive at the other end"))?;
        let root = stanza.root();
        let Some(jingle) = root.child(ns::JINGLE, "jingle") else { continue };
        ensure!(
            root.attr("from") == Some(from),
            "{action} arrived as if from {}: it was sent by {from}",
            root.attr("from").unwrap_or("nobody")
        );
        if jingle.attr("sid") == Some(sid) && jingle.attr("action") == Some(action) {
            return Ok(stanza);
        }
    }
}

/// Waits for the candidates and sees that the relay's is among them.
async fn gather(end: &mut End, bridge: &Bridge, transport: Transport) -> anyhow::Result<Vec<String>> {
    let candidates = end.gather(tokio::time::Instant::now() + GATHERING).await.unwrap_or_default();
    ensure!(
        candidates.iter().any(|candidate| candidate.contains(" typ relay")),
        explain_no_candidate(transport, bridge.server(), &bridge.observed())
    );
    Ok(candidates)
}

/// Why there is no relay candidate.
fn explain_no_candidate(transport: Transport, server: SocketAddr, observed: &Observed) -> String {
    let at = format!("TURN over {transport} at {server}");
    if let Some(refusal) = observed.refusals.iter().find(|refusal| refusal.method == Method::Allocate) {
        let advice = match refusal.code {
            400 => "a bad request: look at the server's log at debug level for what it did not like",
            401 | 441 => {
                "the credentials that XEP-0215 gave are not accepted: do the clocks of XMPP and TURN server differ, or does another TURN server listen there?"
            }
            403 => "forbidden for this account: see turn.anonymous and the limits",
            437 => "the server still holds an allocation for this 5-tuple: a relay restarted behind the same port, or a bug",
            440 | 443 => "the address family asked for is not served: see server.public_address",
            442 => "the relayed transport asked for is not served",
            486 => "the quota of allocations is used up: see [limits]",
            508 => "no relayed address is free: widen turn.ports, or see which calls hold them",
            300 => "the server sends its clients elsewhere: the probe does not follow",
            _ => "look at the server's log",
        };
        return format!("{at} refused: {} {}: {advice}", refusal.code, refusal.reason);
    }
    if let Some(broken) = &observed.broken {
        return format!("{at} broke off before it gave a relayed address: {broken}");
    }
    match observed.messages.1 {
        0 => format!("{at} answers STUN, but not to Allocate within {} s: is TURN switched off there?", GATHERING.as_secs()),
        _ => format!("{at} gave no relayed address within {} s and no reason: look at the server's log", GATHERING.as_secs()),
    }
}

/// Why no pair of relayed addresses works.
fn explain_ice(error: &anyhow::Error, bridges: &[Bridge; 2], target: &Target) -> anyhow::Error {
    let observed: Vec<Observed> = bridges.iter().map(Bridge::observed).collect();
    if let Some(refusal) = observed.iter().flat_map(|observed| &observed.refusals).find(|refusal| refusal.method != Method::Refresh) {
        return anyhow!(
            "the relay refuses {} for the other end's relayed address ({} {}): it has to let its own relayed addresses be peers of each other",
            refusal.method,
            refusal.code,
            refusal.reason
        );
    }
    if let Some(broken) = observed.iter().find_map(|observed| observed.broken.as_ref()) {
        return anyhow!("the connection to the relay broke off: {broken}");
    }
    let [caller, callee] =
        [0, 1].map(|end: usize| observed[end].allocated.map_or_else(|| "?".to_owned(), |(relayed, _)| relayed.to_string()));
    let (first, last) = target.relay_ports;
    anyhow!(
        "no packets pass between the relayed addresses {caller} and {callee} ({error}): does server.public_address lead back to this server, and are its UDP ports \
         {first} to {last} open?"
    )
}

/// Is what arrived good enough for a call?
fn judge(caller_to_callee: &Quality, callee_to_caller: &Quality, bridges: &[Bridge; 2]) -> Result<(), String> {
    if let Some(broken) = bridges.iter().find_map(|bridge| bridge.observed().broken) {
        return Err(format!("the connection to the relay broke off: {broken}"));
    }
    for (direction, quality) in [("from caller to callee", caller_to_callee), ("from callee to caller", callee_to_caller)] {
        if quality.received == 0 {
            return Err(format!(
                "no RTP packet arrived {direction}, though ICE and DTLS passed: does the relay drop ChannelData or large packets?"
            ));
        }
        if quality.loss() > LOSS_MAX {
            return Err(format!(
                "{:.1} % of the RTP packets {direction} were lost: is the machine or its network overloaded, or a receive buffer too small?",
                quality.loss() * 100.0
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::relay_bridge::Refusal;

    #[test]
    fn a_missing_candidate_is_explained_by_what_the_server_said() {
        let server = "127.0.0.1:5349".parse().expect("an address");
        let refused = |code: u16| Observed {
            refusals: vec![Refusal { method: Method::Allocate, code, reason: "Why".into() }],
            messages: (2, 2),
            ..Observed::default()
        };
        for (observed, words) in [
            (refused(401), vec!["TLS", "127.0.0.1:5349", "401 Why", "clocks"]),
            (refused(508), vec!["508", "turn.ports"]),
            (refused(486), vec!["486", "[limits]"]),
            (refused(499), vec!["499", "log"]),
            (Observed { broken: Some("gone".into()), ..Observed::default() }, vec!["broke off", "gone"]),
            (Observed { messages: (7, 0), ..Observed::default() }, vec!["answers STUN", "Allocate"]),
            (Observed { messages: (7, 1), ..Observed::default() }, vec!["no reason"]),
        ] {
            let sentence = explain_no_candidate(Transport::Tls, server, &observed);
            for word in words {
                assert!(sentence.contains(word), "{word} in {sentence}");
            }
        }
    }
}
