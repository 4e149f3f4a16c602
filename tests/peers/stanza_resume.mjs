// stanza.js 12.22 with stream management (XEP-0198) over WebSocket that cuts its own connection; see foreign_clients.rs for what it does and says.
import { createRequire } from 'node:module';

const { createClient } = createRequire(`${process.env.CAMPANILE_TEST_TOOLS}/npm/`)('stanza');
const [host, port, , jid, password] = process.argv.slice(2);

const say = (event, details) => console.log(JSON.stringify({ event, ...details }));
const fail = why => { say('failed', { why }); process.exit(1); };

const client = createClient({ jid, password, resource: jid.split('/')[1], autoReconnect: false,
  transports: { websocket: `wss://${host}:${port}/xmpp-websocket`, bosh: false } });
let parting = false, rest = null, sent = 0;
const send = ([lines, to]) => lines.forEach(body => { sent += 1; client.sendMessage({ to, type: 'chat', body }); });
// What it sends again after a resumption the library no longer tracks (Client.js: `replay || track()`), so that until all of that is acknowledged
// another resumption would lose as many of what it sends next.
const acknowledged = async () => { while (client.sm.lastAck !== sent) await new Promise(next => client.once('sm', () => setImmediate(next))); };
// as when the network goes: the TCP socket below. The library would not notice terminate() of the WebSocket if it had an acknowledgement to write
const cut = () => client.transport.socket._socket.destroy();

client.on('auth:failed', () => fail('auth:failed'));
client.on('stream:error', error => fail(`stream:error ${error?.condition}`));
// at the end it calls so what was not yet acknowledged
client.on('stanza:failed', ({ stanza }) => parting || fail(`not sent: ${JSON.stringify(stanza)}`));
client.on('disconnected', () => (parting ? say('done') : client.connect()));
client.on('stream:management:resumed', () => {
  say('resumed');
  if (rest) send(rest);
  rest = null;
});
client.on('message', async ({ from, body }) => {
  if (!body) return;
  say('message', { from, body });
  if (body === 'cut') cut();
  if (body.startsWith('burst ')) {
    await acknowledged();
    const lines = Array.from({ length: Number(body.split(' ')[1]) }, (_, number) => `answer ${number}`);
    const half = lines.length / 2;
    rest = [lines.slice(half), from];
    send([lines.slice(0, half), from]);
    // sending is a queue of its own; this is in the middle of it
    setTimeout(cut, 0);
  }
  if (body === 'bye') {
    parting = true;
    client.disconnect();
  }
});
// the session has started some time before; nobody is told of it until it is resumable
client.on('sm', ({ type }) => {
  if (type !== 'enabled') return;
  sent += 1;
  client.sendPresence();
  say('online', { jid: client.jid });
});
client.connect();
