// A STUN server as a client behind an address translator sees one: every Binding request comes from 203.0.113.7 (RFC 5737).
import { createSocket } from 'node:dgram';

const COOKIE = 0x2112A442, BINDING_SUCCESS = 0x0101, XOR_MAPPED_ADDRESS = 0x0020;

/** On this address; gives `{ stun, stop }`, `stun` for `iceServers`. */
export async function reflect(own) {
  const socket = createSocket('udp4');
  socket.on('message', (request, { address, port }) => {
    const answer = Buffer.alloc(32);
    answer.writeUInt16BE(BINDING_SUCCESS, 0);
    answer.writeUInt16BE(12, 2);
    request.copy(answer, 4, 4, 20);
    answer.writeUInt16BE(XOR_MAPPED_ADDRESS, 20);
    answer.writeUInt16BE(8, 22);
    answer[25] = 1;
    answer.writeUInt16BE(port ^ COOKIE >>> 16, 26);
    answer.writeUInt32BE((0xCB007107 ^ COOKIE) >>> 0, 28);
    socket.send(answer, port, address);
  });
  await new Promise(resolve => socket.bind(0, own, resolve));
  return { stun: `stun:${own}:${socket.address().port}`, stop: () => socket.close() };
}
