// stanza.js 12.22 under Node, over WebSocket: alice's nodes at the PubSub service and bob's at his account, each read by the other; see
// pubsub_clients.rs. Called with HOST PORT CA PASSWORD [SERVICE]; trust as in stanza_chat.mjs. Every call of its plugin is used once.
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';

const { createClient } = createRequire(`${process.env.CAMPANILE_TEST_TOOLS}/npm/`)('stanza');
const [host, port, ca, password, service = 'pubsub.localhost'] = process.argv.slice(2);
if (process.env.NODE_EXTRA_CA_CERTS !== ca) throw new Error('NODE_EXTRA_CA_CERTS must name the CA file');

const say = (event, details) => console.log(JSON.stringify({ event, ...details }));
const fail = why => { say('failed', { why }); process.exit(1); };
process.on('uncaughtException', error => { console.error(error); fail(JSON.stringify(error?.error ?? error?.message ?? error)); });

const TUNE = 'http://jabber.org/protocol/tune';
const tune = title => ({ itemType: TUNE, artist: 'Yes', length: 686, title });
const events = ['pubsub:published', 'pubsub:retracted', 'pubsub:purged', 'pubsub:deleted', 'pubsub:subscription', 'pubsub:config', 'pubsub:affiliations',
  'avatar', 'activity', 'geoloc', 'mood', 'nick', 'tune'];

/** A client that is online, with `take(event, matches)`: the next of what came that matches. */
async function online(user) {
  const url = process.env.PEER_WEBSOCKET ?? `wss://${host}:${port}/xmpp-websocket`;
  const client = createClient({ jid: `${user}@localhost`, password, resource: 'stanza', autoReconnect: false, transports: { websocket: url, bosh: false } });
  let came = [], looks = [];
  for (const event of events) client.on(event, what => { came.push([event, what]); looks.forEach(look => look()); });
  client.take = (event, matches = () => true) => new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${user} waited for ${event}; saw ${JSON.stringify(came).slice(-2000)}`)), 30_000);
    const look = () => {
      const found = came.find(([name, what]) => name === event && matches(what));
      if (!found) return;
      came = came.filter(entry => entry !== found);
      looks = looks.filter(other => other !== look);
      clearTimeout(timer);
      resolve(found[1]);
    };
    looks.push(look);
    look();
  });
  client.came = event => came.filter(([name]) => name === event);
  client.on('auth:failed', () => fail('auth:failed'));
  client.on('stream:error', error => fail(`stream:error ${error?.condition}`));
  await new Promise(resolve => { client.on('session:started', resolve); client.connect(); });
  say('online', { jid: client.jid });
  await client.getRoster();
  // XEP-0115: what it is interested in
  client.sendPresence({ legacyCapabilities: client.updateCaps() });
  return client;
}

const refused = (condition, request) => assert.rejects(request, error => { assert.equal(error?.error?.condition, condition, JSON.stringify(error)); return true; });
const values = form => Object.fromEntries(form.fields.map(field => [field.name?.replace('pubsub#', ''), field.value]));
const form = (type, fields) => ({ type: 'submit', fields: [{ type: 'hidden', name: 'FORM_TYPE', value: `http://jabber.org/protocol/pubsub#${type}` },
  ...Object.entries(fields).map(([name, value]) => ({ name: `pubsub#${name}`, value }))] });
const published = node => what => what.pubsub.items.node === node;

const alice = await online('alice'), bob = await online('bob');

// owners, XEP-0060 §8
assert.equal((await alice.createNode(service, 'web', form('node_config', { title: 'Web', notify_config: '1', notify_delete: '1', notify_retract: '1' }))).node, 'web');
assert.ok((await alice.createNode(service)).node);
assert.equal(values(await alice.getNodeConfig(service, 'web')).title, 'Web');
assert.ok(values(await alice.getDefaultNodeConfig(service)).access_model);
await refused('conflict', alice.createNode(service, 'web'));
await refused('forbidden', bob.getNodeConfig(service, 'web'));
say('created');

