// A call between two ends of which neither sees the other's SDP: every description and every candidate goes as Jingle, made and read by our tool.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { actionOf } from './tool.mjs';

const OTHER = { initiator: 'responder', responder: 'initiator' };
const PATIENCE_MS = 45_000;
/** Also of the party that gets it: XEP-0166 §7.2. */
const OF_BOTH = ['content-add', 'content-modify', 'content-remove'];

export function patiently(what, promise) {
  let late;
  const limit = new Promise((_, reject) => { late = setTimeout(() => reject(new Error(`waited ${PATIENCE_MS / 1000} s: ${what}`)), PATIENCE_MS); });
  return Promise.race([promise, limit]).finally(() => clearTimeout(late));
}

/** An end in a page. */
export class PageEnd {
  static async open(page) {
    const end = new PageEnd();
    end.page = page;
    end.number = await page.run(() => ends.push(new CallEnd()) - 1);
    return end;
  }

  /** Runs `what(end, ...args)` in the page; it sees nothing from outside but its arguments. */
  do(what, ...args) { return this.page.run(`(n, a) => (${what})(ends[n], ...a)`, this.number, args); }

  add(...kinds) { return this.do((end, all) => end.add(all), kinds); }
  open() { return this.do(end => end.open()); }
  echo(text) { return this.do((end, t) => end.echo(t), text); }
  /** Waits for packets, for sound that is not silence or for pictures. */
  receives(kind) { return this.do((end, k, more) => end.receives(k, more), kind, { audio: { packets: 20, energy: 1e-9 }, video: { packets: 10, frames: 3 } }[kind]); }

  /** Describes itself; `edit` is what an application does to it on its way. */
  async describe(type) {
    const sdp = await this.do((end, t) => end.pc[t === 'offer' ? 'createOffer' : 'createAnswer']().then(d => d.sdp), type);
    await this.do((end, d) => end.pc.setLocalDescription(d), { type, sdp });
    return sdp;
  }

  candidates() { return this.do(end => end.gathered()); }
  accept(type, sdp) { return this.do((end, d) => end.pc.setRemoteDescription(d), { type, sdp }); }
  take(candidate) { return this.do((end, c) => end.pc.addIceCandidate(c ?? undefined), candidate); }
  connected() { return this.do(end => end.connected()); }
  close() { return this.do(end => end.close()); }
}

/** An end in aiortc, with the same verbs. It gathers before it describes itself, so no candidates follow. */
export class ProcessEnd {
  #process; #pending = new Map(); #count = 0;

  static async open() {
    const end = new ProcessEnd();
    end.#process = spawn(`${process.env.CAMPANILE_TEST_TOOLS}/venv/bin/python`, [fileURLToPath(new URL('end.py', import.meta.url))], { stdio: ['pipe', 'pipe', 'inherit'] });
    const failed = reason => { for (const { reject } of end.#pending.values()) reject(new Error(`aiortc ${reason}`)); };
    end.#process.once('error', failed).once('exit', code => failed(`ended: ${code}`));
    createInterface({ input: end.#process.stdout }).on('line', line => {
      const { number, is, error } = JSON.parse(line), { resolve, reject } = end.#pending.get(number);
      end.#pending.delete(number);
      if (error) reject(new Error(`aiortc: ${error}`)); else resolve(is);
    });
    return end;
  }

  #ask(verb, request = {}) {
    const number = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#pending.set(number, { resolve, reject });
      this.#process.stdin.write(`${JSON.stringify({ number, do: verb, ...request })}\n`);
    });
  }

  add(...kinds) { return this.#ask('add', { kinds }); }
  open() { return this.#ask('open'); }
  echo(text) { return this.#ask('echo', { text }); }
  receives(kind) { return this.#ask('receives', { kind }); }
  describe(type) { return this.#ask('describe', { type }); }
  candidates() { return []; }
  accept(type, sdp) { return this.#ask('accept', { type, sdp }); }
  take(candidate) { return this.#ask('take', { candidate }); }
  connected() { return this.#ask('connected'); }
  async close() { await this.#ask('close'); this.#process.stdin.end(); }
}

export class Call {
  #tool; #known = {};
  /** What was said, as `role action`. */
  said = [];

  constructor(tool, initiator, responder) {
    this.#tool = tool;
    Object.assign(this, { initiator, responder });
  }

  /** Offer, answer, candidates; gives the actions of the stanzas that were needed. `edit` changes the answer on its way, and is given the offer too. */
  async exchange(offerer = 'initiator', { edit } = {}) {
    const before = this.said.length;
    await this.#describe(offerer, 'offer');
    await this.#describe(OTHER[offerer], 'answer', edit);
    for (const role of [offerer, OTHER[offerer]]) await this.#trickle(role);
    await Promise.all(Object.keys(OTHER).map(role => patiently(`${role} connects`, this[role].connected())));
    return this.said.slice(before);
  }

  async #describe(role, type, edit = sdp => sdp) {
    const other = OTHER[role], sdp = edit(await this[role].describe(type), this.#known[other]);
    if (this.#known[role]) {
      for (const stanza of await this.#tool.toJingle(role, sdp, { before: this.#known[role] })) await this.#say(role, stanza);
    } else {
      // an answer follows the offer, as the other end has understood it
      const offer = { before: this.#known[other] };
      const [stanza] = await this.#tool.toJingle(role, sdp, { ...offer, action: type === 'offer' ? 'session-initiate' : 'session-accept' });
      this.said.push(`${role} ${actionOf(stanza)}`);
      this.#known[role] = await this.#tool.toSdp(role, stanza, offer);
    }
    try {
      await this[other].accept(type, this.#known[role]);
    } catch (error) {
      throw new Error(`${other} refuses the ${type}: ${error.message}\nmade of ${sdp}\nas ${this.#known[role]}`);
    }
  }

  /** A stanza changes what both ends know of its sender, and may change what they know of the other. */
  async #say(role, stanza) {
    const action = actionOf(stanza);
    this.said.push(`${role} ${action}`);
    for (const party of OF_BOTH.includes(action) ? [role, OTHER[role]] : [role]) this.#known[party] = await this.#tool.toSdp(party, stanza, { before: this.#known[party] });
  }

  /** Candidates, one by one, each as a transport-info. */
  async #trickle(role) {
    const candidates = await patiently(`${role} gathers`, this[role].candidates());
    const names = new Set(candidates.map(c => c.sdpMid));
    const fragments = candidates.map(c => [c.sdpMid, `a=${c.candidate}`]).concat([...names].map(name => [name, 'a=end-of-candidates']));
    for (const [name, line] of fragments) {
      const fragment = `m=audio 9 RTP/AVP 0\r\na=mid:${name}\r\n${line}\r\n`;
      for (const stanza of await this.#tool.toJingle(role, fragment, { before: this.#known[role] })) {
        await this.#say(role, stanza);
        for (const candidate of read(await this.#tool.toSdp(role, stanza))) await this[OTHER[role]].take(candidate);
      }
    }
  }

  close() { return Promise.all([this.initiator.close(), this.responder.close()]); }
}

/** What a browser takes of a fragment: candidates, and for their end one that is empty. */
function read(fragment) {
  let sdpMid;
  return fragment.split('\r\n').flatMap(line => {
    const [, name, value] = line.match(/^a=([^:]*):?(.*)/) ?? [];
    if (name === 'mid') sdpMid = value;
    if (name === 'candidate') return [{ candidate: `candidate:${value}`, sdpMid }];
    return name === 'end-of-candidates' ? [{ candidate: '', sdpMid }] : [];
  });
}
