-- XEP-0357 §5: where an account's clients want to be notified. `resource` is that of the client that asked; `options` the form it gave, as XML.
CREATE TABLE push_services (
    account TEXT NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    service TEXT NOT NULL,
    node TEXT NOT NULL,
    resource TEXT NOT NULL,
    options BLOB NOT NULL,
    enabled_at INTEGER NOT NULL,
    PRIMARY KEY (account, service, node)
) STRICT, WITHOUT ROWID;
