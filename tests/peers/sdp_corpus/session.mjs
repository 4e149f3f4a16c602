// One call between two browsers, or two ends in one, whose descriptions are written down in the order in which they go over the wire.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const OTHER = { initiator: 'responder', responder: 'initiator' };
const PATIENCE_MS = 20_000;

/** One party: what a constellation does with its RTCPeerConnection before it describes itself. */
class Party {
  /** ICE generations that have been gathered. */
  known = new Set();

  static async open(page, configuration) {
    const party = new Party();
    party.page = page;
    party.number = await page.run(c => ends.push(new End(c)) - 1, configuration);
    return party;
  }

  /** A track of each kind, all in one stream. */
  add(...kinds) { return this.page.run((n, k) => ends[n].add(k), this.number, kinds); }

  /** Runs `what(pc, ...args)` in the page; it sees nothing from outside but its arguments. */
  do(what, ...args) { return this.page.run(`(n, a) => (${what})(ends[n].pc, ...a)`, this.number, args); }

  close() { return this.do(pc => pc.close()); }
}

export class Session {
  #folder; #count = 0;

  static async open(folder, pages, configuration) {
    const session = new Session();
    session.#folder = folder;
    mkdirSync(folder, { recursive: true });
    for (const role of ['initiator', 'responder']) session[role] = await Party.open(pages[role], configuration);
    return session;
  }

  /** Offer, candidates, answer, candidates; waits until the two are connected unless one of them keeps its candidates. */
  async exchange(offerer = 'initiator', { offer, answer, ...both } = {}) {
    await this.offer(offerer, { ...both, ...offer });
    await this.answer(OTHER[offerer], { ...both, ...answer });
    if (both.connects ?? true) await this.connected();
  }

  offer(role, options) { return this.#describe(role, 'offer', options); }

  answer(role, options) { return this.#describe(role, 'answer', options); }

  connected() {
    return Promise.all(['initiator', 'responder'].map(role => this.#patiently(`${role} connects`, this[role].page.run(n => ends[n].connected(), this[role].number))));
  }

  /**
   * How a description comes to be: `edit` is what an application does to it before it is set; `send` is what becomes of it on its way.
   * `complete` waits for the candidates and has them inside; else they follow in a fragment. `keep` does not hand the candidates on.
   */
  async #describe(role, type, { options, edit = sdp => sdp, send = sdp => sdp, complete = false, keep = false } = {}) {
    const { page, number, known } = this[role];
    const made = await page.run((n, t, o) => ends[n].pc[t === 'offer' ? 'createOffer' : 'createAnswer'](o).then(d => d.sdp), number, type, options);
    const set = edit(made);
    const fresh = [...set.matchAll(/^a=ice-ufrag:(.*)\r$/gm)].map(([, ufrag]) => ufrag).filter(ufrag => !known.has(ufrag));
    fresh.forEach(ufrag => known.add(ufrag));
    await this.#patiently(`${role} describes itself`, page.run((n, d, f) => ends[n].setLocal(d, f), number, { type, sdp: set }, fresh.length > 0));
    const sent = send(complete ? await this[role].do(pc => pc.localDescription.sdp) : set);
    this.#write(role, type, sent);
    const other = this[OTHER[role]];
    await other.page.run((n, d) => ends[n].pc.setRemoteDescription(d), other.number, { type, sdp: complete && keep ? send(set) : sent });
    this[role].sent = sent;
    for (const party of type === 'offer' ? [role] : [role, OTHER[role]]) await this.#trickle(party, { complete, keep });
  }

  async #trickle(role, { complete, keep }) {
    const { page, number, sent } = this[role], other = this[OTHER[role]];
    const candidates = await this.#patiently(`${role} gathers`, page.run(n => ends[n].gathered(), number));
    if (!candidates.length || complete) return;
    this.#write(role, 'candidates', fragment(sent, candidates));
    if (!keep) await other.page.run((n, c) => ends[n].trickle(c), other.number, candidates);
  }

  #write(role, what, text) {
    this.#count += 1;
    writeFileSync(join(this.#folder, `${String(this.#count).padStart(2, '0')}-${role}-${what}.sdp`), text);
  }

  #patiently(what, promise) {
    let late;
    const limit = new Promise((_, reject) => { late = setTimeout(() => reject(new Error(`waited ${PATIENCE_MS / 1000} s: ${what}`)), PATIENCE_MS); });
    return Promise.race([promise, limit]).finally(() => clearTimeout(late));
  }

  async close() {
    for (const role of ['initiator', 'responder']) await this[role].close();
  }
}

/** RFC 8840 §9: the candidates of a description, by section. User name and password stand at the top if all sections have the same. */
function fragment(sdp, candidates) {
  const sections = sdp.split(/^(?=m=)/m);
  const line = (section, name) => section.match(new RegExp(`^a=${name}:.*$`, 'm'))?.[0].trim();
  const secrets = section => ['ice-ufrag', 'ice-pwd'].map(name => line(section, name) ?? line(sections[0], name));
  const parts = sections.slice(1).map((section, index) => ({ mid: line(section, 'mid'), media: section.match(/^m=(\S+)/)[1], secrets: secrets(section),
    lines: candidates.filter(c => c.sdpMLineIndex === index).map(c => `a=${c.candidate}`) })).filter(({ lines }) => lines.length);
  const shared = new Set(parts.map(part => part.secrets.join())).size === 1;
  return [...(shared ? parts[0].secrets : []), ...parts.flatMap(({ mid, media, secrets, lines }) =>
    [`m=${media} 9 RTP/AVP 0`, ...(shared ? [] : secrets), mid, ...lines, 'a=end-of-candidates'])].map(text => `${text}\r\n`).join('');
}
