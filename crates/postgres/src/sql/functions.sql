-- What the hubs do with the log. Plans are made once in a session, because making one takes longer than most of them
-- take; and none is compiled. A plan that was made while a table was empty must not read all of it later: hence
-- `enable_seqscan` and the like. Each function is one transaction; who changes the log locks `state` first, so that of
-- the commits that wait for a standby there is one at most.

-- The position before the next one: `last`, the end of the log, unless a run begins. The caller has locked `state`,
-- and read `known_server` and `known_run` there; it has set the search path.
CREATE FUNCTION {schema}.base(last bigint, known_server text, known_run bigint, read_to bigint, entries integer)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $talaria$
DECLARE
  -- The server process that holds the log: after a start, a promotion or the restore of a backup it is another one. The
  -- time of its start has microseconds, so the identifier of the system, which costs a file read, tells no more. A dump
  -- that is loaded into the same process has another file.
  here text := left(pg_walfile_name(pg_current_wal_lsn()), 8) || ' ' || extract(epoch FROM pg_postmaster_start_time())
    || ' ' || pg_relation_filenode('log');
BEGIN
  IF known_server = here AND last >= read_to AND (last & 4294967295) + entries <= 4294967295 THEN
    RETURN last;
  END IF;
  UPDATE state SET server = here;
  RETURN greatest((last >> 32) + 1, known_run + 1, (read_to >> 32) + 1,
    extract(epoch FROM clock_timestamp())::bigint - 1735689600) << 32;
END
$talaria$;

-- Has the transaction wait for the standbys although it changes nothing: a server that was cut off must not answer.
CREATE FUNCTION {schema}.confirm() RETURNS void LANGUAGE plpgsql VOLATILE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off AS $talaria$
BEGIN
  PERFORM set_config('lock_timeout', '2s', true);
  PERFORM FROM state FOR UPDATE;
  PERFORM pg_logical_emit_message(true, 'talaria', '');
END
$talaria$;

CREATE FUNCTION {schema}.attach(of_member uuid, new_tag bigint, new_key bytea, read_to bigint,
  OUT word text, OUT tag bigint, OUT key bytea, OUT head bigint, OUT floor bigint, OUT is_new boolean)
LANGUAGE plpgsql VOLATILE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off AS $talaria$
#variable_conflict use_column
DECLARE
  known state%ROWTYPE;
BEGIN
  PERFORM set_config('lock_timeout', '2s', true);
  SELECT * INTO STRICT known FROM state FOR UPDATE;
  is_new := known.tag IS NULL;
  IF is_new THEN
    UPDATE state SET tag = new_tag, key = new_key, run = read_to >> 32 RETURNING * INTO known;
  END IF;
  IF EXISTS (SELECT FROM members WHERE member = of_member AND buried IS NOT NULL) THEN
    word := 'nomember';
    PERFORM pg_logical_emit_message(true, 'talaria', '');
    RETURN;
  END IF;
  INSERT INTO members (member) VALUES (of_member) ON CONFLICT DO NOTHING;
  word := 'ok';
  tag := known.tag;
  key := known.key;
  floor := known.floor;
  head := coalesce((SELECT max(l.position) FROM log l WHERE l.position > known.floor), known.floor);
END
$talaria$;

-- Appends a batch, and returns the time that its rows have; none if they were there already. The arrays have an element
-- for each entry; one of which all elements are null is null itself. flags: 1 private, 2 by the hub, 4 indexed.
-- conditions: 0 always, 1 begins, 2 ends, 3 once, 4 imported; the array is null if all are 0 and none is by the hub.
CREATE FUNCTION {schema}.append(of_tag bigint, of_member uuid, of_number bigint, read_to bigint,
  all_topics text[], all_data text[], all_flags smallint[], all_ids text[], all_types text[], all_retries text[],
  all_traces text[], all_bytes bytea[], conditions smallint[], names text[], keys bytea[], details bigint[],
  OUT word text, OUT now_at timestamptz)
