// Calls: proposed by messages (XEP-0353), negotiated by Jingle (XEP-0166, XEP-0167), carried by WebRTC. One at a time.
import { attributes, bare, kid, kids, StanzaError, x } from './xmpp.js';
import * as sdp from './sdp.js';
import { describePath, iceServers, openMedia } from './media.js';

const { JINGLE, RTP } = sdp;
const PROPOSE = 'urn:xmpp:jingle-message:0', ERRORS = 'urn:xmpp:jingle:errors:1', INFO = 'urn:xmpp:jingle:apps:rtp:info:1';
const CARBONS = 'urn:xmpp:carbons:2', FORWARD = 'urn:xmpp:forward:0';
/** What we tell others that we can do. */
export const FEATURES = [JINGLE, RTP, `${RTP}:audio`, `${RTP}:video`, PROPOSE,
  sdp.ICE, sdp.DTLS, sdp.GROUP, sdp.FEEDBACK, sdp.HDREXT, sdp.SOURCES];

/** Why a call ended, by the reasons of XEP-0166 §7.4; %s is the peer. */
const WORDS = {
  success: 'The call has ended.', cancel: 'The call was cancelled.', busy: '%s is busy.', decline: '%s declined.', gone: '%s has gone.',
  timeout: '%s does not answer.', expired: 'The call goes on elsewhere.', 'media-error': 'The microphone or camera of %s failed.',
  'connectivity-error': 'No path for the media to %s was found.', 'failed-transport': 'No path for the media to %s was found.',
  'failed-application': 'The two programs cannot make a call together.', 'unsupported-applications': '%s cannot take this kind of call.',
};
const OFFLINE = '%s is not online.', MISSED = 'You missed a call of %s.', FAILED = 'No path for the media to %s was found (ICE failed).';
const ELSEWHERE = { accept: 'You took the call elsewhere.', proceed: 'You took the call elsewhere.', reject: 'You declined elsewhere.' };

const reasonIn = element => kids(kid(element, 'reason', JINGLE) ?? element, '*', JINGLE).find(e => WORDS[e.localName])?.localName;
const mediaIn = (element, name, ns) => kids(element, name, ns).map(e => (kid(e, 'description', RTP) ?? e).getAttribute('media'));

/** `state`: calling → ringing, or incoming; then connecting → active → ended; `text` says it in words. */
class Call {
  state = 'calling'; text = ''; notice = ''; remote = new MediaStream(); local;
  #calls; #pc; #timer; #troubles = new Set();
  #started = Promise.withResolvers(); #described = Promise.withResolvers();

  /** `proposed`: by a message; `offer`: the `<jingle/>` that came; `session`: both sides know a Jingle session. */
  constructor(calls, { peer, full, sid, outgoing, video, proposed, offer }) {
    Object.assign(this, { peer, full, sid, outgoing, video, proposed, offer, session: Boolean(offer) });
    this.#calls = calls;
  }

