// Serves pages on http://localhost: a browser gives the camera to no other clear origin.
import { createServer } from 'node:http';

/** `look(path)` gives `[type, body]`, or nothing. Gives `{ url, stop }`. */
export async function serve(look) {
  const server = createServer(({ url }, answer) => {
    const [type, body] = look(url.split('?')[0]) ?? [];
    answer.writeHead(body ? 200 : 404, { 'content-type': `${type ?? 'text/plain'}; charset=utf-8` }).end(body);
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://localhost:${server.address().port}/`, stop: () => { server.closeAllConnections(); server.close(); } };
}
