// gloox 1.0.24: every call of its PubSub::Manager, by one who owns a node and subscribes to it with the resource; see pubsub_clients.rs.
// Called with HOST PORT CA JID PASSWORD SERVICE; trust as in gloox.cpp.

#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include <gloox/client.h>
#include <gloox/connectionlistener.h>
#include <gloox/dataform.h>
#include <gloox/error.h>
#include <gloox/message.h>
#include <gloox/messagehandler.h>
#include <gloox/pubsubevent.h>
#include <gloox/pubsubitem.h>
#include <gloox/pubsubmanager.h>
#include <gloox/pubsubresulthandler.h>
#include <gloox/tag.h>
#include <gloox/tlsdefault.h>

using namespace gloox;

static void say(const std::string &event, const std::string &why = "")
{
    std::cout << "{\"event\":\"" << event << '"' << (why.empty() ? "" : ",\"why\":\"" + why + '"') << '}' << std::endl;
}

class Peer : ConnectionListener, MessageHandler, PubSub::ResultHandler {
public:
    Peer(const std::string &host, int port, const std::string &ca, const JID &jid, const std::string &password, const JID &service) :
        client(jid, password, port), manager(&client), service(service)
    {
        client.setServer(host);
        client.setTls(TLSRequired);
        TLSDefault *tls = new TLSDefault(&client, jid.server()); // the client's from now on
        tls->init();
        tls->setCACerts({ca});
        client.setEncryptionImpl(tls);
        client.registerConnectionListener(this);
        client.registerMessageHandler(this);
        client.registerStanzaExtension(new PubSub::Event(static_cast<const Tag *>(nullptr)));
        script();
    }

    bool run()
    {
        client.connect();
        return at == steps.size();
    }

private:
    /// What is asked, and by what it is over: an answer, or a notification, as the handlers below describe them.
    struct Step {
        std::function<void()> ask;
        std::vector<std::string> expected;
    };

    Client client;
    PubSub::Manager manager;
    JID service;
    std::vector<Step> steps;
    size_t at = 0;
    std::vector<std::string> came;
    const std::string node = "gloox";

    DataForm *form(const std::string &type, const std::string &field, const std::string &value)
    {
        DataForm *made = new DataForm(TypeSubmit);
        made->addField(DataFormField::TypeHidden, "FORM_TYPE", "http://jabber.org/protocol/pubsub#" + type);
        made->addField(DataFormField::TypeNone, "pubsub#" + field, value);
        return made;
    }

    PubSub::ItemList item(const std::string &id, const std::string &text = "")
    {
        PubSub::Item *made = new PubSub::Item;
        made->setID(id);
        if (!text.empty()) {
            Tag *note = new Tag("note", text);
            note->setXmlns("urn:example:note");
            made->setPayload(note);
        }
        return {made};
    }