  /** Calls the peer: proposes where its clients know that, else offers a session to one that takes calls. */
  async place() {
    this.#set('calling', 'Calling %s …');
    if (!await this.#openMedia()) return;
    const online = this.#calls.roster.online(this.peer);
    const features = await Promise.all(online.map(({ full }) => this.#calls.roster.features(full)));
    if (this.state === 'ended') return;
    // A device that is away may be woken by a push; if none says soon that it rings, nobody is there.
    if (online.length) this.#timeout(60, 'timeout'); else this.#timeout(20, 'timeout', OFFLINE);
    if (!online.length || features.some(f => f.includes(PROPOSE))) {
      this.proposed = true;
      const media = this.video ? ['audio', 'video'] : ['audio'];
      return this.#message('propose', this.peer, media.map(m => x('description', { xmlns: RTP, media: m })));
    }
    this.full = online.find((_, i) => features[i].includes(RTP))?.full;
    if (this.full) this.#do(this.#initiate());
    else this.end('cancel', 'The program of %s cannot take calls.');
  }

  /** A call came in: by a proposal, or by an offer right away. */
  ring() {
    if (this.offer) this.#request('session-info', x('ringing', { xmlns: INFO }));
    else this.#message('ringing', this.full);
    this.#timeout(90, 'timeout', MISSED);
    this.#set('incoming', '%s is calling …');
  }

  /** Takes an incoming call. */
  async accept(video) {
    if (this.state !== 'incoming') return;
    this.video = video;
    this.#set('connecting', 'Connecting …');
    if (!await this.#openMedia()) return;
    this.#timeout(30, 'timeout', '%s does not go on with the call.');
    if (this.offer) this.#do(this.#answer());
    else this.#message('proceed', this.full);
  }

  /** Ends the call from our side, by the person's wish or because of what `text` says. */
  end(reason = { incoming: 'decline', active: 'success' }[this.state] ?? 'cancel', text = WORDS[reason], more) {
    if (this.state === 'ended') return;
    const why = [x('reason', { xmlns: JINGLE }, x(reason)), more], action = this.session ? 'finish' : this.outgoing ? 'retract' : 'reject';
    if (this.session) this.#request('session-terminate', why[0]);
    if (this.proposed) this.#message(action, action === 'retract' ? this.peer : this.full, why);
    this.#close(text === FAILED ? [FAILED, ...this.#troubles].join(' ') : text);
  }

  /** A message of XEP-0353 from the peer, or from another device of ours; 'error' stands for one of ours that came back. */
  handleMessage(action, from, element, own) {
    const reason = reasonIn(element);
    if (own) {
      if (this.state === 'incoming' && ELSEWHERE[action]) this.#close(ELSEWHERE[action]);
    } else if (action === 'ringing' && this.state === 'calling') {
      this.#timeout(60, 'timeout');
      this.#set('ringing', 'Ringing at %s …');
    } else if (action === 'proceed' && this.outgoing && !this.full) {
      this.full = from;
      this.#set('connecting', 'Connecting …');
      this.#do(this.#initiate());
    } else if (action === 'reject' && this.outgoing) this.#close(WORDS[reason ?? 'decline']);
    else if (action === 'retract' && !this.session) this.#close(MISSED);
    else if (action === 'finish' && from === this.full) this.#close(WORDS[reason ?? 'success']);
    else if (action === 'error' && !this.session) this.#close(OFFLINE);
  }

  /** A request of XEP-0166 of this session; what it throws is the answer. */
  handleJingle(action, jingle) {
    const expect = right => { if (!right) throw new StanzaError('wait', 'unexpected-request', x('out-of-order', { xmlns: ERRORS })); };
    if (action === 'session-terminate') this.#close(this.state === 'incoming' ? MISSED : WORDS[reasonIn(jingle) ?? 'success']);
    else if (action === 'session-initiate') {
      expect(!this.session && this.state === 'connecting' && !this.outgoing);
      Object.assign(this, { offer: jingle, session: true });
      this.#do(this.#answer());
    } else if (action === 'session-accept') {
      expect(this.session && this.#pc?.signalingState === 'have-local-offer');
      this.#set('connecting', 'Connecting …');
      this.#timeout(30, 'connectivity-error', FAILED);
      this.#do(this.#describe('answer', jingle, 'responder', sdp.mediaOf(this.#pc.localDescription.sdp)));
    } else if (action === 'transport-info') {
      // One that the browser cannot use (a content it refused, a name it cannot look up) costs nothing but itself.
      sdp.candidatesFromJingle(jingle).forEach(candidate => this.#described.promise.then(() => this.#pc.addIceCandidate(candidate))
        .catch(error => console.warn(error.message)));
    } else if (action === 'session-info' && kid(jingle, 'ringing', INFO)) this.handleMessage('ringing', this.full, jingle);
    else if (/^(content-add|transport-replace)$/.test(action)) throw new StanzaError('cancel', 'feature-not-implemented');
  }

  /** What fails in a step ends the call. */
  #do = step => step.catch(error => this.end('failed-application', `What %s sent cannot be used: ${error.message}.`));

  async #initiate() {
    await this.#connect();
    this.local.getTracks().forEach(track => this.#pc.addTrack(track, this.local));
    if (this.video && !this.local.getVideoTracks().length) this.#pc.addTransceiver('video', { direction: 'recvonly' });
    await this.#start('session-initiate', 'initiator');
  }

  async #answer() {
    await this.#connect();
    await this.#describe('offer', this.offer, 'initiator');
    const media = mediaIn(this.offer, 'content');
    this.local.getTracks().filter(t => media.includes(t.kind)).forEach(track => this.#pc.addTrack(track, this.local));
    await this.#start('session-accept', 'responder');
  }

  async #describe(type, jingle, role, offered) {
    await this.#pc.setRemoteDescription({ type, sdp: sdp.toSdp(jingle, role, offered) });
    this.#described.resolve();
  }

  async #start(action, role) {
    await this.#pc.setLocalDescription();
    this.#request(action, sdp.toJingle(this.#pc.localDescription.sdp, role), { [role]: this.#calls.connection.jid }, ({ condition }) => {
      this.#close(/unavailable|not-found/.test(condition) ? OFFLINE : `The call was refused (${condition}).`);
    });
    this.session = true;
    if (this.state === 'connecting') this.#timeout(30, 'connectivity-error', FAILED);
    this.#started.resolve();
  }

  async #connect() {
    const { connection, relayOnly } = this.#calls, servers = await iceServers(connection);
    if (this.state === 'ended') throw new Error('the call has ended');
    if (!servers.some(s => s.username)) this.#troubles.add(this.notice = 'The server offers no relay: only a direct path can work.');
    const pc = new RTCPeerConnection({ iceServers: servers, iceTransportPolicy: relayOnly ? 'relay' : 'all' });
    this.#pc = pc;
    pc.ontrack = ({ track }) => { this.remote.addTrack(track); this.#set(); };
    pc.onicecandidate = ({ candidate }) => {
      const content = candidate?.candidate && sdp.candidateToJingle(candidate, pc.localDescription.sdp);
      if (content) this.#started.promise.then(() => this.#request('transport-info', content));
      else if (!candidate && !/a=candidate/.test(pc.localDescription.sdp)) this.end('connectivity-error', FAILED);
    };
    pc.onicecandidateerror = ({ url, errorCode, errorText }) => {
      if (/^turns?:/.test(url)) this.#troubles.add(`Relay trouble: ${url}: ${errorText.replace(/\.$/, '') || errorCode}.`);
    };
    pc.onconnectionstatechange = async () => {
      if (pc.connectionState === 'connected') {
        clearTimeout(this.#timer);
        this.#set('active', 'In a call with %s');
        this.#set(this.state, `${this.text}, ${await describePath(pc)}`);
      } else if (pc.connectionState === 'disconnected') this.#set(this.state, 'The connection is interrupted …');
      else if (pc.iceConnectionState === 'failed') this.end('connectivity-error', FAILED);
      else if (pc.connectionState === 'failed') this.end('security-error', 'The encryption of the media could not be agreed on.');
    };
  }

  async #openMedia() {
    try {
      const { stream, notice } = await openMedia(this.video);
      Object.assign(this, { local: stream, notice });
      if (this.state === 'ended') stream.getTracks().forEach(track => track.stop());
    } catch (problem) {
      this.end('media-error', problem.message);
    }
    return this.state !== 'ended';
  }

  #request = (action, payload, who, failed = () => {}) => this.#calls.connection.iq('set', this.full,
    x('jingle', { xmlns: JINGLE, action, sid: this.sid, ...who }, payload)).catch(failed);
  #message = (action, to, payload) => this.#calls.connection.send(
    x('message', { to, type: 'chat', id: action === 'propose' ? this.sid : crypto.randomUUID() },
      x(action, { xmlns: PROPOSE, id: this.sid }, payload), x('store', { xmlns: 'urn:xmpp:hints' })));
  #timeout(seconds, reason, text) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(reason, text), 1000 * seconds);
  }
  #close(text) {
    clearTimeout(this.#timer);
    this.#pc?.close();
    this.local?.getTracks().forEach(track => track.stop());
    this.#set('ended', text);
  }
  #set(state = this.state, text = this.text) {
    Object.assign(this, { state, text: text.replace('%s', this.peer) });
    this.#calls.changed(this);
  }
}

