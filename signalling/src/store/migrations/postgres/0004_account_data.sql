-- XEP-0191: whom an account has blocked, each an address of any of the four kinds of §6.
CREATE TABLE blocked_jids (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    jid TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account, jid)
);

-- RFC 6121 §2.6: items that were removed, and the roster's version then; the newest of them only. What is missing is known by
-- accounts.roster_complete_from: the changes since that version, and later ones, are all known.
CREATE TABLE roster_removals (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    contact TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (account, contact)
);

CREATE INDEX roster_removals_by_version ON roster_removals (account, version);

ALTER TABLE accounts ADD COLUMN roster_complete_from BIGINT NOT NULL DEFAULT 0;

-- Before this migration removals left nothing behind, so older versions cannot be brought up to date item by item.
UPDATE accounts SET roster_complete_from = roster_version;

-- XEP-0049: one row for each element that a client has stored, by its expanded name.
CREATE TABLE private_xml (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    namespace TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (account, namespace, name)
);

-- XEP-0054: the element <vCard/> as it was received. photo_hash is that of XEP-0153 §2, NULL for none.
CREATE TABLE vcards (
    account TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (jid) ON DELETE CASCADE,
    vcard BYTEA NOT NULL,
    photo_hash TEXT
);

-- XEP-0012 §4, RFC 6121 §4.3.2: when the account's last resource became unavailable, and the presence that said so.
CREATE TABLE last_activity (
    account TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (jid) ON DELETE CASCADE,
    left_at BIGINT NOT NULL,
    presence BYTEA NOT NULL
);
