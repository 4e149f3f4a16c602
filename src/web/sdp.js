// SDP ⇄ Jingle for what browsers negotiate: XEP-0166, 0167, 0176, 0293, 0294, 0320, 0338, 0339. Pure functions.
import { kid, kids, x } from './xmpp.js';

export const JINGLE = 'urn:xmpp:jingle:1', RTP = 'urn:xmpp:jingle:apps:rtp:1', ICE = 'urn:xmpp:jingle:transports:ice-udp:1';
export const DTLS = 'urn:xmpp:jingle:apps:dtls:0', GROUP = 'urn:xmpp:jingle:apps:grouping:0';
export const FEEDBACK = 'urn:xmpp:jingle:apps:rtp:rtcp-fb:0', HDREXT = 'urn:xmpp:jingle:apps:rtp:rtp-hdrext:0';
export const SOURCES = 'urn:xmpp:jingle:apps:rtp:ssma:0';
const TRICKLE = 'http://gultsch.de/xmpp/drafts/jingle/transports/ice-udp/option';

const other = role => (role === 'initiator' ? 'responder' : 'initiator');
// XEP-0166 §7.3: by the role of the party whose description it is; XEP-0294 in the same way.
const toSenders = (direction, role) => ({ sendonly: role, recvonly: other(role), inactive: 'none' }[direction] ?? 'both');
const toDirection = (senders, role) => ({ [role]: 'sendonly', [other(role)]: 'recvonly', none: 'inactive' }[senders] ?? 'sendrecv');

/** What stands before the first separator, and what after it. */
const cut = (text, separator = ' ') => [text.split(separator, 1)[0], text.split(separator).slice(1).join(separator) || undefined];
const split = sdp => sdp.split(/\r\n(?=m=)/);
/** The values of all `a=name:value` lines of a section, '' for a bare `a=name`. */
const values = (section, name) => section.split('\r\n').filter(l => l.startsWith('a=') && cut(l, ':')[0] === `a=${name}`)
  .map(l => l.slice(name.length + 3));

/** What goes into `<jingle/>` for a description of the party with this role. */
export function toJingle(sdp, role) {
  const [session, ...sections] = split(sdp), taken = sections.filter(s => !/^m=\S+ 0 /.test(s) || values(s, 'bundle-only').length);
  const names = taken.map(s => values(s, 'mid')[0]);
  const groups = values(session, 'group').map(g => g.split(' ')).map(([semantics, ...mids]) =>
    x('group', { xmlns: GROUP, semantics }, mids.filter(m => names.includes(m)).map(name => x('content', { name }))));
  return [taken.map(section => content(section, session, role)), groups];
}

function content(section, session, role) {
  const [media, , , ...formats] = section.split('\r\n')[0].slice(2).split(' ');
  const one = name => values(section, name)[0] ?? values(session, name)[0], is = name => one(name) !== undefined;
  const [hash, fingerprint] = cut(one('fingerprint') ?? '');
  return x('content', { creator: 'initiator', name: one('mid'), senders: toSenders(['sendonly', 'recvonly', 'inactive'].find(is), role) },
    x('description', { xmlns: RTP, media },
      formats.map(format => payloadType(section, format)),
      feedback(section, '*'),
      values(section, 'extmap').map(line => {
        const [which, uri] = line.split(' '), [id, way] = cut(which, '/');
        return x('rtp-hdrext', { xmlns: HDREXT, id, uri, senders: toSenders(way, role) });
      }),
      is('extmap-allow-mixed') && x('extmap-allow-mixed', { xmlns: HDREXT }),
      sources(section),
      is('rtcp-mux') && x('rtcp-mux')),
    x('transport', { xmlns: ICE, ufrag: one('ice-ufrag'), pwd: one('ice-pwd') },
      /\btrickle\b/.test(one('ice-options')) && x('trickle', { xmlns: TRICKLE }),
      fingerprint && x('fingerprint', { xmlns: DTLS, hash, setup: one('setup') ?? 'actpass' }, fingerprint),
      values(section, 'candidate').map(candidate)));
}

