// Collects the Jingle that stanza.js writes in Chromium, each constellation below, into the folder given: tests/corpus/jingle/stanza.
// Run by hand, with what tests/run installs: CAMPANILE_TEST_TOOLS=.tests node tests/peers/jingle_corpus_stanza.mjs tests/corpus/jingle/stanza
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Browser, say } from './browser.mjs';
import { serve } from './site.mjs';

const CONSTELLATIONS = {
  audio: { audio: true },
  'audio-video': { audio: true, video: true },
  'video-refused': { audio: true, video: true, answer: { audio: true } },
  'audio-answered-without-track': { audio: true, answer: {} },
  'ringing-hold-mute': { audio: true, info: true },
  'ice-restart': { audio: true, restart: true },
  file: { file: true },
};

const folder = process.argv[2], here = name => fileURLToPath(new URL(name, import.meta.url));
const tools = resolve(process.env.CAMPANILE_TEST_TOOLS);
const esbuild = createRequire(`${tools}/npm/`)('esbuild');
const { outputFiles: [bundle] } = await esbuild.build({ entryPoints: [here('stanza/corpus.js')], bundle: true, write: false, platform: 'browser',
  define: { global: 'globalThis' }, nodePaths: [`${tools}/npm/node_modules`], logLevel: 'error' });
const page = readFileSync(here('stanza/index.html')).toString().replace('page.js', 'corpus.js');
const site = await serve(path => ({ '/': ['text/html', page], '/corpus.js': ['text/javascript', bundle.contents] })[path]);
const browser = await Browser.start();
try {
  say('browser', await browser.send('Browser.getVersion'));
  for (const [name, wanted] of Object.entries(CONSTELLATIONS)) {
    const tab = await browser.open(site.url);
    const { kept, state } = await tab.run(options => window.collect(options), wanted).catch(error => { say('log', { log: tab.log }); throw error; });
    rmSync(join(folder, name), { recursive: true, force: true });
    mkdirSync(join(folder, name), { recursive: true });
    kept.forEach(([party, action, jingle], i) => writeFileSync(join(folder, name, `${`${i + 1}`.padStart(2, '0')}-${party}-${action}.xml`), jingle));
    say(name, { stanzas: kept.length, state });
  }
} finally {
  await browser.stop();
  site.stop();
}
