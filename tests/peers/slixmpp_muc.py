"""XEP-0045 by slixmpp's xep_0045: alice owns the rooms, bob (two resources) and carol are their guests; see muc_clients.rs."""

import asyncio
import datetime

from muc_peer import MUC, MUC_USER, Scene, configuration, info
from peer import main, refused, run


async def discovery(s):
    items = (await s.bob.plugin["xep_0030"].get_items(s.service.domain.partition(".")[2]))["disco_items"]["items"]
    assert s.service in {item[0] for item in items}, items
    identities, features, _ = await info(s.bob, s.service)
    assert ("conference", "text") in identities and "http://jabber.org/protocol/muc" in features, (identities, features)
    room = await s.room("found", roomname="A room & <more>", roomdesc="To be found", publicroom=True)
    hidden = await s.room("hidden", publicroom=False)
    items = {item[0]: item[2] for item in (await s.bob.plugin["xep_0030"].get_items(s.service))["disco_items"]["items"]}
    assert items.get(room) == "A room & <more>" and hidden not in items, items
    identities, features, more = await info(s.bob, room)
    wanted = {"http://jabber.org/protocol/muc", "muc_open", "muc_unmoderated", "muc_public", "muc_semianonymous", "muc_temporary", "muc_unsecured"}
    assert ("conference", "text") in identities and wanted <= features, (identities, wanted - features)
    assert more["muc#roominfo_description"] == ["To be found"] and more["muc#roominfo_occupants"] == ["1"], more
    await refused("item-not-found", s.bob.plugin["xep_0030"].get_info(s.address("nowhere"), cached=False))


async def joining(s):
    """Sections 7.1, 7.2, 7.14, 10.1."""
    room, alice, bob, carol = s.address("joined"), s.alice, s.bob, s.carol
    presence, subject, occupants, history = await alice.join(room, "Alice")
    assert {110, 201} <= presence["muc"]["status_codes"] and not history and not subject["subject"], (presence, subject, history)
    assert (presence["muc"]["affiliation"], presence["muc"]["role"], presence["muc"]["jid"]) == ("owner", "moderator", alice.boundjid), presence
    await refused("item-not-found", bob.join(room, "Bob"))
    await alice.muc.set_room_config(room, configuration())
    presence, subject, occupants, history = await bob.join(room, "Bob")
    assert [occupant["from"].resource for occupant in occupants] == ["Alice", "Bob"] and subject["from"].bare == room, (occupants, subject)
    assert 110 in presence["muc"]["status_codes"] and 201 not in presence["muc"]["status_codes"], presence
    assert (presence["muc"]["affiliation"], presence["muc"]["role"]) == ("none", "participant"), presence
    # its owner sees who that is, Bob does not
    await alice.sees(room, "Bob", affiliation="none", role="participant", jid=bob.boundjid)
    assert alice.muc.get_roster(room) == bob.muc.get_roster(room) == ["Alice", "Bob"]
    assert alice.muc.get_nick(room, bob.boundjid) == "Bob" and alice.muc.jid_in_room(room, bob.boundjid)
    assert not bob.muc.jid_in_room(room, alice.boundjid) and bob.muc.get_nick(room, alice.boundjid) is None
    assert bob.muc.get_jid_property(room, "Alice", "affiliation") == "owner" and bob.muc.get_jid_property(room, "Alice", "jid") is None
    assert bob.muc.get_our_jid_in_room(room) == f"{room}/Bob" and room in bob.muc.get_joined_rooms()
    error = await refused("conflict", carol.join(room, "Bob"))
    assert error.presence.xml.find(f"{MUC}x") is not None, error.presence
    # §7.2.1: a nickname is needed
    presence = carol.make_presence(pto=room)
    presence.enable("muc_join")
    presence.send()
    error = await carol.gets("room_presence_error", room, lambda error: error["error"]["condition"] == "jid-malformed")
    assert error.xml.find(f"{MUC}x") is not None, error

    # the older call, with a presence of its own
    await carol.muc.join_muc(room, "Carol", maxhistory="5", pstatus="at the shop", pshow="away")
    for client in (alice, bob):
        presence = await client.sees(room, "Carol")
        assert (presence["show"], presence["status"]) == ("away", "at the shop"), presence
    carol.send_presence(pto=f"{room}/Carol", pstatus="back & here")
    presence = await bob.sees(room, "Carol")
    assert presence["status"] == "back & here", presence

    # a second device under the same nickname
    _, _, occupants, _ = await s.phone.join(room, "Bob")
    assert {occupant["from"].resource for occupant in occupants} == {"Alice", "Bob", "Carol"}, occupants
    alice.says(room, "to all devices")
    for client in (alice, bob, s.phone, carol):
        await client.hears(room, "Alice", "to all devices")
    s.phone.says(room, "from the phone")
    for client in (alice, bob, s.phone, carol):
        await client.hears(room, "Bob", "from the phone")
    await s.phone.leave(room, "Bob")

    presence = await carol.leave(room, "Carol", "gone & away")
    assert presence["muc"]["item"]["role"] == "none", presence
    for client in (alice, bob):
        presence = await client.sees(room, "Carol", "unavailable", role="none")
        assert presence["status"] == "gone & away", presence
        assert "Bob" in client.muc.get_roster(room), "the phone has left, not Bob"
    try:
        carol.muc.get_roster(room)
    except ValueError:
        pass
    else:
        raise AssertionError("slixmpp still holds the room for entered")


