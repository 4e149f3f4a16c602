// Calls: proposed by messages (XEP-0353), negotiated by Jingle (XEP-0166, XEP-0167), carried by WebRTC. One at a time.
import { bare, kid, kids, Problem, StanzaError, x } from './xmpp.js';
import * as sdp from './sdp.js';
import { describePath, iceServers, openMedia } from './media.js';

const { JINGLE, RTP } = sdp;
const PROPOSE = 'urn:xmpp:jingle-message:0', ERRORS = 'urn:xmpp:jingle:errors:1', INFO = 'urn:xmpp:jingle:apps:rtp:info:1';
const CARBONS = 'urn:xmpp:carbons:2', FORWARD = 'urn:xmpp:forward:0';

/** What we tell others that we can do. */
export const FEATURES = [JINGLE, RTP, `${RTP}:audio`, `${RTP}:video`, sdp.ICE, sdp.DTLS, sdp.GROUP, sdp.FEEDBACK, sdp.HDREXT, sdp.SOURCES, PROPOSE];

const WORDS = { success: 'The call has ended.', cancel: 'The call was cancelled.', busy: '%s is busy.', decline: '%s declined.', timeout: '%s does not answer.',
  gone: '%s has gone.', expired: 'The call moved to another device.', 'connectivity-error': 'No path for the media to %s was found.',
  'failed-transport': 'No path for the media to %s was found.', 'failed-application': 'The two programs have no way of sending media in common.',
  'unsupported-applications': '%s cannot take this kind of call.', 'unsupported-transports': '%s cannot take this kind of call.',
  'media-error': 'The microphone or camera of %s failed.', 'security-error': 'The keys of %s do not fit: the call is not safe.' };
const OFFLINE = '%s is not online.';

const reasonIn = element => { const reason = element && (kid(element, 'reason') ?? kid(element, 'reason', JINGLE)); return reason && kids(reason, '*')[0]?.localName; };
const outOfOrder = () => new StanzaError('wait', 'unexpected-request', x('out-of-order', { xmlns: ERRORS }));

/** `state`: calling → ringing, or incoming; then connecting → active → ended; `text` says it in words. */
export class Call {
  state = 'calling'; text = ''; notice = ''; remote = new MediaStream(); local;
  #calls; #pc; #full; #offer; #session = false; #candidates = []; #unsent = []; #timer; #troubles = new Set(); #relays = 0; #work = Promise.resolve();

  constructor(calls, { peer, full, sid, outgoing, video, proposed }) {
    Object.assign(this, { peer, sid, outgoing, video, proposed });
    this.#calls = calls;
    this.#full = full;
  }

  isWith = full => full === this.#full;

