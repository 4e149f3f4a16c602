// What a test does with a page, in whichever browser. A driver adds `run`, `go`, `press`, `insert`, `key` and `screenshot`.

const PATIENCE_MS = 30_000;

export class Page {
  /** What the page wrote to its console and what it threw. */
  log = [];

  /** Waits until the function gives something true in the page, and gives that. `what` says it for the failure. */
  async until(what, condition, ...args) {
    for (const end = Date.now() + PATIENCE_MS; ;) {
      const value = await this.run(condition, ...args);
      if (value) return value;
      if (Date.now() > end) throw new Error(`waited ${PATIENCE_MS / 1000} s for: ${what}\n${await this.describe()}`);
      await this.run(() => new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve, 20))));
    }
  }

  /** Clicks with the mouse, as a person does: fails where something covers the element. */
  async click(selector) {
    await this.until(`${selector} can be clicked`, s => { const e = document.querySelector(s); return e && !e.disabled && e.checkVisibility(); }, selector);
    const [x, y, hit] = await this.run(s => {
      const e = document.querySelector(s);
      e.scrollIntoView({ block: 'nearest' });
      const box = e.getBoundingClientRect(), at = [box.x + box.width / 2, box.y + box.height / 2];
      return [...at, e.contains(document.elementFromPoint(...at))];
    }, selector);
    if (!hit) throw new Error(`${selector} is covered\n${await this.describe()}`);
    await this.press(x, y);
  }

  async type(selector, text) {
    await this.until(`${selector} can be typed into`, s => document.querySelector(s)?.checkVisibility(), selector);
    await this.run(s => { const e = document.querySelector(s); e.focus(); e.select?.(); }, selector);
    await this.insert(text);
  }

  text(selector) { return this.run(s => document.querySelector(s)?.textContent ?? '', selector); }

  async describe() {
    return `page: ${await this.run(() => document.body.innerText.replace(/\s+/g, ' ').slice(0, 600))}\nlog: ${this.log.slice(-15).join('\n     ')}`;
  }
}

/** Keeps every RTCPeerConnection of a page in `window.connections`, so that a test can read what arrives without a hook in the page. */
export const OBSERVE_CALLS = `window.connections = [];
window.RTCPeerConnection = class extends window.RTCPeerConnection { constructor(...a) { super(...a); window.connections.push(this); } };
window.heard = async () => { const all = []; for (const c of window.connections) for (const s of (await c.getStats()).values()) all.push(s);
  const of = (kind, name) => all.filter(s => s.type === 'inbound-rtp' && s.kind === kind).reduce((n, s) => n + (s[name] || 0), 0);
  return { frames: of('video', 'framesDecoded'), samples: of('audio', 'totalSamplesReceived') - of('audio', 'concealedSamples'), energy: of('audio', 'totalAudioEnergy'),
    packets: of('audio', 'packetsReceived') + of('video', 'packetsReceived'), selected: all.filter(s => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded')
      .map(p => [p.localCandidateId, p.remoteCandidateId].map(i => { const c = all.find(s => s.id === i); return c && c.candidateType + (c.relayProtocol ? '/' + c.relayProtocol : ''); })) }; };`;
