// Debian's Chromium, driven over its DevTools pipe: no driver package, and the browser ends when the pipe does.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OBSERVE_CALLS, Page } from './page.mjs';

const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = ['--headless=new', '--remote-debugging-pipe', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage', '--no-first-run', '--mute-audio',
  '--use-fake-device-for-media-stream', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-default-apps',
  '--disable-renderer-backgrounding', '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--password-store=basic',
  '--autoplay-policy=no-user-gesture-required', '--ignore-certificate-errors', '--window-size=1100,760',
  '--host-resolver-rules=MAP *.localhost 127.0.0.1'];

/** One JSON object per line: what the caller of a script reads. */
export const say = (event, details = {}) => process.stdout.write(`${JSON.stringify({ event, ...details })}\n`);

export class Browser {
  #process; #profile; #number = 0; #pending = new Map(); #pages = new Map(); #rest = ''; #ended;

  /** `loopback`: calls may use 127.0.0.1 and ::1, as a test needs; candidates of these addresses come first then. */
  static async start(flags = [], { loopback = true } = {}) {
    const browser = new Browser();
    browser.#profile = mkdtempSync(join(tmpdir(), 'campanile-chromium-'));
    browser.#process = spawn(PROGRAM, [...FLAGS, ...(loopback ? ['--allow-loopback-in-peer-connection'] : []), ...flags, `--user-data-dir=${browser.#profile}`], { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
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
    const page = new ChromiumPage(this, sessionId, browserContextId);
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

class ChromiumPage extends Page {
  #browser; #session; #loaded = [];

  constructor(browser, session, context) {
    super();
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

  async press(x, y) {
    for (const type of ['mousePressed', 'mouseReleased']) await this.send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
  }

  insert(text) { return this.send('Input.insertText', { text }); }

  async key(key, code = key) {
    const text = key === 'Enter' ? '\r' : undefined;
    for (const type of ['keyDown', 'keyUp']) await this.send('Input.dispatchKeyEvent', { type, key, code, text: type === 'keyDown' ? text : undefined, windowsVirtualKeyCode: { Enter: 13, Tab: 9, Escape: 27 }[key] });
  }

  async screenshot(path) {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    writeFileSync(path, Buffer.from(data, 'base64'));
  }

  handle(method, params) {
    if (method === 'Page.loadEventFired') this.#loaded.splice(0).forEach(done => done());
    if (method === 'Runtime.consoleAPICalled') this.log.push(`${params.type}: ${params.args.map(a => a.value ?? a.description).join(' ')}`);
    if (method === 'Runtime.exceptionThrown') this.log.push(`threw: ${params.exceptionDetails.exception?.description ?? params.exceptionDetails.text}`);
    if (method === 'Log.entryAdded') this.log.push(`${params.entry.level}: ${params.entry.text} ${params.entry.url ?? ''}`);
  }
}
