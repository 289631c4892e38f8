-- Keys and tags are digests, so values of any length and with any character are indexed and compared exactly.
-- `body` is the whole record in msgpack; the other columns are what queries look at.
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
CREATE TABLE about (version int NOT NULL, embedder text, dimensions int);
INSERT INTO about VALUES (1);
CREATE TABLE memories (
  key bytea PRIMARY KEY, tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, position bigint,
  tags bytea[] NOT NULL, texts bytea[] NOT NULL, numbers jsonb NOT NULL, words tsvector NOT NULL, length int NOT NULL,
  created_at bigint NOT NULL, last_accessed bigint NOT NULL, access_count bigint NOT NULL,
  body bytea NOT NULL, vector halfvec
) WITH (fillfactor = 85);
CREATE INDEX ON memories USING gin (tags, words);
CREATE INDEX ON memories (tenant, created_at);
CREATE INDEX ON memories (owner, position);
-- `kind` is session, document, successor, or the state of a job. `sorted_at` is when a session was updated or a job
-- was made; `ends_at` is when a session or document expires, or a job can be claimed.
CREATE TABLE states (
  key bytea PRIMARY KEY, kind text NOT NULL, tenant bytea NOT NULL, tags bytea[] NOT NULL, name bytea[] NOT NULL,
  sorted_at bigint NOT NULL, ends_at bigint, body bytea NOT NULL
);
CREATE INDEX ON states (tenant, kind, sorted_at);
CREATE INDEX ON states USING gin (tags);
CREATE INDEX ON states (kind, ends_at);
