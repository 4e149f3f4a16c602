"""slixmpp gets what waited for it, and reads its archive in pages (XEP-0313, 0059, 0203, 0359)."""

from peer import Client, main, say

PLUGINS = ("xep_0030", "xep_0059", "xep_0203", "xep_0297", "xep_0313", "xep_0359", "xep_0441")
LINES = [f"line {number}" for number in range(30)]


async def archive(server):
    alice, bob = Client(server, 0), Client(server, 1)
    for client in (alice, bob):
        for plugin in PLUGINS:
            client.register_plugin(plugin)
    await alice.log_in()
    alice.send_presence()
    for line in LINES:
        alice.send_message(bob.boundjid.bare, line, mtype="chat")
    # An answer behind them says that they were handled.
    await alice.plugin["xep_0030"].get_info(jid=alice.boundjid.host)
    await bob.log_in()
    bob.send_presence()
    await bob.until("the last line", lambda name, s: name == "message" and s["body"] == LINES[-1])
    waited = [s for name, s in bob.history if name == "message"]
    assert [s["body"] for s in waited] == LINES, [s["body"] for s in waited]
    assert all(s["delay"]["stamp"] is not None and s["delay"]["from"] == bob.boundjid.host for s in waited)
    ids = [s["stanza_id"]["id"] for s in waited]
    assert len(set(ids)) == len(ids) and all(s["stanza_id"]["by"] == bob.boundjid.bare for s in waited), ids

    info = await bob.plugin["xep_0030"].get_info(jid=bob.boundjid.bare)
    features = info["disco_info"]["features"]
    assert {"urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", "urn:xmpp:sid:0"} <= set(features), features
    for reverse in (False, True):
        found = []
        async for result in bob.plugin["xep_0313"].iterate(rsm={"max": 7}, reverse=reverse):
            found.append((result["mam_result"]["id"], result["mam_result"]["forwarded"]["stanza"]["body"]))
        if reverse:
            found.sort(key=lambda one: int(one[0]))
        assert found == list(zip(ids, LINES)), found
    # From its own side, and one address only; the own archive's ids are its own.
    page = await alice.plugin["xep_0313"].retrieve(with_jid=bob.boundjid.bare, rsm={"max": 100})
    results = page["mam"]["results"]
    assert [r["mam_result"]["forwarded"]["stanza"]["body"] for r in results] == LINES
    metadata = await bob.plugin["xep_0313"].get_archive_metadata()
    assert metadata["mam_metadata"]["start"]["id"] == ids[0] and metadata["mam_metadata"]["end"]["id"] == ids[-1], metadata
    fields = await bob.plugin["xep_0313"].get_fields()
    assert {"with", "start", "end", "ids", "before-id", "after-id"} <= set(fields.get_fields()), fields
    say("paged", lines=len(LINES))
    for client in (alice, bob):
        await client.disconnect()


main(archive)