async def ghosts(s):
    """A connection that breaks takes its occupants along; the last one takes the room."""
    room = await s.room("ghosts", s.carol)
    tablet = s.visitor(1, "tablet")
    await tablet.enter()
    await tablet.join(room, "Tablet")
    for client in (s.alice, s.carol):
        await client.sees(room, "Tablet")
    tablet.abort()
    for client in (s.alice, s.carol):
        await client.sees(room, "Tablet", "unavailable", role="none")
    for client, nick in ((s.alice, "Alice"), (s.carol, "Carol")):
        await client.leave(room, nick)
    await refused("item-not-found", s.bob.plugin["xep_0030"].get_info(room, cached=False))


async def history(s):
    """Section 7.2.13 and following."""
    room, bob = await s.room("history", historylength="10"), s.bob
    said = [f"line {number}" for number in range(1, 6)]
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)
    for line in said:
        s.alice.says(room, line)
        await s.alice.hears(room, "Alice", line)

    async def shown(**how):
        *_, messages = await bob.join(room, "Bob", **how)
        await bob.leave(room, "Bob")
        for message in messages:
            assert message["from"] == f"{room}/Alice" and message["delay"]["from"] == room and message["delay"]["stamp"] >= before, message
        return [message["body"] for message in messages if message["body"] in said]

    assert await shown() == said
    assert await shown(maxstanzas=2) == said[-2:]
    assert await shown(maxstanzas=0) == []
    assert await shown(maxchars=0) == []
    assert await shown(maxchars=100_000) == said
    assert await shown(seconds=300) == said
    assert await shown(since=before) == said
    assert await shown(since=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)) == []


async def reconfiguration(s):
    """Sections 10.1.3, 10.2."""
    room = s.address("configured")
    await s.alice.join(room, "Alice")
    form = await s.alice.muc.get_room_config(room)
    for name, value in {"roomname": "Before", "persistentroom": True, "whois": "moderators", "enablelogging": False}.items():
        form.get_fields()[f"muc#roomconfig_{name}"]["value"] = value
    await s.alice.muc.set_room_config(room, form)
    await s.bob.join(room, "Bob")
    await s.together(room, s.alice, s.bob)

    async def change(codes, **fields):
        await s.alice.muc.set_room_config(room, configuration(**fields))
        for client in (s.alice, s.bob):
            message = await client.gets("groupchat_config_status", room)
            assert codes == message["muc"]["status_codes"] and message["type"] == "groupchat", (codes, message)

    await change({104}, roomname="After & <more>", roomdesc="Changed")
    values = {name: field.get_value(convert=False) for name, field in (await s.alice.muc.get_room_config(room)).get_fields().items()}
    assert values["muc#roomconfig_roomname"] == "After & <more>" and values["muc#roomconfig_roomdesc"] == "Changed", values
    assert values["muc#roomconfig_persistentroom"] in ("1", "true"), values
    await change({172}, whois="anyone")
    await change({173}, whois="moderators")
    await change({170}, enablelogging=True)
    await change({171}, enablelogging=False)
    await s.alice.muc.cancel_config(room)
    await refused("forbidden", s.bob.muc.get_room_config(room))
    await refused("forbidden", s.bob.muc.set_room_config(room, configuration(roomname="Mine")))
    await refused("not-acceptable", s.alice.muc.set_room_config(room, configuration(whois="nobody knows")))
    await refused("item-not-found", s.alice.muc.get_room_config(s.address("nowhere")))
    # persistent: it outlasts its occupants
    for client, nick in ((s.alice, "Alice"), (s.bob, "Bob")):
        await client.leave(room, nick)
    presence, *_ = await s.bob.join(room, "Bob")
    assert 201 not in presence["muc"]["status_codes"], presence
    await s.bob.leave(room, "Bob")
    # a reserved room that is not made after all
    cancelled = s.address("cancelled")
    await s.alice.join(cancelled, "Alice")
    await s.alice.muc.get_room_config(cancelled)
    await s.alice.muc.cancel_config(cancelled)
    await s.alice.sees(cancelled, "Alice", "unavailable")
    await refused("item-not-found", s.bob.plugin["xep_0030"].get_info(cancelled, cached=False))


