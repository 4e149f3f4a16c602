INSERT INTO accounts (jid, domain, created_at, password_changed_at, disabled, roster_version) VALUES
    ('alice@example.org', 'example.org', 1700000000000, 1700000000000, 0, 2),
    ('bob@example.org', 'example.org', 1700000000000, 1700000000000, 1, 0);
INSERT INTO account_keys (account, hash, salt, iterations, stored_key, server_key) VALUES
    ('alice@example.org', 'sha-1', {000102030405060708090a0b0c0d0e0f}, 10000,
     {0101010101010101010101010101010101010101}, {0202020202020202020202020202020202020202}),
    ('alice@example.org', 'sha-256', {000102030405060708090a0b0c0d0e0f}, 10000,
     {0101010101010101010101010101010101010101010101010101010101010101}, {0202020202020202020202020202020202020202020202020202020202020202});
INSERT INTO roster_items (account, contact, name, subscription, ask, approved, group_names, version) VALUES
    ('alice@example.org', 'bob@example.org', 'Bob', 'both', 0, 0, '["Friends"]', 1),
    ('alice@example.org', 'carol@example.org', NULL, 'none', 1, 0, '[]', 2);
INSERT INTO subscription_requests (account, contact, stanza, received_at) VALUES
    ('bob@example.org', 'carol@example.org', {3c70726573656e63652f3e}, 1700000000000);
INSERT INTO turn_revocations (account, revoked_at) VALUES ('dave@example.org', 1700000000000);
