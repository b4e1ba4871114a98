-- 001: jobs, what belongs to them, and objects.
--
-- Times are milliseconds of wall clock, 0 for none. A status is its number in enum store_status: below 2 a job runs or
-- waits, from 2 on it is over. What changes often (jobs) is kept apart from what is large (requests, responses), because
-- an UPDATE writes the whole row again. Tables with large bodies keep their rowid: WITHOUT ROWID would put the bodies
-- into the inner pages of the tree.

PRAGMA application_id = 0x74686b64; -- "thkd"

CREATE TABLE jobs (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    status INTEGER NOT NULL,
    background INTEGER NOT NULL,
    node TEXT, -- who runs it; NULL: nobody
    created INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    restarts INTEGER NOT NULL,
    previous TEXT NOT NULL,
    conversation TEXT NOT NULL,
    engine TEXT NOT NULL
);
CREATE INDEX jobs_open ON jobs (background, created) WHERE status < 2;
CREATE INDEX jobs_ended ON jobs (ended) WHERE status >= 2;
CREATE INDEX jobs_previous ON jobs (previous) WHERE previous <> '';

CREATE TABLE requests (job INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE responses (job INTEGER PRIMARY KEY, body BLOB NOT NULL);

-- A row is one appended group: events first .. first + count - 1, as lines.
CREATE TABLE events (
    job INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    lines BLOB NOT NULL
);
CREATE UNIQUE INDEX events_place ON events (job, first);

-- The pieces of a job's journal, in the order of their rowids.
CREATE TABLE journal (job INTEGER NOT NULL, piece BLOB NOT NULL);
CREATE INDEX journal_job ON journal (job);

CREATE TABLE items (
    item TEXT NOT NULL,
    owner TEXT NOT NULL,
    job INTEGER NOT NULL,
    PRIMARY KEY (item, owner)
) WITHOUT ROWID;
CREATE INDEX items_job ON items (job);

CREATE TABLE objects (
    place INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    parent TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX objects_id ON objects (kind, owner, id);
CREATE INDEX objects_list ON objects (kind, owner, parent);
CREATE INDEX objects_expires ON objects (expires) WHERE expires > 0;