function payloadType(section, id) {
  const line = name => values(section, name).map(v => cut(v)).find(([format]) => format === id)?.[1] ?? '';
  const [name, clockrate, channels] = line('rtpmap').split('/');
  return x('payload-type', { id, name: name || undefined, clockrate, channels },
    line('fmtp').split(';').map(p => p.trim()).filter(Boolean).map(p => {
      const [key, value] = cut(p, '=');
      return x('parameter', value === undefined ? { name: '', value: key } : { name: key, value });
    }),
    feedback(section, id));
}

const feedback = (section, id) => values(section, 'rtcp-fb').map(v => v.split(' ')).filter(([format]) => format === id)
  .map(([, type, subtype]) => x('rtcp-fb', { xmlns: FEEDBACK, type, subtype }));

function sources(section) {
  const all = new Map(), [msid] = values(section, 'msid');
  for (const [ssrc, line] of values(section, 'ssrc').map(v => cut(v))) {
    all.set(ssrc, new Map([['msid', msid], ...all.get(ssrc) ?? [], cut(line, ':')]));
  }
  return [
    ...[...all].map(([ssrc, lines]) => x('source', { xmlns: SOURCES, ssrc },
      [...lines].map(([name, value]) => (value !== undefined || name !== 'msid') && x('parameter', { name, value })))),
    ...values(section, 'ssrc-group').map(v => v.split(' ')).map(([semantics, ...ssrcs]) =>
      x('ssrc-group', { xmlns: SOURCES, semantics }, ssrcs.map(ssrc => x('source', { ssrc })))),
  ];
}

function candidate(line, index) {
  const [foundation, component, protocol, priority, ip, port, , type, ...rest] = line.replace(/^candidate:/, '').split(' ');
  const more = name => rest[rest.indexOf(name) + 1 || rest.length];
  return protocol.toLowerCase() === 'udp' && x('candidate', { component, foundation, generation: more('generation') ?? '0',
    id: `c${foundation}-${component}-${port}-${index}`, ip, network: more('network-id') ?? '0', port, priority, protocol: 'udp',
    'rel-addr': more('raddr'), 'rel-port': more('rport'), type });
}

/** The content of a `transport-info` for one candidate of `RTCPeerConnection`; undefined for one that peers would not want (TCP). */
export function candidateToJingle({ candidate: line, sdpMid: name, usernameFragment: ufrag }, localSdp) {
  const pwd = values(split(localSdp).find(s => values(s, 'mid')[0] === name) ?? '', 'ice-pwd')[0], element = candidate(line, 0);
  return element && x('content', { creator: 'initiator', name }, x('transport', { xmlns: ICE, ufrag, pwd }, element));
}

/** An attribute's value; no line of SDP can be smuggled in by it. */
const attr = (element, name) => element.getAttribute(name)?.replace(/[\r\n]+/g, ' ') ?? undefined;

const pair = (element, first, second, between) => [attr(element, first), attr(element, second)].filter(Boolean).join(between);

/** The candidates in `<jingle/>`, as for `RTCPeerConnection.addIceCandidate`. */
export const candidatesFromJingle = jingle => kids(jingle, 'content').flatMap(c => kids(c, 'transport', ICE).flatMap(t =>
  kids(t, 'candidate').map(e => ({ sdpMid: attr(c, 'name'), candidate: candidateLine(e), usernameFragment: attr(t, 'ufrag') ?? null }))));

function candidateLine(element) {
  const a = name => attr(element, name);
  return `candidate:${a('foundation')} ${a('component')} ${a('protocol')} ${a('priority')} ${a('ip')} ${a('port')} typ ${a('type')}`
    + (a('rel-addr') ? ` raddr ${a('rel-addr')} rport ${a('rel-port') ?? 9}` : '') + ` generation ${a('generation') ?? 0}`;
}

/** The media of an offer in order, [[name, media], …]: an answer must have them all. */
export const mediaOf = sdp => split(sdp).slice(1).map(s => [values(s, 'mid')[0], /^m=(\S+)/.exec(s)[1]]);

