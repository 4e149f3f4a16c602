//! One end of the call: ICE through a relay, DTLS-SRTP and RTP, by the `webrtc` crate. The only file that names it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, timeout_at};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder, RTCIceCandidateInit,
    RTCIceConnectionState, RTCIceGatheringState, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnectionIceEvent, RTCPeerConnectionState,
    RTCSessionDescription, Registry, SettingEngineBuilder, configure_rtcp_reports,
};
use webrtc::runtime::{AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, TokioRuntime};

use super::measure::{self, Mark, Meter, Quality};
use super::relay_bridge::Bridge;

const OPUS_PAYLOAD_TYPE: u8 = 111;
/// Candidates that wait to be taken; a relay-only end has one for each socket.
const CANDIDATES_MAX: usize = 16;
/// Packets sent before those that are counted: the stack makes the receiving track from the first one and does not hand that out.
const WARM_UP: usize = 5;
/// How long the last packets may be on their way.
const DRAIN: Duration = Duration::from_millis(600);

/// How far an end has come, in the order in which it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// All candidates are known.
    pub gathered: bool,
    /// A candidate pair works.
    pub ice: bool,
    /// The DTLS handshake is done: media can flow.
    pub connected: bool,
    /// ICE or DTLS has given up.
    pub failed: bool,
}

/// One end of a call.
pub struct End {
    connection: Arc<dyn PeerConnection>,
    runtime: Arc<MorePasses>,
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    origin: Instant,
    progress: watch::Receiver<Progress>,
    candidates: mpsc::Receiver<String>,
    received: Arc<Mutex<Meter>>,
}

