// stanza.js 12.22 over WebSocket as a device among others: archive (XEP-0313), carbons (XEP-0280); see foreign_clients.rs for what it does and says.
import { createRequire } from 'node:module';

const { createClient } = createRequire(`${process.env.CAMPANILE_TEST_TOOLS}/npm/`)('stanza');
const [host, port, , jid, password, after] = process.argv.slice(2);

const say = (event, details) => console.log(JSON.stringify({ event, ...details }));
const fail = why => { say('failed', { why: `${why}` }); process.exit(1); };

const client = createClient({ jid, password, resource: jid.split('/')[1], autoReconnect: false,
  transports: { websocket: `wss://${host}:${port}/xmpp-websocket`, bosh: false } });
let parting = false;
const bare = jid.split('/')[0];
// the id that the own archive gave it (XEP-0359): the only one that is believed
const stamped = message => message.stanzaIds?.find(({ by }) => by === bare)?.id ?? '';
const shown = (how, message, id) => { if (message.body) say('shown', { how, id, body: message.body, from: message.from }); };

client.on('auth:failed', () => fail('auth:failed'));
client.on('stream:error', error => fail(`stream:error ${error?.condition}`));
client.on('disconnected', () => (parting ? say('done') : fail('disconnected')));
client.on('carbon:received', ({ carbon }) => shown('received', carbon.forward.message, stamped(carbon.forward.message)));
client.on('carbon:sent', ({ carbon }) => shown('sent', carbon.forward.message, stamped(carbon.forward.message)));
// the forwarded message of a carbon comes here too, as it came
const forwarded = new WeakSet();
client.on('carbon:received', ({ carbon }) => forwarded.add(carbon.forward.message));
client.on('message', message => {
  if (forwarded.has(message)) return;
  shown(message.delay ? 'delayed' : 'live', message, stamped(message));
  if (message.body?.startsWith('say ')) client.sendMessage({ to: 'bob@localhost', type: 'chat', body: message.body.slice(4) });
  if (message.body === 'bye') {
    parting = true;
    client.disconnect();
  }
});
client.on('session:started', async () => {
  try {
    say('online', { jid: client.jid });
    await client.getRoster();
    for (let last = after, complete = after === undefined; !complete;) {
      const page = await client.searchHistory({ paging: last ? { max: 3, after: last } : { max: 3 } });
      for (const { id, item } of page.results) shown('archived', item.message, id);
      last = page.paging?.last;
      complete = page.complete || !last;
    }
    await client.enableCarbons();
    client.sendPresence();
    say('synchronised');
  } catch (error) {
    fail(error.stack ?? JSON.stringify(error));
  }
});
client.connect();
