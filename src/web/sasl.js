// SCRAM for XMPP (RFC 5802, RFC 7677) through WebCrypto, without channel binding, which browsers cannot do.
import { Problem } from './xmpp.js';

/** The mechanisms we speak, strongest first: name → hash and its length in bits. */
export const MECHANISMS = new Map([['SCRAM-SHA-256', ['SHA-256', 256]], ['SCRAM-SHA-1', ['SHA-1', 160]]]);

const bytes = text => new TextEncoder().encode(text);
export const base64 = data => btoa(String.fromCharCode(...new Uint8Array(data)));
const fromBase64 = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const fields = message => Object.fromEntries(message.split(',').map(f => [f[0], f.slice(2)]));

/** RFC 4013 as far as it matters to what people type: spaces, invisible characters, compatibility forms. */
const saslprep = text => text.replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
  .replace(/[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/g, '').normalize('NFKC');

/** Runs the mechanism: `exchange` takes a message of ours and gives the server's next one, both in base64. */
export async function scram(mechanism, username, password, exchange) {
  const [hash, size] = MECHANISMS.get(mechanism);
  const say = async message => new TextDecoder().decode(fromBase64(await exchange(base64(bytes(message)))));
  const hmac = async (key, data) => crypto.subtle.sign('HMAC',
    await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash }, false, ['sign']), bytes(data));
  const nonce = base64(crypto.getRandomValues(new Uint8Array(18)));
  const first = `n=${saslprep(username).replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;

  const challenge = await say(`n,,${first}`), { m, r, s, i } = fields(challenge);
  if (m || !s || !r?.startsWith(nonce) || !(i >= 4096 && i <= 5_000_000)) throw new Problem('The server’s challenge makes no sense.');
  const secret = await crypto.subtle.importKey('raw', bytes(saslprep(password)), 'PBKDF2', false, ['deriveBits']);
  const salted = await crypto.subtle.deriveBits({ name: 'PBKDF2', hash, salt: fromBase64(s), iterations: Number(i) }, secret, size);
  const key = await hmac(salted, 'Client Key'), last = `c=biws,r=${r}`, both = `${first},${challenge},${last}`;
  const signature = new Uint8Array(await hmac(await crypto.subtle.digest(hash, key), both));
  const { v } = fields(await say(`${last},p=${base64(new Uint8Array(key).map((byte, at) => byte ^ signature[at]))}`));
  if (v !== base64(await hmac(await hmac(salted, 'Server Key'), both))) {
    throw new Problem('The server could not prove that it knows this account; do not trust it.');
  }
}