async def doors(s):
    """Sections 7.2.5 to 7.2.9."""
    room = await s.room("password", passwordprotectedroom=True, roomsecret="cauldron & <burn>")
    assert "muc_passwordprotected" in (await info(s.bob, room))[1]
    await refused("not-authorized", s.bob.join(room, "Bob"))
    await refused("not-authorized", s.bob.join(room, "Bob", password="bubble"))
    await s.bob.join(room, "Bob", password="cauldron & <burn>")
    room = await s.room("members", membersonly=True)
    assert "muc_membersonly" in (await info(s.bob, room))[1]
    await refused("registration-required", s.bob.join(room, "Bob"))
    await s.alice.muc.send_affiliation_list(room, [(s.bob.bare, "member"), (s.carol.bare, "admin")])
    for client, nick, affiliation, role in ((s.bob, "Bob", "member", "participant"), (s.carol, "Carol", "admin", "moderator")):
        presence, *_ = await client.join(room, nick)
        assert (presence["muc"]["affiliation"], presence["muc"]["role"]) == (affiliation, role), presence
    # §9.4
    await s.alice.muc.set_affiliation(room, "none", jid=s.bob.bare, reason="No longer")
    presence = await s.bob.sees(room, "Bob", "unavailable", {110, 321}, affiliation="none", role="none")
    assert presence["muc"]["item"]["reason"] == "No longer", presence
    await s.carol.sees(room, "Bob", "unavailable", {321})
    # §10.2.1: who is not a member has to go when a room becomes members-only
    room = await s.room("closing", s.bob, s.carol)
    await s.alice.muc.set_affiliation(room, "member", jid=s.carol.bare)
    await s.alice.muc.set_room_config(room, configuration(membersonly=True))
    await s.bob.sees(room, "Bob", "unavailable", {110, 322})
    await s.carol.sees(room, "Bob", "unavailable", {322})
    await s.carol.hears(room, "Carol", s.carol.says(room, "still here")["body"])
    room = await s.room("full", s.bob, maxusers="2")
    await refused("service-unavailable", s.carol.join(room, "Carol"))


async def nicknames(s):
    """Section 7.6."""
    room = await s.room("nicknames", s.bob, s.carol)
    assert await s.bob.muc.set_self_nick(room, "Robert & <more>") == "Robert & <more>"
    for client in (s.alice, s.carol):
        presence = await client.sees(room, "Bob", "unavailable", {303})
        assert presence["muc"]["item_nick"] == "Robert & <more>", presence
        await client.sees(room, "Robert & <more>")
        assert set(client.muc.get_roster(room)) == {"Alice", "Robert & <more>", "Carol"}, client.muc.get_roster(room)
    assert s.bob.muc.get_our_jid_in_room(room) == f"{room}/Robert & <more>"
    # the call waits for a presence with 110 and 303
    task = asyncio.ensure_future(s.bob.muc.set_self_nick(room, "Carol"))
    error = await s.bob.gets("room_presence_error", room)
    task.cancel()
    assert error["error"]["condition"] == "conflict" and error.xml.find(f"{MUC}x") is not None, error
    # it is Robert still
    await s.carol.hears(room, "Robert & <more>", s.bob.says(room, "Robert")["body"])


