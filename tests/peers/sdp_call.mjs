// Calls in which each side's SDP is made by `campanile sdp` alone. Argument: {"tool": the program, "initiator": "chromium", "responder": "firefox",
// or "aiortc", "calls": names of those below, all if absent}. Says `connected` with what was said for each.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Browser, say } from './browser.mjs';
import { Firefox } from './firefox.mjs';
import { serve } from './site.mjs';
import { Call, PageEnd, ProcessEnd, patiently } from './sdp_call/call.mjs';
import { Tool } from './sdp_call/tool.mjs';

const { tool: program, initiator, responder, calls } = JSON.parse(process.argv[2]);
const BOTH = ['audio', 'video'];
const RIDS = [{ rid: 'h' }, { rid: 'm', scaleResolutionDownBy: 2 }, { rid: 'l', scaleResolutionDownBy: 4 }];

const hears = (call, role, ...kinds) => Promise.all(kinds.map(kind => patiently(`the ${role} receives ${kind}`, call[role].receives(kind))));
const flows = (call, ...kinds) => Promise.all(['initiator', 'responder'].map(role => hears(call, role, ...kinds)));
const echoes = async (call, text) => assert.equal(await patiently('the echo', call.initiator.echo(text)), `${text}, says the other end`);
const direct = (end, direction) => end.pc.getTransceivers().forEach(t => { t.direction = direction; });
const directions = async call => Object.fromEntries(await Promise.all(['initiator', 'responder'].map(async role => [role, await call[role].do(end => end.directions())])));
const talk = async (call, ...kinds) => {
  for (const role of ['initiator', 'responder']) await call[role].add(...kinds);
  await call.exchange();
};const collapse = said => said.filter((stanza, i) => stanza !== said[i - 1]);
/** Of what was said, that which changes contents: candidates may need any number of stanzas, sources are the browsers' own business. */
const contents = said => said.filter(stanza => stanza.includes(' content-') || stanza.includes(' session-') || stanza.includes('-replace'));

const CALLS = {
  'audio, video and data': async call => {
    await call.initiator.open();
    await talk(call, ...BOTH);
    await flows(call, ...BOTH);
    await echoes(call, 'hello');
    assert.deepEqual(contents(call.said), ['initiator session-initiate', 'responder session-accept']);
  },
  'simulcast': async call => {
    await call.initiator.do(async (end, sendEncodings) => {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720, frameRate: 5 } }); // smaller ones have fewer layers
      end.pc.addTransceiver(stream.getTracks()[0], { direction: 'sendonly', streams: [stream], sendEncodings });
    }, RIDS);
    // what a conference server answers; a browser makes nothing of what comes then, and Firefox would not take the header extension
    const receives = (answer, offer) => {
      const [, id, uri] = offer.match(/^a=extmap:(\d+)\S* (\S+:rtp-stream-id)\r\n/m);
      return [answer, answer.includes(uri) ? '' : `a=extmap:${id}/recvonly ${uri}\r\n`, ...RIDS.map(({ rid }) => `a=rid:${rid} recv\r\n`), 'a=simulcast:recv h;m;l\r\n'].join('');
    };
    await call.exchange('initiator', { edit: receives });
    await patiently('three layers go out', call.initiator.do(end => end.reaches('outbound', 'video', { streams: 3 })));
  },
  'video added': async call => {
    await talk(call, 'audio');
    await flows(call, 'audio');
    for (const role of ['initiator', 'responder']) await call[role].add('video');
    assert.deepEqual(contents(await call.exchange()), ['initiator content-add', 'responder content-accept']);
    await flows(call, ...BOTH);
  },
  'video added by the responder': async call => {
    await talk(call, 'audio');
    await call.responder.add('video');
    assert.deepEqual(contents(await call.exchange('responder')), ['responder content-add', 'initiator content-accept']);
    await Promise.all([hears(call, 'initiator', ...BOTH), hears(call, 'responder', 'audio')]);
  },
  'data added': async call => {
    await talk(call, 'audio');
    await call.initiator.open();
    assert.deepEqual(contents(await call.exchange()), ['initiator content-add', 'responder content-accept']);
    await Promise.all([flows(call, 'audio'), echoes(call, 'late')]);
  },
  'hold': async call => {
    await talk(call, ...BOTH);
    await flows(call, ...BOTH);
    await call.initiator.do(direct, 'sendonly');
    assert.deepEqual(contents(await call.exchange()), ['initiator content-modify']);
    assert.deepEqual(await directions(call), { initiator: ['sendonly', 'sendonly'], responder: ['recvonly', 'recvonly'] });
    await hears(call, 'responder', ...BOTH);
    await call.initiator.do(direct, 'sendrecv');
    assert.deepEqual(contents(await call.exchange()), ['initiator content-modify']);
    await flows(call, ...BOTH);
  },
  'ICE restarted': async call => {
    await talk(call, ...BOTH);
    await flows(call, ...BOTH);
    const remote = () => call.responder.do(end => end.pc.remoteDescription.sdp.match(/^a=ice-ufrag:(.*)/m)[1].trim()), before = await remote();
    await call.initiator.do(end => end.pc.restartIce());
    const said = await call.exchange();
    assert.deepEqual(contents(said), []);
    for (const role of ['initiator', 'responder']) assert(said.includes(`${role} transport-info`), said.join());
    assert.notEqual(await remote(), before);
    // Firefox hears nothing more after Chromium's restart, also where each has the other's own SDP
    await (initiator === 'chromium' && responder === 'firefox' ? hears(call, 'initiator', ...BOTH) : flows(call, ...BOTH));
  },
  'video removed, and other video in its place': async call => {
    await talk(call, ...BOTH);
    await flows(call, ...BOTH);
    await call.initiator.do(end => end.pc.getTransceivers()[1].stop());
    assert.deepEqual(contents(await call.exchange()), ['initiator content-remove']);
    await flows(call, 'audio');
    for (const role of ['initiator', 'responder']) await call[role].add('video');
    assert.deepEqual(contents(await call.exchange()), ['initiator content-add', 'responder content-accept']);
    await flows(call, ...BOTH);
  },
};

const started = [], pages = {};
const site = await serve(path => ({ '/': ['text/html', `<!doctype html><title>Calls</title><script>${['sdp_corpus/end.js', 'sdp_call/end.js']
  .map(name => readFileSync(new URL(name, import.meta.url), 'utf8')).join('\n')}</script><body></body>`] })[path]);
const tool = new Tool(program);
started.push(site, tool);
const START = { chromium: () => Browser.start(), firefox: () => Firefox.start({ preferences: { 'media.peerconnection.ice.obfuscate_host_addresses.blocklist': 'localhost' } }) };
try {
  for (const name of new Set([initiator, responder])) {
    const browser = await START[name]?.();
    if (!browser) continue;
    started.push(browser);
    for (const role of ['initiator', 'responder']) if ({ initiator, responder }[role] === name) pages[role] = await browser.open(site.url);
  }
  const open = role => pages[role] ? PageEnd.open(pages[role]) : ProcessEnd.open();
  for (const [name, run] of Object.entries(CALLS)) {
    if (calls && !calls.includes(name)) continue;
    const call = new Call(tool, await open('initiator'), await open('responder'));
    try {
      await run(call);
    } catch (error) {
      throw new Error(`${name}, after ${collapse(call.said).join(', ')}`, { cause: error });
    }
    say('connected', { call: name, said: collapse(call.said) });
    await call.close();
  }
  say('done');
} finally {
  for (const running of started.reverse()) await running.stop();
}
