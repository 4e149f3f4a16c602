// What is collected: for each constellation what the two parties do. A function given to `do` runs in the page.
//   programs  which call themselves (both if absent)
//   across    which call the other one. Not Firefox after setCodecPreferences: it describes payload types that it no longer lists, and Chromium refuses that
//   page      'real' addresses, 'hidden' behind mDNS names, or 'trials': a Chromium with what is not on by default
//   servers   which of the collector's servers it needs
//   configuration  of RTCPeerConnection; may depend on the servers

const BOTH = ['audio', 'video'], EITHER = ['chromium', 'firefox'];
const lines = (...all) => all.map(line => `${line}\r\n`).join('');
/** After the c= line of each section of that media. */
const insert = (media, ...added) => sdp => sdp.replace(new RegExp(`(?<=^m=${media} .*\r\nc=.*\r\n)`, 'gm'), lines(...added));
const opus = parameters => sdp => sdp.replace(/^(a=fmtp:(\d+) .*useinbandfec=1.*)(?=\r$)/gm, `$1;${parameters}`);
const RIDS = [{ rid: 'h', maxBitrate: 900_000 }, { rid: 'm', scaleResolutionDownBy: 2, maxBitrate: 300_000 }, { rid: 'l', scaleResolutionDownBy: 4, maxBitrate: 100_000 }];
const sendVideo = async (pc, encodings) => { pc.addTransceiver(await capture('video'), { direction: 'sendonly', streams: [new MediaStream()], sendEncodings: encodings }); };
/** Leaves the codecs of these names, in this order. */
const prefer = (pc, kind, ...names) => {
  const { codecs } = RTCRtpReceiver.getCapabilities(kind);
  const wanted = names.flatMap(name => codecs.filter(c => c.mimeType.toLowerCase() === `${kind}/${name}`));
  for (const t of pc.getTransceivers()) if (t.receiver.track.kind === kind) t.setCodecPreferences(wanted);
};
const direct = (pc, ...directions) => pc.getTransceivers().forEach((t, i) => { if (directions[i]) t.direction = directions[i]; });
const stop = (pc, index) => pc.getTransceivers()[index].stop();
const channel = pc => { pc.createDataChannel('chat'); };
const transceive = (pc, kind, direction) => { pc.addTransceiver(kind, { direction }); };

/** One exchange in which each party sends what is named. */
const call = (...kinds) => async s => {
  for (const party of [s.initiator, s.responder]) await party.add(...kinds);
  await s.exchange();
};
const withCodecs = (kind, ...names) => async s => {
  for (const party of [s.initiator, s.responder]) await party.add(...BOTH);
  await s.initiator.do(prefer, kind, ...names);
  await s.exchange();
};

