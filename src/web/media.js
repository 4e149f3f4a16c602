// What a call stands on: microphone and camera, the relays that the server offers (XEP-0215), the path that the media takes.
import { attributes, kid, kids, Problem, x } from './xmpp.js';

const EXTDISCO = 'urn:xmpp:extdisco:2';
const WHY = { NotAllowedError: 'the browser was not allowed to', NotFoundError: 'there is none', NotReadableError: 'another program has it' };

/** Opens microphone and, when wanted, camera; `notice` says why there is no picture. */
export async function openMedia(video) {
  try {
    return { stream: await navigator.mediaDevices.getUserMedia({ audio: true, video }), notice: '' };
  } catch ({ name, message }) {
    const why = WHY[name] ?? message;
    if (!video) throw new Problem(`Your microphone cannot be used: ${why}.`);
    return { ...await openMedia(false), notice: `Your camera cannot be used: ${why}. Only your voice is sent.` };
  }
}

/** STUN and TURN servers for `RTCPeerConnection`. */
export async function iceServers(connection) {
  const answer = await connection.iq('get', connection.domain, x('services', { xmlns: EXTDISCO })).catch(() => undefined);
  const list = answer && kid(answer, 'services', EXTDISCO);
  return (list ? kids(list, 'service') : []).flatMap(service => {
    const [type, name, port, transport, username, credential] =
      attributes(service, 'type', 'host', 'port', 'transport', 'username', 'password');
    const host = name?.includes(':') && !name.startsWith('[') ? `[${name}]` : name, secure = type?.endsWith('s');
    const at = `${type}:${host}:${port ?? (secure ? 5349 : 3478)}`;
    // Browsers throw on `stun:…?transport` and on a relay without credentials, for the whole list.
    if (type === 'stun' || type === 'stuns') return { urls: at };
    if (!['turn', 'turns'].includes(type) || !username || !credential || (secure && transport === 'udp')) return [];
    return { urls: `${at}?transport=${transport ?? (secure ? 'tcp' : 'udp')}`, username, credential };
  });
}

/** In words, how the media of a connection travels. */
export async function describePath(pc) {
  const stats = await pc.getStats(), pair = stats.get([...stats.values()].find(s => s.selectedCandidatePairId)?.selectedCandidatePairId);
  const [local, remote] = [pair?.localCandidateId, pair?.remoteCandidateId].map(id => stats.get(id));
  if (local?.candidateType === 'relay') return `through the relay over ${local.relayProtocol.toUpperCase()}`;
  return remote?.candidateType === 'relay' ? 'through the other side’s relay' : 'directly';
}
