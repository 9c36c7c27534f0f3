-- Deletes what has served its time, at most $4 rows of each kind. $1, $2, $3: days to keep payloads, finished jobs and
-- resolved alerts. One worker an hour does it; the others find it done.
-- An event keeps its row, by which a replay is known, and loses its payload only when no job needs it any more.
WITH turn AS (
    UPDATE upkeep SET cleaned_at = now() WHERE cleaned_at < now() - interval '1 hour' RETURNING one
),
keys AS (
    DELETE FROM idempotency_keys k
    USING (
        SELECT owner, key FROM idempotency_keys, turn WHERE expires_at < now() LIMIT $4 FOR UPDATE OF idempotency_keys SKIP LOCKED
    ) old
    WHERE (k.owner, k.key) = (old.owner, old.key)
    RETURNING 1
),
-- A visitor's hash changes daily, so that yesterday's can match nothing; a day is left for clocks that differ.
visits AS (
    DELETE FROM visitors WHERE ctid = ANY (ARRAY(
        SELECT visitors.ctid FROM visitors, turn WHERE day < current_date - 1 LIMIT $4))
    RETURNING 1
),
finished AS (
    DELETE FROM jobs WHERE id = ANY (ARRAY(
        SELECT jobs.id FROM jobs, turn
        WHERE state = 'done' AND ended_at < now() - make_interval(days => $2) LIMIT $4))
    RETURNING 1
),
payloads AS (
    UPDATE events SET raw = NULL WHERE id = ANY (ARRAY(
        SELECT events.id FROM events, turn
        WHERE raw IS NOT NULL AND received_at < now() - make_interval(days => $1)
            AND NOT EXISTS (SELECT FROM jobs WHERE jobs.event = events.id AND jobs.state <> 'done')
        ORDER BY received_at LIMIT $4))
    RETURNING 1
),
claimed AS (
    DELETE FROM claims WHERE id = ANY (ARRAY(
        SELECT claims.id FROM claims, turn WHERE at < now() - interval '1 day' LIMIT $4))
),
closed AS (
    DELETE FROM alerts WHERE id = ANY (ARRAY(
        SELECT alerts.id FROM alerts, turn WHERE resolved_at < now() - make_interval(days => $3) LIMIT $4))
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM keys) AS keys,
    (SELECT count(*) FROM visits) AS visits,
    (SELECT count(*) FROM finished) AS jobs,
    (SELECT count(*) FROM payloads) AS payloads,
    (SELECT count(*) FROM closed) AS alerts