LANGUAGE plpgsql VOLATILE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off AS $talaria$
#variable_conflict use_variable
DECLARE
  known record;
  newest record;
  base bigint;
  last bigint;
  setting text;
  entries integer := cardinality(all_topics);
  places bigint[];
  next_place bigint;
  repeated bigint;
  is_ended boolean;
  first_place bigint;
  outcomes text;
BEGIN
  -- An assignment costs less than a statement.
  setting := set_config('lock_timeout', '2s', true);
  SELECT s.tag, s.server, s.run, s.floor INTO known FROM state s FOR UPDATE;
  IF known.tag IS DISTINCT FROM of_tag THEN
    PERFORM pg_logical_emit_message(true, 'talaria', '');
    word := 'nolog';
    RETURN;
  END IF;
  SELECT b.number, b.outcomes, l.position, coalesce(l.updates, 0) AS updates, coalesce(l.events, 0) AS events INTO newest
    FROM members m
    LEFT JOIN LATERAL (SELECT * FROM batches o WHERE o.member = of_member ORDER BY o.number DESC LIMIT 1) b ON true
    LEFT JOIN LATERAL (SELECT * FROM log n WHERE n.position > known.floor ORDER BY n.position DESC LIMIT 1) l ON true
    WHERE m.member = of_member AND m.buried IS NULL;
  IF NOT FOUND THEN
    PERFORM pg_logical_emit_message(true, 'talaria', '');
    word := 'nomember';
    RETURN;
  END IF;
  IF newest.number = of_number AND newest.outcomes <> 'N' THEN
    word := 'ok ' || newest.outcomes;
    RETURN;
  END IF;
  IF coalesce(newest.number, 0) + 1 <> of_number THEN
    PERFORM pg_logical_emit_message(true, 'talaria', '');
    word := 'order';
    RETURN;
  END IF;

  now_at := clock_timestamp();
  last := coalesce(newest.position, known.floor);
  IF conditions IS NULL THEN
    base := base(last, known.server, known.run, read_to, entries);
    outcomes := 'S' || base + 1 || '*' || entries;
    INSERT INTO log (position, at, updates, events, batch, node, entry, private, by_hub, is_indexed, run_before, size,
        retry, topics, id, type, trace, data, bytes)
      SELECT base + e.n, now_at, newest.updates + e.n, newest.events, of_number, of_member, e.n - 1,
        all_flags[e.n] & 1 <> 0, false, all_flags[e.n] & 4 <> 0, CASE WHEN base <> last AND e.n = 1 THEN last END,
        200 + octet_length(all_topics[e.n]) + coalesce(octet_length(all_data[e.n]), octet_length(all_bytes[e.n]), 0)
          + coalesce(octet_length(all_ids[e.n]), 0) + coalesce(octet_length(all_types[e.n]), 0),
        all_retries[e.n]::numeric, all_topics[e.n]::text[], all_ids[e.n], all_types[e.n], all_traces[e.n],
        all_data[e.n], all_bytes[e.n]
      FROM (SELECT generate_series(1, entries) AS n) e;
  ELSE
    -- The run is known once an entry is stored: a batch of which none is begins none.
    places := array_fill(NULL::bigint, ARRAY[entries]);
    outcomes := '';
    FOR i IN 1..entries LOOP
      repeated := NULL;
      is_ended := false;
      IF conditions[i] = 1 THEN
        SELECT s.position INTO repeated FROM subscriptions s WHERE s.topic = names[i] AND s.member = of_member;
        IF repeated IS NULL THEN
          -- It was this node's before it was taken for dead: it goes on, and is not ended any more.
          DELETE FROM subscriptions s WHERE s.topic = names[i]
            AND NOT EXISTS (SELECT FROM members m WHERE m.member = s.member AND m.buried IS NULL);
        END IF;
      ELSIF conditions[i] = 2 THEN
        DELETE FROM subscriptions s WHERE s.position = (
          SELECT o.position FROM subscriptions o WHERE o.topic = names[i] AND (o.member = of_member
            OR NOT EXISTS (SELECT FROM members m WHERE m.member = o.member AND m.buried IS NULL))
          ORDER BY o.member = of_member DESC, o.position LIMIT 1);
        is_ended := NOT FOUND;
      ELSIF conditions[i] = 3 THEN
        SELECT o.position INTO repeated FROM once o WHERE o.key = keys[i] AND o.until > now_at;
      ELSIF conditions[i] = 4 AND all_ids[i] IS NOT NULL THEN
        SELECT l.position INTO repeated FROM log l
          WHERE hashtextextended(l.id, 0) = hashtextextended(all_ids[i], 0) AND l.id = all_ids[i]
            AND l.id IS NOT NULL AND NOT l.by_hub
          ORDER BY l.position LIMIT 1;
        -- `keys` marks an id that an earlier entry of the batch has too.
        IF repeated IS NULL AND keys[i] IS NOT NULL THEN
          FOR j IN 1..i - 1 LOOP
            IF all_ids[j] = all_ids[i] AND places[j] IS NOT NULL AND all_flags[j] & 2 = 0 THEN
              repeated := places[j];
              EXIT;
            END IF;
          END LOOP;
        END IF;
      END IF;
      IF repeated IS NOT NULL OR is_ended THEN
        IF first_place IS NOT NULL THEN
          outcomes := outcomes || 'S' || first_place || '*' || next_place - first_place + 1 || ' ';
          first_place := NULL;
        END IF;
        outcomes := outcomes || CASE WHEN is_ended THEN 'E ' ELSE 'R' || repeated || ' ' END;
        CONTINUE;
      END IF;
      IF next_place IS NULL THEN
        base := base(last, known.server, known.run, read_to, entries);
        next_place := base;
      END IF;
      next_place := next_place + 1;
      first_place := coalesce(first_place, next_place);
      places[i] := next_place;
      IF conditions[i] = 1 THEN
        INSERT INTO subscriptions VALUES (next_place, of_member, names[i], all_topics[i]::text[],
          all_flags[i] & 1 <> 0, all_types[i], all_data[i]);
      ELSIF conditions[i] = 3 THEN
        INSERT INTO once AS o VALUES (keys[i], next_place, now_at + details[i] * interval '1 ms')
          ON CONFLICT ON CONSTRAINT once_pkey DO UPDATE SET position = EXCLUDED.position, until = EXCLUDED.until;
      END IF;
    END LOOP;
    IF first_place IS NOT NULL THEN
      outcomes := outcomes || 'S' || first_place || '*' || next_place - first_place + 1;
    END IF;
  END IF;

  IF next_place IS NOT NULL THEN
    INSERT INTO log (position, at, updates, events, batch, node, entry, private, by_hub, is_indexed, run_before, size,
        retry, topics, id, type, trace, data, bytes)
      SELECT e.place,
        CASE WHEN e.condition = 4 THEN least(to_timestamp(e.detail / 1000.0), now_at) ELSE now_at END,
        newest.updates + count(*) FILTER (WHERE e.flags & 2 = 0) OVER w,
        newest.events + count(*) FILTER (WHERE e.flags & 2 <> 0) OVER w,
        of_number, of_member, e.n - 1, e.flags & 1 <> 0, e.flags & 2 <> 0, e.flags & 4 <> 0,
        CASE WHEN base <> last AND e.place = base + 1 THEN last END,
        200 + octet_length(e.topics) + coalesce(octet_length(e.data), octet_length(e.bytes), 0)
          + coalesce(octet_length(e.id), 0) + coalesce(octet_length(e.type), 0),
        e.retry::numeric, e.topics::text[], e.id, e.type, e.trace, e.data, e.bytes
      FROM unnest(all_topics, all_data, all_flags, all_ids, all_types, all_retries, all_traces, all_bytes, places,
          conditions, details) WITH ORDINALITY
        AS e (topics, data, flags, id, type, retry, trace, bytes, place, condition, detail, n)
      WHERE e.place IS NOT NULL
      WINDOW w AS (ORDER BY e.n ROWS UNBOUNDED PRECEDING);
  END IF;
  INSERT INTO batches VALUES (of_member, of_number, outcomes);
  word := 'ok ' || outcomes;