async def messages(s):
    """Sections 7.4, 7.5, 7.8, 8.1."""
    room = await s.room("messages", s.bob, s.carol, moderatedroom=False)
    for body in ["Harpier cries: 'tis time, 'tis time.", "<b>&amp; \"quotes\" ]]></b>", "Zürich · 日本語 · 🔔", "x" * 20_000]:
        sent = s.bob.says(room, body)
        for client in (s.alice, s.bob, s.carol):
            got = await client.hears(room, "Bob", body)
            assert got["id"] == sent["id"] and got["type"] == "groupchat", got
    # private messages
    s.carol.send_message(mto=f"{room}/Bob", mbody="for you alone", mtype="chat")
    got = await s.bob.take("a private message", lambda name, message: name == "message" and message["body"] == "for you alone")
    assert (got["from"], got["type"]) == (f"{room}/Carol", "chat") and got.xml.find(f"{MUC_USER}x") is not None, got
    s.carol.send_message(mto=f"{room}/Nobody", mbody="anyone?", mtype="chat")
    await s.carol.fails(room, "item-not-found")
    s.carol.send_message(mto=f"{room}/Bob", mbody="all of you", mtype="groupchat")
    await s.carol.fails(room, "bad-request")
    # who is not there
    for to, kind in [(room, "groupchat"), (f"{room}/Bob", "chat")]:
        s.phone.send_message(mto=to, mbody="from outside", mtype=kind)
        await s.phone.fails(room, "not-acceptable")
    # the subject
    s.alice.muc.set_subject(room, "Fire Burn & <Bubble>")
    for client in (s.alice, s.bob, s.carol):
        message = await client.gets("groupchat_subject", room)
        assert (message["subject"], message["from"]) == ("Fire Burn & <Bubble>", f"{room}/Alice") and not message["body"], message
    s.bob.muc.set_subject(room, "Mine")
    await s.bob.fails(room, "forbidden")
    await s.alice.muc.set_room_config(room, configuration(changesubject=True))
    s.bob.muc.set_subject(room, "Ours")
    message = await s.carol.gets("groupchat_subject", room)
    assert message["from"] == f"{room}/Bob", message
    await s.carol.leave(room, "Carol")
    _, subject, _, _ = await s.carol.join(room, "Carol")
    assert (subject["subject"], subject["from"]) == ("Ours", f"{room}/Bob"), subject
    # visitors listen
    await s.alice.muc.set_room_config(room, configuration(moderatedroom=True))
    await s.carol.leave(room, "Carol")
    presence, *_ = await s.carol.join(room, "Carol")
    assert presence["muc"]["role"] == "visitor", presence
    s.carol.says(room, "may I?")
    await s.carol.fails(room, "forbidden")
    s.carol.muc.set_subject(room, "Mine, then")
    await s.carol.fails(room, "forbidden")


