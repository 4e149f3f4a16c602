"""aioxmpp's PEPClient, AvatarService, VCardService and BookmarkClient, each method: bob publishes, alice is his contact; see pep_clients.rs.

aioxmpp tells its interests by XEP-0115 and XEP-0390 both, or by the latter alone."""

import hashlib

import aioxmpp
import aioxmpp.avatar
import aioxmpp.bookmarks
import aioxmpp.pep
import aioxmpp.pubsub.xso as pubsub_xso
import aioxmpp.vcard
import aioxmpp.xso as xso
from aioxmpp import ErrorCondition

from aioxmpp_peer import Device, Note, become_contacts, main, refused, run
from payloads import PHOTO

TUNE, NOTE, METADATA = "http://jabber.org/protocol/tune", Note.TAG[0], "urn:xmpp:avatar:metadata"


@pubsub_xso.as_payload_class
class Tune(xso.XSO):
    TAG = TUNE, "tune"
    title = xso.ChildText((TUNE, "title"), default=None)

    def __init__(self, title=None):
        super().__init__()
        self.title = title


class Notes(aioxmpp.service.Service):
    """A service that reads notes, as applications write them. aioxmpp names its log by what follows the package of its module."""
    __module__ = "peers.notes"
    ORDER_AFTER = [aioxmpp.PEPClient]
    notes = aioxmpp.pep.register_pep_node(NOTE, notify=True)


class Listener(Device):
    """A device with PEP that sends its presence anew when its interests change."""

    def __init__(self, server, number, resource, *services, both=True):
        super().__init__(server, number, resource)
        self.pep = self.client.summon(aioxmpp.PEPClient)
        self.caps = self.client.summon(aioxmpp.EntityCapsService)
        self.caps.xep115_support = both
        self.own_presence = self.client.summon(aioxmpp.PresenceServer)
        self.caps.on_ver_changed.connect(self.own_presence.resend_presence)
        for service in services:
            setattr(self, service.__name__, self.client.summon(service))