    void script()
    {
        const auto me = [this] { return client.jid(); };
        steps = {
            {[=] { manager.getDefaultNodeConfig(service, PubSub::NodeLeaf, this); }, {"default"}},
            {[=] { manager.createNode(service, node, form("node_config", "notify_config", "1"), this); }, {"created gloox"}},
            {[=] { manager.getNodeConfig(service, node, this); }, {"config access open"}},
            {[=] { manager.subscribe(service, node, this, me()); }, {"subscription 1"}},
            {[=] { manager.getSubscriptions(service, this); }, {"subscriptions gloox"}},
            {[=] { manager.getSubscriptionOptions(service, me(), node, this); }, {"options"}},
            // it does not tell of an answer without content
            {[=] {
                manager.setSubscriptionOptions(service, me(), node, form("subscribe_options", "deliver", "1"), this);
                manager.getSubscriptionOptions(service, me(), node, this);
            }, {"options"}},
            {[=] { manager.setNodeConfig(service, node, form("node_config", "title", "Gloox"), this); }, {"configured", "event configured gloox"}},
            {[=] { auto items = item("1", "a & <b>"); manager.publishItem(service, node, items, nullptr, this); }, {"published 1", "event item 1 a & <b>"}},
            {[=] { auto items = item("2", "two"); manager.publishItem(service, node, items, nullptr, this); }, {"published 2", "event item 2 two"}},
            {[=] { manager.requestItems(service, node, "", 0, this); }, {"items 1=a & <b> 2=two"}},
            {[=] { manager.requestItems(service, node, "", item("2"), this); }, {"items 2=two"}},
            {[=] { manager.deleteItem(service, node, item("2"), true, this); }, {"event retract 2"}},
            {[=] { manager.setAffiliates(service, node, {PubSub::Affiliate(JID("bob@localhost"), PubSub::AffiliationPublisher)}, this); }, {"affiliates set"}},
            {[=] { manager.getAffiliates(service, node, this); }, {"affiliates alice@localhost=2 bob@localhost=1"}},
            {[=] { manager.getAffiliations(service, this); }, {"affiliations gloox=2"}},
            {[=] { manager.setSubscribers(service, node, {PubSub::Subscriber(JID("bob@localhost"), PubSub::SubscriptionSubscribed)}, this); }, {"subscribers set"}},
            // it looks for the answer in another namespace than it asks in
            {[=] {
                manager.getSubscribers(service, node, this);
                manager.purgeNode(service, node, this);
            }, {"purged", "event purged gloox"}},
            {[=] { manager.unsubscribe(service, node, "", this, me()); }, {"unsubscribed"}},
            {[=] { manager.unsubscribe(service, node, "", this, me()); }, {"refused"}},
            {[=] { manager.subscribe(service, node, this, me()); }, {"subscription 1"}},
            {[=] { manager.deleteNode(service, node, this); }, {"gone gloox", "event deleted gloox"}},
            {[=] { manager.requestItems(service, node, "", 0, this); }, {"refused"}},
        };
    }

    /// One more thing came; on to the next step when it has all that it waits for.
    void happened(const std::string &what)
    {
        std::cerr << at << ": " << what << std::endl;
        came.push_back(what);
        if (at >= steps.size())
            return;
        for (const auto &expected : steps[at].expected) {
            bool there = false;
            for (const auto &one : came)
                there = there || one == expected;
            if (!there)
                return;
        }
        came.clear();
        if (++at == steps.size())
            client.disconnect();
        else
            steps[at].ask();
    }
    void happened(const Error *error, const std::string &what) { happened(error ? "refused" : what); }

    bool onTLSConnect(const CertInfo &info) override { return info.status == CertOk; }
    void onConnect() override
    {
        say("online");
        steps[0].ask();
    }
    void onDisconnect(ConnectionError error) override
    {
        if (at < steps.size())
            say("disconnected", "error " + std::to_string(error) + " in step " + std::to_string(at));
    }

    static std::string text(const Tag *payload) { return payload ? payload->cdata() : ""; }

    void handleMessage(const Message &message, MessageSession *) override
    {
        const PubSub::Event *event = message.findExtension<PubSub::Event>(ExtPubSubEvent);
        if (!event)
            return;
        switch (event->type()) {
        case PubSub::EventConfigure: happened("event configured " + event->node()); break;
        case PubSub::EventPurge: happened("event purged " + event->node()); break;
        case PubSub::EventDelete: happened("event deleted " + event->node()); break;
        case PubSub::EventItems:
        case PubSub::EventItemsRetract:
            for (const auto *one : event->items())
                happened(one->retract ? "event retract " + one->item : "event item " + one->item + " " + text(one->payload ? one->payload->findChild("note") ? one->payload->findChild("note") : one->payload : nullptr));
            break;
        default: happened("event " + std::to_string(event->type()));
        }
    }

    static std::string access(const DataForm *form)
    {
        const DataFormField *field = form ? form->field("pubsub#access_model") : nullptr;
        return field ? field->value() : "none";
    }

