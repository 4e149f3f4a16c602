-- XEP-0191: whom an account has blocked, each an address of any of the four kinds of §6.
CREATE TABLE blocked_jids (
    account TEXT NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    jid TEXT NOT NULL,
    PRIMARY KEY (account, jid)
) STRICT, WITHOUT ROWID;

-- RFC 6121 §2.6: items that were removed, and the roster's version then; the newest of them only. What is missing is known by
-- accounts.roster_complete_from: the changes since that version, and later ones, are all known.
CREATE TABLE roster_removals (
    account TEXT NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (account, contact)
) STRICT, WITHOUT ROWID;

CREATE INDEX roster_removals_by_version ON roster_removals (account, version);

ALTER TABLE accounts ADD COLUMN roster_complete_from INTEGER NOT NULL DEFAULT 0;

-- Before this migration removals left nothing behind, so older versions cannot be brought up to date item by item.
UPDATE accounts SET roster_complete_from = roster_version;

-- XEP-0049: one row for each element that a client has stored, by its expanded name.
CREATE TABLE private_xml (
    account TEXT NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (account, namespace, name)
) STRICT;

-- XEP-0054: the element <vCard/> as it was received. photo_hash is that of XEP-0153 §2, NULL for none.
CREATE TABLE vcards (
    account TEXT NOT NULL PRIMARY KEY REFERENCES accounts (jid) ON DELETE CASCADE,
    vcard BLOB NOT NULL,
    photo_hash TEXT
) STRICT;

-- XEP-0012 §4, RFC 6121 §4.3.2: when the account's last resource became unavailable, and the presence that said so.
CREATE TABLE last_activity (
    account TEXT NOT NULL PRIMARY KEY REFERENCES accounts (jid) ON DELETE CASCADE,
    left_at INTEGER NOT NULL,
    presence BLOB NOT NULL
) STRICT;
