-- XEP-0198 §5: sessions that an orderly stop left to be resumed, gone again after the next start. `state` is a JSON object, `presence` the last one
-- broadcast (empty: not available); of `stanzas` each is preceded by a byte (1: sent before, 0: waits), its number among the account's messages (8
-- bytes, 0: none) and its length (4 bytes), both with the most significant byte first.
CREATE TABLE sessions (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (jid) ON DELETE CASCADE,
    resource TEXT COLLATE "C" NOT NULL,
    token BYTEA NOT NULL,
    within_ms BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    acknowledged BIGINT NOT NULL,
    handled BIGINT NOT NULL,
    state TEXT NOT NULL,
    presence BYTEA NOT NULL,
    stanzas BYTEA NOT NULL,
    PRIMARY KEY (account, resource)
);