    void handleItem(const JID &, const std::string &, const Tag *) override {}
    void handleItems(const std::string &, const JID &, const std::string &, const PubSub::ItemList &items, const Error *error) override
    {
        std::string all = "items";
        for (const auto *one : items)
            all += ' ' + one->id() + '=' + text(one->payload());
        happened(error, all);
    }
    void handleItemPublication(const std::string &, const JID &, const std::string &, const PubSub::ItemList &items, const Error *error) override
    {
        happened(error, "published " + (items.empty() ? "" : items.front()->id()));
    }
    void handleItemDeletion(const std::string &, const JID &, const std::string &, const PubSub::ItemList &, const Error *error) override { happened(error, "deleted"); }
    void handleSubscriptionResult(const std::string &, const JID &, const std::string &, const std::string &, const JID &, const PubSub::SubscriptionType type,
                                  const Error *error) override
    {
        happened(error, "subscription " + std::to_string(type));
    }
    void handleUnsubscriptionResult(const std::string &, const JID &, const Error *error) override { happened(error, "unsubscribed"); }
    void handleSubscriptionOptions(const std::string &, const JID &, const JID &, const std::string &, const DataForm *options, const std::string &, const Error *error) override
    {
        happened(error, options && options->hasField("pubsub#deliver") ? "options" : "no options");
    }
    void handleSubscriptionOptionsResult(const std::string &, const JID &, const JID &, const std::string &, const std::string &, const Error *error) override
    {
        happened(error, "options set");
    }
    void handleSubscribers(const std::string &, const JID &, const std::string &, const PubSub::SubscriptionList &list, const Error *error) override
    {
        happened(error, "subscribers " + std::to_string(list.size()));
    }
    void handleSubscribersResult(const std::string &, const JID &, const std::string &, const PubSub::SubscriberList *, const Error *error) override
    {
        happened(error, "subscribers set");
    }
    void handleAffiliates(const std::string &, const JID &, const std::string &, const PubSub::AffiliateList *list, const Error *error) override
    {
        std::string all = "affiliates";
        if (list)
            for (const auto &one : *list)
                all += ' ' + one.jid.bare() + '=' + std::to_string(one.type);
        happened(error, all);
    }
    void handleAffiliatesResult(const std::string &, const JID &, const std::string &, const PubSub::AffiliateList *, const Error *error) override
    {
        happened(error, "affiliates set");
    }
    void handleNodeConfig(const std::string &, const JID &, const std::string &, const DataForm *config, const Error *error) override
    {
        happened(error, "config access " + access(config));
    }
    void handleNodeConfigResult(const std::string &, const JID &, const std::string &, const Error *error) override { happened(error, "configured"); }
    void handleNodeCreation(const std::string &, const JID &, const std::string &name, const Error *error) override { happened(error, "created " + name); }
    void handleNodeDeletion(const std::string &, const JID &, const std::string &name, const Error *error) override { happened(error, "gone " + name); }
    void handleNodePurge(const std::string &, const JID &, const std::string &, const Error *error) override { happened(error, "purged"); }
    void handleSubscriptions(const std::string &, const JID &, const PubSub::SubscriptionMap &all, const Error *error) override
    {
        happened(error, all.count(node) ? "subscriptions " + node : "no subscriptions");
    }
    void handleAffiliations(const std::string &, const JID &, const PubSub::AffiliationMap &all, const Error *error) override
    {
        const auto found = all.find(node);
        happened(error, "affiliations " + (found == all.end() ? "none" : node + '=' + std::to_string(found->second)));
    }
    void handleDefaultNodeConfig(const std::string &, const JID &, const DataForm *config, const Error *error) override
    {
        happened(error, "default");
    }
};

int main(int argc, char **argv)
{
    if (argc != 7) {
        std::cerr << "gloox_pubsub HOST PORT CA JID PASSWORD SERVICE" << std::endl;
        return 2;
    }
    const bool all = Peer(argv[1], std::atoi(argv[2]), argv[3], JID(argv[4]), argv[5], JID(argv[6])).run();
    say(all ? "done" : "failed");
    return all ? 0 : 1;
}
