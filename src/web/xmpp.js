// An XMPP client stream over WebSocket (RFC 6120, RFC 7395): log in, bind, requests and their answers.
import { MECHANISMS, Scram } from './sasl.js';

export const NS = {
  framing: 'urn:ietf:params:xml:ns:xmpp-framing', streams: 'http://etherx.jabber.org/streams', client: 'jabber:client',
  sasl: 'urn:ietf:params:xml:ns:xmpp-sasl', bind: 'urn:ietf:params:xml:ns:xmpp-bind',
  stanzas: 'urn:ietf:params:xml:ns:xmpp-stanzas', ping: 'urn:xmpp:ping',
};

/** Something to tell the person in words; `code` is for programs. */
export class Problem extends Error {
  constructor(code, text) { super(text); this.code = code; }
}

const NOT_XML = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;
const escape = text => String(text).replace(NOT_XML, '').replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);

/** An element to send: `x('iq', { type: 'get' }, x('ping', { xmlns: NS.ping }))`. Undefined attributes, false and null children are left out. */
export function x(name, attributes = {}, ...children) {
  const list = Object.entries(attributes).filter(([, v]) => v !== undefined && v !== null).map(([k, v]) => ` ${k}="${escape(v)}"`).join('');
  const inner = children.flat(3).filter(c => c !== undefined && c !== null && c !== false)
    .map(c => c.xml ?? escape(c)).join('');
  return { xml: inner ? `<${name}${list}>${inner}</${name}>` : `<${name}${list}/>` };
}

/** The child elements with this name (`*`: any) and namespace (default: the parent's). */
export const kids = (element, name, ns = element.namespaceURI) =>
  [...element.children].filter(c => (name === '*' || c.localName === name) && c.namespaceURI === ns);
export const kid = (element, name, ns) => kids(element, name, ns)[0];
export const bare = jid => jid.split('/')[0];
/** The defined condition of a stanza error, stream error or SASL failure. */
const condition = (element, ns) => kids(element, '*', ns).find(c => c.localName !== 'text')?.localName ?? 'undefined-condition';

/** The error of an answered request; throw one in a handler to answer with it. */
export class StanzaError extends Error {
  constructor(type, name, extra) { super(name); Object.assign(this, { type, condition: name, extra }); }
}

/** Events: `message` and `presence` (detail: the stanza), `closed` (detail: a `Problem`). */
export class Connection extends EventTarget {
  #socket; #frames = []; #wake; #pending = new Map(); #handlers = new Map(); #number = 0; #ready = false; #problem; #pinger;

  /** Logs in as `jid`; rejects with a `Problem`. */
  static async open(url, jid, password, resource) {
    const connection = new Connection();
    const late = setTimeout(() => connection.#lost(new Problem('unreachable', 'The server does not answer.')), 20_000);
    try {
      await connection.#login(url, jid, password, resource);
      return connection;
    } catch (error) {
      connection.close();
      throw error instanceof Problem ? error : new Problem('protocol', `The log-in failed: ${error.message}.`);
    } finally {
      clearTimeout(late);
    }
  }

  /** Registers the answer to requests: `answer(payload, from)` returns a payload or nothing, or throws a `StanzaError`. */
  onRequest(ns, name, answer) {
    this.#handlers.set(`${ns} ${name}`, answer);
  }

  send(element) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(element.xml.replace(/^<(message|presence|iq)/, `$& xmlns="${NS.client}"`));
  }