async def script(server):
    Avatars, VCards, Bookmarks = aioxmpp.avatar.AvatarService, aioxmpp.vcard.VCardService, aioxmpp.bookmarks.BookmarkClient
    bob = Listener(server, 1, "aioxmpp", Avatars, VCards, Bookmarks)
    alice = Listener(server, 0, "aioxmpp", Avatars, VCards, Notes)
    # of XEP-0390 alone
    tablet = Listener(server, 0, "tablet", Notes, both=False)
    carol = Listener(server, 2, "aioxmpp", Avatars, VCards, Notes)
    for device in (bob, alice, carol):
        # the server is to tell the hash of the picture (XEP-0398)
        device.AvatarService.advertise_vcard = False
        device.listen(device.AvatarService, "on_metadata_changed")
    for device in (alice, tablet, carol):
        device.Notes.notes.on_item_publish.connect(lambda jid, node, item, *, message, device=device: device.happened("note", (jid, item), {"message": message}))
    bob.listen(bob.BookmarkClient, "on_bookmark_added", "on_bookmark_removed", "on_bookmark_changed")
    note = lambda device, text: device.take("note", lambda jid, item, **more: jid == bob.bare and item.registered_payload.text == text)

    async def begin():
        # who is there first hears of the first item when he becomes a contact, or when he publishes after that
        await bob.pep.publish(NOTE, Note("first"), id_="current")
        await become_contacts(alice, bob)
        await note(alice, "first")

    async def services():
        assert await bob.pep.available()
        found = await bob.pubsub.get_features(bob.bare)
        missing = {pubsub_xso.Feature.AUTO_CREATE, pubsub_xso.Feature.PUBLISH, pubsub_xso.Feature.PUBLISH_OPTIONS, pubsub_xso.Feature.FILTERED_NOTIFICATIONS,
                   pubsub_xso.Feature.ACCESS_PRESENCE, pubsub_xso.Feature.AUTO_SUBSCRIBE, pubsub_xso.Feature.LAST_PUBLISHED} - found
        assert not missing, missing

    async def publication():
        await note(tablet, "first")
        assert await bob.pep.publish(NOTE, Note("to those who read notes"), id_="current") == "current"
        for device in (alice, tablet):
            await note(device, "to those who read notes")
        chosen = await bob.pep.publish(NOTE, Note("without a name"))
        assert chosen, "no id"
        await note(alice, "without a name")
        await carol.fence(bob)
        assert not [entry for entry in carol.history if entry[0] == "note"], carol.history
        await refused(ErrorCondition.NOT_AUTHORIZED, carol.pubsub.get_items(bob.bare, NOTE), pubsub_xso.PresenceSubscriptionRequired)
        # publish-options (XEP-0060 §7.1.5)
        await bob.pep.publish("urn:example:secret", Note("secret"), id_="current", access_model="whitelist")
        await refused(ErrorCondition.NOT_ALLOWED, alice.pubsub.get_items(bob.bare, "urn:example:secret"), pubsub_xso.ClosedNode)
        await bob.pep.publish("urn:example:public", Note("public"), id_="current", access_model="open")
        items = (await carol.pubsub.get_items(bob.bare, "urn:example:public")).payload.items
        assert [item.registered_payload.text for item in items] == ["public"], items
        await refused(ErrorCondition.CONFLICT, bob.pep.publish("urn:example:secret", Note("open"), access_model="open"))

    async def claims():
        """A node claimed while the client is online: its last item comes, then each new one, until the claim is closed."""
        await bob.pep.publish(TUNE, Tune("Heart of the Sunrise"), id_="current")
        await alice.fence(bob)
        assert not alice.items_of(TUNE), alice.history
        claim = alice.pep.claim_pep_node(TUNE, register_feature=False, notify=True)
        assert alice.pep.is_claimed(TUNE)
        claim.on_item_publish.connect(lambda jid, node, item, *, message=None: alice.happened("tune", (jid, item.registered_payload.title), {}))
        tune = lambda title: alice.take("tune", lambda jid, played: (jid, played) == (bob.bare, title))
        await tune("Heart of the Sunrise")
        await bob.pep.publish(TUNE, Tune("Roundabout"), id_="current")
        await tune("Roundabout")
        claim.notify = False
        presence = alice.client.summon(aioxmpp.PresenceServer)
        presence.set_presence(aioxmpp.PresenceState(available=True), status="no music")
        await bob.take("on_changed", lambda jid, stanza: jid == alice.client.local_jid and "no music" in stanza.status.values())
        await alice.fence(bob)
        before = len(alice.items_of(TUNE))
        await bob.pep.publish(TUNE, Tune("Mood for a Day"), id_="current")
        await alice.fence(bob)
        assert len(alice.items_of(TUNE)) == before, alice.history
        claim.close()
        assert not alice.pep.is_claimed(TUNE)

    async def avatars():
        """XEP-0084, and by XEP-0398 what those see who read the vCard."""
        pictures, hash = aioxmpp.avatar.AvatarSet(), hashlib.sha1(PHOTO).hexdigest()
        pictures.add_avatar_image("image/png", image_bytes=PHOTO, width=1, height=1)
        pictures.add_avatar_image("image/png", id_="0" * 40, nbytes=9, url="https://localhost/avatar.png")
        await bob.AvatarService.publish_avatar_set(pictures)
        (_, metadata), _ = await alice.take("on_metadata_changed", lambda jid, metadata: jid == bob.bare and len(metadata) == 2)
        by_id = {one.normalized_id: one for one in metadata}
        assert set(by_id) == {hash, "0" * 40}, metadata
        one = by_id[hash]
        assert (one.mime_type, one.nbytes, one.width, one.height, one.has_image_data_in_pubsub) == ("image/png", len(PHOTO), 1, 1, True), vars(one)
        assert await one.get_image_bytes() == PHOTO
        metadata = await alice.AvatarService.get_avatar_metadata(bob.bare, require_fresh=True)
        assert {one.normalized_id for one in metadata} == {hash, "0" * 40}, metadata
        # XEP-0398 §3.1 and §7: for those who read the vCard, contacts or not, once everyone may see it
        form = aioxmpp.pubsub.NodeConfigForm.from_xso(await bob.pubsub.get_node_config(None, "urn:xmpp:avatar:data"))
        form.access_model.value = "open"
        await bob.pubsub.set_node_config(None, form.render_reply(), "urn:xmpp:avatar:data")
        await alice.take("on_changed", lambda jid, stanza: jid == bob.client.local_jid and stanza.xep0153_x is not None and stanza.xep0153_x.photo == hash)
        for reader in (alice, carol):
            vcard = await reader.VCardService.get_vcard(bob.bare)
            assert (vcard.get_photo_data(), vcard.get_photo_mime_type()) == (PHOTO, "image/png"), vcard
        (fallback,) = await carol.AvatarService.get_avatar_metadata(bob.bare, disable_pep=True)
        assert (fallback.normalized_id, await fallback.get_image_bytes()) == (hash, PHOTO), vars(fallback)
        await bob.AvatarService.disable_avatar()
        await alice.take("on_metadata_changed", lambda jid, metadata: jid == bob.bare and list(metadata) == [])
        # explicitly subscribed besides being interested
        await alice.AvatarService.subscribe(bob.bare)
        bob.AvatarService.synchronize_vcard = True
        await bob.AvatarService.publish_avatar_set(pictures)
        await alice.take("on_metadata_changed", lambda jid, metadata: jid == bob.bare and len(metadata) >= 1)
        await bob.AvatarService.wipe_avatar()
        await alice.take("on_metadata_changed", lambda jid, metadata: jid == bob.bare and list(metadata) == [])
        assert (await alice.VCardService.get_vcard(bob.bare)).get_photo_data() is None

    async def vcards():
        """XEP-0398 §3.2: a picture in the vCard becomes an avatar."""
        photo = PHOTO + b"again"
        hash = hashlib.sha1(photo).hexdigest()
        vcard = await bob.VCardService.get_vcard()
        vcard.set_photo_data("image/png", photo)
        await bob.VCardService.set_vcard(vcard)
        (_, metadata), _ = await alice.take("on_metadata_changed", lambda jid, metadata: jid == bob.bare and [one.normalized_id for one in metadata] == [hash])
        assert await metadata[0].get_image_bytes() == photo

    async def bookmarks():
        """Private XML (XEP-0049), and what becomes of it at the node of XEP-0402."""
        Conference, URL = aioxmpp.bookmarks.Conference, aioxmpp.bookmarks.URL
        client, room = bob.BookmarkClient, lambda name: aioxmpp.JID.fromstr(f"{name}@rooms.localhost")
        orchard = Conference("The Orchard & <more>", room("orchard"), autojoin=True, nick="Bob")
        await client.add_bookmark(orchard)
        await bob.take("on_bookmark_added", lambda bookmark: bookmark == orchard)
        assert orchard in await client.get_bookmarks()
        renamed = Conference("The Orchard", room("orchard"), autojoin=True, nick="Robert")
        await client.update_bookmark(orchard, renamed)
        await bob.take("on_bookmark_changed", lambda old, new: (old, new) == (orchard, renamed))
        attic = Conference("The Attic", room("attic"), nick="Bob")
        await client.set_bookmarks([renamed, attic, URL("A page", "https://localhost/")])
        await client.sync()
        kept = await client.get_bookmarks()
        assert renamed in kept and attic in kept, kept
        at_node = (await bob.pubsub.get_items(bob.bare, "urn:xmpp:bookmarks:1")).payload.items
        assert {item.id_ for item in at_node} == {"orchard@rooms.localhost", "attic@rooms.localhost"}, at_node
        await client.discard_bookmark(attic)
        await bob.take("on_bookmark_removed", lambda bookmark: bookmark == attic)
        at_node = (await bob.pubsub.get_items(bob.bare, "urn:xmpp:bookmarks:1")).payload.items
        assert {item.id_ for item in at_node} == {"orchard@rooms.localhost"}, at_node

    await run(begin, server, [bob, alice, tablet, carol], [services, publication, claims, avatars, vcards, bookmarks])


main(script)
