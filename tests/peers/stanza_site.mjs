// Serves the stanza.js page, bundled when it is started.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { serve } from './site.mjs';

const here = name => fileURLToPath(new URL(name, import.meta.url));
const tools = process.env.CAMPANILE_TEST_TOOLS;
if (!tools) throw new Error('CAMPANILE_TEST_TOOLS is not set; tests/run sets it');

/** Gives `{ url, stop }`. */
export async function serveStanza() {
  const esbuild = createRequire(`${tools}/npm/`)('esbuild');
  const { outputFiles: [bundle] } = await esbuild.build({ entryPoints: [here('stanza/page.js')], bundle: true, write: false, platform: 'browser',
    define: { global: 'globalThis' }, nodePaths: [`${tools}/npm/node_modules`], logLevel: 'error' });
  const files = { '/': ['text/html', readFileSync(here('stanza/index.html'))], '/page.js': ['text/javascript', bundle.contents] };
  return serve(path => files[path]);
}
