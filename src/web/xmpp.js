// An XMPP client stream over WebSocket (RFC 6120, RFC 7395): log in, bind, requests and their answers.
import { MECHANISMS, scram } from './sasl.js';

const [FRAMING, SASL, BIND, STANZAS, STREAMS] = ['framing', 'sasl', 'bind', 'stanzas', 'streams'].map(s => 'urn:ietf:params:xml:ns:xmpp-' + s);
const STREAM_ERRORS = {
  conflict: 'You logged in from another place with the same name.', 'system-shutdown': 'The server is shutting down.',
  'host-unknown': 'The server does not serve the domain %s.', 'policy-violation': 'The server finds this goes against its rules.',
};

/** Something to tell the person in words. */
export class Problem extends Error {}

/** The error of an answered request; throw one in a handler to answer with it. */
export class StanzaError extends Error {
  constructor(type, condition, extra) { super(condition); Object.assign(this, { type, condition, extra }); }
}

const NOT_XML = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;
const escape = text => String(text).replace(NOT_XML, '').replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);

/** An element to send: `x('iq', { type: 'get' }, x('ping', { xmlns }))`. Undefined attributes, false and null children are left out. */
export function x(name, attributes = {}, ...children) {
  const list = Object.entries(attributes).map(([k, v]) => (v ?? false) !== false && ` ${k}="${escape(v)}"`);
  const inner = children.flat(3).map(c => c?.xml ?? ((c ?? false) !== false && escape(c)));
  return { xml: [`<${name}`, ...list, '>', ...inner, `</${name}>`].filter(Boolean).join('') };
}

/** The child elements with this name (`*`: any) and namespace (default: the parent's). */
export const kids = (element, name, ns = element.namespaceURI) =>
  [...element.children].filter(c => (name === '*' || c.localName === name) && c.namespaceURI === ns);
export const kid = (element, name, ns) => kids(element, name, ns)[0];
/** The values of these attributes, null where there is none. */
export const attributes = (element, ...names) => names.map(name => element.getAttribute(name));
export const bare = jid => jid.split('/')[0];
/** The defined condition of a stanza error, stream error or SASL failure. */
const condition = (element, ns) => kids(element, '*', ns).find(c => c.localName !== 'text')?.localName ?? 'undefined-condition';

/** Events: `message` and `presence` (detail: the stanza), `closed` (detail: a `Problem`). */
export class Connection extends EventTarget {
  #socket; #waiting; #problem; #pinger; #requests = new Map(); #handlers = new Map();

