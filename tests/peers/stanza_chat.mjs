// stanza.js 12.22 under Node, over WebSocket: a client that answers; see foreign_clients.rs for what it does and says.
//
// Trust: `wss:` is verified by Node, which trusts one more authority when NODE_EXTRA_CA_CERTS names its file (at start only). HOST must be a
// name in the certificate.
import { createRequire } from 'node:module';

const { createClient } = createRequire(`${process.env.CAMPANILE_TEST_TOOLS}/npm/`)('stanza');
const [host, port, ca, jid, password] = process.argv.slice(2);
if (process.env.NODE_EXTRA_CA_CERTS !== ca) throw new Error('NODE_EXTRA_CA_CERTS must name the CA file');

const say = (event, details) => console.log(JSON.stringify({ event, ...details }));
const fail = why => { say('failed', { why }); process.exit(1); };

const client = createClient({ jid, password, resource: jid.split('/')[1], autoReconnect: false,
  transports: { websocket: `wss://${host}:${port}/xmpp-websocket`, bosh: false } });
let parting = false;
client.on('auth:failed', () => fail('auth:failed'));
client.on('stream:error', error => fail(`stream:error ${error?.condition}`));
client.on('disconnected', error => {
  if (!parting) fail(`disconnected ${error ?? ''}`);
  say('done');
});
client.on('presence', ({ from, type, show }) => say('presence', { from, type: type ?? 'available', show: show ?? '' }));
client.on('message', ({ from, body }) => {
  if (!body) return;
  say('message', { from, body });
  if (body === 'bye') {
    parting = true;
    client.disconnect();
  } else {
    client.sendMessage({ to: from, type: 'chat', body: `echo ${body}` });
  }
});
client.on('session:started', async () => {
  say('online', { jid: client.jid, tls: 'yes' });
  const { items } = await client.getRoster();
  for (const item of items) say('contact', { jid: item.jid, subscription: item.subscription });
  client.sendPresence();
});
client.connect();
