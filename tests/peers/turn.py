"""What a TURN client of aioice is refused, and that the relay goes on serving after it.

Argument besides the usual: "turn": [host, port] of the relay over UDP, "username", "password"."""

import asyncio
import socket

from aioice import stun
from aioice.turn import UDP_TRANSPORT, TurnClientUdpProtocol

from peer import main, say

# An attribute that aioice does not know, and one that nobody does (RFC 8489 §14: below 0x8000, so the server must understand it).
for number, name in ((0x0017, "REQUESTED-ADDRESS-FAMILY"), (0x7F7F, "UNHEARD-OF")):
    stun.ATTRIBUTES_BY_NAME[name] = (number, name, stun.pack_unsigned, stun.unpack_unsigned)

FORBIDDEN = [
    "127.0.0.2", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.169.254", "169.254.1.1", "0.0.0.0", "0.1.2.3",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.0.1", "198.18.0.1",
    "::1", "::", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.2", "::ffff:169.254.169.254", "::10.0.0.1",
    "64:ff9b::a00:1", "64:ff9b::7f00:2", "2002:a00:1::", "2002:7f00:2::1", "2001:0:a00:1::", "fec0::1",
]


async def client(server, username=None, password=None):
    protocol = TurnClientUdpProtocol(tuple(server["turn"]), username or server["username"], password or server["password"], 600, 500)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, remote_addr=tuple(server["turn"]))
    protocol.receiver = Receiver()
    return protocol


class Receiver(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.Queue()

    async def until(self, wanted):
        while await asyncio.wait_for(self.received.get(), 30) != wanted:
            pass

    def datagram_received(self, data, addr):
        self.received.put_nowait((data, addr))


async def code(protocol, method, **attributes):
    """The error code that this request gets; None for success."""
    request = stun.Message(message_method=method, message_class=stun.Class.REQUEST)
    for name, value in attributes.items():
        request.attributes[name.replace("_", "-").upper()] = value
    try:
        await protocol.request_with_retry(request)
    except stun.TransactionFailed as error:
        return error.response.error_code
    return None


async def refused(server, username, password):
    protocol = await client(server, username, password)
    answer = await code(protocol, stun.Method.ALLOCATE, requested_transport=UDP_TRANSPORT)
    assert answer == 401, f"{username}: {answer}"
    protocol.transport.close()


async def turn(server):
    name, password = server["username"], server["password"]
    one, two = await client(server), await client(server)
    relayed, mapped = await one.connect(), one.mapped_address
    assert mapped[0] == "127.0.0.1" and mapped[1] == one.transport.get_extra_info("sockname")[1], mapped
    other = await two.connect()
    assert relayed != other
    await one.send_data(b"heard only if the permission comes first", other)
    for sender, receiver, to, back in ((two, one, relayed, other), (one, two, other, relayed)):
        await sender.send_data(b"hello", to)
        await receiver.receiver.until((b"hello", back))
    say("allocated", relayed=relayed)

    expiry, _, rest = name.partition(":")
    later = f"{int(expiry) + 86400}:{rest}" if expiry.isdigit() else f"9{name}"
    past = f"{1_000_000_000}:{rest}"
    altered = name[:-1] + ("A" if name[-1] != "A" else "B")
    for user, word in ((name, password[:-2] + "xx"), (altered, password), (later, password), (past, password), ("alice", "opensesame"), ("alice@localhost", "opensesame")):
        await refused(server, user, word)
    stale = await client(server)
    stale.nonce, stale.realm = b"made up", one.realm
    stale.integrity_key = one.integrity_key
    request = stun.Message(message_method=stun.Method.ALLOCATE, message_class=stun.Class.REQUEST)
    request.attributes["REQUESTED-TRANSPORT"] = UDP_TRANSPORT
    try:
        await stale.request(request)
        raise AssertionError("a nonce that the server never gave is good")
    except stun.TransactionFailed as error:
        assert error.response.error_code == 438 and "NONCE" in error.response.attributes, error
    say("wrong credentials")

    for address in FORBIDDEN:
        for method, more in ((stun.Method.CREATE_PERMISSION, {}), (stun.Method.CHANNEL_BIND, {"channel_number": 0x4123})):
            answer = await code(one, method, xor_peer_address=(address, 4000), **more)
            # 443: an IPv6 peer of an IPv4 allocation (RFC 8656 §18.3)
            assert answer == 403 or (":" in address and answer == 443), f"{address}: {answer}"
    assert await code(one, stun.Method.CREATE_PERMISSION, xor_peer_address=("1.1.1.1", 4000)) is None, "a public peer is refused"
    say("forbidden peers")

    # Our own address is open for relayed ports only: what else listens there hears nothing.
    victim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    victim.bind(("127.0.0.1", 0))
    victim.setblocking(False)
    target = victim.getsockname()
    answers = [await code(one, stun.Method.CREATE_PERMISSION, xor_peer_address=target)]
    assert await code(one, stun.Method.CREATE_PERMISSION, xor_peer_address=other) is None
    for _ in range(5):
        indication = stun.Message(message_method=stun.Method.SEND, message_class=stun.Class.INDICATION)
        indication.attributes["XOR-PEER-ADDRESS"] = target
        indication.attributes["DATA"] = b"inside"
        one.send_stun(indication, None)
    answers.append(await code(one, stun.Method.CHANNEL_BIND, xor_peer_address=target, channel_number=0x4124))
    one._send(b"\x41\x24\x00\x06inside")
    # what is sent later arrives later
    await one.send_data(b"fence", other)
    await two.receiver.until((b"fence", relayed))
    try:
        raise AssertionError(f"a service on our own address was reached: {victim.recv(100)}")
    except BlockingIOError:
        pass
    say("own address", answers=answers)

    allocate = dict(requested_transport=UDP_TRANSPORT)
    for wanted, method, attributes in (
        (437, stun.Method.ALLOCATE, allocate),
        (400, stun.Method.CHANNEL_BIND, dict(channel_number=0x3FFF, xor_peer_address=other)),
        (400, stun.Method.CHANNEL_BIND, dict(channel_number=0x8000, xor_peer_address=other)),
        (400, stun.Method.CHANNEL_BIND, dict(channel_number=0x4200)),
        (400, stun.Method.CREATE_PERMISSION, {}),
        (420, stun.Method.REFRESH, dict(unheard_of=1)),
    ):
        answer = await code(one, method, **attributes)
        assert answer == wanted, f"{method.name} {attributes}: wanted {wanted}, got {answer}"
    third = await client(server)
    assert await code(third, stun.Method.ALLOCATE, requested_transport=0x84000000) == 442
    # RFC 6062 §5.1: a TCP allocation is asked for over TCP.
    assert await code(third, stun.Method.ALLOCATE, requested_transport=0x06000000) == 400
    assert await code(third, stun.Method.ALLOCATE) == 400
    assert await code(third, stun.Method.REFRESH, lifetime=600) == 437
    for datagram in (b"\x4f\xfd\x00\x04nope", b"\x40\x00\xff\xffx", b"\x40\x00\x00\x05four", b"\x40", b"\x00\x01", bytes(20)):
        one._send(datagram)
    await one.send_data(b"still here", other)
    assert await asyncio.wait_for(two.receiver.received.get(), 30) == (b"still here", relayed)
    say("odd datagrams")

    assert await code(one, stun.Method.REFRESH, lifetime=0) is None
    assert await code(one, stun.Method.REFRESH, lifetime=600) == 437
    say("freed")
    for protocol in (one, two, third, stale):
        if protocol.refresh_task:
            protocol.refresh_task.cancel()
        protocol.transport.close()


main(turn)
