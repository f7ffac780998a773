-- A database that is not kind to dumps. psql -v gb=SIZE; pgbench's own tables come beside it.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
SET synchronous_commit = off;

CREATE EXTENSION pgcrypto;
CREATE EXTENSION hstore;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist;

-- Wide documents.
CREATE TABLE documents (id bigint PRIMARY KEY, kind text NOT NULL, body jsonb NOT NULL);
INSERT INTO documents
  SELECT n, 'kind ' || n % 17, jsonb_build_object(
    'id', n, 'name', md5(n::text), 'created', timestamptz '2020-01-01 UTC' + n * interval '37 s', 'amount', n * 1.17,
    'address', jsonb_build_object('street', md5((n % 4096)::text) || ' street', 'city', 'city ' || n % 300, 'zip', lpad((n % 99999)::text, 5, '0')),
    'tags', (SELECT jsonb_agg('tag ' || (n * t) % 977) FROM generate_series(1, 20) t),
    'lines', (SELECT jsonb_agg(jsonb_build_object('sku', md5(((n * t) % 5003)::text), 'quantity', t, 'price', (n * t) % 9973)) FROM generate_series(1, 10) t))
  FROM generate_series(1, (:gb * 160000)::bigint) n;
CREATE INDEX ON documents (kind);

-- What no compressor can do anything about; it travels as hexadecimal digits.
CREATE TABLE blobs (id bigint PRIMARY KEY, content bytea NOT NULL);
ALTER TABLE blobs ALTER content SET STORAGE EXTERNAL;
INSERT INTO blobs
  SELECT n, (SELECT string_agg(gen_random_bytes(1024), '' ORDER BY k) FROM generate_series(1, 16) k WHERE n > 0)
  FROM generate_series(1, (:gb * 6000)::bigint) n;

-- Large objects.
SELECT count(lo_from_bytea(0, (SELECT string_agg(gen_random_bytes(1024), '') FROM generate_series(1, 24) k WHERE n > 0)))
  FROM generate_series(1, (:gb * 800)::bigint) n \g /dev/null

-- Partitions, with a trigger and an index on each.
CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, who citext, what text, doubled int GENERATED ALWAYS AS (2 * size) STORED, size int)
  PARTITION BY RANGE (at);
SELECT format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', 'events_' || to_char(m, 'YYYY_MM'), m, m + interval '1 month')
  FROM generate_series(timestamp '2021-01-01', timestamp '2023-12-01', interval '1 month') m \gexec
INSERT INTO events (at, who, what, size)
  SELECT timestamptz '2021-01-01 UTC' + random() * interval '1090 days', 'User ' || n % 10007, md5(n::text), n % 1000
  FROM generate_series(1, (:gb * 1700000)::bigint) n;
CREATE INDEX ON events (at);
CREATE INDEX ON events (who);

-- Many small tables, as frameworks make them.
CREATE SCHEMA small;
SELECT format('CREATE TABLE small.%I (id serial PRIMARY KEY, name text UNIQUE, value numeric, at timestamptz DEFAULT now(), CHECK (value >= 0))', 't' || n),
       format('INSERT INTO small.%I (name, value) SELECT md5(i::text), i FROM generate_series(1, 50) i', 't' || n),
       format('COMMENT ON TABLE small.%I IS %L', 't' || n, 'table ' || n)
  FROM generate_series(1, 300) n \gexec

-- What trips hand-written scripts.
CREATE SCHEMA "Größe; DROP";
CREATE TABLE "Größe; DROP"."a ""quoted"" table" (" " int, "select" text, "tab	inside" text);
INSERT INTO "Größe; DROP"."a ""quoted"" table" SELECT n, E'tab\there, newline\nthere, \\N and \\.', NULL FROM generate_series(1, 1000) n;
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 1000);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE moods (id positive PRIMARY KEY, mood mood, during tstzrange, attributes hstore, EXCLUDE USING gist (id WITH =, during WITH &&));
INSERT INTO moods SELECT n, 'ok', tstzrange('2024-01-01', '2024-02-01'), hstore('k', n::text) FROM generate_series(1, 5000) n;
CREATE TABLE tenants (id int PRIMARY KEY, owner name DEFAULT current_user);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants USING (owner = current_user);
INSERT INTO tenants SELECT n, 'tenant' || n % 7 FROM generate_series(1, 4000) n;
CREATE UNLOGGED TABLE cache (key text PRIMARY KEY, value text);
INSERT INTO cache SELECT md5(n::text), repeat('x', 100) FROM generate_series(1, 5000) n;
CREATE VIEW recent AS SELECT * FROM events WHERE at > '2023-12-01';
CREATE MATERIALIZED VIEW by_city AS SELECT body #>> '{address,city}' AS city, count(*) FROM documents GROUP BY 1;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := now(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION touch();
ALTER DATABASE :"DBNAME" SET search_path = public, small;
