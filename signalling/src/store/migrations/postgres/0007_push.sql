-- XEP-0357 §5: where an account's clients want to be notified. `resource` is that of the client that asked; `options` the form it gave, as XML.
CREATE TABLE push_services (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    service TEXT COLLATE "C" NOT NULL,
    node TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    options BYTEA NOT NULL,
    enabled_at BIGINT NOT NULL,
    PRIMARY KEY (account, service, node)
);