  /** Calls the peer: proposes where its clients know that, else picks one that takes calls. */
  async place() {
    if (!await this.#openMedia()) return;
    const target = await this.#calls.target(this.peer);
    if (this.state === 'ended') return;
    if (target === undefined) return this.end('cancel', 'The program of %s cannot take calls.', false);
    this.#set('calling', 'Calling %s …');
    this.#timeout(60, 'timeout', '%s does not answer.');
    if (target) {
      this.#full = target;
      return this.#do(() => this.#initiate());
    }
    this.proposed = true;
    this.#propose('propose', this.peer, ['audio', ...this.video ? ['video'] : []].map(media => x('description', { xmlns: RTP, media })));
  }

  /** Takes an incoming call. */
  async accept(video) {
    if (this.state !== 'incoming') return;
    this.video = video;
    this.#set('connecting', 'Connecting …');
    if (!await this.#openMedia()) return;
    this.#timeout(30, 'timeout', '%s does not go on with the call.');
    if (this.#offer) return this.#do(() => this.#answer());
    this.#propose('proceed', this.#full);
  }

  /** Ends the call from our side with a reason of XEP-0166 §7.4, by the person's wish or because of what `text` says. */
  end(reason = { incoming: 'decline', active: 'success' }[this.state] ?? 'cancel', text = 'The call has ended.', tell = true) {
    if (this.state === 'ended') return;
    const wasSession = this.#session || this.#offer, why = x('reason', { xmlns: JINGLE }, x(reason));
    if (tell && wasSession) this.#request('session-terminate', why).catch(() => {});
    else if (tell && this.proposed) this.#propose(this.outgoing ? 'retract' : 'reject', this.outgoing ? this.peer : this.#full, why);
    if (this.proposed && this.#session) this.#propose('finish', this.#full, why);
    clearTimeout(this.#timer);
    this.#pc?.close();
    this.local?.getTracks().forEach(track => track.stop());
    this.#set('ended', text);
  }

  /** Turns a proposal down without a word to the person. */
  refuse(reason, crossed = false, to = this.#full) {
    this.#propose('reject', to, [x('reason', { xmlns: JINGLE }, x(reason)), crossed && x('tie-break', { xmlns: PROPOSE })]);
  }

  /** Mutes the microphone (`audio`) or switches the camera off (`video`). */
  enable(kind, on) {
    this.local?.getTracks().filter(t => t.kind === kind).forEach(t => { t.enabled = on; });
    if (kind === 'audio' && this.#session) {
      this.#request('session-info', x(on ? 'unmute' : 'mute', { xmlns: INFO, creator: this.outgoing ? 'initiator' : 'responder' })).catch(() => {});
    }
  }

  path = async () => (this.state === 'active' ? describePath(this.#pc) : '');

  /** A call came in: by a proposal, or by an offer right away. */
  ring(offer) {
    this.#offer = offer;
    if (offer) this.#request('session-info', x('ringing', { xmlns: INFO })).catch(() => {});
    else this.#propose('ringing', this.#full);
    this.#set('incoming', '%s is calling …');
    this.#timeout(90, 'timeout', 'You missed a call of %s.', Boolean(offer));
  }

  /** A message of XEP-0353 from the peer, or from another device of ours (`own`). */
  handleMessage(action, from, element, own) {
    const reason = reasonIn(element);
    if (own) {
      if (this.state === 'incoming' && ['accept', 'proceed'].includes(action)) this.end('cancel', 'You took the call on another device.', false);
      if (this.state === 'incoming' && action === 'reject') this.end('cancel', 'You declined on another device.', false);
    } else if (action === 'ringing' && this.state === 'calling') this.#set('ringing', 'Ringing at %s …');
    else if (action === 'proceed' && this.outgoing && !this.#session && this.state !== 'connecting') {
      this.#full = from;
      this.#do(() => this.#initiate());
    } else if (action === 'reject' && this.outgoing) this.end(reason, WORDS[reason ?? 'decline'] ?? WORDS.decline, false);
    else if (action === 'retract' && !this.#session) this.end(reason, 'You missed a call of %s.', false);
    else if (action === 'finish' && from === this.#full) this.end(reason, WORDS[reason] ?? WORDS.success, false);
    else if (action === 'error' && !this.#session) this.end('gone', OFFLINE, false);
  }

  /** A request of XEP-0166 of this session; what it throws is the answer. */
  handleJingle(action, jingle) {
    if (action === 'session-terminate') {
      const reason = reasonIn(jingle), missed = this.state === 'incoming' && 'You missed a call of %s.';
      this.end(reason, missed || (WORDS[reason] ?? `The call ended (${reason ?? 'no reason given'}).`), false);
    } else if (action === 'session-initiate') {
      if (this.outgoing || this.#offer || this.state !== 'connecting') throw outOfOrder();
      this.#offer = jingle;
      this.#do(() => this.#answer());
    } else if (action === 'session-accept') {
      if (!this.outgoing || !this.#session || this.#pc.signalingState !== 'have-local-offer') throw outOfOrder();
      this.#set('connecting', 'Connecting …');
      this.#timeout(30, 'connectivity-error', this.#noPath);
      this.#do(() => this.#remote('answer', jingle, 'responder', sdp.mediaOf(this.#pc.localDescription.sdp)));
    } else if (action === 'transport-info') {
      const candidates = sdp.candidatesFromJingle(jingle);
      this.#do(() => (this.#pc?.remoteDescription ? this.#add(candidates) : this.#candidates.push(...candidates)));
    } else if (action === 'session-info') {
      const info = jingle.firstElementChild;
      if (info && info.namespaceURI !== INFO) throw new StanzaError('modify', 'feature-not-implemented', x('unsupported-info', { xmlns: ERRORS }));
      if (info?.localName === 'ringing' && this.state === 'calling') this.#set('ringing', 'Ringing at %s …');
    } else if (/^(content-add|transport-replace)$/.test(action)) throw new StanzaError('cancel', 'feature-not-implemented');
  }

  /** One step after the other; an exception ends the call. */
  #do(step) {
    this.#work = this.#work.then(() => (this.state === 'ended' ? undefined : step())).catch(error => {
      console.error(error);
      if (error instanceof Problem) this.end('connectivity-error', error.message);
      else this.end('failed-application', `What %s sent cannot be used: ${error.message}.`);
    });
  }

  async #initiate() {
    this.#set('connecting', 'Connecting …');
    const pc = await this.#open();
    this.local.getTracks().forEach(track => pc.addTrack(track, this.local));
    if (this.video && !this.local.getVideoTracks().length) pc.addTransceiver('video', { direction: 'recvonly' });
    await pc.setLocalDescription();
    if (!this.proposed) this.#set('calling', 'Calling %s …');
    else this.#timeout(30, 'connectivity-error', this.#noPath);
    this.#start('session-initiate', { initiator: this.#calls.connection.jid }, 'initiator');
  }

  async #answer() {
    const pc = await this.#open(), kinds = kids(this.#offer, 'content').map(c => kid(c, 'description', RTP)?.getAttribute('media'));
    await this.#remote('offer', this.#offer, 'initiator');
    this.local.getTracks().filter(t => kinds.includes(t.kind)).forEach(track => pc.addTrack(track, this.local));
    await pc.setLocalDescription();
    this.#timeout(30, 'connectivity-error', this.#noPath);
    this.#start('session-accept', { responder: this.#calls.connection.jid }, 'responder');
  }

  #start(action, who, role) {
    this.#request(action, sdp.toJingle(this.#pc.localDescription.sdp, role), who).catch(({ condition }) => {
      const gone = ['service-unavailable', 'item-not-found', 'recipient-unavailable'].includes(condition);
      this.end('gone', gone ? OFFLINE : `The call was refused (${condition}).`, false);
    });
    this.#session = true;
    this.#unsent.splice(0).forEach(candidate => this.#send(candidate));
  }

  async #remote(type, jingle, role, offered) {
    await this.#pc.setRemoteDescription({ type, sdp: sdp.toSdp(jingle, role, offered) });
    await this.#add(this.#candidates.splice(0));
  }

  /** A candidate that the browser cannot use (a content it refused, a name it cannot look up) costs nothing but itself. */
  #add = candidates => Promise.all(candidates.map(c => this.#pc.addIceCandidate(c).catch(error => console.warn(error.message))));

  async #open() {
    const { servers, relays } = await iceServers(this.#calls.connection);
    this.#relays = relays;
    if (!relays && this.#calls.relayOnly) throw new Problem('relay', 'The server offers no relay, and this page was told to use nothing else.');
    if (!relays) this.notice = 'The server offers no relay: the call works only where the two sides reach each other directly.';
    const pc = new RTCPeerConnection({ iceServers: servers, iceTransportPolicy: this.#calls.relayOnly ? 'relay' : 'all' });
    this.#pc = pc;
    pc.ontrack = ({ track }) => { this.remote.addTrack(track); this.#set(this.state, this.text); };
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) this.#session ? this.#send(candidate) : this.#unsent.push(candidate);
      else if (candidate === null && !/a=candidate/.test(pc.localDescription.sdp)) this.end('connectivity-error', this.#noPath);
    };
    pc.onicecandidateerror = ({ url, errorCode, errorText }) => { if (/^turns?:/.test(url)) this.#troubles.add(`${url}: ${errorText.replace(/[.\s]+$/, '') || `error ${errorCode}`}`); };
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === 'connected') {
        clearTimeout(this.#timer);
        this.#set('active', 'In a call with %s');
      } else if (pc.connectionState === 'disconnected') this.#set(this.state, 'The connection is interrupted …');
      else if (pc.connectionState === 'failed') {
        const ice = pc.iceConnectionState === 'failed';
        this.end(ice ? 'connectivity-error' : 'security-error', ice ? this.#noPath : 'The encryption of the media could not be agreed on.');
      }
    };
    return pc;
  }

  get #noPath() {
    const troubles = [...this.#troubles].join('; ');
    return `No path for the media to %s was found (ICE failed). ${this.#relays ? (troubles && `Relay trouble: ${troubles}.`) : 'The server offers no relay.'}`.trim();
  }

  #send(candidate) {
    const content = sdp.candidateToJingle(candidate, this.#pc.localDescription.sdp);
    if (content) this.#request('transport-info', content).catch(() => {});
  }

  async #openMedia() {
    try {
      const { stream, notice = '' } = await openMedia(this.video);
      this.local = stream;
      this.notice = notice;
      if (this.state !== 'ended') return true;
      stream.getTracks().forEach(track => track.stop());
    } catch (problem) {
      this.end('media-error', problem.message);
    }
    return false;
  }

  #request(action, payload, who = {}) {
    return this.#calls.connection.iq('set', this.#full, x('jingle', { xmlns: JINGLE, action, sid: this.sid, ...who }, payload));
  }

  #propose(action, to, payload) {
    this.#calls.connection.send(x('message', { to, type: 'chat', id: action === 'propose' ? this.sid : crypto.randomUUID() },
      x(action, { xmlns: PROPOSE, id: this.sid }, payload), x('store', { xmlns: 'urn:xmpp:hints' })));
  }

  #timeout(seconds, reason, text, tell) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(reason, text, tell), 1000 * seconds);
  }

  #set(state, text) {
    Object.assign(this, { state, text: text.replace('%s', this.peer) });
    this.#calls.changed(this);
  }
}

