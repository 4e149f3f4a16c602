"""What other XEPs add to rooms, by slixmpp's plugins: alice owns the rooms, bob (two resources) and carol are their guests; see muc_clients.rs."""

import base64
import hashlib

from slixmpp.plugins.xep_0004 import Form
from slixmpp.plugins.xep_0410 import PingStatus
from slixmpp.xmlstream import ET

from muc_peer import Scene, info
from payloads import PHOTO
from peer import main, refused, run

PLUGINS = ["xep_0050", "xep_0054", "xep_0077", "xep_0092", "xep_0199", "xep_0249", "xep_0313", "xep_0317", "xep_0359", "xep_0410", "xep_0421", "xep_0424", "xep_0425"]
RETRACT = "{urn:xmpp:message-retract:1}"


async def heard(s, room, client, body):
    """Client says it; gives the id that the room gave it (XEP-0359), the same to all who are there."""
    client.says(room, body)
    ids = set()
    for one in (s.alice, s.bob, s.carol):
        message = await one.hears(room, client.muc.our_nicks[None][room], body)
        assert message["stanza_id"]["by"] == room, message
        ids.add(message["stanza_id"]["id"])
    assert len(ids) == 1, ids
    return ids.pop()


async def direct_invitations(s):
    """XEP-0249."""
    room = await s.room("direct", passwordprotectedroom=True, roomsecret="cauldron")
    s.alice.plugin["xep_0249"].send_invitation(s.carol.bare, room, "cauldron", "Hey, this is the place")
    message = await s.carol.take("an invitation", lambda name, stanza: name == "groupchat_direct_invite")
    invite = message["groupchat_invite"]
    assert (message["from"], invite["jid"], invite["reason"]) == (s.alice.boundjid, room, "Hey, this is the place"), message
    await s.carol.join(room, "Carol", password=invite["password"])


async def occupants(s):
    """XEP-0045 §17.4, XEP-0421: requests from one to another, and who is who under any nickname."""
    room = await s.room("occupants", s.bob, s.carol)
    s.bob.plugin["xep_0092"].software_name = "Bob's client"
    version = await s.carol.plugin["xep_0092"].get_version(f"{room}/Bob")
    assert version["software_version"]["name"] == "Bob's client" and version["from"] == f"{room}/Bob", version
    _, features, _ = await info(s.carol, f"{room}/Bob")
    assert "jabber:iq:version" in features, features
    await refused("item-not-found", s.carol.plugin["xep_0092"].get_version(f"{room}/Nobody"))
    await refused("not-acceptable", s.phone.plugin["xep_0092"].get_version(f"{room}/Bob"))
    # its own call for that fails in this version
    assert s.bob.plugin["xep_0421"].namespace in (await info(s.bob, room))[1]

    async def ids(body):
        """By the messages of both."""
        found = []
        for client, nick in ((s.bob, s.bob.muc.our_nicks[None][room]), (s.carol, "Carol")):
            client.says(room, body)
            message = await s.alice.hears(room, nick, body)
            found.append(message["occupant-id"].xml.get("id"))
        return found
    first = await ids("one")
    assert all(first) and first[0] != first[1], first
    await s.bob.muc.set_self_nick(room, "Robert")
    assert await ids("two") == first
    presence = await s.alice.sees(room, "Robert")
    assert presence["occupant-id"].xml.get("id") == first[0], presence
    other = await s.room("elsewhere", s.bob, s.carol)
    s.bob.says(other, "here")
    message = await s.alice.hears(other, "Bob", "here")
    assert message["occupant-id"].xml.get("id") != first[0], "the same in two rooms"


async def self_ping(s):
    """XEP-0410."""
    room = await s.room("pinged", s.bob)
    assert "http://jabber.org/protocol/muc#self-ping-optimization" in (await info(s.bob, room))[1]
    ping = s.bob.plugin["xep_0410"].send_self_ping
    assert await ping(f"{room}/Bob") == PingStatus.JOINED
    await s.bob.leave(room, "Bob")
    assert await ping(f"{room}/Bob") == PingStatus.DISCONNECTED
    assert await ping(f"{s.address('nowhere')}/Bob") in (PingStatus.DISCONNECTED, PingStatus.JOINED_NICKCHANGED)