  /** Sends a request and gives the answer's stanza; rejects with a `StanzaError`. */
  iq(type, to, payload) {
    const id = `c${++this.#number}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(new StanzaError('wait', 'remote-server-timeout')), 20_000);
      const settle = answer => {
        clearTimeout(timer);
        this.#pending.delete(id);
        answer instanceof Error ? reject(answer) : resolve(answer);
      };
      this.#pending.set(id, { to, settle });
      this.send(x('iq', { type, to, id }, payload));
    });
  }

  close() {
    this.#problem ??= new Problem('closed', 'The connection was closed.');
    clearInterval(this.#pinger);
    if (this.#socket?.readyState === WebSocket.OPEN) this.send(x('close', { xmlns: NS.framing }));
    this.#socket?.close();
  }

  async #login(url, jid, password, resource) {
    const [, local, domain] = /^([^@/]+)@([^@/]+)$/.exec(jid) ?? [];
    if (!local) throw new Problem('jid', 'An address looks like name@example.org.');
    if (!globalThis.crypto?.subtle) {
      throw new Problem('insecure', 'Browsers allow log-in and calls only on https:// pages and on http://localhost. Open this page there.');
    }
    this.domain = domain;
    this.#socket = new WebSocket(url, 'xmpp');
    this.#socket.onmessage = ({ data }) => this.#received(data);
    this.#socket.onclose = () => this.#lost(new Problem('unreachable', 'The connection to the server was lost.'));
    await new Promise((resolve, reject) => {
      this.#socket.onopen = resolve;
      this.#socket.onerror = () => reject(new Problem('unreachable', `The server cannot be reached at ${url}.`));
    });
    const features = await this.#restart();
    const offered = [...features.getElementsByTagNameNS(NS.sasl, 'mechanism')].map(m => m.textContent.trim());
    const mechanism = [...MECHANISMS.keys()].find(m => offered.includes(m));
    if (!mechanism) {
      throw new Problem('mechanism', offered.length ? `The server offers no way to log in that this page knows (${offered.join(', ')}).`
        : 'The server does not let anyone log in over this connection; is it encrypted?');
    }
    await this.#authenticate(mechanism, local, password);
    await this.#restart();
    this.send(x('iq', { type: 'set', id: 'bind' }, x('bind', { xmlns: NS.bind }, resource && x('resource', {}, resource))));
    const bound = await this.#next();
    this.jid = bound.getElementsByTagNameNS(NS.bind, 'jid')[0]?.textContent;
    if (!this.jid) throw new Problem('refused', `The server refuses the session (${condition(kid(bound, 'error') ?? bound, NS.stanzas)}).`);
    this.#ready = true;
    for (const frame of this.#frames.splice(0)) this.#stanza(frame);
    // Browsers cannot send WebSocket pings: a request now and then finds a dead connection (XEP-0199).
    this.#pinger = setInterval(() => this.iq('get', this.domain, x('ping', { xmlns: NS.ping })).catch(error => {
      if (error.condition === 'remote-server-timeout') this.#lost(new Problem('unreachable', 'The server no longer answers.'));
    }), 60_000);
  }

  async #authenticate(mechanism, local, password) {
    const scram = new Scram(mechanism, local, password);
    this.send(x('auth', { xmlns: NS.sasl, mechanism }, scram.first()));
    let answer = await this.#next();
    if (answer.localName === 'challenge') {
      this.send(x('response', { xmlns: NS.sasl }, await scram.final(answer.textContent.trim())));
      answer = await this.#next();
    }
    if (answer.localName === 'success') {
      if (scram.proves(answer.textContent.trim())) return;
      throw new Problem('impostor', 'The server could not prove that it knows this account; do not trust it.');
    }
    const failure = answer.localName === 'failure' ? condition(answer, NS.sasl) : 'undefined-condition';
    if (failure === 'not-authorized') throw new Problem('password', 'The address or the password is wrong.');
    throw new Problem('refused', `The server refuses the log-in (${kid(answer, 'text')?.textContent ?? failure}).`);
  }

  /** Opens the stream, anew after authentication, and gives its features. */
  async #restart() {
    this.send(x('open', { xmlns: NS.framing, to: this.domain, version: '1.0' }));
    const answer = await this.#next();
    if (answer.localName !== 'open') throw new Problem('protocol', 'What answers there does not speak XMPP.');
    return this.#next();
  }

  /** The next frame while logging in. */
  async #next() {
    while (!this.#frames.length) {
      if (this.#problem) throw this.#problem;
      await new Promise((resolve, reject) => { this.#wake = { resolve, reject }; });
    }
    return this.#frames.shift();
  }

  #received(text) {
    const frame = new DOMParser().parseFromString(text, 'text/xml').documentElement;
    if (frame.getElementsByTagName('parsererror').length) return this.#lost(new Problem('protocol', 'The server sent broken XML.'));
    if (frame.localName === 'error' && frame.namespaceURI === NS.streams) {
      const name = condition(frame, 'urn:ietf:params:xml:ns:xmpp-streams');
      const words = { conflict: 'You logged in from another place with the same name.', 'system-shutdown': 'The server is shutting down.',
        'host-unknown': `The server does not serve the domain ${this.domain}.`, 'policy-violation': 'The server finds this goes against its rules.' };
      return this.#lost(new Problem(name, words[name] ?? `The server closed the connection (${name}).`));
    }
    if (frame.localName === 'close' && frame.namespaceURI === NS.framing) {
      return this.#lost(new Problem('unreachable', 'The server closed the connection.'));
    }
    if (this.#ready) return this.#stanza(frame);
    this.#frames.push(frame);
    this.#wake?.resolve();
  }

  #lost(problem) {
    if (this.#problem) return;
    this.#problem = problem;
    this.close();
    this.#wake?.reject(problem);
    for (const { settle } of this.#pending.values()) settle(new StanzaError('wait', 'recipient-unavailable'));
    this.dispatchEvent(new CustomEvent('closed', { detail: problem }));
  }

  #stanza(stanza) {
    if (stanza.localName !== 'iq') return this.dispatchEvent(new CustomEvent(stanza.localName, { detail: stanza }));
    const [type, id, from] = ['type', 'id', 'from'].map(name => stanza.getAttribute(name));
    if (type === 'get' || type === 'set') return this.#answer(stanza, id, from);
    const request = this.#pending.get(id);
    const asked = request && (request.to ?? bare(this.jid));
    if (!request || (from ?? asked) !== asked) return;
    const error = kid(stanza, 'error');
    request.settle(type === 'result' ? stanza
      : new StanzaError(error?.getAttribute('type'), error ? condition(error, NS.stanzas) : 'undefined-condition'));
  }

  async #answer(request, id, from) {
    const payload = request.firstElementChild;
    const handler = payload && this.#handlers.get(`${payload.namespaceURI} ${payload.localName}`);
    try {
      if (!handler) throw new StanzaError('cancel', 'service-unavailable');
      this.send(x('iq', { type: 'result', to: from, id }, await handler(payload, from, request.getAttribute('type'))));
    } catch (error) {
      if (!(error instanceof StanzaError)) console.error(error);
      const { type, condition: name, extra } = error instanceof StanzaError ? error : new StanzaError('cancel', 'internal-server-error');
      this.send(x('iq', { type: 'error', to: from, id }, x('error', { type }, x(name, { xmlns: NS.stanzas }), extra)));
    }
  }
}