/** Finds the call that a stanza is about; `current` is the one there is. `changed(call)` is called when there is something to show. */
export class Calls {
  constructor(connection, roster, changed, relayOnly) {
    Object.assign(this, { connection, roster, relayOnly });
    this.changed = call => {
      if (this.current !== call) return;
      if (call.state === 'ended') this.current = undefined;
      changed(call);
    };
    connection.addEventListener('message', ({ detail }) => this.#message(detail));
    connection.onRequest(JINGLE, 'jingle', (jingle, from, type) => this.#jingle(jingle, from, type));
    connection.iq('set', undefined, x('enable', { xmlns: CARBONS })).catch(() => {});
  }

  place(peer, video) {
    if (this.current) return;
    this.current = new Call(this, { peer, sid: crypto.randomUUID(), outgoing: true, video });
    this.current.place();
  }

  #message(stanza) {
    const own = bare(this.connection.jid), call = this.current;
    // XEP-0280 §11: only our own server says what our other devices did.
    const carbon = stanza.getAttribute('from') === own && kids(stanza, '*', CARBONS)[0];
    const message = carbon ? kid(kid(carbon, 'forwarded', FORWARD), 'message', 'jabber:client') : stanza;
    const [from, type, id] = attributes(message, 'from', 'type', 'id');
    const element = kids(message, '*', PROPOSE)[0], sid = element?.getAttribute('id'), peer = bare(from ?? own);
    if (type === 'error') {
      if (call?.sid === id && call.peer === peer) call.handleMessage('error', from, message);
    } else if (element?.localName === 'propose') {
      const video = mediaIn(element, 'description', RTP).includes('video');
      const delay = kid(message, 'delay', 'urn:xmpp:delay'), late = Date.now() - Date.parse(delay?.getAttribute('stamp')) > 30_000;   // kept while we were away
      if (peer !== own && !late) this.#proposed(new Call(this, { peer, full: from, sid, video, proposed: true }));
    } else if (element && call?.sid === sid && from !== this.connection.jid && [own, call.peer].includes(peer)) {
      call.handleMessage(element.localName, from, element, peer === own);
    }
  }

  #proposed(call) {
    const ours = this.current, crossed = ours?.outgoing && ours.peer === call.peer && !ours.full;
    // §4.1: of two proposals that cross, the lower id counts; both want to talk, so nobody need be asked.
    if (crossed && ours.proposed && call.sid > ours.sid) return call.end('expired', '', x('tie-break', { xmlns: PROPOSE }));
    if (ours && !crossed) return call.end('busy');
    ours?.end('expired', '', x('tie-break', { xmlns: PROPOSE }));
    this.current = call;
    call.ring();
    if (crossed) call.accept(ours.video);
  }

  #jingle(jingle, from, type) {
    const [action, sid] = attributes(jingle, 'action', 'sid'), call = this.current;
    if (type !== 'set' || !action || !sid || !from) throw new StanzaError('modify', 'bad-request');
    if (call?.sid === sid && call.full === from) return call.handleJingle(action, jingle);
    if (action !== 'session-initiate') throw new StanzaError('cancel', 'item-not-found', x('unknown-session', { xmlns: ERRORS }));
    const media = mediaIn(jingle, 'content'), busy = call ? 'busy' : !media.some(Boolean) && 'unsupported-applications';
    const next = new Call(this, { peer: bare(from), full: from, sid, video: media.includes('video'), offer: jingle });
    if (!busy) this.current = next;
    setTimeout(() => (busy ? next.end(busy) : next.ring()));                // after the answer to this request
  }
}
