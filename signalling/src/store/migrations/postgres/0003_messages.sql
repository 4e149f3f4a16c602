-- The messages of each account. id: milliseconds since 1970 << 20, then a number that tells messages of one millisecond apart; it grows within
-- an account. peer and resource: the address of the other side. archived: whether the archive shows it (XEP-0313); what is not archived is kept
-- until it is delivered. stanza: whole, as it was sent or received.
CREATE TABLE messages (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    id BIGINT NOT NULL,
    peer TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    peer_hash BIGINT NOT NULL,
    archived BIGINT NOT NULL,
    stanza BYTEA NOT NULL,
    PRIMARY KEY (account, id)
);

-- By a hash of the address (FNV-1a), which may itself be longer than an index of PostgreSQL takes.
CREATE INDEX messages_by_peer ON messages (account, peer_hash, id) WHERE archived = 1;

-- Messages that no client of the account has acknowledged (XEP-0160, XEP-0198).
CREATE TABLE undelivered (
    account TEXT COLLATE "C" NOT NULL,
    id BIGINT NOT NULL,
    PRIMARY KEY (account, id),
    FOREIGN KEY (account, id) REFERENCES messages (account, id) ON DELETE CASCADE
);

-- XEP-0441. policy: 'always', 'roster' or 'never'; the lists are JSON arrays of addresses.
CREATE TABLE archive_preferences (
    account TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (jid) ON DELETE CASCADE,
    policy TEXT NOT NULL,
    always TEXT NOT NULL,
    never TEXT NOT NULL
);