// subscribers and publishers, §6 and §7
assert.equal((await bob.subscribeToNode(service, 'web')).state, 'subscribed');
assert.deepEqual((await bob.getSubscriptions(service, { node: 'web' })).items.map(({ jid, state }) => [jid, state]), [['bob@localhost', 'subscribed']]);
assert.equal((await alice.getNodeSubscribers(service, 'web')).pubsub.subscriptions.items.length, 1);
assert.ok((await bob.getDefaultSubscriptionOptions(service)).fields);
await alice.configureNode(service, 'web', form('node_config', { title: 'Web & <more>' }));
await bob.take('pubsub:config', what => what.pubsub.configuration.node === 'web');
for (const number of [1, 2, 3]) await alice.publish(service, 'web', tune(`Song ${number}`), `id${number}`);
for (const number of [1, 2, 3]) {
  const [item] = (await bob.take('pubsub:published', published('web'))).pubsub.items.published;
  assert.deepEqual([item.id, item.content.title], [`id${number}`, `Song ${number}`]);
}
assert.equal((await bob.getItem(service, 'web', 'id2')).content.title, 'Song 2');
const page = await bob.getItems(service, 'web', { max: 2 });
assert.equal(page.items.length, 2);
await refused('forbidden', bob.publish(service, 'web', tune('Mine')));
await alice.retract(service, 'web', 'id2', true);
assert.deepEqual((await bob.take('pubsub:retracted')).pubsub.items.retracted, ['id2']);
say('published');

await alice.updateNodeAffiliations(service, 'web', [{ jid: 'bob@localhost', affiliation: 'publisher' }]);
assert.deepEqual((await alice.getNodeAffiliations(service, 'web')).items.find(({ jid }) => jid === 'bob@localhost').affiliation, 'publisher');
assert.ok((await bob.getAffiliations(service)).pubsub.affiliations.items.some(({ node, affiliation }) => node === 'web' && affiliation === 'publisher'));
await bob.publish(service, 'web', tune('By bob'), 'bob');
await alice.updateNodeSubscriptions(service, 'web', [{ jid: 'bob@localhost', state: 'none' }]);
assert.equal((await bob.take('pubsub:subscription')).pubsub.subscription.type, 'none');
await bob.subscribeToNode(service, { node: 'web', useBareJID: true });
await alice.purgeNode(service, 'web');
await bob.take('pubsub:purged', what => what.pubsub.purge?.node === 'web' || what.pubsub.purge === 'web');
await bob.unsubscribeFromNode(service, 'web');
await bob.subscribeToNode(service, 'web');
await alice.deleteNode(service, 'web');
await bob.take('pubsub:deleted');
await refused('item-not-found', bob.getItems(service, 'web'));
say('managed');

// PEP: each sees what it has plugins for
await bob.publishTune({ artist: 'Yes', title: 'Heart of the Sunrise' });
assert.equal((await alice.take('tune', what => what.tune?.title)).tune.title, 'Heart of the Sunrise');
await bob.publishNick('Bob 🎺');
assert.equal((await alice.take('nick')).nick, 'Bob 🎺');
await bob.publishMood({ value: 'annoyed', text: 'curse my nurse!' });
assert.equal((await alice.take('mood')).mood.value, 'annoyed');
await bob.publishActivity({ activity: ['relaxing', 'partying'] });
assert.deepEqual((await alice.take('activity')).activity.activity, ['relaxing', 'partying']);
await bob.publishGeoLoc({ lat: 45.44, lon: 12.33, locality: 'Venezia' });
assert.equal((await alice.take('geoloc')).geoloc.locality, 'Venezia');
const picture = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const id = Buffer.from(await crypto.subtle.digest('SHA-1', picture)).toString('hex');
await bob.publishAvatar(id, picture);
// XEP-0398 §7: a vCard is everyone's to see
await bob.configureNode('bob@localhost', 'urn:xmpp:avatar:data', form('node_config', { access_model: 'open' }));
await bob.useAvatars([{ id, bytes: picture.length, mediaType: 'image/png', width: 1, height: 1 }]);
const { avatars } = await alice.take('avatar', what => what.source === 'pubsub' && what.jid.startsWith('bob@'));
assert.equal(avatars[0].id, id);
assert.deepEqual(Buffer.from((await alice.getAvatar('bob@localhost', id)).content.data), picture);
// and by presence
await alice.take('avatar', what => what.source === 'vcard' && what.avatars[0].id === id);
say('events');

for (const client of [alice, bob]) {
  await new Promise(resolve => { client.on('disconnected', resolve); client.disconnect(); });
}
say('done');