async def roles(s):
    """Sections 8.2 to 8.5, 9.6, 9.7."""
    room, muc = await s.room("roles", s.bob, s.carol), s.alice.muc
    assert sorted(await muc.get_roles_list(room, "participant")) == ["Bob", "Carol"]
    assert await muc.get_roles_list(room, "moderator") == ["Alice"]
    await muc.set_role(room, "Bob", "visitor", reason="Hush & <listen>")
    for client in (s.alice, s.bob, s.carol):
        presence = await client.sees(room, "Bob", role="visitor")
        assert presence["muc"]["item"]["reason"] == "Hush & <listen>", presence
    assert await muc.get_roles_list(room, "visitor") == ["Bob"]
    await muc.set_role(room, "Bob", "participant")
    await s.carol.sees(room, "Bob", role="participant")
    await muc.set_role(room, "Carol", "moderator")
    await s.bob.sees(room, "Carol", role="moderator", affiliation="none")
    await s.carol.sees(room, "Carol", codes={110}, role="moderator")
    # it sees real addresses from now on
    s.carol.forget()
    s.bob.send_presence(pto=f"{room}/Bob", pstatus="again")
    presence = await s.carol.sees(room, "Bob")
    assert presence["muc"]["item"]["jid"] == s.bob.boundjid, presence
    await refused("forbidden", s.bob.muc.set_role(room, "Carol", "visitor"))
    await refused("forbidden", s.bob.muc.get_roles_list(room, "moderator"))
    await refused("not-allowed", s.carol.muc.set_role(room, "Alice", "none"))
    await refused("not-allowed", s.carol.muc.set_role(room, "Alice", "visitor"))
    await refused("item-not-found", muc.set_role(room, "Nobody", "visitor"))
    # what the call sends is affiliations, whatever its name
    await muc.send_role_list(room, [("Bob", "member"), ("Carol", "member")])
    await s.bob.sees(room, "Bob", affiliation="member")
    await s.alice.sees(room, "Carol", affiliation="member")
    await muc.set_role(room, "Bob", "none", reason="Avaunt, you cullion!")
    for client, codes in ((s.bob, {110, 307}), (s.carol, {307})):
        presence = await client.sees(room, "Bob", "unavailable", codes, role="none")
        item = presence["muc"]["item"]
        assert item["reason"] == "Avaunt, you cullion!" and item["actor"]["nick"] == "Alice", presence
    presence, *_ = await s.bob.join(room, "Bob")
    assert presence["muc"]["affiliation"] == "member", presence


async def affiliations(s):
    """Sections 9.1 to 9.5, 9.8, 10.3 to 10.8."""
    room, muc = await s.room("affiliations", s.bob), s.alice.muc
    await muc.set_affiliation(room, "member", jid=s.bob.bare, reason="A worthy witch")
    presence = await s.bob.sees(room, "Bob", affiliation="member")
    assert presence["muc"]["item"]["reason"] == "A worthy witch", presence
    await muc.set_affiliation(room, "admin", nick="Bob")
    await s.bob.sees(room, "Bob", affiliation="admin", role="moderator")
    # of somebody who is not there
    await muc.set_affiliation(room, "member", jid=s.carol.bare)
    message = await s.alice.gets("groupchat_affiliation_change", room)
    assert (message["muc"]["affiliation"], message["muc"]["jid"]) == ("member", s.carol.bare), message
    for affiliation, who in [("owner", s.alice), ("admin", s.bob), ("member", s.carol)]:
        for call in (muc.get_affiliation_list, muc.get_users_by_affiliation):
            assert await call(room, affiliation) == [who.bare], affiliation
    await refused("not-allowed", s.bob.muc.set_affiliation(room, "outcast", jid=s.alice.bare))
    await refused("forbidden", s.bob.muc.set_affiliation(room, "admin", jid=s.carol.bare))
    await refused("conflict", muc.set_affiliation(room, "none", jid=s.alice.bare))
    await s.carol.join(room, "Carol")
    await refused("forbidden", s.carol.muc.get_affiliation_list(room, "outcast"))
    await refused("forbidden", s.carol.muc.set_affiliation(room, "outcast", jid=s.bob.bare))
    # banned by the admin
    await s.bob.muc.set_affiliation(room, "outcast", jid=s.carol.bare, reason="Treason & <more>")
    for client, codes in ((s.carol, {110, 301}), (s.alice, {301})):
        presence = await client.sees(room, "Carol", "unavailable", codes, affiliation="outcast", role="none")
        assert presence["muc"]["item"]["reason"] == "Treason & <more>" and presence["muc"]["item"]["actor"]["nick"] == "Bob", presence
    await refused("forbidden", s.carol.join(room, "Carol"))
    assert await s.bob.muc.get_affiliation_list(room, "outcast") == [s.carol.bare]
    await s.bob.muc.send_affiliation_list(room, [(s.carol.bare, "none")])
    assert await muc.get_affiliation_list(room, "outcast") == []
    await s.carol.join(room, "Carol")
    # owners
    await muc.set_affiliation(room, "owner", jid=s.bob.bare)
    await s.carol.sees(room, "Bob", affiliation="owner", role="moderator")
    await s.bob.muc.set_affiliation(room, "admin", jid=s.alice.bare)
    await s.alice.sees(room, "Alice", codes={110}, affiliation="admin")
    await refused("forbidden", muc.get_room_config(room))
    await s.bob.muc.set_affiliation(room, "owner", jid=s.alice.bare)


