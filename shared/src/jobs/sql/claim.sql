-- Takes up to $1 jobs that are due, for $2 seconds, under the claim's own id $3, with payloads of about $4 bytes.
-- Sent twice, it gives what it took the first time. While the first is under way it is waited for, and what it took cannot
-- be seen here: then `again` says that only a new look can tell.
WITH RECURSIVE claimed AS (
    INSERT INTO claims (id) VALUES ($3) ON CONFLICT (id) DO NOTHING RETURNING id
),
mine AS (
    SELECT id, event, source, attempt, last_attempt FROM jobs WHERE claim = $3
),
-- Every source with waiting jobs: one look into the index a source.
waiting AS (
    (SELECT source FROM jobs WHERE state = 'waiting' ORDER BY source LIMIT 1)
    UNION ALL
    SELECT (SELECT jobs.source FROM jobs WHERE state = 'waiting' AND jobs.source > waiting.source ORDER BY jobs.source LIMIT 1)
    FROM waiting WHERE waiting.source IS NOT NULL
),
due_source AS MATERIALIZED (
    SELECT waiting.source, oldest.run_at
    FROM waiting CROSS JOIN LATERAL (
        SELECT run_at FROM jobs
        WHERE state = 'waiting' AND jobs.source = waiting.source AND run_at <= now() ORDER BY run_at LIMIT 1
    ) oldest
    ORDER BY oldest.run_at
),
-- A job whose lease ran out is due like any other. After its last attempt nobody is left to speak for it.
candidate AS MATERIALIZED (
    SELECT job.* FROM due_source CROSS JOIN LATERAL (
        SELECT id, source, run_at, bytes, attempt >= last_attempt AS lost FROM jobs
        WHERE state = 'waiting' AND jobs.source = due_source.source AND run_at <= now()
        ORDER BY run_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ) job
    WHERE EXISTS (SELECT FROM claimed)
),
-- What fits a source's share of the bytes. A first job that is larger than that is taken all the same, unless those of other
-- sources fill the claim.
measured AS (
    SELECT *, total <= share AS fits,
        sum(bytes) FILTER (WHERE place = 1 AND bytes > share) OVER (ORDER BY run_at, id) AS oversize
    FROM (SELECT *, row_number() OVER of_source AS place, sum(bytes) OVER of_source AS total,
                 $4 / (SELECT count(*) FROM due_source) AS share
          FROM candidate WINDOW of_source AS (PARTITION BY source ORDER BY run_at, id)) counted
),
-- One of each source in turn, so that a source with a long queue, or large payloads, holds up no other.
due AS (
    SELECT id, lost FROM measured WHERE fits OR place = 1 AND oversize - bytes < $4
    ORDER BY place, run_at, id LIMIT $1
),
-- The attempt is counted here and not at its end: a worker that dies has still tried.
taken AS (
    UPDATE jobs SET attempt = attempt + 1, run_at = now() + make_interval(secs => $2), claim = $3
    FROM due WHERE jobs.id = due.id AND NOT due.lost
    RETURNING jobs.id, event, source, attempt, last_attempt
),
given_up AS (
    UPDATE jobs SET state = 'dead', claim = NULL, outcome = 'lost', status = NULL, answer_head = NULL, ended_at = now()
    FROM due WHERE jobs.id = due.id AND due.lost
    RETURNING event, source
),
alerted AS (
    INSERT INTO alerts AS old (code, source, event, count)
    SELECT 'job_dead', source, max(event), count(*) FROM given_up GROUP BY source ORDER BY source
    ON CONFLICT (code, source) WHERE resolved_at IS NULL DO UPDATE SET
        count = old.count + excluded.count, event = excluded.event, last_at = now()
)
SELECT
    NOT EXISTS (SELECT FROM claimed) AND NOT EXISTS (SELECT FROM claims WHERE id = $3) AS again,
    cleaned_at < now() - interval '1 hour' AS retention_due,
    (SELECT count(*) FROM given_up) AS given_up,
    -- For the alarms, as this statement found them; bounded, so that a backlog makes no claim slow.
    (SELECT count(*) FROM due_source CROSS JOIN LATERAL (
        SELECT FROM jobs WHERE state = 'waiting' AND jobs.source = due_source.source AND jobs.run_at <= now() LIMIT 1000
     ) AS backlog)::float8 AS queue_depth,
    (SELECT count(*) FROM pg_stat_activity
     WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend') * 100::float8
        / (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int)
        AS connections_used_percent,
    job.id, job.source, job.attempt, job.last_attempt, events.event_id, events.signed_digest, events.event_type, events.raw
FROM upkeep
LEFT JOIN (SELECT * FROM taken UNION ALL SELECT * FROM mine) job ON true
LEFT JOIN events ON events.id = job.event
