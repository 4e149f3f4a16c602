// Debian's Firefox, driven by WebDriver BiDi over its own websocket: no geckodriver. Used as `Browser` of browser.mjs is.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OBSERVE_CALLS, Page } from './page.mjs';

const PROGRAM = process.env.FIREFOX ?? '/usr/bin/firefox-esr';
const TOOLS = process.env.CAMPANILE_TEST_TOOLS ?? fileURLToPath(new URL('../../.tests', import.meta.url));
// It does not end by itself when its driver does: hence setpriv below.
const FLAGS = ['--headless', '--no-remote', '--remote-debugging-port=0'];
// Preferences beside those that Firefox sets by itself while it is driven. Loopback: a server of the test is there.
const PREFERENCES = { 'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true, 'media.autoplay.default': 0,
  'media.peerconnection.ice.loopback': true, 'media.gmp-manager.updateEnabled': false, 'app.normandy.enabled': false, 'nimbus.rollouts.enabled': false };
// WebDriver §17.4.2: keys that are no character.
const KEYS = { Enter: '\uE007', Tab: '\uE004', Escape: '\uE00C' };

export class Firefox {
  #process; #profile; #socket; #number = 0; #pending = new Map(); #pages = new Map(); #ended;

  /** `preferences`: more of those in about:config. `environment`: more variables. */
  static async start({ preferences = {}, environment = {} } = {}) {
    const { WebSocket } = createRequire(`${TOOLS}/npm/`)('ws');
    const browser = new Firefox();
    browser.#profile = mkdtempSync(join(tmpdir(), 'campanile-firefox-'));
    const lines = Object.entries({ ...PREFERENCES, ...preferences }).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`);
    writeFileSync(join(browser.#profile, 'user.js'), lines.join(''));
    browser.#process = spawn('setpriv', ['--pdeathsig', 'KILL', PROGRAM, ...FLAGS, '--profile', browser.#profile], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: browser.#profile, ...environment } });
    let complaints = '';
    const address = new Promise(resolve => browser.#process.stderr.setEncoding('utf8').on('data', text => {
      complaints = (complaints + text).slice(-4000);
      const [, url] = complaints.match(/WebDriver BiDi listening on (ws:\S+)\n/) ?? [];
      if (url) resolve(url);
    }));
    const failed = new Promise((_, reject) => {
      browser.#process.once('error', reject);
      browser.#ended = new Promise(resolve => browser.#process.once('exit', code => {
        const error = new Error(`the browser ended (${code}): ${complaints}`);
        for (const request of browser.#pending.values()) request.reject(error);
        reject(error);
        resolve();
      }));
    });
    failed.catch(() => {});
    browser.#socket = new WebSocket(`${await Promise.race([address, failed])}/session`, { perMessageDeflate: false });
    browser.#socket.on('message', text => browser.#read(JSON.parse(text)));
    await Promise.race([failed, new Promise((resolve, reject) => browser.#socket.once('open', resolve).once('error', reject))]);
    await browser.send('session.new', { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } });
    await browser.send('session.subscribe', { events: ['log.entryAdded'] });
    return browser;
  }

  /** A page in a profile of its own. It may use microphone and camera: both are made up. */
  async open(url, { script } = {}) {
    const { userContext } = await this.send('browser.createUserContext');
    const { context } = await this.send('browsingContext.create', { type: 'tab', userContext });
    const page = new FirefoxPage(this, context);
    this.#pages.set(context, page);
    for (const source of [OBSERVE_CALLS, script].filter(Boolean)) {
      await this.send('script.addPreloadScript', { functionDeclaration: `() => { ${source} }`, contexts: [context] });
    }
    await page.go(url);
    return page;
  }

  send(method, params = {}) {
    const id = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, method });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  async stop() {
    this.send('browser.close').catch(() => {});
    const late = setTimeout(() => this.#process.kill('SIGKILL'), 10_000);
    await this.#ended;
    clearTimeout(late);
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #read({ id, type, result, error, message, method, params }) {
    if (type === 'event') { this.#pages.get(params.source?.context)?.handle(method, params); return; }
    const request = this.#pending.get(id);
    this.#pending.delete(id);
    if (type === 'error') request?.reject(new Error(`${request.method}: ${error}: ${message}`));
    else request?.resolve(result);
  }
}

class FirefoxPage extends Page {
  #browser; #context;

  constructor(browser, context) {
    super();
    this.#browser = browser;
    this.#context = context;
  }

  send(method, params) { return this.#browser.send(method, { context: this.#context, ...params }); }

  go(url) { return this.send('browsingContext.navigate', { url, wait: 'complete' }); }

  /** Runs a function in the page and gives what it returns. */
  async run(what, ...args) {
    const functionDeclaration = `async () => JSON.stringify(await (${what})(...${JSON.stringify(args)}))`;
    const { result, exceptionDetails } = await this.#browser.send('script.callFunction', { functionDeclaration, target: { context: this.#context }, awaitPromise: true,
      userActivation: true });
    if (exceptionDetails) throw new Error(exceptionDetails.text);
    return result.type === 'undefined' ? undefined : JSON.parse(result.value);
  }

  press(x, y) {
    return this.#act('pointer', [{ type: 'pointerMove', x: Math.round(x), y: Math.round(y) }, { type: 'pointerDown', button: 0 }, { type: 'pointerUp', button: 0 }]);
  }

  insert(text) { return this.#strike([...text]); }

  key(key) { return this.#strike([KEYS[key] ?? key]); }

  #strike(keys) { return this.#act('key', keys.flatMap(value => [{ type: 'keyDown', value }, { type: 'keyUp', value }])); }

  #act(type, actions) { return this.send('input.performActions', { actions: [{ type, id: type, actions }] }); }

  async screenshot(path) {
    const { data } = await this.send('browsingContext.captureScreenshot');
    writeFileSync(path, Buffer.from(data, 'base64'));
  }

  handle(method, { level, text }) {
    if (method === 'log.entryAdded') this.log.push(`${level}: ${text}`);
  }
}
