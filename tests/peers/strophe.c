/* libstrophe 0.12 (XMPP_CONN_FLAG_…, SCRAM-SHA-1 to -512): a client that answers; see foreign_clients.rs for what it does and says.
 *
 * Trust: a CA file per connection. Without TLS it would go on in clear unless told that TLS is mandatory. What certificate cannot be
 * verified (chain, and the JID's domain as its name) is shown to a handler; without one the connection ends. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>

static int parting;

static void json(const char *key, const char *text)
{
    printf(",\"%s\":\"", key);
    for (; text && *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        if ((unsigned char)*text < ' ')
            printf("\\u%04x", *text);
        else
            putchar(*text);
    }
    putchar('"');
}

static void say(const char *event, const char *key1, const char *text1, const char *key2, const char *text2, const char *key3, const char *text3)
{
    printf("{\"event\":\"%s\"", event);
    if (key1)
        json(key1, text1);
    if (key2)
        json(key2, text2);
    if (key3)
        json(key3, text3);
    puts("}");
    fflush(stdout);
}

static int on_roster(xmpp_conn_t *conn, xmpp_stanza_t *iq, void *context)
{
    xmpp_ctx_t *ctx = context;
    xmpp_stanza_t *query = xmpp_stanza_get_child_by_ns(iq, XMPP_NS_ROSTER), *item, *presence;
    for (item = query ? xmpp_stanza_get_children(query) : NULL; item; item = xmpp_stanza_get_next(item))
        say("contact", "jid", xmpp_stanza_get_attribute(item, "jid"), "subscription", xmpp_stanza_get_attribute(item, "subscription"), NULL, NULL);
    presence = xmpp_presence_new(ctx);
    xmpp_send(conn, presence);
    xmpp_stanza_release(presence);
    return 0;
}

static int on_presence(xmpp_conn_t *conn, xmpp_stanza_t *presence, void *context)
{
    const char *type = xmpp_stanza_get_type(presence);
    xmpp_stanza_t *show = xmpp_stanza_get_child_by_name(presence, "show");
    char *text = show ? xmpp_stanza_get_text(show) : NULL;
    say("presence", "from", xmpp_stanza_get_from(presence), "type", type ? type : "available", "show", text);
    if (text)
        xmpp_free(context, text);
    return 1;
}

static int on_message(xmpp_conn_t *conn, xmpp_stanza_t *message, void *context)
{
    xmpp_ctx_t *ctx = context;
    char *body = xmpp_message_get_body(message), *answer;
    xmpp_stanza_t *reply;
    if (!body)
        return 1;
    say("message", "from", xmpp_stanza_get_from(message), "body", body, NULL, NULL);
    if (strcmp(body, "bye") == 0) {
        parting = 1;
        xmpp_disconnect(conn);
    } else {
        answer = malloc(strlen(body) + sizeof "echo ");
        strcat(strcpy(answer, "echo "), body);
        reply = xmpp_stanza_reply(message);
        xmpp_stanza_set_type(reply, "chat");
        xmpp_message_set_body(reply, answer);
        xmpp_send(conn, reply);
        xmpp_stanza_release(reply);
        free(answer);
    }
    xmpp_free(ctx, body);
    return 1;
}

static void on_connection(xmpp_conn_t *conn, xmpp_conn_event_t event, int error, xmpp_stream_error_t *stream_error, void *context)
{
    xmpp_ctx_t *ctx = context;
    xmpp_stanza_t *iq, *query;
    if (event != XMPP_CONN_CONNECT) {
        say("disconnected", "error", stream_error ? stream_error->text : strerror(error), NULL, NULL, NULL, NULL);
        xmpp_stop(ctx);
        return;
    }
    say("online", "jid", xmpp_conn_get_bound_jid(conn), "tls", xmpp_conn_is_secured(conn) ? "yes" : "no", NULL, NULL);
    xmpp_handler_add(conn, on_presence, NULL, "presence", NULL, ctx);
    xmpp_handler_add(conn, on_message, NULL, "message", NULL, ctx);
    xmpp_id_handler_add(conn, on_roster, "roster", ctx);
    iq = xmpp_iq_new(ctx, "get", "roster");
    query = xmpp_stanza_new(ctx);
    xmpp_stanza_set_name(query, "query");
    xmpp_stanza_set_ns(query, XMPP_NS_ROSTER);
    xmpp_stanza_add_child(iq, query);
    xmpp_stanza_release(query);
    xmpp_send(conn, iq);
    xmpp_stanza_release(iq);
}

int main(int argc, char **argv)
{
    xmpp_ctx_t *ctx;
    xmpp_conn_t *conn;
    if (argc != 6) {
        fprintf(stderr, "strophe HOST PORT CA JID PASSWORD\n");
        return 2;
    }
    xmpp_initialize();
    ctx = xmpp_ctx_new(NULL, xmpp_get_default_logger(XMPP_LEVEL_WARN));
    conn = xmpp_conn_new(ctx);
    xmpp_conn_set_flags(conn, XMPP_CONN_FLAG_MANDATORY_TLS);
    xmpp_conn_set_cafile(conn, argv[3]);
    xmpp_conn_set_jid(conn, argv[4]);
    xmpp_conn_set_pass(conn, argv[5]);
    if (xmpp_connect_client(conn, argv[1], (unsigned short)atoi(argv[2]), on_connection, ctx) == XMPP_EOK)
        xmpp_run(ctx);
    xmpp_conn_release(conn);
    xmpp_ctx_free(ctx);
    xmpp_shutdown();
    say(parting ? "done" : "failed", NULL, NULL, NULL, NULL, NULL, NULL);
    return !parting;
}
