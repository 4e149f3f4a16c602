// A client made of stanza.js, as its users write one: relays from the server's XEP-0215 list and nothing else.
import { createClient } from 'stanza';

window.sessions = [];

/** Logs in; `via` picks the relays by how they are reached: udp, tcp or tls. Gives what it got. */
window.logIn = ({ websocket, jid, password, via }) => new Promise((resolve, reject) => {
  const client = window.client = createClient({ jid, password, resource: 'stanza', transports: { websocket, bosh: false }, autoReconnect: false,
    jingle: { iceServers: [], iceTransportPolicy: 'relay' } });
  client.on('auth:failed', () => reject(new Error('auth:failed')));
  client.on('disconnected', error => reject(new Error(`disconnected ${error ?? ''}`)));
  client.on('presence', ({ from, type }) => { (window.seen ??= []).push([from, type ?? 'available']); });
  client.on('message', ({ from, body }) => { (window.lines ??= []).push([from, body]); });
  client.on('jingle:created', session => {
    window.sessions.push(session);
    session.pc.addEventListener('track', ({ track }) => play(track));
  });
  client.on('jingle:incoming', async session => {
    const wanted = session.includesVideo;
    const stream = await media();
    stream.getTracks().filter(t => wanted || t.kind === 'audio').forEach(track => session.addTrack(track, stream));
    session.accept();
  });
  client.on('jingle:terminated', (session, reason) => { window.ended = reason?.condition ?? 'no reason'; });
  client.on('session:started', async () => {
    client.sendPresence();
    const { services } = await client.getServices(client.config.server);
    const chosen = services.filter(s => (via === 'tls' ? s.type === 'turns' : s.type === 'turn' && s.transport === via));
    chosen.forEach(s => client.jingle.addICEServer(s));
    resolve({ jid: client.jid, services: services.map(({ type, host, port, transport, username }) => ({ type, host, port, transport, username })), relays: chosen.length });
  });
  client.connect();
});

/** Chromium decodes only what is played. */
function play(track) {
  const element = document.body.appendChild(document.createElement(track.kind));
  element.srcObject = new MediaStream([track]);
  element.play();
}

const media = () => navigator.mediaDevices.getUserMedia({ audio: true, video: true });

window.call = async full => {
  const session = client.jingle.createMediaSession(full, undefined, await media());
  await session.start({ offerToReceiveAudio: true, offerToReceiveVideo: true });
};
