// Serves the stanza.js page on http://localhost (a browser gives the camera to no other clear origin), bundled when it is started.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const here = name => fileURLToPath(new URL(name, import.meta.url));
const tools = process.env.CAMPANILE_TEST_TOOLS;
if (!tools) throw new Error('CAMPANILE_TEST_TOOLS is not set; tests/run sets it');

/** Gives `{ url, stop }`. */
export async function serveStanza() {
  const esbuild = createRequire(`${tools}/npm/`)('esbuild');
  const { outputFiles: [bundle] } = await esbuild.build({ entryPoints: [here('stanza/page.js')], bundle: true, write: false, platform: 'browser',
    define: { global: 'globalThis' }, nodePaths: [`${tools}/npm/node_modules`], logLevel: 'error' });
  const files = { '/': ['text/html', readFileSync(here('stanza/index.html'))], '/page.js': ['text/javascript', bundle.contents] };
  const server = createServer(({ url }, answer) => {
    const [type, body] = files[url] ?? [];
    answer.writeHead(body ? 200 : 404, { 'content-type': `${type}; charset=utf-8` }).end(body);
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://localhost:${server.address().port}/`, stop: () => { server.closeAllConnections(); server.close(); } };
}
