// What a call stands on: microphone and camera, the relays that the server offers (XEP-0215), the path that the media takes.
import { kid, kids, Problem, x } from './xmpp.js';

const EXTDISCO = 'urn:xmpp:extdisco:2';
const WHY = { NotAllowedError: 'the browser was not allowed to use it', NotFoundError: 'there is none', NotReadableError: 'another program uses it' };

/** Opens microphone and, when wanted, camera; `notice` says why there is no picture. */
export async function openMedia(video) {
  const why = error => WHY[error.name] ?? error.message;
  try {
    return { stream: await navigator.mediaDevices.getUserMedia({ audio: true, video }) };
  } catch (error) {
    if (video) {
      const { stream } = await openMedia(false);
      return { stream, notice: `Your camera cannot be used: ${why(error)}. Only your voice is sent.` };
    }
    throw new Problem('microphone', `Your microphone cannot be used: ${why(error)}.`);
  }
}

/** STUN and TURN servers for `RTCPeerConnection`; `relays` counts what can relay. */
export async function iceServers(connection) {
  const answer = await connection.iq('get', connection.domain, x('services', { xmlns: EXTDISCO })).catch(() => undefined);
  const list = answer && kid(answer, 'services', EXTDISCO);
  const servers = (list ? kids(list, 'service') : []).flatMap(service => {
    const [type, name, port, transport, username, credential] = ['type', 'host', 'port', 'transport', 'username', 'password'].map(a => service.getAttribute(a));
    const host = name?.includes(':') && !name.startsWith('[') ? `[${name}]` : name;
    const at = `${type}:${host}:${port ?? (type?.endsWith('s') ? 5349 : 3478)}`;
    // Browsers throw on `stun:…?transport` and on a relay without credentials, for the whole list.
    if (type === 'stun' || type === 'stuns') return { urls: at };
    if (!['turn', 'turns'].includes(type) || !username || !credential || (type === 'turns' && transport === 'udp')) return [];
    return { urls: `${at}?transport=${transport ?? (type === 'turns' ? 'tcp' : 'udp')}`, username, credential };
  });
  return { servers, relays: servers.filter(s => s.username).length };
}

/** In words, how the media of a connection travels, or '' while that is not known. */
export async function describePath(pc) {
  const stats = [...(await pc.getStats()).values()], byId = new Map(stats.map(s => [s.id, s]));
  const pair = byId.get(stats.find(s => s.type === 'transport' && s.selectedCandidatePairId)?.selectedCandidatePairId);
  if (!pair) return '';
  const [local, remote] = [byId.get(pair.localCandidateId), byId.get(pair.remoteCandidateId)];
  const relay = local?.candidateType === 'relay' ? `through the relay over ${local.relayProtocol.toUpperCase()}` : remote?.candidateType === 'relay' && 'through the other side’s relay';
  const received = stats.filter(s => s.type === 'inbound-rtp'), sum = name => received.reduce((n, s) => n + (s[name] ?? 0), 0);
  const loss = 100 * sum('packetsLost') / Math.max(1, sum('packetsLost') + sum('packetsReceived'));
  return [relay || 'direct', pair.currentRoundTripTime !== undefined && `${Math.round(1000 * pair.currentRoundTripTime)} ms`, `${loss.toFixed(1)} % lost`]
    .filter(Boolean).join(' · ');
}
