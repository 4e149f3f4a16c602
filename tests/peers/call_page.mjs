// The call page in Chromium, used as a person uses it: mouse, keys, and what stands on the screen.
// Argument: {"page": URL, "scenario": NAME, "users": [[jid, password] × 3], "websocket": URL, "pictures": FOLDER or absent}
import { Browser, say } from './browser.mjs';
import { serveStanza } from './stanza_site.mjs';

const { page: site, scenario, users, websocket, pictures } = JSON.parse(process.argv[2]);
const [alice, bob, carol] = users;
const pages = [];

async function open({ relay = false, ...options } = {}) {
  const page = await browser.open(relay ? `${site}?relay` : site, options);
  pages.push(page);
  return page;
}
async function logIn(page, [jid, password]) {
  await page.type('#jid', jid);
  await page.type('#password', password);
  await page.key('Enter');
}
async function online(user, options) {
  const page = await open(options);
  await logIn(page, user);
  await page.until('the contacts are shown', () => document.body.dataset.view === 'app');
  return page;
}
/** One asks, the other accepts; both see each other online. */
async function befriend([one, [oneJid]], [other, [otherJid]]) {
  await one.type('#add-jid', otherJid);
  await one.key('Enter');
  await other.click('#requests button.main');
  for (const [page, jid] of [[one, otherJid], [other, oneJid]]) {
    await page.until(`${jid} is seen online`, j => document.querySelector(`#contacts [data-jid="${j}"] .dot.online`), jid);
    await page.click(`#contacts [data-jid="${jid}"]`);
  }
}
const state = (page, wanted) => page.until(`the call is ${wanted}`, w => document.querySelector('#call').dataset.state === w, wanted);
const words = (page, selector, part) => page.until(`${selector} says “${part}”`, (s, p) => { const t = document.querySelector(s).textContent; return t.includes(p) && t; }, selector, part);
const rings = page => page.until('it rings', () => document.querySelector('#ring').open);
const hears = (page, video) => page.until('sound and pictures arrive', async v => { const h = await window.heard(); return (!v || h.frames >= 25) && h.samples >= 48000 && h.energy > 0.01 && h; }, video);
const picture = async (page, name) => { if (pictures) await page.screenshot(`${pictures}/${name}.png`); };

