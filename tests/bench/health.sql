-- A day of a busy installation: every bounded count of the report runs into its bound.
INSERT INTO codes (id_key, short_id, owner, target_url, created_by, last_edit, created_at)
SELECT 'C0DE' || n, 'C0DE' || n, 'owner' || n % 100, 'https://example.com/' || n, gen_random_uuid(), gen_random_uuid(),
       now() - (20000 - n) * interval '1 s' / 10
FROM generate_series(1, 20000) n;

-- 10 million scans, 116 a second, ids as the functions make them.
INSERT INTO scans (id, code_id, at, bot, visitor, country, device)
SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || substr(md5(n::text), 1, 20))::uuid,
       1 + n % 20000, at, n % 20 = 0, decode(md5((n / 3)::text), 'hex'), 'DE', 'mobile'
FROM generate_series(1, 10000000) n, LATERAL (SELECT now() - (10000000 - n) * interval '1 day' / 10000000) AS t (at);
INSERT INTO scan_totals
SELECT code, slot, 31, 10, 1, now() FROM generate_series(1, 20000) code, generate_series(0, 15) slot;

-- A million events, 12 a second, and their jobs: nearly all done, some due, some given up.
INSERT INTO events (source, event_id, event_type, occurred_at, received_at, request, state, failure, raw)
SELECT 's' || n % 5, n::text, 'account.updated', at, at, gen_random_uuid(),
       CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'applied' END, CASE WHEN n % 1000 = 0 THEN 'nonsense' END,
       convert_to(repeat(md5(n::text), 8), 'UTF8')
FROM generate_series(1, 1000000) n, LATERAL (SELECT now() - (1000000 - n) * interval '1 day' / 1000000) AS t (at);
INSERT INTO jobs (event, source, state, run_at, attempt, ended_at)
SELECT id, source, CASE WHEN id % 1000 = 0 THEN 'waiting' WHEN id % 1000 = 1 THEN 'dead' ELSE 'done' END, received_at, 1,
       CASE WHEN id % 1000 > 0 THEN received_at END
FROM events;
INSERT INTO alerts (code, source) SELECT 'event_failed', 's' || n FROM generate_series(1, 100) n;
INSERT INTO api_keys (hash, prefix, owner, scopes)
SELECT sha256(n::text::bytea), n::text, 'owner' || n % 100, ARRAY['ops:read'] FROM generate_series(1, 1000) n;
VACUUM ANALYZE;
