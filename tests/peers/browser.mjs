// Debian's Chromium, driven over its DevTools pipe: no driver package, and the browser ends when the pipe does.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = ['--headless=new', '--remote-debugging-pipe', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage', '--no-first-run', '--mute-audio',
  '--use-fake-device-for-media-stream', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-default-apps',
  '--disable-renderer-backgrounding', '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--password-store=basic',
  '--allow-loopback-in-peer-connection', '--autoplay-policy=no-user-gesture-required', '--ignore-certificate-errors', '--window-size=1100,760',
  '--host-resolver-rules=MAP *.localhost 127.0.0.1'];

const PATIENCE_MS = 30_000;

/** One JSON object per line: what the caller of a script reads. */
export const say = (event, details = {}) => process.stdout.write(`${JSON.stringify({ event, ...details })}\n`);

export class Browser {
  #process; #profile; #number = 0; #pending = new Map(); #pages = new Map(); #rest = ''; #ended;

  static async start(flags = []) {
    const browser = new Browser();
    browser.#profile = mkdtempSync(join(tmpdir(), 'campanile-chromium-'));
    browser.#process = spawn(PROGRAM, [...FLAGS, ...flags, `--user-data-dir=${browser.#profile}`], { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, HOME: browser.#profile } });
    let complaints = '';
    browser.#process.stderr.setEncoding('utf8').on('data', text => { complaints = (complaints + text).slice(-4000); });
    browser.#ended = new Promise(resolve => browser.#process.once('exit', code => {
      for (const { reject } of browser.#pending.values()) reject(new Error(`the browser ended (${code}): ${complaints}`));
      resolve();
    }));
    browser.#process.once('error', error => { for (const { reject } of browser.#pending.values()) reject(error); });
    browser.#process.stdio[3].on('error', () => {});
    browser.#process.stdio[4].setEncoding('utf8').on('data', text => browser.#read(text));
    await browser.send('Browser.getVersion');
    return browser;
  }

  /** A page in a profile of its own. `permissions`: what it may use without asking, such as audioCapture. */
  async open(url, { permissions = ['audioCapture', 'videoCapture'], script } = {}) {
    const { browserContextId } = await this.send('Target.createBrowserContext');
    const origin = new URL(url).origin;
    for (const name of ['audioCapture', 'videoCapture']) {
      await this.send('Browser.setPermission', { permission: { name: { audioCapture: 'microphone', videoCapture: 'camera' }[name] },
        setting: permissions.includes(name) ? 'granted' : 'denied', origin, browserContextId });
    }
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, sessionId, browserContextId);
    this.#pages.set(sessionId, page);
    for (const domain of ['Page', 'Runtime', 'Log']) await page.send(`${domain}.enable`);
    for (const source of [OBSERVE_CALLS, script].filter(Boolean)) await page.send('Page.addScriptToEvaluateOnNewDocument', { source });
    await page.go(url);
    return page;
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, method });
      this.#process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  async stop() {
    this.send('Browser.close').catch(() => {});
    const late = setTimeout(() => this.#process.kill('SIGKILL'), 10_000);
    await this.#ended;
    clearTimeout(late);
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #read(text) {
    const parts = (this.#rest + text).split('\0');
    this.#rest = parts.pop();
    for (const part of parts) {
      const { id, result, error, method, params, sessionId } = JSON.parse(part);
      if (id === undefined) { this.#pages.get(sessionId)?.handle(method, params); continue; }
      const request = this.#pending.get(id);
      this.#pending.delete(id);
      if (error) request.reject(new Error(`${request.method}: ${error.message}`));
      else request.resolve(result);
    }
  }
}

/** Keeps every RTCPeerConnection of a page in `window.connections`, so that a test can read what arrives without a hook in the page. */
const OBSERVE_CALLS = `window.connections = [];
window.RTCPeerConnection = class extends window.RTCPeerConnection { constructor(...a) { super(...a); window.connections.push(this); } };
window.heard = async () => { const all = []; for (const c of window.connections) for (const s of (await c.getStats()).values()) all.push(s);
  const of = (kind, name) => all.filter(s => s.type === 'inbound-rtp' && s.kind === kind).reduce((n, s) => n + (s[name] || 0), 0);
  return { frames: of('video', 'framesDecoded'), samples: of('audio', 'totalSamplesReceived') - of('audio', 'concealedSamples'), energy: of('audio', 'totalAudioEnergy'),
    packets: of('audio', 'packetsReceived') + of('video', 'packetsReceived'), selected: all.filter(s => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded')
      .map(p => [p.localCandidateId, p.remoteCandidateId].map(i => { const c = all.find(s => s.id === i); return c && c.candidateType + (c.relayProtocol ? '/' + c.relayProtocol : ''); })) }; };`;

export class Page {
  /** What the page wrote to its console and what it threw. */
  log = []; #browser; #session; #loaded = [];

  constructor(browser, session, context) {
    this.#browser = browser;
    this.#session = session;
    this.context = context;
  }

  send(method, params) { return this.#browser.send(method, params, this.#session); }

  async go(url) {
    const loaded = new Promise(resolve => this.#loaded.push(resolve));
    const { errorText } = await this.send('Page.navigate', { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await loaded;
  }

  /** Runs a function in the page and gives what it returns. */
  async run(what, ...args) {
    const expression = `(${what})(...${JSON.stringify(args)})`;
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true, userGesture: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

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
    for (const type of ['mousePressed', 'mouseReleased']) await this.send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
  }

  async type(selector, text) {
    await this.until(`${selector} can be typed into`, s => document.querySelector(s)?.checkVisibility(), selector);
    await this.run(s => { const e = document.querySelector(s); e.focus(); e.select?.(); }, selector);
    await this.send('Input.insertText', { text });
  }

  async key(key, code = key) {
    const text = key === 'Enter' ? '\r' : undefined;
    for (const type of ['keyDown', 'keyUp']) await this.send('Input.dispatchKeyEvent', { type, key, code, text: type === 'keyDown' ? text : undefined, windowsVirtualKeyCode: { Enter: 13, Tab: 9, Escape: 27 }[key] });
  }

  text(selector) { return this.run(s => document.querySelector(s)?.textContent ?? '', selector); }

  async screenshot(path) {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    writeFileSync(path, Buffer.from(data, 'base64'));
  }

  async describe() {
    return `page: ${await this.run(() => document.body.innerText.replace(/\s+/g, ' ').slice(0, 600))}\nlog: ${this.log.slice(-15).join('\n     ')}`;
  }

  handle(method, params) {
    if (method === 'Page.loadEventFired') this.#loaded.splice(0).forEach(done => done());
    if (method === 'Runtime.consoleAPICalled') this.log.push(`${params.type}: ${params.args.map(a => a.value ?? a.description).join(' ')}`);
    if (method === 'Runtime.exceptionThrown') this.log.push(`threw: ${params.exceptionDetails.exception?.description ?? params.exceptionDetails.text}`);
    if (method === 'Log.entryAdded') this.log.push(`${params.entry.level}: ${params.entry.text} ${params.entry.url ?? ''}`);
  }
}