const scenarios = {
  /** What is wrong is said in words. */
  async log_in() {
    const page = await open();
    await picture(page, 'log-in');
    await logIn(page, [alice[0], 'not the password']);
    say('wrong password', { says: await words(page, '#login-problem', 'password is wrong') });
    await logIn(page, ['nobody-here@localhost', 'x']);
    say('unknown user', { says: await words(page, '#login-problem', 'password is wrong') });
    await logIn(page, ['alice@elsewhere.example', 'x']);
    say('unknown domain', { says: await words(page, '#login-problem', 'elsewhere.example') });
    await logIn(page, ['alice', 'x']);
    say('no address', { says: await words(page, '#login-problem', 'name@example.org') });
    await page.run(() => { window.WebSocket = class extends WebSocket { constructor(_, p) { super('ws://127.0.0.1:9/', p); } }; });
    await logIn(page, alice);
    say('unreachable', { says: await words(page, '#login-problem', 'cannot be reached') });
    await page.go(site);
    await logIn(page, alice);
    say('me', { says: await words(page, '#me', alice[0]) });
  },

  /** Contacts, lines of text, a call with pictures through the relay, mute, camera off, hang up. */
  async call() {
    const [a, b] = [await online(alice, { relay: true }), await online(bob, { relay: true })];
    await befriend([a, alice], [b, bob]);
    for (const [from, to, line] of [[a, b, 'Good morning <b> & "you"'], [b, a, 'Grüße 🔔']]) {
      await from.type('#text', line);
      await from.key('Enter');
      await words(to, '#messages', line);
    }
    await picture(a, 'contacts');
    const started = Date.now();
    await a.click('#call-video');
    await rings(b);
    await state(a, 'ringing');
    await picture(b, 'rings');
    await b.click('#answer-video');
    for (const page of [a, b]) await state(page, 'active');
    say('connected', { ms: Date.now() - started });
    for (const page of [a, b]) {
      const heard = await hears(page, true);
      if (!heard.selected.length || !heard.selected.every(([local]) => local?.startsWith('relay'))) throw new Error(`not through the relay: ${JSON.stringify(heard.selected)}`);
      say('heard', { ...heard, says: await words(page, '#call-text', 'through the relay over') });
    }
    await picture(a, 'call');
    const sound = page => page.run(() => window.heard().then(h => h.energy));
    await a.click('#off-audio');
    await b.until('nothing more is heard', async () => { const e = (await window.heard()).energy; await new Promise(r => setTimeout(r, 1500)); return (await window.heard()).energy - e < 1e-4; });
    say('muted', { energy: await sound(b) });
    await a.click('#off-audio');
    await b.until('it is heard again', async before => (await window.heard()).energy > before + 0.01, await sound(b));
    await a.click('#off-video');
    await b.until('the picture is black', () => {
      const canvas = new OffscreenCanvas(32, 32).getContext('2d');
      canvas.drawImage(document.querySelector('#remote'), 0, 0, 32, 32);
      return canvas.getImageData(0, 0, 32, 32).data.every((value, i) => i % 4 === 3 || value < 40);
    });
    say('camera off');
    await b.click('#hang-up');
    for (const page of [a, b]) {
      await state(page, 'ended');
      await words(page, '#call-ended', 'The call has ended.');
      await page.until('the camera is released', () => window.connections.every(c => c.connectionState === 'closed') && !document.querySelector('#local').srcObject);
    }
    await picture(a, 'ended');
    say('second call');
    await b.click('#call-audio');
    await rings(a);
    await a.click('#answer-audio');
    for (const page of [a, b]) { await state(page, 'active'); await hears(page, false); }
    await a.click('#hang-up');
    await state(b, 'ended');
  },

  /** How calls fail, in words: declined, cancelled, busy, offline, no camera, the peer gone. */
  async endings() {
    const [a, b, c] = [await online(alice), await online(bob, { permissions: ['audioCapture'] }), await online(carol, { permissions: [] })];
    await befriend([a, alice], [b, bob]);
    await befriend([c, carol], [b, bob]);
    await b.click(`#contacts [data-jid="${alice[0]}"]`);
    await a.click('#call-audio');
    await rings(b);
    await b.click('#decline');
    say('declined', { says: await words(a, '#call-ended', 'declined') });
    await a.click('#call-audio');
    await rings(b);
    await a.click('#hang-up');
    say('missed', { says: await words(b, '#call-ended', 'missed') });
    await c.click('#call-audio');
    say('no microphone', { says: await words(c, '#call-ended', 'microphone cannot be used') });
    await a.click('#call-video');
    await rings(b);
    await b.click('#answer-video');
    for (const page of [a, b]) await state(page, 'active');
    await hears(b, true);
    await hears(a, false);
    say('no camera', { says: await words(b, '#call-notice', 'camera cannot be used') });
    await c.send('Browser.setPermission', { permission: { name: 'microphone' }, setting: 'granted', origin: new URL(site).origin, browserContextId: c.context });
    await c.click('#call-audio');
    say('busy', { says: await words(c, '#call-ended', 'busy') });
    await state(a, 'active');
    await b.go('about:blank');
    say('gone', { says: await words(a, '#call-ended', 'bob') });
    await a.until('bob is seen offline', () => !document.querySelector('#contacts .dot.online'));
    await a.click('#call-audio');
    say('offline', { says: await words(a, '#call-ended', 'not online') });
  },

  /** What a browser offers survives SDP → Jingle → SDP, line by line; and nothing in Jingle can add a line of SDP. */
  async mapping() {
    const page = await open();
    const lost = await page.run(async () => {
      const { toJingle, toSdp } = await import('/sdp.js');
      const { x } = await import('/xmpp.js');
      const pc = new RTCPeerConnection(), stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
      stream.getTracks().forEach(track => pc.addTrack(track, stream));
      pc.addTransceiver('video', { direction: 'recvonly' });
      await pc.setLocalDescription();
      const through = (sdp, role) => {
        const { xml } = x('jingle', { xmlns: 'urn:xmpp:jingle:1' }, toJingle(sdp, role));
        return toSdp(new DOMParser().parseFromString(xml, 'text/xml').documentElement, role);
      };
      const ignored = /^(o=|t=|a=(msid|rtcp-xr|rtcp:|rtcp-rsize|extmap-allow-mixed|candidate|fmtp:\d+ \d+(\/|$)))|^$/;
      const lines = sdp => sdp.split('\r\n').filter(l => !ignored.test(l)).sort();
      const missing = [], offer = pc.localDescription.sdp;
      for (const role of ['initiator', 'responder']) {
        const back = lines(through(offer, role));
        missing.push(...lines(offer).filter(l => !back.includes(l) && !/^m=|^a=ssrc:\d+ msid/.test(l)));
      }
      const other = new RTCPeerConnection();
      await other.setRemoteDescription({ type: 'offer', sdp: through(offer, 'initiator') });
      await other.setLocalDescription();
      const evil = new DOMParser().parseFromString(x('jingle', { xmlns: 'urn:xmpp:jingle:1' }, toJingle(offer, 'initiator')).xml, 'text/xml').documentElement;
      for (const element of evil.querySelectorAll('*')) for (const { name } of [...element.attributes]) if (name !== 'xmlns') element.setAttribute(name, `${element.getAttribute(name)}\r\na=injected`);
      if (toSdp(evil, 'initiator').split('\r\n').some(line => line.startsWith('a=injected'))) missing.push('a line was injected');
      [pc, other].forEach(c => c.close());
      return missing;
    });
    if (lost.length) throw new Error(`lost on the way: ${lost.join(' | ')}`);
    say('nothing lost');
  },

  /** Both call at the same time: one call comes of it (XEP-0353 §4.1). */
  async crossing() {
    const [a, b] = [await online(alice), await online(bob)];
    await befriend([a, alice], [b, bob]);
    await Promise.all([a.click('#call-video'), b.click('#call-video')]);
    for (const page of [a, b]) { await state(page, 'active'); await hears(page, true); }
    const sids = await Promise.all([a, b].map(page => page.run(() => document.querySelector('#call').dataset.sid)));
    if (sids[0] !== sids[1]) throw new Error(`two calls: ${sids}`);
    say('one call', { sid: sids[0] });
  },

  /** The relay refuses the credentials: the page says so, and does not leave the person waiting. */
  async relay_trouble() {
    const spoil = `window.RTCPeerConnection = class extends window.RTCPeerConnection {
      constructor(options) { super({ ...options, iceServers: options.iceServers.map(s => (s.credential ? { ...s, credential: 'wrong' } : s)) }); } };`;
    const [a, b] = [await online(alice, { relay: true, script: spoil }), await online(bob, { relay: true })];
    await befriend([a, alice], [b, bob]);
    await a.click('#call-audio');
    await rings(b);
    await b.click('#answer-audio');
    say('trouble', { says: await words(a, '#call-ended', 'Relay trouble'), also: await words(b, '#call-ended', 'No path') });
  },

  /** With stanza.js, which offers sessions right away and knows no proposals. */
  async foreign() {
    const stanza = await serveStanza();
    try {
      const ours = await online(alice), theirs = await browser.open(stanza.url);
      pages.push(theirs);
      await theirs.run(options => window.logIn(options), { websocket, jid: bob[0], password: bob[1], via: 'udp' });
      await theirs.run(jid => { window.client.on('subscribe', () => { client.acceptSubscription(jid); client.subscribe(jid); }); }, alice[0]);
      await ours.type('#add-jid', bob[0]);
      await ours.key('Enter');
      await ours.until('bob is seen online', () => document.querySelector('#contacts .dot.online'));
      await ours.click('#call-video');
      await state(ours, 'active');
      for (const page of [ours, theirs]) say('we called', await hears(page, true));
      await theirs.run(() => window.sessions[0].end('success'));
      await state(ours, 'ended');
      await theirs.run(full => window.call(full), await ours.run(() => document.querySelector('#me').textContent).then(() => theirs.run(jid => window.seen.findLast(([from, type]) => from.startsWith(`${jid}/`) && type === 'available')[0], alice[0])));
      await rings(ours);
      await ours.click('#answer-video');
      await state(ours, 'active');
      await theirs.run(() => { window.connections.shift(); });
      await ours.run(() => { window.connections.shift(); });
      for (const page of [ours, theirs]) say('they called', await hears(page, true));
      await ours.click('#hang-up');
      await theirs.until('stanza.js hears the end', () => window.ended);
    } finally {
      stanza.stop();
    }
  },
};

const browser = await Browser.start();
try {
  await scenarios[scenario]();
  const threw = pages.flatMap(page => page.log.filter(line => /^(threw|error: (Uncaught|Refused))/.test(line)));
  if (threw.length) throw new Error(`the page threw: ${threw.join('; ')}`);
  say('done');
} catch (error) {
  say('failed', { why: error.message });
  for (const page of pages) say('page', { is: await page.describe().catch(e => e.message) });
  process.exitCode = 1;
} finally {
  await browser.stop();
}
