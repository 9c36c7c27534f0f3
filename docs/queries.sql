-- What to ask a database of Tessera by hand: psql "$DATABASE_URL" -f docs/queries.sql
--
-- Every query only reads, needs no session, and can be copied out and run alone, also through a transaction pooler.
-- `cargo tessera doctor` asks more, judges what it sees and says what to do; this is for looking.

\pset pager off

\echo
\echo === Newest codes, with their counts
SELECT c.short_id, c.owner, left(c.target_url, 60) AS target_url, c.created_at, s.total, s.uniques, s.bots, s.last_at
FROM codes c
CROSS JOIN LATERAL (
    SELECT coalesce(sum(total), 0) AS total, coalesce(sum(uniques), 0) AS uniques, coalesce(sum(bots), 0) AS bots,
           max(last_at) AS last_at
    FROM scan_totals WHERE code_id = c.id) s
WHERE c.deleted_at IS NULL
ORDER BY c.id DESC LIMIT 20;

\echo === Newest scans (no address is stored)
SELECT s.at, c.short_id, s.bot, s.country, s.device, s.referrer
FROM scans s JOIN codes c ON c.id = s.code_id
ORDER BY s.id DESC LIMIT 20;

\echo === Codes that no longer lead anywhere
SELECT c.short_id, c.owner, CASE
        WHEN c.deleted_at IS NOT NULL THEN 'deleted'
        WHEN NOT c.enabled THEN 'disabled'
        WHEN c.expires_at <= now() THEN 'expired'
        ELSE 'used up'
    END AS reason, coalesce(c.deleted_at, c.expires_at, c.updated_at) AS since
FROM codes c LEFT JOIN scan_quotas q ON q.code_id = c.id
WHERE c.deleted_at IS NOT NULL OR NOT c.enabled OR c.expires_at <= now() OR q.used >= c.max_scans
ORDER BY since DESC LIMIT 20;

\echo === Keys in use (a key itself is not stored)
SELECT prefix, owner, name, scopes, created_at, expires_at
FROM api_keys
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
ORDER BY created_at DESC LIMIT 50;

\echo === Webhook events of the last day, by source
SELECT source, state, count(*) AS events, max(received_at) AS last_at
FROM events WHERE received_at > now() - interval '1 day' AND raw IS NOT NULL
GROUP BY source, state ORDER BY source, state;

\echo === Newest events that were kept as failed
SELECT id, source, event_type, received_at, failure
FROM events WHERE state = 'failed' AND raw IS NOT NULL
ORDER BY received_at DESC LIMIT 20;

\echo === Queue: jobs that are due, wait for their time, are being delivered, or whose worker died
SELECT source, CASE
        WHEN claim IS NULL AND run_at <= now() THEN 'due'
        WHEN claim IS NULL THEN 'later'
        WHEN run_at > now() THEN 'running'
        ELSE 'lease expired'
    END AS state, count(*) AS jobs, min(run_at) AS oldest, max(attempt) AS attempts
FROM jobs WHERE state = 'waiting'
GROUP BY 1, 2 ORDER BY 1, 2;

\echo === Dead jobs: cargo tessera jobs redrive sends them again
SELECT id, source, event, attempt, outcome, status, answer_head, ended_at
FROM jobs WHERE state = 'dead' ORDER BY ended_at DESC LIMIT 20;

\echo === Open alerts
SELECT id, code, source, event, count, first_at, last_at
FROM alerts WHERE resolved_at IS NULL ORDER BY last_at DESC LIMIT 50;

\echo === Connections against the limit, by application
SELECT coalesce(nullif(application_name, ''), '(no name)') AS application, count(*) AS connections,
       count(*) FILTER (WHERE state = 'active') AS active,
       count(*) FILTER (WHERE state = 'idle') AS idle,
       round(100.0 * count(*) / (current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int), 1) AS percent_of_limit
FROM pg_stat_activity
WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
GROUP BY 1 ORDER BY 2 DESC LIMIT 30;

\echo === Sessions that idle for more than 5 minutes, or idle in a transaction
SELECT pid, usename, application_name, state, date_trunc('second', now() - state_change) AS since
FROM pg_stat_activity
WHERE (state = 'idle' AND state_change < now() - interval '5 minutes') OR state LIKE 'idle in transaction%'
ORDER BY state_change LIMIT 50;

