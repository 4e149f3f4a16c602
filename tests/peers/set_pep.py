"""slixmpp sets what another client is to show: bob's picture (XEP-0084), and alice's bookmark of a room (XEP-0402) that she joins at once.

The room and the nickname are its argument's `room` and `nick`. The picture has one colour, `colour`."""

import hashlib

from payloads import picture
from peer import main, say
from pubsub_peer import Subscriber, form
from slixmpp.plugins.xep_0402.stanza import Conference


async def set_all(server):
    bob = await Subscriber(server, 1, "other", ["xep_0084", "xep_0115"]).enter()
    photo = picture(server["colour"])
    hash = hashlib.sha1(photo).hexdigest()
    await bob["xep_0084"].publish_avatar(photo)
    await bob["xep_0084"].publish_avatar_metadata({"id": hash, "type": "image/png", "bytes": len(photo), "height": "64", "width": "64"})
    say("avatar", hash=hash)
    alice = await Subscriber(server, 0, "other", ["xep_0115"]).enter()
    room = Conference()
    room["name"], room["autojoin"], room["nick"] = "The Orchard", True, server["nick"]
    await alice["xep_0060"].publish(None, "urn:xmpp:bookmarks:1", id=server["room"], payload=room, options=form(
        "publish-options", persist_items=True, max_items="max", send_last_published_item="never", access_model="whitelist"))
    say("bookmark")
    for client in (bob, alice):
        await client.disconnect()


main(set_all)
