// Two Chromium pages with stanza.js call each other through the relay: pictures and sound are decoded both ways.
// Argument: {"websocket": URL, "via": "udp|tcp|tls", "users": [[jid, password], [jid, password]]}
import { Browser, say } from './browser.mjs';
import { serveStanza } from './stanza_site.mjs';

const { websocket, via, users } = JSON.parse(process.argv[2]);
const site = await serveStanza();
const pages = [];
const browser = await Browser.start();
try {
  for (const [jid, password] of users) {
    const page = await browser.open(site.url);
    const online = await page.run(options => window.logIn(options), { websocket, jid, password, via });
    say('online', online);
    if (!online.relays) throw new Error(`no relay over ${via} is offered`);
    pages.push(page);
  }
  const [caller, callee] = pages, to = await callee.run(() => window.client.jid), started = Date.now();
  await caller.run(full => window.call(full), to);
  for (const page of pages) await page.until('ICE connects', () => window.connections[0]?.connectionState === 'connected');
  say('connected', { ms: Date.now() - started });
  for (const page of pages) {
    const heard = await page.until('pictures and sound arrive', async () => {
      const { frames, samples, energy, selected } = await window.heard();
      return frames >= 25 && samples >= 48000 && energy > 0.01 && { frames, samples, energy, selected };
    });
    if (!heard.selected.every(([local]) => local?.startsWith('relay'))) throw new Error(`not through the relay: ${JSON.stringify(heard.selected)}`);
    say('heard', heard);
  }
  await caller.run(() => window.sessions[0].end('success'));
  say('ended', { reason: await callee.until('the callee hears the end', () => window.ended) });
  say('done');
} catch (error) {
  say('failed', { why: error.message });
  for (const page of pages) say('state', await page.run(() => window.heard()));
  process.exitCode = 1;
} finally {
  await browser.stop();
  site.stop();
}