/** Finds the call that a stanza is about. `changed(call)` is called whenever there is something to show. */
export class Calls {
  constructor(changed, relayOnly) {
    this.relayOnly = relayOnly;
    this.changed = call => {
      if (call.state === 'ended' && this.current === call) this.current = undefined;
      changed(call);
    };
  }

  /** Serves a connection, the first or the next one after it was lost. */
  attach(connection, roster) {
    Object.assign(this, { connection, roster });
    connection.addEventListener('message', ({ detail }) => this.#message(detail));
    connection.onRequest(JINGLE, 'jingle', (jingle, from, type) => this.#jingle(jingle, from, type));
    connection.iq('set', undefined, x('enable', { xmlns: CARBONS })).catch(() => {});
  }

  place(peer, video) {
    this.current = new Call(this, { peer, sid: crypto.randomUUID(), outgoing: true, video });
    this.changed(this.current);
    this.current.place();
    return this.current;
  }

  /** Where a call to this contact goes: null to propose it, a full JID to offer it there, undefined: nowhere. */
  async target(peer) {
    const online = this.roster.online(peer);
    const features = await Promise.all(online.map(full => this.roster.features(full)));
    if (!online.length || features.some(f => f.has(PROPOSE))) return null;
    return online.find((_, i) => features[i].has(RTP) && features[i].has(sdp.ICE));
  }

  #message(stanza) {
    const own = bare(this.connection.jid);
    let message = stanza;
    // XEP-0280 §11: only our own server says what our other devices did.
    for (const side of ['sent', 'received']) {
      const carbon = kid(stanza, side, CARBONS), forwarded = carbon && kid(carbon, 'forwarded', FORWARD);
      if (forwarded && stanza.getAttribute('from') === own) message = kid(forwarded, 'message', 'jabber:client') ?? stanza;
    }
    const [from, to, type] = ['from', 'to', 'type'].map(name => message.getAttribute(name) ?? '');
    const element = kids(message, '*', PROPOSE)[0], id = element?.getAttribute('id'), call = this.current;
    if (type === 'error') {
      if (call && message.getAttribute('id') === call.sid && bare(from) === call.peer) call.handleMessage('error', from);
    } else if (element?.localName === 'propose') {
      if (bare(from) !== own) this.#proposed(element, id, from);
    } else if (element && call?.sid === id) {
      const mine = bare(from) === own && call.peer !== own;
      if (mine ? from !== this.connection.jid : bare(from) === call.peer) call.handleMessage(element.localName, from, element, mine && (bare(to) === call.peer || bare(to) === own));
    }
  }

  #proposed(element, sid, full) {
    const video = kids(element, 'description', RTP).some(d => d.getAttribute('media') === 'video'), ours = this.current;
    const call = new Call(this, { peer: bare(full), full, sid, outgoing: false, video, proposed: true });
    const same = ours?.peer === call.peer, crossed = same && ours.outgoing && ['calling', 'ringing'].includes(ours.state);
    // §4.1: of two proposals that cross, the lower id counts; both want to talk, so nobody need be asked.
    if (crossed && ours.proposed && sid > ours.sid) return call.refuse('expired', true);
    if (ours && !same) return call.refuse('busy');
    if (crossed && ours.proposed) ours.refuse('expired', true, full);
    ours?.end('expired', 'The call goes on in a new one.', !crossed);      // §4.2: the new one replaces what is left of the old one
    this.current = call;
    call.ring();
    if (crossed) call.accept(ours.video);
  }

  #jingle(jingle, from, type) {
    const [action, sid] = [jingle.getAttribute('action'), jingle.getAttribute('sid')], call = this.current;
    if (type !== 'set' || !action || !sid || !from) throw new StanzaError('modify', 'bad-request');
    const known = call?.sid === sid && call.isWith(from);
    if (action === 'session-initiate' && !known) {
      const contents = kids(jingle, 'content').map(c => kid(c, 'description', RTP)?.getAttribute('media'));
      const next = new Call(this, { peer: bare(from), full: from, sid, outgoing: false, video: contents.includes('video') });
      if (call || !contents.some(Boolean)) {
        const answer = x('jingle', { xmlns: JINGLE, action: 'session-terminate', sid }, x('reason', {}, x(call ? 'busy' : 'unsupported-applications')));
        setTimeout(() => this.connection.iq('set', from, answer).catch(() => {}));
        return;
      }
      this.current = next;
      setTimeout(() => next.ring(jingle));                                  // after the answer to this request
    } else if (!known) throw new StanzaError('cancel', 'item-not-found', x('unknown-session', { xmlns: ERRORS }));
    else call.handleJingle(action, jingle);
  }
}
