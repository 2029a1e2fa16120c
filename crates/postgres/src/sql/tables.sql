-- What a log of Talaria is, format 1. All of it lies in one schema.

-- What is known of the log as a whole. Who changes the log locks this row first.
CREATE TABLE {schema}.state (
  is_state boolean PRIMARY KEY DEFAULT true CHECK (is_state),
  format integer NOT NULL,
  -- Which functions are there; a newer version of the hub replaces them.
  revision integer NOT NULL,
  tag bigint,
  key bytea,
  run bigint NOT NULL DEFAULT 0,
  server text,
  floor bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO {schema}.state (format, revision) VALUES (1, {revision}) ON CONFLICT DO NOTHING;

CREATE TABLE {schema}.log (
  position bigint PRIMARY KEY,
  at timestamptz NOT NULL,
  updates bigint NOT NULL,
  events bigint NOT NULL,
  batch bigint NOT NULL,
  node uuid NOT NULL,
  entry integer NOT NULL,
  private boolean NOT NULL,
  by_hub boolean NOT NULL,
  is_indexed boolean NOT NULL,
  -- About how many bytes its texts have, so that a reader need not look at them.
  size integer NOT NULL DEFAULT 200,
  run_before bigint,
  retry numeric(20),
  topics text[] NOT NULL,
  id text,
  type text,
  trace text,
  data text,
  bytes bytea
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX log_id ON {schema}.log (hashtextextended(id, 0), position) WHERE id IS NOT NULL AND NOT by_hub;
CREATE INDEX log_events ON {schema}.log (position) WHERE by_hub;

CREATE TABLE {schema}.members (
  member uuid PRIMARY KEY,
  counter bigint NOT NULL DEFAULT 0,
  buried timestamptz
) WITH (fillfactor = 10);

-- What became of the last batches of each member.
CREATE TABLE {schema}.batches (
  member uuid,
  number bigint,
  outcomes text NOT NULL,
  PRIMARY KEY (member, number)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE {schema}.subscriptions (
  position bigint PRIMARY KEY,
  member uuid NOT NULL,
  topic text NOT NULL,
  topics text[] NOT NULL,
  private boolean NOT NULL,
  type text,
  data text NOT NULL
);
CREATE INDEX subscriptions_topic ON {schema}.subscriptions USING hash (topic);
CREATE INDEX subscriptions_member ON {schema}.subscriptions (member, position);

CREATE TABLE {schema}.once (
  key bytea PRIMARY KEY,
  position bigint NOT NULL,
  until timestamptz NOT NULL
);
CREATE INDEX once_until ON {schema}.once (until);

CREATE TABLE {schema}.outbox (
  k bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  private boolean NOT NULL DEFAULT false,
  retry bigint,
  topics text[] NOT NULL,
  id text NOT NULL,
  type text,
  data text NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
-- Not compressed, so that what they take is known without reading them.
ALTER TABLE {schema}.outbox ALTER topics SET STORAGE EXTERNAL;

CREATE TABLE {schema}.rejected (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  k bigint NOT NULL,
  rejected_at timestamptz NOT NULL DEFAULT now(),
  reason text NOT NULL,
  at timestamptz NOT NULL,
  private boolean NOT NULL,
  retry bigint,
  topics text[] NOT NULL,
  id text NOT NULL,
  type text,
  data text NOT NULL
);
