"""A newcomer registers with slixmpp, talks, changes the password and goes; another comes without any account."""

import asyncio

from peer import Client, main, say


class Newcomer(Client):
    """Makes its account before it logs in."""

    def __init__(self, server, number):
        super().__init__(server, number)
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0004")
        self.register_plugin("xep_0066")
        self.register_plugin("xep_0077")
        self.add_event_handler("register", self.make)

    async def make(self, form):
        assert form["register"]["instructions"] and not form["register"]["registered"], form
        fields = form["register"]["form"].get_fields()
        assert "jabber:iq:register" in fields["FORM_TYPE"]["value"] and fields["password"]["required"], form
        request = self.Iq()
        request["type"] = "set"
        request["register"]["username"] = self.boundjid.user
        request["register"]["password"] = self.password
        await request.send()
        say("registered", jid=self.boundjid.bare)


async def newcomers(server):
    dave = await Newcomer(server, 0).log_in()
    dave.send_presence()
    await dave.until("own presence", lambda name, s: name == "presence_available")
    on_file = await dave.plugin["xep_0077"].get_registration()
    assert on_file["register"]["registered"] and on_file["register"]["username"] == "dave", on_file
    await dave.plugin["xep_0077"].change_password("the new one")
    dave.send_message(dave.boundjid.bare, "still here", mtype="chat")
    await dave.until("a message", lambda name, s: name == "message" and s["body"] == "still here")

    nobody = Client({**server, "users": [["localhost", None]]}, 0, sasl_mech="ANONYMOUS")
    await nobody.log_in()
    nobody.send_message(dave.boundjid.bare, "who am I?", mtype="chat")
    got = await dave.until("a stranger", lambda name, s: name == "message" and s["body"] == "who am I?")
    say("stranger", jid=got["from"].bare)
    await nobody.disconnect()

    ended = asyncio.get_running_loop().create_future()
    dave.add_event_handler("stream_error", lambda error: ended.done() or ended.set_result(error["condition"]))
    await dave.plugin["xep_0077"].cancel_registration()
    say("removed", condition=await asyncio.wait_for(ended, 30))


main(newcomers)