END
$talaria$;

CREATE FUNCTION {schema}.settle(of_tag bigint, of_member uuid, of_number bigint)
RETURNS text LANGUAGE plpgsql VOLATILE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off AS $talaria$
#variable_conflict use_variable
DECLARE
  known record;
BEGIN
  PERFORM set_config('lock_timeout', '2s', true);
  SELECT s.tag INTO known FROM state s FOR UPDATE;
  -- What is answered holds on all copies that may be promoted, because the commit waits for them.
  PERFORM pg_logical_emit_message(true, 'talaria', '');
  IF known.tag IS DISTINCT FROM of_tag THEN
    RETURN 'nolog';
  END IF;
  SELECT b.number, b.outcomes INTO known
    FROM members m LEFT JOIN LATERAL (
      SELECT * FROM batches b WHERE b.member = of_member ORDER BY b.number DESC LIMIT 1) b ON true
    WHERE m.member = of_member;
  IF NOT FOUND THEN
    RETURN 'nomember';
  END IF;
  IF known.number = of_number AND known.outcomes <> 'N' THEN
    RETURN 'ok ' || known.outcomes;
  END IF;
  IF known.number > of_number THEN
    RETURN 'order';
  END IF;
  INSERT INTO batches VALUES (of_member, of_number, 'N') ON CONFLICT DO NOTHING;
  RETURN 'never';
