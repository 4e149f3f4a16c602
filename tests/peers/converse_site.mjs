// Serves the page with Converse.js, as its package comes from npm.
import { existsSync, readFileSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from './site.mjs';

const here = name => readFileSync(fileURLToPath(new URL(name, import.meta.url)));
const tools = process.env.CAMPANILE_TEST_TOOLS;
if (!tools) throw new Error('CAMPANILE_TEST_TOOLS is not set; tests/run sets it');

const TYPES = { '.css': 'text/css', '.js': 'text/javascript', '.json': 'application/json', '.svg': 'image/svg+xml', '.wasm': 'application/wasm' };

/** Gives `{ url, stop }`. */
export function serveConverse() {
  const own = { '/': ['text/html', here('converse/index.html')], '/page.js': ['text/javascript', here('converse/page.js')] };
  return serve(path => {
    if (own[path]) return own[path];
    const file = join(tools, 'npm/node_modules/converse.js', normalize(path));
    return path.startsWith('/dist/') && existsSync(file) ? [TYPES[extname(file)] ?? 'application/octet-stream', readFileSync(file)] : undefined;
  });
}
