-- Takes up to $1 jobs that are due, for $2 seconds, under the claim's own id $3.
-- Sent twice, it gives what it took the first time.
WITH mine AS (
    SELECT id, event, source, attempt, last_attempt FROM jobs WHERE claim = $3
),
-- A job whose lease ran out is due like any other. After its last attempt nobody is left to speak for it.
due AS (
    SELECT id, attempt >= last_attempt AS lost FROM jobs
    WHERE state = 'waiting' AND run_at <= now() AND NOT EXISTS (SELECT FROM mine)
    ORDER BY run_at LIMIT $1 FOR UPDATE SKIP LOCKED
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
    cleaned_at < now() - interval '1 hour' AS retention_due,
    (SELECT count(*) FROM given_up) AS given_up,
    -- For the alarms, as this statement found them; bounded, so that a backlog makes no claim slow.
    (SELECT count(*) FROM (SELECT FROM jobs WHERE state = 'waiting' AND run_at <= now() LIMIT 1000) AS waiting)::float8
        AS queue_depth,
    (SELECT count(*) FROM pg_stat_activity
     WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend') * 100::float8
        / (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int)
        AS connections_used_percent,
    job.id, job.source, job.attempt, job.last_attempt, events.event_id, events.topic, events.event_type, events.raw
FROM upkeep
LEFT JOIN (SELECT * FROM taken UNION ALL SELECT * FROM mine) job ON true
LEFT JOIN events ON events.id = job.event