END
$talaria$;

-- Records after a position, at most `most_records` and about `most_bytes` of them. The first row says what is known of the log.
CREATE FUNCTION {schema}.read(after bigint, up_to bigint, most_records integer, most_bytes bigint, backwards boolean)
RETURNS TABLE (tag bigint, floor bigint, is_standby boolean, backend integer,
  "position" bigint, at timestamptz, run_before bigint, node uuid, batch bigint, entry integer,
  private boolean, by_hub boolean, retry text, topics text[], id text, type text, trace text, data text, bytes bytea)
LANGUAGE plpgsql STABLE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off
  SET enable_sort TO off SET enable_bitmapscan TO off AS $talaria$
#variable_conflict use_column
BEGIN
  SELECT s.tag, s.floor INTO read.tag, read.floor FROM state s;
  read.is_standby := pg_is_in_recovery();
  read.backend := pg_backend_pid();
  RETURN NEXT;
  IF backwards THEN
    RETURN QUERY SELECT NULL::bigint, NULL::bigint, NULL::boolean, NULL::integer, p.position, p.at, p.run_before,
        p.node, p.batch, p.entry, p.private, p.by_hub, p.retry::text, p.topics, p.id, p.type, p.trace, p.data, p.bytes
      FROM (
        SELECT *, sum(l.size)
          OVER (ORDER BY l.position DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM (SELECT * FROM log o WHERE o.position > after AND o.position <= up_to
          ORDER BY o.position DESC LIMIT most_records) l
      ) p WHERE coalesce(p.before, 0) < most_bytes;
  ELSE
    RETURN QUERY SELECT NULL::bigint, NULL::bigint, NULL::boolean, NULL::integer, p.position, p.at, p.run_before,
        p.node, p.batch, p.entry, p.private, p.by_hub, p.retry::text, p.topics, p.id, p.type, p.trace, p.data, p.bytes
      FROM (
        SELECT *, sum(l.size)
          OVER (ORDER BY l.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM (SELECT * FROM log o WHERE o.position > after AND o.position <= up_to
          ORDER BY o.position LIMIT most_records) l
      ) p WHERE coalesce(p.before, 0) < most_bytes;
  END IF;
END
$talaria$;

CREATE FUNCTION {schema}.find(of_id text, OUT tag bigint, OUT place bigint, OUT is_synchronous boolean)
LANGUAGE plpgsql STABLE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off AS $talaria$
BEGIN
  SELECT s.tag INTO tag FROM state s;
  SELECT l.position INTO place FROM log l
    WHERE hashtextextended(l.id, 0) = hashtextextended(of_id, 0) AND l.id = of_id AND l.id IS NOT NULL AND NOT l.by_hub
    ORDER BY l.position LIMIT 1;
  is_synchronous := current_setting('synchronous_standby_names') <> '';
END
$talaria$;

CREATE FUNCTION {schema}.beat(of_tag bigint, of_member uuid, OUT word text, OUT head bigint, OUT floor bigint,
  OUT members uuid[], OUT counters bigint[], OUT buried uuid[], OUT bytes bigint, OUT is_waiting boolean,
  OUT oldest double precision)
LANGUAGE plpgsql VOLATILE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off AS $talaria$
#variable_conflict use_column
DECLARE
  known state%ROWTYPE;
  waits boolean := current_setting('synchronous_standby_names') <> ''
    AND current_setting('synchronous_commit') NOT IN ('off', 'local');
BEGIN
  -- A beat that waited for a standby would leave a connection behind each time.
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM set_config('lock_timeout', '2s', true);
  SELECT * INTO known FROM state;
  IF known.tag IS DISTINCT FROM of_tag THEN
    word := 'nolog';
    RETURN;
  END IF;
  UPDATE members m SET counter = m.counter + 1 WHERE m.member = of_member AND m.buried IS NULL;
  IF NOT FOUND THEN
    word := 'nomember';
    RETURN;
  END IF;
  SELECT s.floor, coalesce((SELECT max(l.position) FROM log l WHERE l.position > s.floor), s.floor)
    INTO beat.floor, beat.head FROM state s;
  SELECT array_agg(m.member), array_agg(m.counter) INTO beat.members, beat.counters FROM members m
    WHERE m.buried IS NULL;
  SELECT coalesce(array_agg(m.member), '{}') INTO beat.buried FROM members m
    WHERE m.buried IS NOT NULL AND EXISTS (SELECT FROM subscriptions s WHERE s.member = m.member);
  beat.bytes := pg_total_relation_size('log');
  oldest := coalesce((SELECT extract(epoch FROM clock_timestamp() - o.at) FROM outbox o ORDER BY o.k LIMIT 1), 0);
  is_waiting := waits AND (NOT EXISTS (SELECT FROM pg_stat_replication)
    OR EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = current_database()
      AND a.wait_event = 'SyncRep' AND a.query_start < clock_timestamp() - interval '1 second'));
  word := 'ok';
END
$talaria$;

CREATE FUNCTION {schema}.bury(of_tag bigint, of_member uuid, of_counter bigint)
RETURNS text LANGUAGE plpgsql VOLATILE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off AS $talaria$
DECLARE
  known state%ROWTYPE;
BEGIN
  PERFORM set_config('lock_timeout', '2s', true);
  SELECT * INTO known FROM state FOR UPDATE;
  IF known.tag IS DISTINCT FROM of_tag THEN
    PERFORM pg_logical_emit_message(true, 'talaria', '');
    RETURN 'nolog';
  END IF;
  UPDATE members m SET buried = clock_timestamp() WHERE m.member = of_member AND m.buried IS NULL
    AND (of_counter IS NULL OR m.counter = of_counter);
  RETURN CASE WHEN FOUND THEN 'ok' ELSE 'not' END;
END
$talaria$;

CREATE FUNCTION {schema}.subscriptions(of_member uuid, after bigint, most integer, most_bytes bigint)
RETURNS TABLE (tag bigint, "position" bigint, topics text[], private boolean, type text, data text)
LANGUAGE plpgsql STABLE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off SET enable_seqscan TO off SET enable_sort TO off AS $talaria$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT s.tag, NULL::bigint, NULL::text[], NULL::boolean, NULL::text, NULL::text FROM state s;
  RETURN QUERY SELECT NULL::bigint, p.position, p.topics, p.private, p.type, p.data FROM (
      SELECT *, sum(octet_length(s.data) + octet_length(s.topic) + 200)
        OVER (ORDER BY s.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
      FROM (SELECT * FROM subscriptions o WHERE o.position > after AND (of_member IS NULL OR o.member = of_member)
        ORDER BY o.position LIMIT most) s
    ) p WHERE coalesce(p.before, 0) < most_bytes;
END
$talaria$;

-- Deletes a slice of what is too old or too much. Returns how many updates and events that were.
CREATE FUNCTION {schema}.retain(of_tag bigint, most_updates bigint, max_age_ms bigint, most_events bigint, slice integer)
RETURNS integer LANGUAGE plpgsql VOLATILE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off SET enable_seqscan TO off AS $talaria$
#variable_conflict use_column
DECLARE
  known state%ROWTYPE;
  newest record;
  now_at timestamptz := clock_timestamp();
  up_to bigint;
  removed integer := 0;
  more integer;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM set_config('lock_timeout', '2s', true);
  SELECT * INTO known FROM state;
  IF known.tag IS DISTINCT FROM of_tag OR NOT pg_try_advisory_xact_lock(2053, 'log'::regclass::oid::integer) THEN
    RETURN 0;
  END IF;
  SELECT l.updates, l.events INTO newest FROM log l WHERE l.position > known.floor ORDER BY l.position DESC LIMIT 1;
  -- If there was none, there may be some now, which could be compared with none.
  IF FOUND AND (most_updates > 0 OR max_age_ms > 0) THEN
    WITH oldest AS (
      SELECT l.position, (most_updates > 0 AND (l.updates < newest.updates - most_updates
          OR (NOT l.by_hub AND l.updates <= newest.updates - most_updates)))
        -- The time of a clock that was ahead would keep what is behind it, too.
        OR (max_age_ms > 0 AND (l.at < now_at - max_age_ms * interval '1 ms'
          OR l.at > now_at + greatest(max_age_ms, 3600000) * interval '1 ms')) AS is_due
      FROM log l WHERE l.position > known.floor ORDER BY l.position LIMIT slice)
    SELECT max(o.position) INTO up_to FROM oldest o
      WHERE o.position < coalesce((SELECT min(k.position) FROM oldest k WHERE k.is_due IS NOT TRUE), 9223372036854775807);
    IF up_to IS NOT NULL THEN
      DELETE FROM log l WHERE l.position > known.floor AND l.position <= up_to;
      GET DIAGNOSTICS removed = ROW_COUNT;
    END IF;
  END IF;
  IF newest.events > most_events THEN
    -- The first record of a run says where the run before ended, so it stays.
    DELETE FROM log l WHERE l.position IN (
      SELECT e.position FROM log e WHERE e.by_hub AND e.run_before IS NULL AND e.events <= newest.events - most_events
        AND e.position > known.floor
      ORDER BY e.position LIMIT slice);
    GET DIAGNOSTICS more = ROW_COUNT;
    removed := removed + more;
  END IF;
  DELETE FROM once o WHERE o.key IN (SELECT p.key FROM once p WHERE p.until < now_at ORDER BY p.until LIMIT slice);
  DELETE FROM batches b WHERE (b.member, b.number) IN (
    SELECT old.member, old.number FROM (
      SELECT m.member, (SELECT max(n.number) FROM batches n WHERE n.member = m.member) AS last FROM members m) m
    CROSS JOIN LATERAL (SELECT o.member, o.number FROM batches o WHERE o.member = m.member AND o.number < m.last
      ORDER BY o.number LIMIT 10 * slice) old);
  DELETE FROM rejected r WHERE r.number IN (SELECT o.number FROM rejected o ORDER BY o.number LIMIT slice)
    AND (r.rejected_at < now_at - interval '7 days' OR r.number <= (SELECT max(n.number) FROM rejected n) - 10000);
  DELETE FROM members m WHERE m.buried < now_at - interval '1 hour'
    AND NOT EXISTS (SELECT FROM subscriptions s WHERE s.member = m.member);
  DELETE FROM batches b WHERE NOT EXISTS (SELECT FROM members m WHERE m.member = b.member);
  IF up_to IS NOT NULL THEN
    -- The last step, because those that append wait for this row.
    UPDATE state SET floor = up_to WHERE floor < up_to;
  END IF;
  RETURN removed;
END
$talaria$;

-- Rings at the other nodes: there is something new in the log. It does not wait for the disk or a standby.
CREATE FUNCTION {schema}.ring() RETURNS void LANGUAGE plpgsql VOLATILE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off AS $talaria$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM pg_notify('talaria_' || 'log'::regclass::oid, '');
END
$talaria$;

-- Moves updates that applications have published from the outbox to the log, in the order of `k`; those of `bad` are
-- rejected for the reason with the same index. Returns how many the log got, or null if another node is at it.
CREATE FUNCTION {schema}.move(of_tag bigint, read_to bigint, good bigint[], bad bigint[], reasons text[])
RETURNS integer LANGUAGE plpgsql VOLATILE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off SET enable_seqscan TO off AS $talaria$
#variable_conflict use_column
DECLARE
  known record;
  newest record;
  last bigint;
  base bigint;
  moved integer := 0;
BEGIN
  IF NOT pg_try_advisory_xact_lock(2054, 'log'::regclass::oid::integer) THEN
    RETURN NULL;
  END IF;
  IF NOT EXISTS (SELECT FROM state s WHERE s.tag = of_tag) THEN
    RETURN NULL;
  END IF;
  IF cardinality(bad) > 0 THEN
    -- Before the lock, because publishers would wait for what is large; and of that only the beginning.
    WITH gone AS (
      DELETE FROM outbox o USING unnest(bad, reasons) AS b (k, reason) WHERE o.k = b.k RETURNING o.*, b.reason)
    INSERT INTO rejected (k, reason, at, private, retry, topics, id, type, data)
      SELECT g.k, g.reason, g.at, g.private, g.retry,
        CASE WHEN pg_column_size(g.topics) <= 65536 THEN g.topics
          ELSE ARRAY[left(array_to_string(g.topics, ' '), 4096)] END,
        left(g.id, 4096), left(g.type, 4096), left(g.data, 65536) FROM gone g;
  END IF;
  PERFORM set_config('lock_timeout', '2s', true);
  SELECT s.server, s.run, s.floor INTO known FROM state s WHERE s.tag = of_tag FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  -- Another node may have moved some of them since they were looked at.
  IF NOT EXISTS (SELECT FROM outbox o WHERE o.k = ANY (good)) THEN
    RETURN 0;
  END IF;
  SELECT l.position, l.updates, l.events INTO newest FROM log l
    WHERE l.position > known.floor ORDER BY l.position DESC LIMIT 1;
  last := coalesce(newest.position, known.floor);
  base := base(last, known.server, known.run, read_to, cardinality(good));
  WITH gone AS (DELETE FROM outbox o WHERE o.k = ANY (good) RETURNING o.*)
  INSERT INTO log (position, at, updates, events, batch, node, entry, private, by_hub, is_indexed, run_before, size,
      retry, topics, id, type, data)
    SELECT base + g.n, clock_timestamp(), coalesce(newest.updates, 0) + g.n, coalesce(newest.events, 0), g.k,
      '00000000-0000-0000-0000-000000000000', 0, g.private, false,
      octet_length(array_to_string(g.topics, '')) <= 2000
        OR (SELECT max(octet_length(t)) <= 2000 FROM unnest(g.topics) t),
      CASE WHEN base <> last AND g.n = 1 THEN last END,
      200 + pg_column_size(g.topics) + octet_length(g.data) + octet_length(g.id) + coalesce(octet_length(g.type), 0),
      g.retry, g.topics, g.id, g.type, g.data
    FROM (SELECT *, row_number() OVER (ORDER BY k) AS n FROM gone) g;
  GET DIAGNOSTICS moved = ROW_COUNT;
  RETURN moved;
END
$talaria$;

-- What there is to move: all that a hub has to know of a row to judge it. Texts of more than `most_bytes` are left out,
-- and counted as data: no hub takes them.
CREATE FUNCTION {schema}.waiting(most integer, most_bytes bigint)
RETURNS TABLE (k bigint, topics text[], private boolean, id text, type text, retry bigint, bytes bigint,
  is_list boolean)
LANGUAGE plpgsql VOLATILE SET search_path TO {schema}, pg_temp
  SET plan_cache_mode TO force_generic_plan SET jit TO off SET enable_seqscan TO off AS $talaria$
#variable_conflict use_column
BEGIN
  -- Another node that moves them now is to get on with it.
  IF NOT pg_try_advisory_xact_lock(2054, 'log'::regclass::oid::integer) THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT p.k, CASE WHEN p.is_list THEN p.topics ELSE '{}' END, p.private,
      CASE WHEN p.is_long THEN '' ELSE p.id END, CASE WHEN p.is_long THEN NULL ELSE p.type END, p.retry,
      octet_length(p.data) + CASE WHEN p.is_long THEN p.texts ELSE 0 END, p.is_list OR p.is_long
    FROM (
      -- Only of what is returned are the topics looked at: a thousand rows may have gigabytes.
      SELECT o.*, CASE WHEN o.is_long THEN false
          WHEN coalesce(array_ndims(o.topics), 1) = 1 THEN array_position(o.topics, NULL) IS NULL
          ELSE false END AS is_list
      FROM (
        SELECT w.*, w.texts > most_bytes AS is_long,
          sum(least(w.texts, most_bytes)) OVER (ORDER BY w.k ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM (SELECT *, pg_column_size(topics)::bigint + octet_length(id) + coalesce(octet_length(type), 0) AS texts
          FROM outbox ORDER BY k LIMIT most) w
      ) o WHERE coalesce(o.before, 0) < most_bytes
    ) p;
END
$talaria$;

-- Publishes an update within the caller's transaction: hubs send it once that is committed. Returns the id that the
-- update will have. It runs with the rights of its owner, so each name and operator says that it is the server's:
-- a caller's search path finds no other. To set the path in the function costs more than that.
CREATE FUNCTION {schema}.publish(topics text[], data text DEFAULT '', private boolean DEFAULT false,
  id text DEFAULT NULL, type text DEFAULT NULL, retry bigint DEFAULT NULL)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $talaria$
#variable_conflict use_variable
BEGIN
  IF COALESCE(id OPERATOR(pg_catalog.=) '', true) THEN
    id := 'urn:uuid:' OPERATOR(pg_catalog.||) pg_catalog.gen_random_uuid()::pg_catalog.text;
  END IF;
  INSERT INTO {schema}.outbox (topics, data, private, id, type, retry)
    VALUES (topics, COALESCE(data, ''), COALESCE(private, false), id,
      CASE WHEN type OPERATOR(pg_catalog.<>) '' THEN type END, retry);
  RETURN id;
END
$talaria$;
