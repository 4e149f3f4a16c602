-- Accounts whose TURN credentials are void when issued until that time. The account itself may be gone.
CREATE TABLE turn_revocations (
    account TEXT NOT NULL PRIMARY KEY,
    revoked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