impl End {
    /// Prepares an end that will use the bridge's TURN service and nothing else. `origin` is the zero of both ends' clock.
    ///
    /// # Errors
    /// Those of the WebRTC stack.
    pub async fn new(bridge: &Bridge, username: &str, password: &str, ssrc: u32, origin: Instant) -> anyhow::Result<End> {
        let mut engine = MediaEngine::default();
        // Opus as browsers offer it, but without feedback that resends: a lost packet shall be seen as lost.
        engine.register_codec(RTCRtpCodecParameters { rtp_codec: opus(), payload_type: OPUS_PAYLOAD_TYPE }, RtpCodecKind::Audio)?;
        let configuration = RTCConfigurationBuilder::new()
            .with_ice_servers(vec![RTCIceServer {
                urls: vec![format!("turn:{}?transport=udp", bridge.local())],
                username: username.to_owned(),
                credential: password.to_owned(),
            }])
            .with_ice_transport_policy(RTCIceTransportPolicy::Relay)
            .build();
        let (progress_sender, progress) = watch::channel(Progress::default());
        let (candidate_sender, candidates) = mpsc::channel(CANDIDATES_MAX);
        let received = Arc::new(Mutex::new(Meter::default()));
        let handler = Handler { progress: progress_sender, candidates: candidate_sender, received: received.clone(), origin };
        let runtime = Arc::new(MorePasses { inner: TokioRuntime, made: Arc::default(), closing: AtomicBool::new(false) });
        let settings = SettingEngineBuilder::new()
            .with_sdp_media_level_fingerprints(true)
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            // There is nothing better to wait for than a relay.
            .with_relay_acceptance_min_wait(Some(Duration::ZERO))
            .build();
        let connection = PeerConnectionBuilder::new()
            .with_configuration(configuration)
            .with_media_engine(engine)
            .with_interceptor_registry(configure_rtcp_reports(Registry::new()))
            .with_setting_engine(settings)
            .with_handler(Arc::new(handler))
            .with_runtime(runtime.clone())
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await
            .context("the WebRTC stack does not start")?;
        let coding = RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() };
        let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            "probe".to_owned(),
            format!("probe-{ssrc:08x}"),
            "audio".to_owned(),
            RtpCodecKind::Audio,
            vec![RTCRtpEncodingParameters { rtp_coding_parameters: coding, codec: opus(), ..Default::default() }],
        )));
        connection.add_track(track.clone()).await?;
        Ok(End { connection: Arc::new(connection), runtime, track, ssrc, origin, progress, candidates, received })
    }

    /// Makes the offer; gathering of candidates begins.
    ///
    /// # Errors
    /// Those of the WebRTC stack.
    pub async fn offer(&self) -> anyhow::Result<String> {
        let offer = self.connection.create_offer(None).await?;
        let sdp = offer.sdp.clone();
        self.connection.set_local_description(offer).await?;
        Ok(sdp)
    }

    /// Takes the other end's offer and makes the answer; gathering of candidates begins.
    ///
    /// # Errors
    /// An offer that the WebRTC stack does not take.
    pub async fn answer(&self, offer: &str) -> anyhow::Result<String> {
        let description = RTCSessionDescription::offer(offer.to_owned()).context("the offer that arrived is not understood")?;
        self.connection.set_remote_description(description).await.context("the offer that arrived is refused")?;
        let answer = self.connection.create_answer(None).await?;
        let sdp = answer.sdp.clone();
        self.connection.set_local_description(answer).await?;
        Ok(sdp)
    }

    /// Takes the answer to our offer.
    ///
    /// # Errors
    /// An answer that the WebRTC stack does not take.
    pub async fn accept(&self, answer: &str) -> anyhow::Result<()> {
        let description = RTCSessionDescription::answer(answer.to_owned()).context("the answer that arrived is not understood")?;
        self.connection.set_remote_description(description).await.context("the answer that arrived is refused")
    }

    /// Takes a candidate of the other end: the value of `a=candidate`, with its name.
    ///
    /// # Errors
    /// A candidate that the WebRTC stack does not take.
    pub async fn add_candidate(&self, candidate: &str, mid: &str) -> anyhow::Result<()> {
        let candidate = RTCIceCandidateInit { candidate: candidate.to_owned(), sdp_mid: Some(mid.to_owned()), ..Default::default() };
        self.connection.add_ice_candidate(candidate).await.context("a candidate that arrived is refused")
    }

    /// Waits until all candidates are known and returns them as values of `a=candidate`. None at all is not an error here.
    ///
    /// # Errors
    /// The time is over.
    pub async fn gather(&mut self, deadline: tokio::time::Instant) -> anyhow::Result<Vec<String>> {
        self.reached(deadline, |progress| progress.gathered).await?;
        let mut candidates = Vec::new();
        while let Ok(candidate) = self.candidates.try_recv() {
            candidates.push(candidate);
        }
        Ok(candidates)
    }

    /// Waits until a candidate pair works.
    ///
    /// # Errors
    /// ICE gave up, or the time is over.
    pub async fn ice(&mut self, deadline: tokio::time::Instant) -> anyhow::Result<()> {
        self.reached(deadline, |progress| progress.ice || progress.connected).await
    }

    /// Waits until DTLS is done.
    ///
    /// # Errors
    /// DTLS gave up, or the time is over.
    pub async fn connected(&mut self, deadline: tokio::time::Instant) -> anyhow::Result<()> {
        self.reached(deadline, |progress| progress.connected).await
    }

    async fn reached(&mut self, deadline: tokio::time::Instant, wanted: impl Fn(&Progress) -> bool) -> anyhow::Result<()> {
        let reached = timeout_at(deadline, self.progress.wait_for(|progress| progress.failed || wanted(progress))).await;
        match reached {
            Ok(Ok(progress)) if wanted(&progress) => Ok(()),
            Ok(_) => bail!("the WebRTC stack gave up"),
            Err(_) => bail!("the time is over"),
        }
    }

    /// Sends for `length`, as a phone does, one packet each 20 ms; returns how many. Stops early when the connection fails.
    ///
    /// # Errors
    /// Those of the WebRTC stack.
    pub async fn send(&self, length: Duration) -> anyhow::Result<u32> {
        let packets = u32::try_from(length.as_millis() / measure::INTERVAL.as_millis()).unwrap_or(u32::MAX);
        let mut sequence = 0u16;
        let mut ticker = tokio::time::interval(measure::INTERVAL);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in std::iter::repeat_n(measure::UNCOUNTED, WARM_UP).chain(0..packets) {
            ticker.tick().await;
            if self.progress.borrow().failed {
                return Ok(if number == measure::UNCOUNTED { 0 } else { number });
            }
            let sent_ns = clock(self.origin);
            let (echo_ns, held_ns) = lock(&self.received).echo(sent_ns);
            let packet = rtc::rtp::Packet {
                header: rtc::rtp::header::Header {
                    version: 2,
                    marker: sequence == 0,
                    payload_type: OPUS_PAYLOAD_TYPE,
                    sequence_number: sequence,
                    // The instant itself in RTP time, not a multiple of the packet's length: jitter of our own timer is then none of the network's.
                    timestamp: rtp_time(sent_ns),
                    ssrc: self.ssrc,
                    ..Default::default()
                },
                payload: Mark { number, sent_ns, echo_ns, held_ns }.write().into(),
            };
            self.track.write_rtp(packet).await.map_err(|error| anyhow!("an RTP packet cannot be sent: {error}"))?;
            sequence = sequence.wrapping_add(1);
        }
        Ok(packets)
    }

    /// Waits until `sent` packets have come, or for as long as late ones may be on their way; then says how well they came.
    pub async fn quality(&self, sent: u32) -> Quality {
        let deadline = Instant::now() + DRAIN;
        while lock(&self.received).received() < sent && Instant::now() < deadline {
            tokio::time::sleep(measure::INTERVAL).await;
        }
        lock(&self.received).quality(sent)
    }

    /// Ends media and gives the allocation back.
    ///
    /// # Errors
    /// Those of the WebRTC stack.
    pub async fn close(&self) -> anyhow::Result<()> {
        self.runtime.closing.store(true, Ordering::Relaxed);
        Ok(self.connection.close().await?)
    }
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: measure::CLOCK_HZ,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: vec![],
    }
}

