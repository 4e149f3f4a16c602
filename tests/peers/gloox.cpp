// gloox 1.0.24: a client that answers; see foreign_clients.rs for what it does and says.
//
// Trust: the CA files of Client::setCACerts are never read, only the system's; a TLSDefault made by hand takes others. What was found out about
// the certificate is shown to onTLSConnect, which decides: by `status`, since `chain` is true of self-signed certificates only.
// Its TLS is 1.2, where it would bind a -PLUS mechanism to tls-unique whatever the server announces; SCRAM-SHA-1 where none is offered.
// It asks for the roster and sends presence by itself.

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include <gloox/client.h>
#include <gloox/connectionlistener.h>
#include <gloox/message.h>
#include <gloox/messagehandler.h>
#include <gloox/presence.h>
#include <gloox/presencehandler.h>
#include <gloox/rosteritem.h>
#include <gloox/rosterlistener.h>
#include <gloox/rostermanager.h>
#include <gloox/tlsdefault.h>

using namespace gloox;

static std::string quoted(const std::string &text)
{
    std::string out = "\"";
    for (unsigned char c : text) {
        char escaped[7];
        if (c == '"' || c == '\\')
            out += '\\';
        if (c < ' ') {
            std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
            out += escaped;
        } else {
            out += static_cast<char>(c);
        }
    }
    return out + '"';
}

static void say(const std::string &event, std::initializer_list<std::pair<const char *, std::string>> more = {})
{
    std::cout << "{\"event\":" << quoted(event);
    for (const auto &pair : more)
        std::cout << ',' << quoted(pair.first) << ':' << quoted(pair.second);
    std::cout << '}' << std::endl;
}

class Peer : ConnectionListener, RosterListener, PresenceHandler, MessageHandler {
public:
    Peer(const std::string &host, int port, const std::string &ca, const JID &jid, const std::string &password) : client(jid, password, port)
    {
        client.setServer(host);
        client.setTls(TLSRequired);
        TLSDefault *tls = new TLSDefault(&client, jid.server()); // the client's from now on
        tls->init();
        tls->setCACerts({ca});
        client.setEncryptionImpl(tls);
        client.registerConnectionListener(this);
        client.rosterManager()->registerRosterListener(this, true);
        client.registerPresenceHandler(this);
        client.registerMessageHandler(this);
    }

    bool run()
    {
        client.connect();
        return parted;
    }

private:
    Client client;
    bool parted = false;
    std::string tls = "no";

    bool onTLSConnect(const CertInfo &info) override
    {
        tls = info.protocol;
        if (info.status != CertOk)
            say("untrusted", {{"status", std::to_string(info.status)}, {"server", info.server}});
        return info.status == CertOk;
    }
    void onResourceBind(const std::string &) override { say("online", {{"jid", client.jid().full()}, {"tls", tls}}); }
    void onConnect() override {}
    void onDisconnect(ConnectionError error) override
    {
        parted = error == ConnUserDisconnected;
        say("disconnected", {{"error", std::to_string(error)}, {"stream", std::to_string(client.streamError())},
                             {"auth", std::to_string(client.authError())}});
    }

    void handleRoster(const Roster &roster) override
    {
        for (const auto &entry : roster)
            say("contact", {{"jid", entry.first}, {"subscription", entry.second->subscription() == S10nBoth ? "both" : "other"}});
    }
    void handlePresence(const Presence &presence) override
    {
        static const char *const shows[] = {"", "chat", "away", "dnd", "xa"};
        const bool there = presence.presence() <= Presence::XA;
        say("presence", {{"from", presence.from().full()}, {"type", there ? "available" : "unavailable"},
                         {"show", there ? shows[presence.presence()] : ""}});
    }
    void handleMessage(const Message &message, MessageSession *) override
    {
        if (message.body().empty())
            return;
        say("message", {{"from", message.from().full()}, {"body", message.body()}});
        if (message.body() == "bye")
            client.disconnect();
        else
            client.send(Message(Message::Chat, message.from(), "echo " + message.body()));
    }

    void handleItemAdded(const JID &) override {}
    void handleItemSubscribed(const JID &) override {}
    void handleItemRemoved(const JID &) override {}
    void handleItemUpdated(const JID &) override {}
    void handleItemUnsubscribed(const JID &) override {}
    void handleRosterPresence(const RosterItem &, const std::string &, Presence::PresenceType, const std::string &) override {}
    void handleSelfPresence(const RosterItem &, const std::string &, Presence::PresenceType, const std::string &) override {}
    bool handleSubscriptionRequest(const JID &, const std::string &) override { return false; }
    bool handleUnsubscriptionRequest(const JID &, const std::string &) override { return false; }
    void handleNonrosterPresence(const Presence &) override {}
    void handleRosterError(const IQ &) override { say("roster refused"); }
};

int main(int argc, char **argv)
{
    if (argc != 6) {
        std::cerr << "gloox HOST PORT CA JID PASSWORD" << std::endl;
        return 2;
    }
    const bool parted = Peer(argv[1], std::atoi(argv[2]), argv[3], JID(argv[4]), argv[5]).run();
    say(parted ? "done" : "failed");
    return parted ? 0 : 1;
}
