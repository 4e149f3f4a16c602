-- XEP-0175: accounts that live as long as their session. RFC 6120 §6.5.2: what the owner of a disabled account is told.
ALTER TABLE accounts ADD COLUMN anonymous BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN disabled_reason TEXT;

-- XEP-0077 §3.2: contacts of removed accounts that are still to be told that the subscriptions are over.
CREATE TABLE farewells (
    account TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    unsubscribe BIGINT NOT NULL,
    unsubscribed BIGINT NOT NULL,
    PRIMARY KEY (account, contact)
);
