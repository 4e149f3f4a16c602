-- Rooms (XEP-0045). `jid` is NULL for a room that was destroyed: its name is free, and what it has goes little by little, then its row. `domain` and
-- `local` are the parts of `jid`, empty for such a room. `holder`: the account for which the room counts; NULL when that account is gone. `config` is
-- the configuration as text; name, persistent and public are its values that statements need. `subject`: JSON. `vcard` is empty for none.
CREATE TABLE rooms (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    jid TEXT COLLATE "C" UNIQUE,
    domain TEXT COLLATE "C" NOT NULL,
    local TEXT COLLATE "C" NOT NULL,
    creator TEXT NOT NULL,
    holder TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    locked BIGINT NOT NULL,
    persistent BIGINT NOT NULL,
    public BIGINT NOT NULL,
    name TEXT NOT NULL,
    config TEXT NOT NULL,
    subject TEXT,
    vcard BYTEA NOT NULL,
    secret BYTEA NOT NULL
);

CREATE INDEX rooms_by_domain ON rooms (domain, local);
CREATE INDEX rooms_listed ON rooms (domain, local) WHERE public = 1 AND locked = 0;
CREATE INDEX rooms_by_holder ON rooms (holder) WHERE holder IS NOT NULL;
CREATE INDEX rooms_temporary ON rooms (id) WHERE persistent = 0;
CREATE INDEX rooms_destroyed ON rooms (id) WHERE jid IS NULL;

-- §5.2, and the nicknames of §7.10. `affiliation` is 'none' for somebody who has only a nickname.
CREATE TABLE room_affiliations (
    room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    jid TEXT COLLATE "C" NOT NULL,
    affiliation TEXT NOT NULL,
    nick TEXT,
    reason TEXT,
    PRIMARY KEY (room_id, jid)
);

CREATE INDEX room_affiliations_by_jid ON room_affiliations (jid);

-- §7.10: who waits to be registered, and under which nickname.
CREATE TABLE room_requests (
    room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    jid TEXT COLLATE "C" NOT NULL,
    nick TEXT NOT NULL,
    PRIMARY KEY (room_id, jid)
);

CREATE INDEX room_requests_by_jid ON room_requests (jid);

-- XEP-0317. A URI may be longer than an index takes: hats have numbers.
CREATE TABLE room_hats (
    room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    uri TEXT NOT NULL,
    title TEXT NOT NULL,
    hue TEXT,
    lang TEXT,
    PRIMARY KEY (room_id, number)
);

-- Who wears which: a JSON array of URIs.
CREATE TABLE room_hats_worn (
    room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    jid TEXT COLLATE "C" NOT NULL,
    uris TEXT NOT NULL,
    PRIMARY KEY (room_id, jid)
);

CREATE INDEX room_hats_worn_by_jid ON room_hats_worn (jid);

-- The archives of rooms (XEP-0313 §3.3.2); `id` as in `messages`. `peer` and `resource`: the real address of the sender; `nick`: the nickname under
-- which it was sent. Hashes: FNV-1a.
CREATE TABLE room_messages (
    room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    id BIGINT NOT NULL,
    peer TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    nick TEXT COLLATE "C" NOT NULL,
    peer_hash BIGINT NOT NULL,
    nick_hash BIGINT NOT NULL,
    stanza BYTEA NOT NULL,
    PRIMARY KEY (room_id, id)
);

CREATE INDEX room_messages_by_peer ON room_messages (room_id, peer_hash, id);
CREATE INDEX room_messages_by_nick ON room_messages (room_id, nick_hash, id);

-- Who was in a room at an orderly stop, as JSON; read at the next start, and gone then.
CREATE TABLE room_occupants (
    room_id BIGINT NOT NULL PRIMARY KEY REFERENCES rooms (id) ON DELETE CASCADE,
    state TEXT NOT NULL
);