async def archive(s):
    """XEP-0313 with the rules for rooms (§6.1.2, §3.3.2)."""
    room = await s.room("archive", s.bob, s.carol, enablelogging=True)
    assert "urn:xmpp:mam:2" in (await info(s.bob, room))[1]
    ids = {body: await heard(s, room, client, body) for number in range(4) for client, body in ((s.bob, f"bob {number}"), (s.carol, f"carol {number}"))}
    mam = s.bob.plugin["xep_0313"]

    async def found(client, **which):
        results = [message async for message in client.plugin["xep_0313"].iterate(jid=room, **which)]
        for result in results:
            assert result["from"] == room, result
        return [(result["mam_result"]["id"], result["mam_result"]["forwarded"]["stanza"]) for result in results]
    everything = [(id, message["body"]) for id, message in await found(s.bob) if message["body"] in ids]
    assert everything == [(id, body) for body, id in ids.items()], everything
    page = await mam.retrieve(jid=room, rsm={"max": 2, "before": ids["carol 1"]})
    assert [result["mam_result"]["id"] for result in page["mam"]["results"]] == [ids["carol 0"], ids["bob 1"]], page
    assert [message["body"] for _, message in await found(s.alice, with_jid=s.carol.boundjid)] == [f"carol {number}" for number in range(4)]
    # who is who is for the owner to see
    for client, jid in ((s.alice, s.bob.boundjid), (s.bob, None)):
        message = next(message for id, message in await found(client) if id == ids["bob 0"])
        assert message["from"] == f"{room}/Bob" and (message["muc"]["item"]["jid"] or None) == jid, message
    metadata = await mam.get_archive_metadata(jid=room)
    assert metadata["mam_metadata"]["end"]["id"] == ids["carol 3"], metadata
    await s.alice.muc.set_affiliation(room, "outcast", jid=s.carol.bare)
    await refused("forbidden", s.carol.plugin["xep_0313"].retrieve(jid=room))


async def tombstone(client, room, id):
    """What the archive holds in place of the message."""
    async for result in client.plugin["xep_0313"].iterate(jid=room):
        if result["mam_result"]["id"] == id:
            return result["mam_result"]["forwarded"]["stanza"].xml
    raise AssertionError(f"{id} is gone from the archive")


async def retraction(s):
    """XEP-0424 §5.1."""
    room = await s.room("retraction", s.bob, s.carol, enablelogging=True)
    id = await heard(s, room, s.bob, "I did not say that")
    # nobody else's
    s.carol.plugin["xep_0424"].send_retraction(room, id, "groupchat")
    await s.carol.fails(room, "forbidden")
    s.bob.plugin["xep_0424"].send_retraction(room, id, "groupchat")
    for client in (s.alice, s.carol):
        message = await client.gets("message_retract", room, lambda message: message["type"] == "groupchat")
        assert message["retract"]["id"] == id and message["from"] == f"{room}/Bob", message
    found = await tombstone(s.carol, room, id)
    assert found.find(f"{RETRACT}retracted") is not None and found.find("{jabber:client}body") is None, ET.tostring(found)


async def moderation(s):
    """XEP-0425."""
    room = await s.room("moderation", s.bob, s.carol, enablelogging=True)
    assert {"urn:xmpp:message-moderate:1", "urn:xmpp:message-retract:1"} <= (await info(s.alice, room))[1]
    id = await heard(s, room, s.bob, "inappropriate")
    await refused("forbidden", s.carol.plugin["xep_0425"].moderate(room, id))
    await refused("item-not-found", s.alice.plugin["xep_0425"].moderate(room, "nothing"))
    await s.alice.plugin["xep_0425"].moderate(room, id, reason="This & that")
    for client in (s.bob, s.carol):
        message = await client.gets("moderated_message", room)
        retract = message["retract"]
        assert (message["from"], retract["id"], retract["reason"]) == (room, id, "This & that"), message
        assert retract["moderated"]["by"] == f"{room}/Alice", message
    found = await tombstone(s.carol, room, id)
    assert found.find(f"{RETRACT}retracted") is not None and found.find("{jabber:client}body") is None, ET.tostring(found)


