"""Each method and signal of aioxmpp.MUCClient and its rooms: alice owns the rooms, bob and carol are their guests; see muc_clients.rs."""

import asyncio
import datetime
import socket

import aioxmpp
import aioxmpp.muc.xso as muc_xso
from aioxmpp import ErrorCondition
from aioxmpp.im import InviteMode
from aioxmpp.muc import LeaveMode, RoomState

from aioxmpp_peer import PATIENCE, Device, main, refused, run

SIGNALS = ["on_message", "on_enter", "on_exit", "on_failure", "on_join", "on_leave", "on_muc_enter", "on_muc_suspend", "on_muc_resume", "on_muc_stale", "on_muc_fresh",
           "on_muc_affiliation_changed", "on_muc_role_changed", "on_muc_role_request", "on_nick_changed", "on_presence_changed", "on_topic_changed"]


class Guest(Device):
    def __init__(self, server, number, resource):
        super().__init__(server, number, resource)
        self.muc = self.client.summon(aioxmpp.MUCClient)
        self.listen(self.muc, "on_muc_invitation")
        self.rooms = {}

    async def join(self, jid, nick, **how):
        """Enters, and is back when the room is active: presences, history and subject are there."""
        room, joined = self.muc.join(jid, nick, **how)
        for signal in SIGNALS:
            def happened(*arguments, signal=signal, **more):
                self.happened((jid.localpart, signal), arguments, more)
            getattr(room, signal).connect(happened)
        await asyncio.wait_for(joined, PATIENCE)
        await self.take((jid.localpart, "on_topic_changed"))
        assert room.muc_active and room.muc_joined and room.muc_state == RoomState.ACTIVE and room.me.nick == nick, room.muc_state
        self.rooms[jid.localpart] = room
        return room

    async def sees(self, room, signal, matches=lambda *arguments, **more: True):
        return await self.take((room.jid.localpart, signal), matches)

    async def hears(self, room, text, nick):
        """The next message in the room is this one."""
        (message, member, _), _ = await self.sees(room, "on_message")
        assert (message.body.any(), member.nick) == (text, nick), f"{message.body} of {member} instead of {text} of {nick}"
        return message


def text(body):
    message = aioxmpp.Message(type_=aioxmpp.MessageType.GROUPCHAT)
    message.body[None] = body
    return message


def nicks(room):
    return {member.nick for member in room.members}


