// Two session managers of stanza.js that talk to each other as through a server: each request is printed as XML, kept, and parsed on the other side.
import { SessionManager } from 'stanza/jingle';
import { Registry, parse } from 'stanza/jxt';
import protocol from 'stanza/protocol';

const registry = new Registry();
registry.define(protocol.default);

const names = { initiator: 'romeo@montague.lit/orchard', responder: 'juliet@capulet.lit/balcony' };
const other = party => (party === 'initiator' ? 'responder' : 'initiator');
const pause = ms => new Promise(done => setTimeout(done, ms));

/** Gives `{ managers, kept }`; what is kept is [party, action, the jingle element as printed]. */
function link() {
  const kept = [], managers = {};
  let line = Promise.resolve();
  for (const party of Object.keys(names)) {
    const manager = managers[party] = new SessionManager({ selfID: names[party], iceServers: [] });
    manager.on('send', data => {
      const xml = registry.export('iq', { id: `${kept.length}`, ...data, from: names[party] }).toString();
      const jingle = data.type === 'set' && xml.match(/<jingle .*<\/jingle>|<jingle [^>]*\/>/s);
      if (jingle) kept.push([party, data.jingle.action, jingle[0]]);
      line = line.then(() => pause(5)).then(() => {
        managers[other(party)].process(registry.import(parse(xml)));
        if (data.type === 'set') manager.process({ id: data.id, type: 'result', from: names[other(party)], jingle: { sid: data.jingle.sid } });
      });
    });
  }
  return { managers, kept };
}

/** `wanted`: audio, video, file, answer (what the responder adds), and restart, info: what happens in the call. */
window.collect = async ({ audio, video, file, answer = { audio, video }, restart, info }) => {
  const { managers, kept } = link();
  const media = wanted => (wanted.audio || wanted.video ? navigator.mediaDevices.getUserMedia({ audio: !!wanted.audio, video: !!wanted.video }) : undefined);
  const incoming = new Promise(found => managers.responder.on('incoming', found));
  let session;
  if (file) {
    session = managers.initiator.createFileTransferSession(names.responder);
    await session.start(new File(['Wherefore art thou?'], 'balcony.txt', { type: 'text/plain', lastModified: 0 }));
  } else {
    session = managers.initiator.createMediaSession(names.responder, undefined, await media({ audio, video }));
    await session.start({ offerToReceiveAudio: !!audio, offerToReceiveVideo: !!video });
  }
  const called = await incoming;
  if (info) await called.ring();
  const stream = await media(answer);
  stream?.getTracks().forEach(track => called.addTrack(track, stream));
  await called.accept();
  for (let tries = 0; tries < 100 && session.pc.iceConnectionState !== 'connected'; tries++) await pause(50);
  await pause(500);
  if (info) {
    for (const step of [() => session.hold(), () => session.resume(), () => called.mute('initiator', '0'), () => called.unmute('initiator', '0')]) {
      await step();
      await pause(50);
    }
  }
  if (restart) await session.restartIce();
  await pause(700);
  const state = session.pc.iceConnectionState;
  session.end('success');
  await pause(200);
  return { kept, state };
};
