// Contacts, presence, what a client can do (RFC 6121, XEP-0030, XEP-0115).
import { bare, kid, kids, StanzaError, x } from './xmpp.js';

const ROSTER = 'jabber:iq:roster', DISCO = 'http://jabber.org/protocol/disco#info', CAPS = 'http://jabber.org/protocol/caps';
const NODE = 'urn:campanile:call-page';

/** Calls `changed()` when something to show is different. `contacts`: bare JID → contact; `requests`: who wants to see us. */
export class Roster {
  contacts = new Map(); requests = new Set(); #connection; #features; #changed; #known = new Map();

  constructor(connection, features, changed) {
    this.#connection = connection;
    this.#features = [...features, DISCO, CAPS].sort();
    this.#changed = changed;
    connection.addEventListener('presence', ({ detail }) => this.#presence(detail));
    connection.onRequest(ROSTER, 'query', (query, from) => {
      if (from && from !== bare(connection.jid)) throw new StanzaError('cancel', 'service-unavailable');   // RFC 6121 §2.1.6
      kids(query, 'item').forEach(item => this.#item(item));
      changed();
    });
    connection.onRequest(DISCO, 'query', query => x('query', { xmlns: DISCO, node: query.getAttribute('node') },
      x('identity', { category: 'client', type: 'web', name: 'campanile' }), this.#features.map(f => x('feature', { var: f }))));
  }

  /** Loads the roster, then shows us online. */
  async start() {
    const answer = await this.#connection.iq('get', undefined, x('query', { xmlns: ROSTER }));
    const query = kid(answer, 'query', ROSTER);
    if (query) kids(query, 'item').forEach(item => this.#item(item));
    const text = 'client/web//campanile<' + this.#features.map(f => f + '<').join('');
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text)));
    this.#connection.send(x('presence', {}, x('c', { xmlns: CAPS, hash: 'sha-1', node: NODE, ver: btoa(String.fromCharCode(...hash)) })));
    this.#changed();
  }

  async add(jid) {
    await this.#connection.iq('set', undefined, x('query', { xmlns: ROSTER }, x('item', { jid })));
    this.#tell(jid, 'subscribe');
  }

  /** Accepts who asked to see us, and asks back. */
  accept(jid) {
    this.#tell(jid, 'subscribed');
    if (!['to', 'both'].includes(this.contacts.get(jid)?.subscription)) this.#tell(jid, 'subscribe');
    this.#answered(jid);
  }

  decline(jid) {
    this.#tell(jid, 'unsubscribed');
    this.#answered(jid);
  }

  remove(jid) {
    return this.#connection.iq('set', undefined, x('query', { xmlns: ROSTER }, x('item', { jid, subscription: 'remove' })));
  }

  /** The full JIDs of a contact that are online, the highest priority first. */
  online(jid) {
    const resources = [...this.contacts.get(jid)?.resources ?? []];
    return resources.sort((a, b) => b[1].priority - a[1].priority).map(([resource]) => `${jid}/${resource}`);
  }

  /** The features of a client; none when it does not say. */
  async features(full) {
    if (!this.#known.has(full)) {
      const asked = this.#connection.iq('get', full, x('query', { xmlns: DISCO }))
        .then(answer => new Set([...answer.getElementsByTagNameNS(DISCO, 'feature')].map(f => f.getAttribute('var'))), () => new Set());
      this.#known.set(full, asked);
    }
    return this.#known.get(full);
  }

  #contact(jid) {
    if (!this.contacts.has(jid)) this.contacts.set(jid, { jid, subscription: 'none', resources: new Map() });
    return this.contacts.get(jid);
  }

  #item(item) {
    const { jid, subscription = 'none', ask, name } = Object.fromEntries([...item.attributes].map(a => [a.name, a.value]));
    if (subscription === 'remove') this.contacts.delete(jid);
    else Object.assign(this.#contact(jid), { subscription, ask, name });
  }

  #presence(presence) {
    const from = presence.getAttribute('from') ?? '', type = presence.getAttribute('type');
    const [jid, resource] = [bare(from), from.slice(bare(from).length + 1)];
    if (type === 'subscribe') {
      // Whom we asked ourselves may see us too.
      const contact = this.contacts.get(jid);
      if (contact?.ask || ['to', 'both'].includes(contact?.subscription)) this.#tell(jid, 'subscribed');
      else this.requests.add(jid);
    } else if (!type && jid !== bare(this.#connection.jid)) {
      const text = name => kid(presence, name)?.textContent;
      this.#contact(jid).resources.set(resource, { show: text('show') ?? '', status: text('status') ?? '', priority: Number(text('priority') ?? 0) });
    } else if (type === 'unavailable' || type === 'error') {
      this.#known.delete(from);
      if (resource) this.contacts.get(jid)?.resources.delete(resource);
      else this.contacts.get(jid)?.resources.clear();
    }
    this.#changed();
  }

  #answered(jid) {
    this.requests.delete(jid);
    this.#changed();
  }

  #tell(to, type) {
    this.#connection.send(x('presence', { to, type }));
  }
}
