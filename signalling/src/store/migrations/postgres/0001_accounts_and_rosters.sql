-- Times are milliseconds since 1970, booleans 0 or 1; addresses are stored enforced (RFC 7622) and ordered by their bytes.

CREATE TABLE accounts (
    jid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    domain TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    password_changed_at BIGINT NOT NULL,
    disabled BIGINT NOT NULL DEFAULT 0,
    roster_version BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX accounts_by_domain ON accounts (domain, jid);

-- RFC 5802 §3: what a server keeps of a password, one row per hash function ('sha-1', 'sha-256').
CREATE TABLE account_keys (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    hash TEXT COLLATE "C" NOT NULL,
    salt BYTEA NOT NULL,
    iterations BIGINT NOT NULL,
    stored_key BYTEA NOT NULL,
    server_key BYTEA NOT NULL,
    PRIMARY KEY (account, hash)
);

-- RFC 6121 §2.1.2. group_names is a JSON array; version is accounts.roster_version at the item's last change (§2.6).
CREATE TABLE roster_items (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    contact TEXT COLLATE "C" NOT NULL,
    name TEXT,
    subscription TEXT NOT NULL,
    ask BIGINT NOT NULL DEFAULT 0,
    approved BIGINT NOT NULL DEFAULT 0,
    group_names TEXT NOT NULL DEFAULT '[]',
    version BIGINT NOT NULL,
    PRIMARY KEY (account, contact)
);

-- RFC 6121 §3.1.3: requests not yet answered, the presence stanza whole.
CREATE TABLE subscription_requests (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    contact TEXT COLLATE "C" NOT NULL,
    stanza BYTEA NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (account, contact)
);