async def invitations(s):
    """Section 7.8."""
    room = await s.room("invitations", s.bob, membersonly=False)
    s.alice.muc.invite(room, s.carol.bare, "Hey Carol, this is the place!")
    message = await s.carol.gets("groupchat_invite", room)
    invite = message["muc"]["invite"]
    assert invite["from"].bare in (s.alice.bare, room) and invite["reason"] == "Hey Carol, this is the place!", message
    s.carol.muc.decline(room, invite["from"], "Sorry, I'm too busy right now.")
    # the plugin has an event for that, and looks in the wrong place whether it is there
    message = await s.alice.take("that she declines", lambda name, s_: name == "stanza" and s_.xml.find(f"{MUC_USER}x/{MUC_USER}decline") is not None)
    decline = message["muc"]["decline"]
    assert (message["from"], decline["from"].bare, decline["reason"]) == (room, s.carol.bare, "Sorry, I'm too busy right now."), message
    # only members get in: who is invited by an admin becomes one
    await s.alice.muc.set_affiliation(room, "member", jid=s.bob.bare)
    await s.alice.muc.set_room_config(room, configuration(membersonly=True, allowinvites=False))
    s.bob.muc.invite(room, s.carol.bare)
    await s.bob.fails(room, "forbidden")
    s.alice.muc.invite(room, s.carol.bare)
    await s.carol.gets("groupchat_invite", room)
    presence, *_ = await s.carol.join(room, "Carol")
    assert presence["muc"]["affiliation"] == "member", presence
    # with the password, which the plugin looks for in <invite/>, where it is not
    room = await s.room("secret", passwordprotectedroom=True, roomsecret="cauldron")
    s.alice.muc.invite(room, s.carol.bare)
    message = await s.carol.gets("groupchat_invite", room)
    await s.carol.join(room, "Carol", password=message.xml.findtext(f"{MUC_USER}x/{MUC_USER}password"))


async def voice(s):
    """Sections 7.13, 8.6."""
    room = await s.room("voice", s.bob, moderatedroom=True)
    assert s.bob.muc.get_jid_property(room, "Bob", "role") == "visitor"
    s.bob.muc.request_voice(room, "participant")

    def is_form(name, message):
        return name == "stanza" and message["from"] == room and message["form"].get_fields().get("FORM_TYPE") is not None
    message = await s.alice.take("a request for voice", is_form)
    form = message["form"]
    values = {name: field.get_value(convert=False) for name, field in form.get_fields().items()}
    assert values["FORM_TYPE"] == ["http://jabber.org/protocol/muc#request"] and values["muc#role"] == "participant", values
    assert (values["muc#roomnick"], values["muc#jid"].partition("/")[0]) == ("Bob", s.bob.bare), values
    form.get_fields()["muc#request_allow"]["value"] = True
    form["type"] = "submit"
    answer = s.alice.make_message(mto=room)
    answer.append(form)
    answer.send()
    for client in (s.alice, s.bob):
        await client.sees(room, "Bob", role="participant")
    await s.bob.hears(room, "Bob", s.bob.says(room, "heard at last")["body"])


async def destruction(s):
    """Section 10.9."""
    room = await s.room("destroyed", s.bob, persistentroom=True)
    await refused("forbidden", s.bob.muc.destroy(room))
    await s.alice.muc.destroy(room, "Macbeth doth come.", s.address("elsewhere"))
    for client, nick in ((s.alice, "Alice"), (s.bob, "Bob")):
        presence = await client.sees(room, nick, "unavailable", role="none")
        destroy = presence["muc"]["destroy"]
        assert (destroy["jid"], destroy["reason"]) == (s.address("elsewhere"), "Macbeth doth come."), presence
    await refused("item-not-found", s.alice.muc.get_room_config(room))
    await refused("item-not-found", s.alice.muc.destroy(room))


STEPS = [discovery, joining, ghosts, history, reconfiguration, doors, nicknames, messages, roles, affiliations, invitations, voice, destruction]


async def script(server):
    scene = Scene(server)
    await scene.begin()
    await run(STEPS, scene, server.get("steps"))
    await scene.end()


main(script)
