-- Everything that a report is made of, in one row, by what an ordinary role may see.
-- $1 the SHA-256 of the caller's key; $2 whether the details, which need the caller to have `ops:read`, are asked for;
-- $3 the tables that the functions use.
--
-- A statement that names a table which is missing, or which the role may not read, fails as a whole. So what is asked
-- of tables is text here, run one by one by ts_stat(): the one function of PostgreSQL that runs a query given as text,
-- read-only, and needs no extension and no libxml. It returns the words of a text-search vector, so a result travels
-- as numbered pieces, each within a word's 2,046 bytes. `OFFSET 0` keeps it from being written out anew for each piece.
WITH queries (name, relation, is_detail, query) AS (VALUES
    ('caller', 'api_keys', true, format($q$
        SELECT coalesce(max(CASE WHEN scopes && ARRAY['ops:read', 'admin'] THEN 'ok' END), max('forbidden'))
        FROM api_keys
        WHERE hash = %L AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) $q$, $1)),
    ('migrations', 'tessera_migrations', false, $q$
        SELECT coalesce(jsonb_agg(name ORDER BY version), '[]') FROM tessera_migrations $q$),
    -- The one that writes, and undoes it: see the function.
    ('writes', (SELECT 'scans' WHERE to_regprocedure('write_probe()') IS NOT NULL AND NOT pg_is_in_recovery()), false, $q$
        SELECT write_probe() $q$),
    -- A waiting job with a claim is being worked on until `run_at`, where its lease ends.
    ('queue', 'jobs', false, $q$
        SELECT jsonb_build_object(
            'ready', count(*) FILTER (WHERE run_at <= now() AND claim IS NULL),
            'later', count(*) FILTER (WHERE run_at > now() AND claim IS NULL),
            'running', count(*) FILTER (WHERE run_at > now() AND claim IS NOT NULL),
            'expired', count(*) FILTER (WHERE run_at <= now() AND claim IS NOT NULL),
            'oldestSeconds', coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE run_at <= now())), 0),
            'dead', (SELECT count(*) FROM jobs WHERE state = 'dead'))
        FROM jobs WHERE state = 'waiting' $q$),
    ('alerts', 'alerts', false, $q$
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', id, 'code', code, 'source', source, 'count', count, 'firstAt', first_at, 'lastAt', last_at)
            ORDER BY last_at DESC), '[]')
        FROM (SELECT * FROM alerts WHERE resolved_at IS NULL ORDER BY last_at DESC LIMIT 100) AS open $q$),
    -- By the index over payloads, which are kept for longer than an hour.
    ('events', 'events', false, $q$
        SELECT jsonb_build_object('applied', count(*) FILTER (WHERE state = 'applied'),
                                  'failed', count(*) FILTER (WHERE state = 'failed'))
        FROM (SELECT state FROM events WHERE raw IS NOT NULL AND received_at > now() - interval '1 hour'
              ORDER BY received_at DESC LIMIT 10000) AS last_hour $q$),
    -- Ids of scans begin with their time (UUIDv7), so the last hour's lie at the end of the primary key.
    ('scans', 'scans', true, $q$
        SELECT count(*) FROM (
            SELECT FROM scans
            WHERE id >= (lpad(to_hex(floor(extract(epoch FROM now() - interval '1 hour') * 1000)::bigint), 12, '0')
                         || '00000000000000000000')::uuid
            LIMIT 100000) AS last_hour $q$),
    -- No index tells when codes were made, but ids ascend with time, more or less: a few are looked at first.
    ('creates', 'codes', true, $q$
        SELECT count(*) FILTER (WHERE created_at > now() - interval '1 hour')
        FROM (SELECT created_at FROM codes ORDER BY id DESC LIMIT (
            SELECT CASE WHEN bool_or(created_at > now() - interval '1 hour') THEN 10000 ELSE 1000 END
            FROM (SELECT created_at FROM codes ORDER BY id DESC OFFSET 900 LIMIT 100) AS oldest)) AS newest $q$),
    -- Where the server has not loaded the library, or the extension is of before PostgreSQL 13, the view is there, and
    -- fails whoever asks it.
    ('statements', (SELECT 'pg_stat_statements' FROM pg_attribute
                    WHERE attrelid = to_regclass('pg_stat_statements') AND attname = 'mean_exec_time'
                      AND current_setting('pg_stat_statements.max', true) IS NOT NULL), true, $q$
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'text', left(regexp_replace(query, '\s+', ' ', 'g'), 160), 'calls', calls,
            'meanMs', mean_exec_time, 'maxMs', max_exec_time) ORDER BY mean_exec_time DESC), '[]')
        FROM (SELECT * FROM pg_stat_statements
              WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND userid = (SELECT oid FROM pg_roles WHERE rolname = current_user) AND calls >= 5
              ORDER BY mean_exec_time DESC LIMIT 5) AS slowest $q$)
),
-- To ask a table that somebody has locked against readers, or queues up to lock, is to wait, when a report is needed
-- most. A prepared transaction has no process.
locked AS (
    SELECT relation, pid, granted FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
),
results AS (
    SELECT name, CASE
        WHEN is_detail AND NOT $2 THEN '{"result": "not_requested"}'
        WHEN to_regclass(relation) IS NULL THEN '{"result": "no_table"}'
        WHEN NOT has_table_privilege(to_regclass(relation), 'SELECT') THEN '{"result": "not_readable"}'
        WHEN to_regclass(relation) IN (SELECT relation FROM locked) THEN '{"result": "locked"}'
        ELSE jsonb_build_object('result', 'value', 'value', (
            SELECT string_agg(substr(word, 7), '' ORDER BY word COLLATE "C")::jsonb
            FROM ts_stat(format($q$
                SELECT array_to_tsvector(ARRAY(
                    SELECT to_char(n, 'FM00000') || ':' || substr(result, n * 500 + 1, 500)
                    FROM generate_series(0, length(result) / 500) AS n))
                FROM (SELECT coalesce(to_jsonb((%s)), 'null')::text AS result OFFSET 0) AS query $q$, query))))
    END AS result
    FROM queries
),
-- Of other roles' sessions an ordinary role sees the name alone: `state` is null.
sessions AS (
    SELECT pid, state, coalesce(application_name, '') AS application, wait_event_type,
           coalesce(extract(epoch FROM clock_timestamp() - state_change), 0) AS unchanged,
           coalesce(extract(epoch FROM clock_timestamp() - query_start), 0) AS running
    FROM pg_stat_activity
    WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
),
-- Sizes by the pages that the last VACUUM or ANALYZE counted: the functions that measure would wait for whoever has
-- locked a table, when a report is needed most.
tables AS (
    SELECT s.relname AS name, s.relid, s.n_live_tup AS live, s.n_dead_tup AS dead,
           greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed_at,
           ARRAY(SELECT privilege FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
                 WHERE NOT has_table_privilege(s.relid, privilege))
               -- Ids of codes are drawn by name, which an INSERT that draws them by itself needs no right for.
               || ARRAY(SELECT 'USAGE of ' || sequence.relname FROM pg_depend d JOIN pg_class sequence ON sequence.oid = d.objid
                        WHERE s.relname = 'codes' AND d.refobjid = s.relid AND d.refclassid = 'pg_class'::regclass
                          AND d.classid = 'pg_class'::regclass
                          AND CASE sequence.relkind WHEN 'S' THEN NOT has_sequence_privilege(d.objid, 'USAGE, UPDATE') END)
               AS lacks,
           (SELECT sum(relpages::bigint) FROM pg_class WHERE oid IN (s.relid, own.reltoastrelid))
               * current_setting('block_size')::int AS bytes,
           (SELECT coalesce(sum(index.relpages::bigint), 0) FROM pg_index i JOIN pg_class index ON index.oid = i.indexrelid
            WHERE i.indrelid = s.relid) * current_setting('block_size')::int AS index_bytes
    FROM pg_stat_user_tables s JOIN pg_class own ON own.oid = s.relid
    WHERE s.relname = ANY ($3) AND s.schemaname = ANY (current_schemas(false))
)
SELECT jsonb_build_object(
    'results', (SELECT jsonb_object_agg(name, result) FROM results),
    'server', jsonb_build_object(
        'version', current_setting('server_version'),
        'role', current_user,
        'inRecovery', pg_is_in_recovery(),
        'readOnly', current_setting('default_transaction_read_only') = 'on',
        'timeZone', current_setting('TimeZone'),
        'statementTimeout', current_setting('statement_timeout'),
        'idleInTransactionTimeout', current_setting('idle_in_transaction_session_timeout'),
        'idleSessionTimeout', coalesce(current_setting('idle_session_timeout', true), '0'),
        'isolation', current_setting('default_transaction_isolation'),
        'startedAt', pg_postmaster_start_time(),
        'epochMs', floor(extract(epoch FROM clock_timestamp()) * 1000)),
    -- A schema with the migrated tables that is not in the role's search_path, if there is one.
    'schemaOutsideSearchPath', (
        SELECT jsonb_build_object('schema', nspname, 'mayUse', has_schema_privilege(n.oid, 'USAGE'),
                                  'searchPath', current_setting('search_path'))
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relname = 'tessera_migrations' AND relkind = 'r' AND nspname <> ALL (current_schemas(false))
        ORDER BY nspname LIMIT 1),
    'connectionLimits', jsonb_build_object(
        'server', current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                  - coalesce(current_setting('reserved_connections', true), '0')::int,
        'role', (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
        'database', (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())),
    'connectionsUsed', jsonb_build_object(
        'role', (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user),
        'database', (SELECT numbackends FROM pg_stat_database WHERE datname = current_database())),
    'sessions', (SELECT jsonb_build_object(
        'total', count(*),
        'ours', count(*) FILTER (WHERE application LIKE 'tessera/%'),
        'hidden', count(*) FILTER (WHERE state IS NULL),
        'active', count(*) FILTER (WHERE state = 'active'),
        'idle', count(*) FILTER (WHERE state = 'idle'),
        'idleInTransaction', count(*) FILTER (WHERE state LIKE 'idle in transaction%'),
        'idleLong', count(*) FILTER (WHERE state = 'idle' AND unchanged > 300),
        'idleInTransactionSeconds', coalesce(max(unchanged) FILTER (WHERE state LIKE 'idle in transaction%'), 0),
        'statementSeconds', coalesce(max(running) FILTER (WHERE state = 'active' AND pid <> pg_backend_pid()), 0),
        'waitingForLocks', count(*) FILTER (WHERE wait_event_type = 'Lock'),
        'lockWaitSeconds', coalesce(max(running) FILTER (WHERE wait_event_type = 'Lock'), 0)) FROM sessions),
    'applications', CASE WHEN $2 THEN (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', application, 'connections', connections, 'idleLong', idle_long)
                                  ORDER BY connections DESC), '[]')
        FROM (SELECT application, count(*) AS connections,
                     count(*) FILTER (WHERE state = 'idle' AND unchanged > 300) AS idle_long
              FROM sessions GROUP BY application ORDER BY count(*) DESC LIMIT 20) AS largest) END,
    'blockers', CASE WHEN EXISTS (SELECT FROM sessions WHERE wait_event_type = 'Lock') THEN (
        SELECT coalesce(jsonb_agg(jsonb_build_object('pid', pid, 'application', application, 'state', state,
                                                     'seconds', unchanged)), '[]')
        FROM sessions
        WHERE pid IN (SELECT unnest(pg_blocking_pids(w.pid)) FROM sessions w WHERE w.wait_event_type = 'Lock')
    ) ELSE '[]' END,
    'lockedTables', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'name', t.name, 'pid', l.pid, 'application', coalesce(s.application, ''), 'state', s.state,
        'seconds', CASE WHEN s.state = 'active' THEN s.running ELSE s.unchanged END) ORDER BY t.name), '[]')
        FROM locked l JOIN tables t ON t.relid = l.relation LEFT JOIN sessions s ON s.pid = l.pid WHERE l.granted),
    'replicas', (SELECT jsonb_build_object(
        'known', count(*),
        'visible', count(*) FILTER (WHERE state IS NOT NULL),
        'lagSeconds', coalesce(max(extract(epoch FROM replay_lag)), 0)) FROM pg_stat_replication),
    'tables', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'name', name, 'live', live, 'dead', dead, 'vacuumedAt', vacuumed_at, 'lacks', lacks,
        'bytes', bytes, 'indexBytes', index_bytes) ORDER BY name), '[]') FROM tables),
    'databaseBytes', CASE WHEN $2 THEN pg_database_size(current_database()) END
) AS facts