async def script(server):
    service = aioxmpp.JID.fromstr(server.get("service", "conference.localhost"))
    alice, bob, carol = Guest(server, 0, "aioxmpp"), Guest(server, 1, "aioxmpp"), Guest(server, 2, "aioxmpp")

    # a stream that ends is not resumed
    bob.client.resumption_timeout = 0

    def address(name):
        return service.replace(localpart=name)

    async def configure(jid, **fields):
        form = aioxmpp.muc.ConfigurationForm.from_xso(await alice.muc.get_room_config(jid))
        for name, value in fields.items():
            getattr(form, name).value = value
        await alice.muc.set_room_config(jid, form.render_reply())

    async def made(name, *guests, **fields):
        """A new room of alice's and the same room for each guest; all have seen each other."""
        jid = address(name)
        rooms = [await alice.join(jid, "Alice")]
        await configure(jid, **fields)
        for guest in guests:
            nick = guest.bare.localpart.capitalize()
            rooms.append(await guest.join(jid, nick))
            for other in (alice, *guests[:guests.index(guest)]):
                await other.sees(other.rooms[name], "on_join", lambda member: member.nick == nick)
        for one in (alice, *guests):
            one.history = [entry for entry in one.history if entry[0][0] != name]
        return rooms

    async def begin():
        """Everybody is online: that is all."""

    async def joining():
        jid = address("joined")
        hers = await alice.join(jid, "Alice")
        (presence, occupant), more = await alice.sees(hers, "on_muc_enter")
        assert {muc_xso.StatusCode.SELF, muc_xso.StatusCode.CREATED} <= more["muc_status_codes"], more
        assert (occupant.affiliation, occupant.role, occupant.direct_jid) == ("owner", "moderator", alice.bare), occupant
        await configure(jid)
        his = await bob.join(jid, "Bob")
        (member,), _ = await alice.sees(hers, "on_join")
        assert (member.nick, member.affiliation, member.role, member.direct_jid) == ("Bob", "none", "participant", bob.bare), member
        assert nicks(hers) == nicks(his) == {"Alice", "Bob"}, (nicks(hers), nicks(his))
        assert next(one for one in his.members if one.nick == "Alice").direct_jid is None, "bob is no moderator"
        assert bob.muc.get_muc(jid) is his and alice.muc.join(jid, "Alice")[0] is hers
        await his.leave()
        _, more = await bob.sees(his, "on_exit")
        assert more["muc_leave_mode"] == LeaveMode.NORMAL and not his.muc_joined, more
        (member,), more = await alice.sees(hers, "on_leave")
        assert member.nick == "Bob" and more["muc_leave_mode"] == LeaveMode.NORMAL, (member, more)
        assert nicks(hers) == {"Alice"}, nicks(hers)

    async def errors():
        """A join that fails, by each reason."""
        async def fails(jid, condition, nick="Bob", who=bob, **how):
            _, joined = who.muc.join(jid, nick, **how)
            await refused(condition, asyncio.wait_for(joined, PATIENCE))
        hers, = await made("closed", passwordprotectedroom=True, roomsecret="cauldron")
        await fails(hers.jid, ErrorCondition.NOT_AUTHORIZED)
        await fails(hers.jid, ErrorCondition.NOT_AUTHORIZED, password="bubble")
        await fails(hers.jid, ErrorCondition.CONFLICT, nick="Alice", password="cauldron")
        await bob.join(hers.jid, "Bob", password="cauldron")
        hers, = await made("members", membersonly=True)
        await fails(hers.jid, ErrorCondition.REGISTRATION_REQUIRED)
        hers, = await made("banned")
        await hers.muc_set_affiliation(bob.bare, "outcast")
        await fails(hers.jid, ErrorCondition.FORBIDDEN)
        await alice.join(address("locked"), "Alice")
        await fails(address("locked"), ErrorCondition.ITEM_NOT_FOUND)
        await refused(ErrorCondition.FORBIDDEN, bob.muc.get_room_config(hers.jid))
        await refused(ErrorCondition.FORBIDDEN, bob.muc.get_affiliated(hers.jid, "outcast"))

    async def messages():
        hers, his, her = await made("messages", bob, carol, changesubject=True)
        for body in ["Harpier cries: 'tis time", "<b>&amp; \"quotes\" ]]></b>", "Zürich · 日本語 · 🔔"]:
            await his.send_message(text(body))
            for who, room in [(alice, hers), (bob, his), (carol, her)]:
                await who.hears(room, body, "Bob")
        # tracked: delivered when the room sends it back
        _, tracker = her.send_message_tracked(text("tracked"))
        # watched from the beginning: what the stream then says of the stanza (sent, acknowledged) may come later and takes its place
        delivered = asyncio.get_running_loop().create_future()
        tracker.on_state_changed.connect(lambda state, response=None: delivered.done() or state != aioxmpp.tracking.MessageState.DELIVERED_TO_RECIPIENT or delivered.set_result(state))
        await carol.hears(her, "tracked", "Carol")
        await asyncio.wait_for(delivered, PATIENCE)
        await alice.hears(hers, "tracked", "Carol")
        await her.set_topic({None: "Fire Burn", aioxmpp.structs.LanguageTag.fromstr("de"): "Feuer, brenne"})
        for who, room in [(alice, hers), (bob, his), (carol, her)]:
            (member, topic), _ = await who.sees(room, "on_topic_changed")
            assert member.nick == "Carol" and set(topic.values()) == {"Fire Burn", "Feuer, brenne"} and room.muc_subject_setter == "Carol", (member, topic)
            assert set(room.muc_subject.values()) == {"Fire Burn", "Feuer, brenne"}, room.muc_subject
        # a private message is not said in the room
        private = text("for you alone")
        private.type_, private.to = aioxmpp.MessageType.CHAT, hers.jid.replace(resource="Alice")
        await carol.client.send(private)
        (message,), _ = await alice.take("message", lambda message: message.type_ == aioxmpp.MessageType.CHAT and message.body.any() == "for you alone")
        assert message.from_ == hers.jid.replace(resource="Carol"), message

    async def history():
        hers, = await made("history")
        said = [f"line {number}" for number in range(1, 6)]
        for line in said:
            await hers.send_message(text(line))
            await alice.hears(hers, line, "Alice")
        old = datetime.datetime.utcnow() - datetime.timedelta(minutes=5)
        for how, wanted in [({}, said), ({"maxstanzas": 2}, said[-2:]), ({"maxstanzas": 0}, []), ({"maxchars": 0}, []), ({"seconds": 300}, said), ({"since": old}, said)]:
            his = await bob.join(hers.jid, "Bob", history=muc_xso.History(**how))
            await his.leave()
            shown = [entry[1][0] for entry in bob.history if entry[0] == ("history", "on_message")]
            assert [message.body.any() for message in shown] == wanted, (how, shown)
            assert all(message.xep0203_delay and message.from_.resource == "Alice" for message in shown), shown
            bob.history = [entry for entry in bob.history if entry[0][0] != "history"]

    async def occupants():
        hers, his, her = await made("occupants", bob, carol)
        presence = aioxmpp.Presence(type_=aioxmpp.PresenceType.AVAILABLE, show=aioxmpp.PresenceShow.AWAY, to=his.jid.replace(resource="Bob"))
        presence.status[None] = "at the shop"
        await bob.client.send(presence)
        (member, _, shown), _ = await alice.sees(hers, "on_presence_changed", lambda member, resource, presence, **more: presence.show == aioxmpp.PresenceShow.AWAY)
        assert member.nick == "Bob" and shown.status.any() == "at the shop", shown
        await his.set_nick("Robert")
        for who, room in [(alice, hers), (bob, his), (carol, her)]:
            (member, old, new), _ = await who.sees(room, "on_nick_changed")
            assert (old, new, member.nick) == ("Bob", "Robert", "Robert"), (old, new)
            assert nicks(room) == {"Alice", "Robert", "Carol"}, nicks(room)
        await his.send_message(text("Robert now"))
        await carol.hears(her, "Robert now", "Robert")

    async def roles():
        hers, his, her = await made("roles", bob, carol)
        await hers.muc_set_role("Bob", "visitor", reason="Hush & <listen>")
        for who, room in [(alice, hers), (bob, his), (carol, her)]:
            (_, member), more = await who.sees(room, "on_muc_role_changed")
            assert (member.nick, member.role, more["reason"]) == ("Bob", "visitor", "Hush & <listen>"), (member, more)
        await hers.muc_set_role("Carol", "moderator")
        await carol.sees(her, "on_muc_role_changed", lambda presence, member, **more: (member.nick, member.role) == ("Carol", "moderator"))
        await refused(ErrorCondition.NOT_ALLOWED, her.muc_set_role("Alice", "none"))
        await refused(ErrorCondition.FORBIDDEN, his.muc_set_role("Carol", "none"))
        await refused(ErrorCondition.ITEM_NOT_FOUND, hers.muc_set_role("Nobody", "visitor"))
        await her.kick(next(member for member in her.members if member.nick == "Bob"), "Avaunt, you cullion!")
        _, more = await bob.sees(his, "on_exit")
        assert more["muc_leave_mode"] == LeaveMode.KICKED and more["muc_reason"] == "Avaunt, you cullion!" and more["muc_actor"].nick == "Carol", more
        (member,), more = await alice.sees(hers, "on_leave")
        assert member.nick == "Bob" and more["muc_leave_mode"] == LeaveMode.KICKED, more

    async def affiliations():
        hers, his, her = await made("affiliations", bob, carol)
        await hers.muc_set_affiliation(bob.bare, "admin", reason="A worthy witch")
        for who, room in [(alice, hers), (bob, his), (carol, her)]:
            (_, member), more = await who.sees(room, "on_muc_affiliation_changed")
            assert (member.nick, member.affiliation, member.role, more["reason"]) == ("Bob", "admin", "moderator", "A worthy witch"), (member, more)
        await alice.muc.set_affiliation(hers.jid, carol.bare, "member")
        await carol.sees(her, "on_muc_affiliation_changed", lambda presence, member, **more: member.affiliation == "member")
        for affiliation, who in [("owner", alice), ("admin", bob), ("member", carol)]:
            assert await alice.muc.get_affiliated(hers.jid, affiliation) == [who.bare], affiliation
        await refused(ErrorCondition.NOT_ALLOWED, his.muc_set_affiliation(alice.bare, "outcast"))
        await refused(ErrorCondition.FORBIDDEN, his.muc_set_affiliation(carol.bare, "admin"))
        await refused(ErrorCondition.CONFLICT, hers.muc_set_affiliation(alice.bare, "none"))
        # bob is a moderator by now: whoever shows a presence is seen with the address
        await carol.client.send(aioxmpp.Presence(type_=aioxmpp.PresenceType.AVAILABLE, to=her.jid.replace(resource="Carol")))
        await alice.sees(hers, "on_presence_changed", lambda member, resource, presence, **more: member.nick == "Carol")
        member = next(member for member in hers.members if member.nick == "Carol")
        await hers.ban(member, "Treason & <more>")
        _, more = await carol.sees(her, "on_exit")
        assert more["muc_leave_mode"] == LeaveMode.BANNED and more["muc_reason"] == "Treason & <more>", more
        _, more = await bob.sees(his, "on_leave")
        assert more["muc_leave_mode"] == LeaveMode.BANNED, more
        assert await bob.muc.get_affiliated(hers.jid, "outcast") == [carol.bare]
        # who is only tolerated by affiliation goes with it
        await alice.muc.set_affiliation(hers.jid, carol.bare, "member")
        await configure(hers.jid, membersonly=True)
        her = await carol.join(hers.jid, "Carol")
        await hers.muc_set_affiliation(carol.bare, "none")
        _, more = await carol.sees(her, "on_exit")
        assert more["muc_leave_mode"] == LeaveMode.AFFILIATION_CHANGE, more

    async def voice():
        hers, his = await made("voice", bob, moderatedroom=True)
        assert his.me.role == "visitor", his.me
        await his.muc_request_voice()
        (form, answer), _ = await alice.sees(hers, "on_muc_role_request")
        assert (form.role.value, form.roomnick.value, form.jid.value.bare()) == ("participant", "Bob", bob.bare), (form.role.value, form.jid.value)
        form.request_allow.value = True
        answer.set_result(form.render_reply())
        for who, room in [(alice, hers), (bob, his)]:
            (_, member), _ = await who.sees(room, "on_muc_role_changed")
            assert (member.nick, member.role) == ("Bob", "participant"), member
        await his.send_message(text("heard at last"))
        await alice.hears(hers, "heard at last", "Bob")

    async def invitations():
        hers, his = await made("invitations", bob)
        for room, inviter, mode in [(hers, alice, InviteMode.MEDIATED), (his, bob, InviteMode.DIRECT)]:
            token, same = await room.invite(carol.bare, "this is the place", mode=mode)
            assert same is room
            await token
            (_, jid, who, how), more = await carol.take("on_muc_invitation")
            assert (jid, how, more["reason"]) == (hers.jid, mode, "this is the place"), (jid, how, more)
            assert who.bare() in (inviter.bare, hers.jid), who
        await carol.join(hers.jid, "Carol")

    async def configuration():
        hers, his = await made("configured", bob, roomname="Before", roomdesc="A room", persistentroom=True, publicroom=False, allowinvites=False, lang="en")
        form = aioxmpp.muc.ConfigurationForm.from_xso(await alice.muc.get_room_config(hers.jid))
        found = (form.roomname.value, form.roomdesc.value, form.persistentroom.value, form.publicroom.value, form.allowinvites.value, form.whois.value, form.lang.value)
        assert found == ("Before", "A room", True, False, False, "moderators", "en"), found
        await configure(hers.jid, whois="anyone", roomname="After & <more>")
        # from now on everyone sees who people are
        await hers.set_nick("Alicia")
        await bob.sees(his, "on_nick_changed")
        (_, _, shown), _ = await bob.sees(his, "on_presence_changed")
        assert shown.xep0045_muc_user.items[0].jid == alice.client.local_jid, shown

    async def rejoining():
        """A stream that is destroyed takes its occupant along, and the room is entered anew with what was missed."""
        hers, his = await made("rejoined", bob)
        # as when the network goes away
        bob.client.stream._xmlstream.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        await alice.sees(hers, "on_leave", lambda member, **more: member.nick == "Bob")
        for signal in ("on_muc_suspend", "on_muc_resume", "on_muc_enter"):
            await bob.sees(his, signal)
        await alice.sees(hers, "on_join", lambda member, **more: member.nick == "Bob")
        await hers.send_message(text("welcome back"))
        await bob.sees(his, "on_message", lambda message, *rest, **more: message.body.any() == "welcome back")

    STEPS = [joining, errors, messages, history, occupants, roles, affiliations, voice, invitations, configuration, rejoining]
    await run(begin, server, [alice, bob, carol], STEPS)


main(script)
