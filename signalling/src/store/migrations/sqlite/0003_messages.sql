-- The messages of each account. id: milliseconds since 1970 << 20, then a number that tells messages of one millisecond apart; it grows within
-- an account. peer and resource: the address of the other side. archived: whether the archive shows it (XEP-0313); what is not archived is kept
-- until it is delivered. stanza: whole, as it was sent or received.
CREATE TABLE messages (
    account TEXT NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    id INTEGER NOT NULL,
    peer TEXT NOT NULL,
    resource TEXT NOT NULL,
    peer_hash INTEGER NOT NULL,
    archived INTEGER NOT NULL,
    stanza BLOB NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

-- By a hash of the address (FNV-1a), which may itself be longer than an index of PostgreSQL takes.
CREATE INDEX messages_by_peer ON messages (account, peer_hash, id) WHERE archived = 1;

-- Messages that no client of the account has acknowledged (XEP-0160, XEP-0198).
CREATE TABLE undelivered (
    account TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (account, id),
    FOREIGN KEY (account, id) REFERENCES messages (account, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- XEP-0441. policy: 'always', 'roster' or 'never'; the lists are JSON arrays of addresses.
CREATE TABLE archive_preferences (
    account TEXT NOT NULL PRIMARY KEY REFERENCES accounts (jid) ON DELETE CASCADE,
    policy TEXT NOT NULL,
    always TEXT NOT NULL,
    never TEXT NOT NULL
) STRICT, WITHOUT ROWID;
