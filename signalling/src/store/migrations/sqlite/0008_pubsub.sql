-- Nodes of PubSub services (XEP-0060) and of accounts (XEP-0163). `service`: where the node is; `account`: the same for an account's nodes, NULL for
-- those of a host. `config` is the configuration as a form (XEP-0004); title, access_model and send_last are its values that statements need.
-- `bytes`: of the configuration and the items. They count for the account or, at a host, for `holder`: whoever made the node, and when that account
-- is gone an owner that is left.
CREATE TABLE pubsub_nodes (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    node TEXT NOT NULL,
    account TEXT REFERENCES accounts (jid) ON DELETE CASCADE,
    holder TEXT,
    bytes INTEGER NOT NULL,
    kind TEXT NOT NULL,
    creator TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    title TEXT NOT NULL,
    access_model TEXT NOT NULL,
    send_last TEXT NOT NULL,
    config TEXT NOT NULL,
    UNIQUE (service, node)
) STRICT;

-- With the bytes, so that they are summed up without a look at the nodes.
CREATE INDEX pubsub_nodes_by_account ON pubsub_nodes (account, bytes);
CREATE INDEX pubsub_nodes_by_holder ON pubsub_nodes (holder, bytes);

-- §7.1. `seq` grows within a node with each publication; what is published again gets a new one. `payload` is empty for an item without one.
-- `expires_at` is 9223372036854775807 for what never does; `bytes` is what the item counts for.
CREATE TABLE pubsub_items (
    node_id INTEGER NOT NULL REFERENCES pubsub_nodes (id) ON DELETE CASCADE,
    item TEXT NOT NULL,
    seq INTEGER NOT NULL,
    publisher TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (node_id, item)
) STRICT;

CREATE INDEX pubsub_items_by_seq ON pubsub_items (node_id, seq, bytes);
CREATE INDEX pubsub_items_by_expiry ON pubsub_items (expires_at) WHERE expires_at < 9223372036854775807;

-- §8.9.
CREATE TABLE pubsub_affiliations (
    node_id INTEGER NOT NULL REFERENCES pubsub_nodes (id) ON DELETE CASCADE,
    jid TEXT NOT NULL,
    affiliation TEXT NOT NULL,
    PRIMARY KEY (node_id, jid)
) STRICT, WITHOUT ROWID;

CREATE INDEX pubsub_affiliations_by_jid ON pubsub_affiliations (jid, node_id);

-- §8.8. `bare` is the bare JID of `jid`; `options` (§6.3) a form.
CREATE TABLE pubsub_subscriptions (
    node_id INTEGER NOT NULL REFERENCES pubsub_nodes (id) ON DELETE CASCADE,
    jid TEXT NOT NULL,
    subid TEXT NOT NULL,
    bare TEXT NOT NULL,
    state TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    options TEXT NOT NULL,
    PRIMARY KEY (node_id, jid, subid)
) STRICT, WITHOUT ROWID;

CREATE INDEX pubsub_subscriptions_by_bare ON pubsub_subscriptions (bare, node_id);
CREATE INDEX pubsub_subscriptions_by_expiry ON pubsub_subscriptions (expires_at) WHERE expires_at < 9223372036854775807;

-- XEP-0248: which node is in which collections, in the order in which the node names them.
CREATE TABLE pubsub_collections (
    node_id INTEGER NOT NULL REFERENCES pubsub_nodes (id) ON DELETE CASCADE,
    collection_id INTEGER NOT NULL REFERENCES pubsub_nodes (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    PRIMARY KEY (node_id, collection_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX pubsub_collections_by_collection ON pubsub_collections (collection_id);

-- §8.4.2: where those are sent who look for a deleted node. `number` grows within a service; the lowest goes first.
CREATE TABLE pubsub_redirects (
    service TEXT NOT NULL,
    node TEXT NOT NULL,
    uri TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (service, node)
) STRICT, WITHOUT ROWID;

CREATE INDEX pubsub_redirects_by_number ON pubsub_redirects (service, number);
