// SCRAM for XMPP (RFC 5802, RFC 7677) through WebCrypto, without channel binding, which browsers cannot do.

const bytes = text => new TextEncoder().encode(text);
const base64 = data => btoa(String.fromCharCode(...new Uint8Array(data)));
const fromBase64 = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const fields = message => new Map(message.split(',').map(f => [f[0], f.slice(2)]));

/** The mechanisms we speak, strongest first, with the hash of each. */
export const MECHANISMS = new Map([['SCRAM-SHA-512', 'SHA-512'], ['SCRAM-SHA-256', 'SHA-256'], ['SCRAM-SHA-1', 'SHA-1']]);

/** RFC 4013 as far as it matters to what people type: spaces, invisible characters, compatibility forms. */
function saslprep(text) {
  return text.replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replace(/[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/g, '').normalize('NFKC');
}

export class Scram {
  #hash; #password; #nonce; #bare; #serverSignature;

  constructor(mechanism, username, password) {
    this.#hash = MECHANISMS.get(mechanism);
    this.#password = bytes(saslprep(password));
    this.#nonce = base64(crypto.getRandomValues(new Uint8Array(18)));
    this.#bare = `n=${saslprep(username).replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${this.#nonce}`;
  }

  /** client-first-message, in base64. */
  first() {
    return base64(bytes('n,,' + this.#bare));
  }

  /** client-final-message for the server's challenge, both in base64. */
  async final(challenge) {
    const serverFirst = new TextDecoder().decode(fromBase64(challenge));
    const server = fields(serverFirst);
    const rounds = Number(server.get('i'));
    if (server.has('m') || !server.get('r')?.startsWith(this.#nonce) || !(rounds >= 4096 && rounds <= 5_000_000)) {
      throw new Error('the server sent a SCRAM challenge that makes no sense');
    }
    const key = await crypto.subtle.importKey('raw', this.#password, 'PBKDF2', false, ['deriveBits']);
    const size = { 'SHA-1': 160, 'SHA-256': 256, 'SHA-512': 512 }[this.#hash];
    const salted = await crypto.subtle.deriveBits(
      { name: 'PBKDF2', hash: this.#hash, salt: fromBase64(server.get('s')), iterations: rounds }, key, size);
    const clientKey = await this.#hmac(salted, 'Client Key');
    const storedKey = await crypto.subtle.digest(this.#hash, clientKey);
    const withoutProof = `c=biws,r=${server.get('r')}`;
    const authMessage = `${this.#bare},${serverFirst},${withoutProof}`;
    const signature = new Uint8Array(await this.#hmac(storedKey, authMessage));
    this.#serverSignature = base64(await this.#hmac(await this.#hmac(salted, 'Server Key'), authMessage));
    const proof = new Uint8Array(clientKey).map((byte, i) => byte ^ signature[i]);
    return base64(bytes(`${withoutProof},p=${base64(proof)}`));
  }

  /** Whether the server's last word proves that it knows our keys. */
  proves(additional) {
    const verifier = fields(new TextDecoder().decode(fromBase64(additional))).get('v');
    return this.#serverSignature !== undefined && verifier === this.#serverSignature;
  }

  async #hmac(key, data) {
    const imported = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: this.#hash }, false, ['sign']);
    return crypto.subtle.sign('HMAC', imported, typeof data === 'string' ? bytes(data) : data);
  }
}