export const CONSTELLATIONS = {
  'audio': { across: EITHER, run: call('audio') },
  'video': { run: call('video') },
  'audio-video': { across: EITHER, run: call(...BOTH) },
  'max-bundle': { configuration: { bundlePolicy: 'max-bundle' }, run: async s => {
    await s.initiator.do(channel);
    await call(...BOTH)(s);
  } },
  'max-compat': { configuration: { bundlePolicy: 'max-compat' }, run: async s => {
    await s.initiator.do(channel);
    await call(...BOTH)(s);
  } },
  'without-bundle': { run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add(...BOTH);
    const ungrouped = sdp => sdp.replace(/^a=group:.*\r\n/m, '');
    await s.exchange('initiator', { offer: { send: ungrouped } });
    await s.exchange('responder');
  } },
  'audio-video-data': { across: EITHER, run: async s => {
    await s.initiator.do(channel);
    await call(...BOTH)(s);
  } },
  'data': { across: EITHER, run: async s => {
    await s.initiator.do(channel);
    await s.exchange();
  } },
  'data-later': { run: async s => {
    await call('audio')(s);
    await s.responder.do(channel);
    await s.exchange('responder');
  } },
  'two-audio-two-video': { across: EITHER, run: async s => {
    for (const party of [s.initiator, s.responder]) for (const kinds of [BOTH, BOTH]) await party.add(...kinds);
    await s.exchange();
  } },
  'streams': { run: async s => {
    await s.initiator.do(async pc => {
      const [one, two] = [new MediaStream(), new MediaStream()];
      pc.addTrack(await capture('audio'), one, two);
      pc.addTrack(await capture('video'), two);
      pc.addTrack(await capture('video'));
    });
    await s.exchange();
  } },
  'simulcast': { across: EITHER, run: async s => {
    await s.initiator.do(sendVideo, RIDS);
    await s.exchange();
  } },
  'simulcast-accepted': { run: async s => {
    await s.initiator.add('audio');
    await s.initiator.do(sendVideo, RIDS);
    // what a conference server answers
    const receives = sdp => sdp.concat(lines('a=rid:h recv', 'a=rid:m recv', 'a=rid:l recv', 'a=simulcast:recv h;m;l'));
    await s.exchange('initiator', { answer: { send: receives } });
    await s.exchange('initiator', { answer: { send: receives } });
  } },
  'simulcast-asked': { run: async s => {
    await s.initiator.do(transceive, 'video', 'recvonly');
    // what a conference server offers
    await s.offer('initiator', { send: insert('video', 'a=rid:h recv', 'a=rid:l recv', 'a=simulcast:recv h;l') });
    await s.responder.do(async pc => {
      const [transceiver] = pc.getTransceivers();
      await transceiver.sender.replaceTrack(await capture('video'));
      transceiver.direction = 'sendonly';
    });
    await s.answer('responder');
    await s.connected();
  } },
  // as applications did before there were restriction identifiers
  'simulcast-by-sources': { programs: ['chromium'], run: async s => {
    await s.initiator.add('video');
    const layers = sdp => {
      const [, source] = sdp.match(/^a=ssrc:(\d+) cname/m), more = [1, 2].map(n => String((Number(source) + n) % 2 ** 32));
      const own = sdp.match(new RegExp(`^a=ssrc:${source} .*\r\n`, 'gm')).join('');
      const single = sdp.replace(/^a=ssrc.*\r\n/gm, '');
      return single + lines(`a=ssrc-group:SIM ${[source, ...more].join(' ')}`) + own + more.map(n => own.replaceAll(`ssrc:${source}`, `ssrc:${n}`)).join('');
    };
    await s.exchange('initiator', { offer: { edit: layers } });
  } },
  'directions': { across: EITHER, run: async s => {
    for (const kind of BOTH) for (const direction of ['sendonly', 'recvonly', 'inactive', 'sendrecv']) await s.initiator.do(transceive, kind, direction);
    await s.responder.add(...BOTH);
    await s.exchange();
  } },
  'one-way-answer': { run: async s => {
    await s.initiator.add(...BOTH);
    await s.responder.add('audio');
    await s.exchange();
  } },
  'watch': { across: EITHER, run: async s => {
    for (const kind of BOTH) await s.initiator.do(transceive, kind, 'recvonly');
    await s.responder.add(...BOTH);
    await s.exchange();
  } },
  'inactive-answer': { run: async s => {
    await s.initiator.add(...BOTH);
    await s.offer('initiator');
    await s.responder.do(direct, 'inactive', 'inactive');
    await s.answer('responder');
    await s.connected();
  } },
  'add-video': { across: EITHER, run: async s => {
    await call('audio')(s);
    for (const party of [s.initiator, s.responder]) await party.add('video');
    await s.exchange();
  } },
  'responder-adds-video': { across: EITHER, run: async s => {
    await call('audio')(s);
    await s.responder.add('video');
    await s.exchange('responder');
    await s.initiator.do(async pc => {
      const transceiver = pc.getTransceivers()[1];
      await transceiver.sender.replaceTrack(await capture('video'));
      transceiver.direction = 'sendrecv';
    });
    await s.exchange('initiator');
  } },
  'max-bundle-add-video': { configuration: { bundlePolicy: 'max-bundle' }, run: async s => {
    await call('audio')(s);
    await s.initiator.do(channel);
    await s.initiator.add('video');
    await s.exchange();
  } },
  'max-compat-add-video': { configuration: { bundlePolicy: 'max-compat' }, run: async s => {
    await call('audio')(s);
    await s.initiator.do(channel);
    await s.initiator.add('video');
    await s.exchange();
  } },
  'stop-and-reuse': { across: EITHER, run: async s => {
    await call(...BOTH)(s);
    await s.initiator.do(stop, 1);
    await s.exchange();
    await s.initiator.add('video');
    await s.exchange();
  } },
  'reuse-by-another-kind': { run: async s => {
    await call(...BOTH)(s);
    await s.initiator.do(stop, 1);
    await s.exchange();
    await s.initiator.do(channel);
    await s.initiator.add('audio');
    await s.exchange();
  } },
  'responder-stops': { run: async s => {
    await call(...BOTH)(s);
    await s.responder.do(stop, 1);
    await s.exchange('responder');
    await s.initiator.add('video');
    await s.exchange('initiator');
  } },
  'stop-first': { run: async s => {
    await call(...BOTH)(s);
    await s.initiator.do(stop, 0);
    await s.exchange();
  } },
  'remove-track': { run: async s => {
    await call(...BOTH)(s);
    await s.initiator.do(pc => pc.removeTrack(pc.getSenders()[1]));
    await s.exchange();
    await s.responder.do(pc => pc.removeTrack(pc.getSenders()[1]));
    await s.exchange('responder');
  } },
  // the answer says `inactive`; refused is the section in the offer that follows
  'stopped-before-answer': { across: EITHER, run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add('audio');
    await s.initiator.add('video');
    await s.offer('initiator');
    await s.responder.do(stop, 1);
    await s.answer('responder');
    await s.connected();
    await s.exchange('responder');
  } },
  'no-common-codec': { across: ['chromium'], run: async s => {
    await s.initiator.add(...BOTH);
    await s.initiator.do(prefer, 'video', 'vp9');
    await s.offer('initiator');
    await s.responder.do(prefer, 'video', 'vp8');
    await s.answer('responder');
    await s.connected();
  } },
  // the section refused is the one that the others were to be bundled with; Firefox gathers nothing when it answers so
  'no-common-codec-first': { programs: ['chromium'], across: ['firefox'], run: async s => {
    await s.initiator.add(...BOTH);
    await s.initiator.do(channel);
    await s.initiator.do(prefer, 'audio', 'g722');
    await s.offer('initiator');
    await s.responder.do(prefer, 'audio', 'opus');
    await s.answer('responder');
    await s.connected();
    await s.exchange();
  } },
  'unknown-codec': { run: async s => {
    await s.initiator.add(...BOTH);
    // as from a program with codecs of its own
    const foreign = sdp => sdp.replace(/^(m=video \d+ \S+) .*(?=\r$)/m, '$1 97').replace(/^a=(?:rtpmap|fmtp|rtcp-fb):(?!\d+ opus)\d+ .*\r\n/gm,
      (line, at, all) => at > all.indexOf('m=video') ? '' : line).concat(lines('a=rtpmap:97 theora/90000'));
    await s.exchange('initiator', { offer: { send: foreign } });
  } },
  'hold': { across: EITHER, run: async s => {
    await call(...BOTH)(s);
    await s.initiator.do(direct, 'sendonly', 'sendonly');
    await s.exchange();
    await s.initiator.do(direct, 'sendrecv', 'sendrecv');
    await s.exchange();
  } },
  'hold-inactive': { run: async s => {
    await call(...BOTH)(s);
    await s.responder.do(direct, 'inactive', 'inactive');
    await s.exchange('responder');
    await s.responder.do(direct, 'sendrecv', 'sendrecv');
    await s.exchange('responder');
  } },
  'ice-restart': { across: EITHER, run: async s => {
    await call(...BOTH)(s);
    await s.initiator.do(pc => pc.restartIce());
    await s.exchange();
  } },
  // not across: Chromium refuses Firefox's answer here, where Firefox takes the active role that Chromium has had
  'responder-restarts-ice': { run: async s => {
    await call(...BOTH)(s);
    await s.responder.do(pc => pc.restartIce());
    await s.exchange('responder');
  } },
  'complete': { across: EITHER, run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add(...BOTH);
    await s.initiator.do(channel);
    await s.exchange('initiator', { complete: true });
    await s.exchange('responder', { complete: true });
  } },
  'hidden': { page: 'hidden', run: async s => {
    await s.initiator.do(channel);
    for (const kind of BOTH) await s.initiator.do(transceive, kind, 'sendrecv');
    await s.exchange('initiator', { keep: true, connects: false });
  } },
  'hidden-complete': { page: 'hidden', run: async s => {
    await s.initiator.do(channel);
    await s.exchange('initiator', { complete: true, keep: true, connects: false });
  } },
  'reflexive': { servers: ['stun'], configuration: ({ stun }) => ({ iceServers: [{ urls: stun }] }), run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add('audio');
    await s.exchange('initiator', { keep: true, connects: false });
  } },
  'reflexive-complete': { servers: ['stun'], configuration: ({ stun }) => ({ iceServers: [{ urls: stun }] }), run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add('audio');
    await s.initiator.do(channel);
    await s.exchange('initiator', { complete: true, keep: true, connects: false });
  } },
  'reflexive-hidden': { page: 'hidden', servers: ['stun'], configuration: ({ stun }) => ({ iceServers: [{ urls: stun }] }), run: async s => {
    await s.initiator.do(channel);
    await s.exchange('initiator', { keep: true, connects: false });
  } },
  'relayed': { servers: ['turn'], configuration: ({ turn }) => ({ iceServers: [turn], iceTransportPolicy: 'relay' }), run: call(...BOTH) },
  'relayed-complete': { servers: ['turn'], configuration: ({ turn }) => ({ iceServers: [turn], iceTransportPolicy: 'relay' }), run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add(...BOTH);
    await s.exchange('initiator', { complete: true });
  } },
  'relayed-ip6-complete': { servers: ['turn'], configuration: ({ turn6 }) => ({ iceServers: [turn6], iceTransportPolicy: 'relay' }), run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add(...BOTH);
    await s.exchange('initiator', { complete: true });
  } },
  'no-candidates': { configuration: { iceTransportPolicy: 'relay' }, run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add('audio');
    await s.exchange('initiator', { complete: true, connects: false });
  } },
  'rtcp-apart': { programs: ['chromium'], configuration: { rtcpMuxPolicy: 'negotiate', bundlePolicy: 'max-compat' }, run: call(...BOTH) },
  'codecs-opus': { run: withCodecs('audio', 'opus') },
  'codecs-g711': { run: withCodecs('audio', 'pcma', 'pcmu', 'telephone-event') },
  'codecs-g722': { run: withCodecs('audio', 'g722') },
  'codecs-red-audio': { programs: ['chromium'], run: withCodecs('audio', 'red', 'opus', 'telephone-event') },
  'codecs-vp8': { run: withCodecs('video', 'vp8') },
  'codecs-vp9': { run: withCodecs('video', 'vp9', 'rtx') },
  'codecs-av1': { run: withCodecs('video', 'av1', 'vp8', 'rtx') },
  'codecs-h264': { across: ['chromium'], run: withCodecs('video', 'h264', 'rtx') },
  'codecs-fec': { run: withCodecs('video', 'vp8', 'red', 'ulpfec', 'rtx') },
  'trials': { programs: ['chromium'], page: 'trials', run: async s => {
    await s.initiator.do(channel);
    await call(...BOTH)(s);
  } },
  'codecs-later': { run: async s => {
    await call('video')(s);
    await s.initiator.do(prefer, 'video', 'vp9', 'rtx');
    await s.exchange();
  } },
  'opus-parameters': { run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add('audio');
    const music = opus('stereo=1;sprop-stereo=1;maxaveragebitrate=128000;usedtx=1;cbr=1');
    await s.exchange('initiator', { offer: { send: music } });
    await s.exchange('responder');
  } },
  'opus-parameters-set': { programs: ['chromium'], run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add('audio');
    await s.exchange('initiator', { edit: opus('stereo=1;maxaveragebitrate=128000') });
  } },
  'ptime': { run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add('audio');
    await s.exchange('initiator', { offer: { send: sdp => sdp.concat(lines('a=ptime:40', 'a=maxptime:60')) } });
  } },
  'bandwidth': { run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add(...BOTH);
    const limited = sdp => insert('video', 'b=AS:500', 'b=TIAS:480000')(insert('audio', 'b=AS:48')(sdp));
    await s.exchange('initiator', { offer: { send: limited } });
    await s.exchange('responder');
  } },
  'bandwidth-set': { run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add(...BOTH);
    await s.exchange('initiator', { edit: insert('video', 'b=AS:500') });
    await s.exchange('initiator');
  } },
  'header-extensions': { programs: ['chromium'], run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add(...BOTH);
    await s.initiator.do(pc => pc.getTransceivers().forEach(t => {
      const directions = ['sendrecv', 'sendonly', 'recvonly', 'stopped'];
      const all = t.getHeaderExtensionsToNegotiate();
      let next = 0;
      for (const e of all) if (!e.uri.endsWith(':mid')) e.direction = directions[next++ % directions.length];
      t.setHeaderExtensionsToNegotiate(all);
    }));
    await s.exchange();
  } },
  'header-extensions-all': { programs: ['chromium'], run: async s => {
    for (const party of [s.initiator, s.responder]) {
      await party.add(...BOTH);
      await party.do(pc => pc.getTransceivers().forEach(t =>
        t.setHeaderExtensionsToNegotiate(t.getHeaderExtensionsToNegotiate().map(e => ({ ...e, direction: 'sendrecv' })))));
    }
    await s.exchange();
  } },
  'extensions-not-mixed': { run: async s => {
    for (const party of [s.initiator, s.responder]) await party.add(...BOTH);
    await s.exchange('initiator', { offer: { send: sdp => sdp.replace(/^a=extmap-allow-mixed\r\n/gm, '') } });
  } },
};
