// What stanza.js 12.22 makes of SDP and of Jingle: a second opinion for our mapping. One request a line on standard input, one answer a line:
//   {"to": "jingle", "role": "initiator", "sdp": "v=0…"}        → {"jingle": "<jingle …>…"}
//   {"to": "sdp", "role": "responder", "jingle": "<jingle …>"}  → {"sdp": "v=0…"}
//   anything that it throws                                     → {"error": "…"}
// `role` is that of the party whose description it is. Optional: "action", "sid", "transport" (a namespace, for "jingle").
//
// Compare exactly only there, where it keeps a thing (measured, and read from its jingle/sdp/ and protocol/); `→` to Jingle, `←` to SDP:
//   session    kept: a=group, all of them. Everything else of the session is lost; ← o=, s=, t= and a=msid-semantic are its own.
//   section    kept: kind audio, video, application; mid as name (none without mid); direction as senders by role, left out for both; creator is always
//              initiator. Lost: port, c=, b=, a=rtcp, ptime, maxptime, label, content, rid, simulcast, crypto, zrtp-hash, bundle-only. ← the profile is
//              UDP/TLS/RTP/SAVPF or UDP/DTLS/SCTP, the port 9, `a=rtcp:9 IN IP4 0.0.0.0` stands in each. Other kinds (text) have no m= line on the way back.
//   port 0     → as accepted, also without bundle-only, but with an empty transport; ← a content without fingerprint gets port 0.
//   codecs     kept: order, id, name, clock rate, channels (→ always written), parameters (white space around them lost). One without `=` becomes a name
//              without value, and back; ← name='' becomes `undefined=`. → a static type without rtpmap is lost, ← without name or clock rate `undefined`.
//   rtcp-fb    kept on payload types; all after the type is the subtype, trr-int has its element. → `*` goes to each payload type after its own;
//              ← those of the description are lost.
//   extmap     kept: id, uri, direction by role. Lost: attributes, extmap-allow-mixed.
//   rtcp       kept: rtcp-mux; rtcp-rsize, in an element that no XEP has.
//   ssrc       kept: the first one's cname, and one FID group if a payload type has `apt`; → also as the description's ssrc. a=msid has its own <stream/>. Lost: the rest.
//   transport  kept: ufrag, pwd, all fingerprints with one setup. → it throws where a section with a port has no a=setup of its own, as in bundled answers and SIP.
//   candidate  kept: foundation, component, priority, ip, port, type, related address and port, tcptype, protocol (→ small, ← capital letters).
//              Lost: generation, id, network, other extensions; end-of-candidates.
//   data       kept: port and protocol, as sctpmap without streams; ← a=sctp-port. Lost: max-message-size. No <description/>.
// XML: rtcp-fb and rtp-hdrext have prefixes declared on <description/>.
// tests/run installs it, and CAMPANILE_TEST_TOOLS names the place.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const tools = createRequire(`${process.env.CAMPANILE_TEST_TOOLS}/npm/`);
const { importFromSDP, exportToSDP } = tools('stanza/jingle/sdp/Intermediate');
const { convertIntermediateToRequest, convertRequestToIntermediate } = tools('stanza/jingle/sdp/Protocol');
const { Registry, parse } = tools('stanza/jxt');

const registry = new Registry();
registry.define(tools('stanza/protocol').default);

const answers = {
  jingle({ sdp, role, action = role === 'responder' ? 'session-accept' : 'session-initiate', sid = 'oracle', transport = 'urn:xmpp:jingle:transports:ice-udp:1' }) {
    const request = { ...convertIntermediateToRequest(importFromSDP(sdp), role, transport), action, sid };
    return registry.export('iq.jingle', request).toString();
  },
  sdp({ jingle, role }) {
    return exportToSDP(convertRequestToIntermediate(registry.import(parse(jingle)), role));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const request = JSON.parse(line);
    answer = { [request.to]: answers[request.to](request) };
  } catch (error) {
    answer = { error: error.message };
  }
  console.log(JSON.stringify(answer));
}