  /** Logs in; rejects with a `Problem`. */
  static async open(url, jid, password) {
    const [, local, domain] = /^([^@/]+)@([^@/]+)$/.exec(jid) ?? [];
    if (!local) throw new Problem('An address looks like name@example.org.');
    if (!crypto.subtle) throw new Problem('Browsers allow calls only on https:// pages and on http://localhost: open this page there.');
    const connection = Object.assign(new Connection(), { jid, domain });
    const late = setTimeout(() => connection.close('The server does not answer.'), 20_000);
    await connection.#logIn(url, local, password).catch(problem => {
      connection.close();
      throw problem;
    }).finally(() => clearTimeout(late));
    return connection;
  }

  /** Registers the answer to requests: `answer(payload, from, type)` returns a payload or nothing, or throws a `StanzaError`. */
  onRequest(ns, name, answer) {
    this.#handlers.set(`${ns} ${name}`, answer);
  }

  send({ xml }) {
    const frame = xml.replace(/^<(message|presence|iq)/, '$& xmlns="jabber:client"');
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(frame);
  }

  /** Sends a request and gives the answer's stanza; rejects with a `StanzaError`. */
  iq(type, to, payload) {
    const id = crypto.randomUUID();
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { to, resolve, reject });
      setTimeout(reject, 20_000, new StanzaError('wait', 'remote-server-timeout'));
      this.send(x('iq', { type, to, id }, payload));
    }).finally(() => this.#requests.delete(id));
  }

  close(words = 'The connection was closed.') {
    if (this.#problem) return;
    this.#problem = new Problem(words.replace('%s', this.domain));
    clearInterval(this.#pinger);
    this.send(x('close', { xmlns: FRAMING }));
    this.#socket.close();
    this.#waiting?.reject(this.#problem);
    for (const { reject } of this.#requests.values()) reject(new StanzaError('wait', 'recipient-unavailable'));
    this.dispatchEvent(new CustomEvent('closed', { detail: this.#problem }));
  }

  async #logIn(url, local, password) {
    this.#socket = new WebSocket(url, 'xmpp');
    this.#socket.onopen = () => this.#waiting.resolve();
    this.#socket.onmessage = ({ data }) => this.#receive(new DOMParser().parseFromString(data, 'text/xml').documentElement);
    this.#socket.onerror = () => this.close(`The server cannot be reached at ${url}.`);
    this.#socket.onclose = () => this.close('The connection to the server was lost.');
    await this.#next();
    const offered = [...(await this.#restart()).getElementsByTagNameNS(SASL, 'mechanism')].map(m => m.textContent.trim());
    const mechanism = [...MECHANISMS.keys()].find(m => offered.includes(m));
    if (!mechanism) throw new Problem(`The server offers no log-in that this page knows (${offered.join(', ') || 'is it encrypted?'}).`);
    let step = ['auth', { xmlns: SASL, mechanism }];
    await scram(mechanism, local, password, async message => {
      this.send(x(...step, message));
      step = ['response', { xmlns: SASL }];
      const answer = await this.#next(), why = condition(answer, SASL);
      if (answer.localName !== 'failure') return answer.textContent.trim();
      if (why === 'not-authorized') throw new Problem('The address or the password is wrong.');
      throw new Problem(`The server refuses the log-in (${kid(answer, 'text')?.textContent ?? why}).`);
    });
    await this.#restart();
    const bound = await this.iq('set', undefined, x('bind', { xmlns: BIND })).catch(error => {
      throw this.#problem ?? new Problem(`The server refuses the session (${error.message}).`);
    });
    this.jid = bound.getElementsByTagNameNS(BIND, 'jid')[0].textContent;
    // Browsers cannot send WebSocket pings: a request now and then finds a dead connection (XEP-0199).
    this.#pinger = setInterval(() => this.iq('get', this.domain, x('ping', { xmlns: 'urn:xmpp:ping' })).catch(error => {
      if (error.condition === 'remote-server-timeout') this.close('The server no longer answers.');
    }), 60_000);
  }

  /** Opens the stream, anew after authentication, and gives its features. */
  async #restart() {
    this.send(x('open', { xmlns: FRAMING, to: this.domain, version: '1.0' }));
    if ((await this.#next()).localName !== 'open') throw new Problem('What answers there does not speak XMPP.');
    return this.#next();
  }

  /** What comes next while logging in, where the server only answers. */
  async #next() {
    if (this.#problem) throw this.#problem;
    return new Promise((resolve, reject) => { this.#waiting = { resolve, reject }; });
  }

  #receive(frame) {
    if (frame.getElementsByTagName('parsererror').length) return this.close('The server sent broken XML.');
    if (frame.localName === 'error') {
      const name = condition(frame, STREAMS);
      return this.close(STREAM_ERRORS[name] ?? `The server closed the connection (${name}).`);
    }
    if (frame.localName === 'close') return this.close('The server closed the connection.');
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting.resolve(frame);
    else if (frame.localName !== 'iq') this.dispatchEvent(new CustomEvent(frame.localName, { detail: frame }));
    else this.#iq(frame, ...attributes(frame, 'type', 'id', 'from'));
  }

  async #iq(iq, type, id, from) {
    const request = this.#requests.get(id), error = kid(iq, 'error'), payload = iq.firstElementChild;
    if (type === 'result' || type === 'error') {
      if (!request || (from && from !== request.to && (request.to || bare(from) !== bare(this.jid)))) return;
      if (type === 'result') request.resolve(iq);
      else request.reject(new StanzaError(error?.getAttribute('type'), error ? condition(error, STANZAS) : 'undefined-condition'));
      return;
    }
    const answer = this.#handlers.get(`${payload?.namespaceURI} ${payload?.localName}`);
    try {
      if (!answer) throw new StanzaError('cancel', 'service-unavailable');
      this.send(x('iq', { type: 'result', to: from, id }, await answer(payload, from, type)));
    } catch (thrown) {
      if (!(thrown instanceof StanzaError)) console.error(thrown);
      const { type: kind = 'cancel', condition: name = 'internal-server-error', extra } = thrown;
      this.send(x('iq', { type: 'error', to: from, id }, x('error', { type: kind }, x(name, { xmlns: STANZAS }), extra)));
    }
  }
}