/// Nanoseconds since the origin, never 0.
fn clock(origin: Instant) -> u64 {
    u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX - 1) + 1
}

fn rtp_time(ns: u64) -> u32 {
    (u128::from(ns) * u128::from(measure::CLOCK_HZ) / 1_000_000_000) as u32
}

fn lock(meter: &Mutex<Meter>) -> std::sync::MutexGuard<'_, Meter> {
    // No holder can leave it half changed: the calls are pure and short.
    meter.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Handler {
    progress: watch::Sender<Progress>,
    candidates: mpsc::Sender<String>,
    received: Arc<Mutex<Meter>>,
    origin: Instant,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            // More than CANDIDATES_MAX are of no use to anybody.
            Ok(candidate) => drop(self.candidates.try_send(candidate.candidate)),
            Err(error) => tracing::debug!(%error, "candidate without text"),
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.progress.send_modify(|progress| progress.gathered = true);
        }
    }

    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        tracing::debug!(%state, "ICE");
        self.progress.send_modify(|progress| match state {
            RTCIceConnectionState::Connected | RTCIceConnectionState::Completed => progress.ice = true,
            RTCIceConnectionState::Failed => progress.failed = true,
            _ => {}
        });
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        tracing::debug!(%state, "connection");
        self.progress.send_modify(|progress| match state {
            RTCPeerConnectionState::Connected => progress.connected = true,
            RTCPeerConnectionState::Failed => progress.failed = true,
            _ => {}
        });
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let (received, origin) = (self.received.clone(), self.origin);
        // Ends with the track, which ends with the connection that End::close closes.
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
                let now_ns = clock(origin);
                if let Some(mark) = Mark::parse(&packet.payload) {
                    lock(&received).arrived(mark, packet.header.timestamp, now_ns);
                }
            }
        });
    }
}

/// tokio, but each time the stack's loop was woken it makes some passes more before it sleeps.
///
/// One pass of the loop of `webrtc` 0.21 asks its TURN client what to send, then hands it what ICE, DTLS and RTP want to send, then handles what
/// came in, which makes more of that. So everything relayed lies there until the next packet or timer: some 20 ms in a call, a second in the
/// handshake, and that is what we would measure. In an idle loop a pass costs microseconds.
#[derive(Debug)]
struct MorePasses {
    inner: TokioRuntime,
    /// Passes since the loop was last woken by something else.
    made: Arc<AtomicU32>,
    /// From here on only the stack's own waits: its `close` sleeps too.
    closing: AtomicBool,
}

/// A packet read, the event that comes of it, the message made of that, given to the TURN client, sent.
const MORE_PASSES: u32 = 4;

impl Runtime for MorePasses {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        if self.closing.load(Ordering::Relaxed) {
            return self.inner.sleep(duration);
        }
        let made = self.made.swap(0, Ordering::Relaxed);
        if made == MORE_PASSES {
            return self.inner.sleep(duration);
        }
        // Counts only when it is what ends the wait: a packet that comes first has all its own passes to get.
        let counter = self.made.clone();
        Box::pin(async move { counter.store(made + 1, Ordering::Relaxed) })
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        self.inner.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> std::io::Result<Arc<dyn AsyncUdpSocket>> {
        self.inner.wrap_udp_socket(socket)
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> std::io::Result<Arc<dyn AsyncTcpListener>> {
        self.inner.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        self.inner.connect_tcp(remote)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        self.inner.resolve_host(host)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.inner.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.inner.block_on(future);
    }
}