/** The session description of `<jingle/>` sent by the party with this role; `offered` when it answers an offer of that media. */
export function toSdp(jingle, role, offered) {
  const contents = new Map(kids(jingle, 'content').map(c => [attr(c, 'name'), c]));
  const groups = kids(jingle, 'group', GROUP).map(g => [attr(g, 'semantics'), ...kids(g, 'content').map(c => attr(c, 'name'))]);
  const sections = (offered ?? [...contents.keys()].map(name => [name])).flatMap(([name, media]) => (contents.has(name)
    ? section(name, contents.get(name), role, groups.length > 0, offered ? 'active' : 'actpass')
    : [`m=${media} 0 UDP/TLS/RTP/SAVPF 0`, 'c=IN IP4 0.0.0.0', `a=mid:${name}`, 'a=inactive']));
  return ['v=0', 'o=- 1 1 IN IP4 0.0.0.0', 's=-', 't=0 0', ...groups.map(g => `a=group:${g.join(' ')}`), ...sections, ''].join('\r\n');
}

function section(name, element, role, bundled, setup) {
  const description = kid(element, 'description', RTP), transport = kid(element, 'transport', ICE);
  if (!description || !transport) throw new Error(`content ${name} is not RTP over ICE`);
  const media = attr(description, 'media'), types = kids(description, 'payload-type'), fingerprint = kid(transport, 'fingerprint', DTLS);
  const feedbackLines = (parent, id) => kids(parent, 'rtcp-fb', FEEDBACK).map(f => `a=rtcp-fb:${id} ${pair(f, 'type', 'subtype', ' ')}`);
  return [
    `m=${media} 9 UDP/TLS/RTP/SAVPF ${types.map(t => attr(t, 'id')).join(' ')}`, 'c=IN IP4 0.0.0.0',
    `a=mid:${name}`, `a=${toDirection(attr(element, 'senders'), role)}`,
    `a=ice-ufrag:${attr(transport, 'ufrag')}`, `a=ice-pwd:${attr(transport, 'pwd')}`, 'a=ice-options:trickle',
    fingerprint && `a=fingerprint:${attr(fingerprint, 'hash')} ${fingerprint.textContent.replace(/\s/g, '')}`,
    fingerprint && `a=setup:${attr(fingerprint, 'setup') ?? setup}`,
    (bundled || kid(description, 'rtcp-mux')) && 'a=rtcp-mux',
    ...types.flatMap(t => {
      const [id, codec, clockrate, channels] = ['id', 'name', 'clockrate', 'channels'].map(a => attr(t, a));
      const parameters = kids(t, 'parameter').map(p => pair(p, 'name', 'value', '=')).join(';');
      return [codec && `a=rtpmap:${id} ${codec}/${clockrate ?? (media === 'video' ? 90000 : 8000)}${channels > 1 ? `/${channels}` : ''}`,
        parameters && `a=fmtp:${id} ${parameters}`, ...feedbackLines(t, id)];
    }),
    ...feedbackLines(description, '*'),
    kid(description, 'extmap-allow-mixed', HDREXT) && 'a=extmap-allow-mixed',
    ...kids(description, 'rtp-hdrext', HDREXT).map(e => {
      const way = toDirection(attr(e, 'senders'), role);
      return `a=extmap:${attr(e, 'id')}${way === 'sendrecv' ? '' : `/${way}`} ${attr(e, 'uri')}`;
    }),
    ...sourceLines(description),
    ...kids(transport, 'candidate').map(c => `a=${candidateLine(c)}`),
  ].filter(Boolean);
}

function sourceLines(description) {
  const ssrc = source => attr(source, 'ssrc'), parameters = source => kids(source, 'parameter').map(p => pair(p, 'name', 'value', ':'));
  const lines = new Map(kids(description, 'source', SOURCES).map(s => [ssrc(s), parameters(s)]));
  const groups = kids(description, 'ssrc-group', SOURCES).map(g => [attr(g, 'semantics'), ...kids(g, 'source').map(ssrc)]);
  // Browsers want a cname for every member of a group; some clients describe the first one only.
  for (const [, first, ...more] of groups) more.filter(s => !lines.get(s)?.length).forEach(s => lines.set(s, lines.get(first) ?? []));
  return [...groups.map(g => `a=ssrc-group:${g.join(' ')}`), ...[...lines].flatMap(([id, all]) => all.map(line => `a=ssrc:${id} ${line}`))];
}
