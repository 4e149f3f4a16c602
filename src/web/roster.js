// Contacts, presence, what a client can do (RFC 6121, XEP-0030, XEP-0115).
import { attributes, bare, kid, kids, StanzaError, x } from './xmpp.js';
import { base64 } from './sasl.js';

const ROSTER = 'jabber:iq:roster', DISCO = 'http://jabber.org/protocol/disco#info', CAPS = 'http://jabber.org/protocol/caps';

/** Calls `changed()` when something to show is different. `contacts`: bare JID → contact; `requests`: who wants to see us. */
export class Roster {
  contacts = new Map(); requests = new Set(); #connection; #features; #changed;

  constructor(connection, features, changed) {
    this.#connection = connection;
    this.#features = [...features, DISCO, CAPS].sort();
    this.#changed = changed;
    connection.addEventListener('presence', ({ detail }) => this.#presence(detail, ...attributes(detail, 'from', 'type')));
    connection.onRequest(ROSTER, 'query', (query, from) => {
      if (from && from !== bare(connection.jid)) throw new StanzaError('cancel', 'service-unavailable');   // RFC 6121 §2.1.6
      this.#take(query);
    });
    connection.onRequest(DISCO, 'query', query => x('query', { xmlns: DISCO, node: query.getAttribute('node') },
      x('identity', { category: 'client', type: 'web', name: 'campanile' }), this.#features.map(f => x('feature', { var: f }))));
  }

  /** Loads the roster, then shows us online. */
  async start() {
    this.#take(kid(await this.#connection.iq('get', undefined, x('query', { xmlns: ROSTER })), 'query', ROSTER));
    const text = ['client/web//campanile', ...this.#features, ''].join('<');
    const ver = base64(await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text)));
    this.#connection.send(x('presence', {}, x('c', { xmlns: CAPS, hash: 'sha-1', node: 'urn:campanile:call-page', ver })));
  }

  async add(jid) {
    await this.#connection.iq('set', undefined, x('query', { xmlns: ROSTER }, x('item', { jid })));
    this.#tell(jid, 'subscribe');
  }

  /** Answers who asked to see us, and asks back. */
  answer(jid, welcome) {
    this.#tell(jid, welcome ? 'subscribed' : 'unsubscribed');
    if (welcome && !this.sees(jid)) this.#tell(jid, 'subscribe');
    this.requests.delete(jid);
    this.#changed();
  }

  /** Whether this contact shows us their presence. */
  sees = jid => ['to', 'both'].includes(this.contacts.get(jid)?.subscription);

  /** The clients of a contact that are online, the highest priority first: `{ full, priority, words }`. */
  online = jid => [...this.contacts.get(jid)?.resources.values() ?? []].sort((a, b) => b.priority - a.priority);

  /** The features of a client; none when it does not say. */
  features = full => this.#connection.iq('get', full, x('query', { xmlns: DISCO }))
    .then(answer => [...answer.getElementsByTagNameNS(DISCO, 'feature')].map(f => f.getAttribute('var')), () => []);

  #contact(jid) {
    if (!this.contacts.has(jid)) this.contacts.set(jid, { resources: new Map() });
    return this.contacts.get(jid);
  }

  #take(query) {
    for (const item of query ? kids(query, 'item') : []) {
      const [jid, subscription, ask, name] = attributes(item, 'jid', 'subscription', 'ask', 'name');
      if (subscription === 'remove') this.contacts.delete(jid);
      else Object.assign(this.#contact(jid), { subscription, ask, name });
    }
    this.#changed();
  }

  #presence(presence, full, type) {
    const jid = bare(full ?? ''), text = name => kid(presence, name)?.textContent;
    if (type === 'subscribe') {
      if (this.contacts.get(jid)?.ask || this.sees(jid)) this.#tell(jid, 'subscribed');     // whom we asked ourselves may see us too
      else this.requests.add(jid);
    } else if (!type && jid !== bare(this.#connection.jid)) {
      const words = text('status') || { dnd: 'does not want to be disturbed', away: 'away', xa: 'away for long' }[text('show')] || 'online';
      this.#contact(jid).resources.set(full, { full, priority: Number(text('priority') ?? 0), words });
    } else if (type === 'unavailable' || type === 'error') {
      const resources = this.contacts.get(jid)?.resources;
      full === jid ? resources?.clear() : resources?.delete(full);
    }
    this.#changed();
  }

  #tell(to, type) {
    this.#connection.send(x('presence', { to, type }));
  }
}
