-- Keys and tags are digests, so values of any length and with any character are indexed and compared exactly.
-- `body` is the whole record in msgpack; the other columns are what queries look at.
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
CREATE TABLE about AS SELECT 1 AS version, NULL::text AS embedder, NULL::int AS dimensions;
CREATE TABLE memories (
  key bytea PRIMARY KEY, tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, position bigint,
  tags bytea[] NOT NULL, texts bytea[] NOT NULL, numbers jsonb NOT NULL, words tsvector NOT NULL, length int NOT NULL,
  created_at bigint NOT NULL, last_accessed bigint NOT NULL, access_count bigint NOT NULL,
  body bytea NOT NULL, vector halfvec
) WITH (fillfactor = 85);
CREATE INDEX ON memories USING gin (tags, words);
CREATE INDEX ON memories (tenant, created_at);
CREATE INDEX ON memories (owner, position);
-- The rows of memhost.storekit.SqlRows: sessions, documents, jobs.
CREATE TABLE states (
  row_id bytea PRIMARY KEY, kind text NOT NULL, tenant bytea NOT NULL, namespace bytea NOT NULL, user_id bytea NOT NULL,
  session_id bytea NOT NULL, name bytea NOT NULL, sorted_at bigint NOT NULL, ends_at bigint, body bytea NOT NULL
);
CREATE INDEX ON states (tenant, kind, sorted_at);
CREATE INDEX ON states (tenant, kind, user_id, session_id);
CREATE INDEX ON states (kind, ends_at);
