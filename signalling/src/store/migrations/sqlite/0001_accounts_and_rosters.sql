-- Times are milliseconds since 1970, booleans 0 or 1; addresses are stored enforced (RFC 7622).

CREATE TABLE accounts (
    jid TEXT NOT NULL PRIMARY KEY,
    domain TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    password_changed_at INTEGER NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    roster_version INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX accounts_by_domain ON accounts (domain, jid);

-- RFC 5802 §3: what a server keeps of a password, one row per hash function ('sha-1', 'sha-256').
CREATE TABLE account_keys (
    account TEXT NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    salt BLOB NOT NULL,
    iterations INTEGER NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL,
    PRIMARY KEY (account, hash)
) STRICT, WITHOUT ROWID;

-- RFC 6121 §2.1.2. group_names is a JSON array; version is accounts.roster_version at the item's last change (§2.6).
CREATE TABLE roster_items (
    account TEXT NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    name TEXT,
    subscription TEXT NOT NULL,
    ask INTEGER NOT NULL DEFAULT 0,
    approved INTEGER NOT NULL DEFAULT 0,
    group_names TEXT NOT NULL DEFAULT '[]',
    version INTEGER NOT NULL,
    PRIMARY KEY (account, contact)
) STRICT, WITHOUT ROWID;

-- RFC 6121 §3.1.3: requests not yet answered, the presence stanza whole.
CREATE TABLE subscription_requests (
    account TEXT NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    stanza BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (account, contact)
) STRICT;
