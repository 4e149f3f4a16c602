// `campanile sdp` as a program that the test calls: the only thing that carries a description from one end to the other.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Tool {
  #program; #folder = mkdtempSync(join(tmpdir(), 'campanile-sdp-')); #count = 0;

  constructor(program) { this.#program = program; }

  /** Stanzas, in their order. `before` is the description that both ends know. */
  async toJingle(role, sdp, { action, before } = {}) {
    return (await this.#run('to-jingle', role, sdp, action, before)).split('\n').filter(Boolean);
  }

  toSdp(role, jingle, { before } = {}) { return this.#run('to-sdp', role, jingle, undefined, before); }

  #run(direction, role, input, action, before) {
    const args = ['sdp', direction, '--role', role, ...(action ? ['--action', action] : [])];
    if (before !== undefined) {
      const file = join(this.#folder, String(this.#count++));
      writeFileSync(file, before);
      args.push('--session', file);
    }
    return new Promise((resolve, reject) => {
      const child = spawn(this.#program, args, { cwd: this.#folder, stdio: ['pipe', 'pipe', 'pipe'] });
      let out = '', complaints = '';
      child.stdout.setEncoding('utf8').on('data', text => { out += text; });
      child.stderr.setEncoding('utf8').on('data', text => { complaints += text; });
      child.stdin.on('error', () => {}); // it may end before it has read everything
      child.stdin.end(input);
      child.once('error', reject).once('close', code => {
        if (code === 0) resolve(out);
        else reject(new Error(`campanile ${args.join(' ')}: ${complaints}\nof ${input}\nbefore ${before}`));
      });
    });
  }

  stop() { rmSync(this.#folder, { recursive: true, force: true }); }
}

/** Of a `<jingle/>` as the tool writes it. */
export const actionOf = stanza => stanza.match(/^<jingle [^>]*?\baction='([^']*)'/)[1];
