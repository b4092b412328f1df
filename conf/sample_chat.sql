-- SPDX-License-Identifier: PostgreSQL
-- Copyright (c) 2026, The pgrecall authors
--
-- A small chat application: users, channels, messages with an embedding of 384 dimensions.
-- `./quickstart`, the scenario tests and bench/ load it.  The rows are the same each time;
-- psql -v messages=N sets how many messages there are (20000).

\set ON_ERROR_STOP on
\if :{?messages}
\else
	\set messages 20000
\endif

SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE users (
	id serial PRIMARY KEY,
	name text NOT NULL UNIQUE,
	context jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE channels (
	id serial PRIMARY KEY,
	name text NOT NULL UNIQUE,
	topic text
);

CREATE TABLE messages (
	id bigserial PRIMARY KEY,
	channel_id integer NOT NULL REFERENCES channels (id),
	user_id integer NOT NULL REFERENCES users (id),
	body text NOT NULL,
	embedding vector(384),
	created_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO users (name, context, created_at)
SELECT 'user' || n, jsonb_build_object('language', (ARRAY['en', 'de', 'fr'])[n % 3 + 1], 'tone', n % 5),
	timestamptz '2026-01-01 00:00:00+00' + n * interval '1 minute'
FROM generate_series(1, 200) AS n;

INSERT INTO channels (name, topic)
SELECT 'channel' || n, CASE WHEN n % 4 > 0 THEN 'Everything about topic ' || n END
FROM generate_series(1, 100) AS n;

-- Channels differ in size as people's do: the square makes the low numbers busy.
SELECT setseed(0.42) \g /dev/null
INSERT INTO messages (channel_id, user_id, body, embedding, created_at)
SELECT 1 + floor(100 * random() * random())::integer, 1 + n * 7919 % 200,
	'Message ' || n || ': ' || repeat(md5(n::text) || ' ', 1 + n % 4),
	ARRAY(SELECT (random() - 0.5 + n * 0)::real FROM generate_series(1, 384))::vector(384),
	timestamptz '2026-02-01 00:00:00+00' + n * interval '10 seconds'
FROM generate_series(1, :messages) AS n;

CREATE INDEX messages_channel ON messages (channel_id, id DESC);
CREATE INDEX messages_embedding ON messages USING ivfflat (embedding vector_cosine_ops)
	WITH (lists = 50);
ANALYZE;
