// Collects the session descriptions of Chromium and Firefox: makes them call each other and writes down what they say.
// Argument: the folder; below it chromium/ and firefox/, by the initiator's program, are made anew. More arguments: only these constellations.
// Needs CAMPANILE_TEST_TOOLS, which `tests/run --install-only` fills (the folder .tests).
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Browser, say } from './browser.mjs';
import { Firefox } from './firefox.mjs';
import { serve } from './site.mjs';
import { CONSTELLATIONS } from './sdp_corpus/constellations.mjs';
import { reflect } from './sdp_corpus/reflector.mjs';
import { Session } from './sdp_corpus/session.mjs';

const [folder, ...only] = process.argv.slice(2);
const started = [];
const OTHER = { chromium: 'firefox', firefox: 'chromium' };
const HIDDEN_HOST = '127.0.0.1';
const script = readFileSync(new URL('sdp_corpus/end.js', import.meta.url), 'utf8');
const site = await serve(path => ({ '/': ['text/html', `<!doctype html><title>Calls</title><script>${script}</script>`] })[path]);
const hidden = site.url.replace('localhost', HIDDEN_HOST);

const own = family => Object.values(networkInterfaces()).flat().find(a => a.family === family && !a.internal && !a.scopeid)?.address;
const address = own('IPv4'), address6 = own('IPv6') ?? '::1';
if (!address) throw new Error('this machine has no address but loopback: the browsers would have no candidates');

const LISTENERS = ['IPv4. UDP', 'IPv4. TCP', 'IPv6. UDP', 'IPv6. TCP'];
/** coturn, with a user. */
async function relay() {
  const port = await new Promise(resolve => { const s = createSocket('udp4').bind(0, address, () => { const { port } = s.address(); s.close(() => resolve(port)); }); });
  const data = mkdtempSync(join(tmpdir(), 'campanile-turn-'));
  const server = spawn('setpriv', ['--pdeathsig', 'KILL', 'turnserver', '-v', '-n', '-L', address, '-L', address6, '-p', String(port), '-a', '-u', 'user:secret', '-r', 'example.org',
    '--no-tls', '--no-dtls', '--no-cli', '--allocation-default-address-family=keep', '--log-file', 'stdout', '--pidfile', join(data, 'pid'), '--userdb', join(data, 'users')], { stdio: ['ignore', 'pipe', 'ignore'] });
  await new Promise((resolve, reject) => {
    server.once('error', reject).once('exit', code => reject(new Error(`turnserver ended: ${code}`)));
    let said = '';
    server.stdout.on('data', text => { said += text; if (LISTENERS.every(kind => said.includes(`${kind} listener opened on`))) resolve(); });
  });
  const [turn, turn6] = [address, `[${address6}]`].map(host => ({ urls: ['udp', 'tcp'].map(transport => `turn:${host}:${port}?transport=${transport}`),
    username: 'user', credential: 'secret' }));
  return { turn, turn6, stop: () => { server.kill(); rmSync(data, { recursive: true, force: true }); } };
}

/**
 * Firefox loads OpenH264 from its maker after installation and offers H.264 then. Here the plugin is there in name only: it is offered, and a call that
 * settles for it has no pictures. `localhost` gets the real addresses.
 */
async function firefox() {
  const plugins = mkdtempSync(join(tmpdir(), 'campanile-gmp-')), plugin = join(plugins, 'gmp-openh264', '1.0');
  mkdirSync(plugin, { recursive: true });
  writeFileSync(join(plugin, 'openh264.info'), 'Name: openh264\nDescription: H.264 in name only\nVersion: 1.0\nAPIs: encode-video[h264], decode-video[h264]\nLibraries: \n');
  writeFileSync(join(plugin, 'libopenh264.so'), '');
  started.push({ stop: () => rmSync(plugins, { recursive: true }) });
  return Firefox.start({ environment: { MOZ_GMP_PATH: plugin },
    preferences: { 'media.peerconnection.ice.loopback': false, 'media.peerconnection.ice.obfuscate_host_addresses.blocklist': 'localhost' } });
}

const servers = { stun: { start: () => reflect(address) }, turn: { start: relay } };
const browsers = {
  chromium: { start: () => Browser.start([], { loopback: false }), pages: { real: b => b.open(site.url), hidden: b => b.open(hidden, { permissions: [] }) } },
  firefox: { start: firefox, pages: { real: b => b.open(site.url), hidden: b => b.open(hidden) } },
  trials: { start: () => Browser.start(['--force-fieldtrials=WebRTC-FlexFEC-03-Advertised/Enabled/WebRTC-Sctp-Snap/Enabled/'], { loopback: false }), pages: { real: b => b.open(site.url) } },
};

/** Starts what is not there yet. */
async function once(table, name) {
  const entry = table[name];
  entry.running ??= entry.start().then(running => { started.push(running); return running; });
  return entry.running;
}
const opened = new Map();
async function page(program, kind) {
  const [browser, name] = kind === 'trials' ? ['trials', 'real'] : [program, kind];
  const key = `${browser} ${name}`;
  if (!opened.has(key)) opened.set(key, await browsers[browser].pages[name](await once(browsers, browser)));
  return opened.get(key);
}

async function collect(name, initiator, responder) {
  const { page: kind = 'real', servers: needed = [], configuration = {}, run } = CONSTELLATIONS[name];
  const given = Object.assign({}, ...await Promise.all(needed.map(server => once(servers, server))));
  const pages = { initiator: await page(initiator, kind), responder: await page(responder, kind) };
  const at = join(initiator, initiator === responder ? name : `${name}-with-${responder}`);
  rmSync(join(folder, at), { recursive: true, force: true });
  const begun = Date.now();
  const session = await Session.open(join(folder, at), pages, typeof configuration === 'function' ? configuration(given) : configuration);
  try {
    await run(session);
    say('collected', { at, ms: Date.now() - begun });
  } catch (error) {
    say('failed', { at, why: String(error) });
    process.exitCode = 1;
  } finally {
    await session.close();
  }
}

if (!only.length) for (const program of Object.keys(OTHER)) rmSync(join(folder, program), { recursive: true, force: true });
try {
  for (const [name, { programs = Object.keys(OTHER), across = [] }] of Object.entries(CONSTELLATIONS)) {
    if (only.length && !only.includes(name)) continue;
    for (const program of programs) await collect(name, program, program);
    for (const program of across) await collect(name, program, OTHER[program]);
  }
} finally {
  for (const running of started.reverse()) await running.stop();
  site.stop();
}