\echo === Statements that run now, longest first, and who holds them up
SELECT pid, application_name, date_trunc('milliseconds', clock_timestamp() - query_start) AS running, wait_event_type,
       pg_blocking_pids(pid) AS held_up_by, left(regexp_replace(query, '\s+', ' ', 'g'), 80) AS statement
FROM pg_stat_activity
WHERE state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()
ORDER BY query_start LIMIT 20;

\echo === Slowest statements, where pg_stat_statements is installed and loaded
SELECT to_regclass('pg_stat_statements') IS NOT NULL
       AND current_setting('pg_stat_statements.max', true) IS NOT NULL AS has_statements \gset
\if :has_statements
SELECT calls, round(mean_exec_time::numeric, 1) AS mean_ms, round(max_exec_time::numeric, 1) AS max_ms,
       left(regexp_replace(query, '\s+', ' ', 'g'), 100) AS statement
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY mean_exec_time DESC LIMIT 10;
\else
\echo (it is not)
\endif

\echo === Sizes of tables and their indexes, and dead rows that wait for VACUUM
SELECT s.relname AS table_name, pg_size_pretty(pg_table_size(s.relid)) AS size,
       pg_size_pretty(pg_indexes_size(s.relid)) AS indexes, s.n_live_tup AS live_rows, s.n_dead_tup AS dead_rows,
       greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed_at
FROM pg_stat_user_tables s
WHERE s.schemaname = ANY (current_schemas(false))
ORDER BY pg_total_relation_size(s.relid) DESC;

\echo === Cleaning up: when it last ran, and what waits for it
SELECT (SELECT cleaned_at FROM upkeep) AS cleaned_at,
       (SELECT count(*) FROM idempotency_keys WHERE expires_at < now()) AS expired_idempotency_keys,
       (SELECT count(*) FROM idempotency_keys) AS idempotency_keys;

\echo === Migrations
SELECT version, name, applied_at FROM tessera_migrations ORDER BY version;

\echo === Consistency: every row that this lists is a defect
-- Totals may be higher than the scans that are stored, since old scans may be deleted; never lower. Of the 200 newest codes.
SELECT 'total is lower than the scans stored' AS defect, c.short_id AS of, s.stored || ' stored, ' || t.counted || ' counted' AS found
FROM (SELECT id, short_id FROM codes ORDER BY id DESC LIMIT 200) c
CROSS JOIN LATERAL (SELECT count(*) AS stored FROM scans WHERE code_id = c.id) s
CROSS JOIN LATERAL (SELECT coalesce(sum(total + bots), 0) AS counted FROM scan_totals WHERE code_id = c.id) t
WHERE t.counted < s.stored
UNION ALL
SELECT 'more unique visitors than scans', c.short_id, sum(t.uniques) || ' of ' || sum(t.total)
FROM scan_totals t JOIN codes c ON c.id = t.code_id
GROUP BY c.id, c.short_id HAVING sum(t.uniques) > sum(t.total)
UNION ALL
SELECT 'a code with a limit has no row to count it in', c.short_id, c.max_scans::text
FROM codes c WHERE c.max_scans IS NOT NULL AND NOT EXISTS (SELECT FROM scan_quotas q WHERE q.code_id = c.id)
UNION ALL
SELECT 'the newest version in the history is another one', c.short_id, c.version || ', not ' || coalesce(v.version::text, 'any')
FROM codes c
LEFT JOIN LATERAL (
    SELECT version, target_url FROM code_versions WHERE code_id = c.id ORDER BY version DESC LIMIT 1) v ON true
WHERE c.target_url IS DISTINCT FROM v.target_url
UNION ALL
SELECT 'a job is done or dead and has no end', id::text, state FROM jobs WHERE state <> 'waiting' AND ended_at IS NULL
UNION ALL
SELECT 'an alert says that jobs are dead, and none is', id::text, source
FROM alerts
WHERE resolved_at IS NULL AND code = 'job_dead'
  AND NOT EXISTS (SELECT FROM jobs WHERE jobs.source = alerts.source AND jobs.state = 'dead');