async def registration(s):
    """XEP-0045 §7.10, §7.12."""
    room = await s.room("registration")
    register = s.bob.plugin["xep_0077"]
    answer = await register.get_registration(jid=room)
    assert answer["register"]["form"].get_fields()["muc#register_roomnick"]["required"], answer

    async def submit(client, nick):
        iq = client.make_iq_set(ito=room)
        form = Form()
        form["type"] = "submit"
        form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/muc#register")
        form.add_field(var="muc#register_roomnick", value=nick)
        iq["register"].append(form)
        await iq.send()
    await submit(s.bob, "Thirdwitch")
    assert await s.alice.muc.get_affiliation_list(room, "member") == [s.bob.bare]
    await refused("conflict", submit(s.carol, "Thirdwitch"))
    await refused("conflict", s.carol.join(room, "Thirdwitch"))
    answer = await register.get_registration(jid=room)
    assert answer["register"]["registered"] and answer["register"]["username"] == "Thirdwitch", answer
    identities = (await s.bob.plugin["xep_0030"].get_info(room, "x-roomuser-item", cached=False))["disco_info"]["identities"]
    assert {identity[3] for identity in identities} == {"Thirdwitch"}, identities
    presence, *_ = await s.bob.join(room, "Thirdwitch")
    assert presence["muc"]["affiliation"] == "member", presence


async def hats(s):
    """XEP-0317, by its commands."""
    room = await s.room("hats", s.bob)
    if "urn:xmpp:hats:0" not in (await info(s.alice, room))[1]:
        raise AssertionError("the room knows no hats")
    hat = "http://tech.example.edu/hats#Assistant"

    async def command(client, name, **fields):
        commands, node = client.plugin["xep_0050"], f"urn:xmpp:hats:commands:{name}"
        asked = await commands.send_command(room, node)
        form = Form()
        form["type"] = "submit"
        form.add_field(var="FORM_TYPE", ftype="hidden", value="urn:xmpp:hats:commands")
        for field, value in fields.items():
            form.add_field(var=f"hats#{field}", value=value)
        done = await commands.send_command(room, node, action="complete", payload=form, sessionid=asked["command"]["sessionid"])
        assert done["command"]["status"] == "completed", done

    def worn(presence):
        return {(one["uri"], one["title"]) for one in presence["hats"]}
    await command(s.alice, "create", title="Teacher's Assistant & more", uri=hat, hue="327.25")
    await command(s.alice, "assign", jid=s.bob.bare, uri=hat)
    for client in (s.alice, s.bob):
        await client.gets("groupchat_presence", room, lambda presence: worn(presence) == {(hat, "Teacher's Assistant & more")})
    # who comes later sees it
    _, _, others, _ = await s.carol.join(room, "Carol")
    assert worn(next(one for one in others if one["from"].resource == "Bob")) == {(hat, "Teacher's Assistant & more")}, others
    await refused("forbidden", command(s.carol, "assign", jid=s.carol.bare, uri=hat))
    s.bob.forget()
    await command(s.alice, "unassign", jid=s.bob.bare, uri=hat)
    await s.bob.gets("groupchat_presence", room, lambda presence: presence["from"].resource == "Bob" and not worn(presence))


async def avatar(s):
    """XEP-0486: a room's vCard, and its picture's hash."""
    room = await s.room("avatar", s.bob)
    vcard = s.alice.plugin["xep_0054"].make_vcard()
    vcard["FN"] = "The dark & stormy cave"
    vcard["PHOTO"]["TYPE"], vcard["PHOTO"]["BINVAL"] = "image/png", PHOTO
    await refused("forbidden", s.bob.plugin["xep_0054"].publish_vcard(vcard, jid=room))
    await s.alice.plugin["xep_0054"].publish_vcard(vcard, jid=room)
    await s.bob.gets("groupchat_config_status", room, lambda message: 104 in message["muc"]["status_codes"])
    answer = await s.carol.plugin["xep_0054"].get_vcard(room)
    photo = answer["vcard_temp"]["PHOTO"]["BINVAL"]
    photo = photo if isinstance(photo, bytes) and photo == PHOTO else base64.b64decode(photo)
    assert answer["vcard_temp"]["FN"] == "The dark & stormy cave" and photo == PHOTO, answer
    more = (await info(s.carol, room))[2]
    assert hashlib.sha1(PHOTO).hexdigest() in more["muc#roominfo_avatarhash"], more


STEPS = [direct_invitations, occupants, self_ping, archive, retraction, moderation, registration, hats, avatar]


async def script(server):
    scene = Scene(server, PLUGINS)
    await scene.begin()
    await run(STEPS, scene, server.get("steps"))
    await scene.end()


main(script)
