-- Creates a code, or answers as the first time: by Idempotency-Key ($6), or by the request's own id ($4) when it is sent again.
-- $3 the owner asked for, $5 the code's fields, $7 the request's fingerprint, $8 and $9 ids to try, in order.
-- A free id that is taken before the insert fails the whole statement (codes_id_key), and it is run again.
access AS (
    SELECT owner AS caller, coalesce($3, owner) AS owner, CASE
        WHEN NOT scopes && ARRAY['qr:write', 'admin'] THEN 'needs_write'
        WHEN $3 <> owner AND NOT 'admin' = ANY (scopes) THEN 'forbidden_owner'
        ELSE 'ok'
    END AS verdict
    FROM caller
),
earlier_request AS (
    SELECT codes.id, v.answer
    FROM access, codes JOIN code_versions v ON v.code_id = codes.id AND v.edit = codes.created_by
    WHERE id_key = ANY ($9) AND created_by = $4
),
earlier_answer AS (
    SELECT k.fingerprint, k.request, k.answer
    FROM idempotency_keys k JOIN access ON k.owner = access.caller
    WHERE k.key = $6 AND k.expires_at > now()
),
free AS (
    SELECT t.short_id, t.id_key
    FROM unnest($8, $9) WITH ORDINALITY AS t (short_id, id_key, n)
    WHERE NOT EXISTS (SELECT FROM codes WHERE codes.id_key = t.id_key)
    ORDER BY t.n LIMIT 1
),
new AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('codes', 'id')) AS id, free.id_key, free.short_id, access.owner, access.caller
    FROM access, free
    WHERE verdict = 'ok' AND NOT EXISTS (SELECT FROM earlier_answer) AND NOT EXISTS (SELECT FROM earlier_request)
),
built AS MATERIALIZED (
    SELECT new.caller, c AS code
    FROM new, jsonb_populate_record(NULL::codes, $5 || jsonb_build_object(
        'id', new.id, 'id_key', new.id_key, 'short_id', new.short_id, 'owner', new.owner,
        'enabled', true, 'version', 1, 'created_by', $4, 'last_edit', $4, 'created_at', now(), 'updated_at', now())) c
),
-- A request with the same key that is still running is waited for here, and then answered for.
reserved_key AS (
    INSERT INTO idempotency_keys AS k (owner, key, fingerprint, request, answer, expires_at)
    SELECT built.caller, $6, $7, $4, code_json(built.code), now() + interval '24 hours'
    FROM built WHERE $6 IS NOT NULL
    ON CONFLICT (owner, key) DO UPDATE SET
        fingerprint = CASE WHEN k.expires_at > now() THEN k.fingerprint ELSE excluded.fingerprint END,
        request = CASE WHEN k.expires_at > now() THEN k.request ELSE excluded.request END,
        answer = CASE WHEN k.expires_at > now() THEN k.answer ELSE excluded.answer END,
        expires_at = CASE WHEN k.expires_at > now() THEN k.expires_at ELSE excluded.expires_at END
    RETURNING k.fingerprint, k.request, k.answer
),
created AS (
    INSERT INTO codes (
        id, id_key, short_id, owner, name, target_url, tags, redirect_status, forward_query, enabled,
        valid_since, expires_at, max_scans, created_by, last_edit)
    OVERRIDING SYSTEM VALUE
    SELECT
        c.id, c.id_key, c.short_id, c.owner, c.name, c.target_url, c.tags, c.redirect_status, c.forward_query, c.enabled,
        c.valid_since, c.expires_at, c.max_scans, c.created_by, c.last_edit
    FROM (SELECT (built.code).* FROM built) c
    WHERE $6 IS NULL OR (SELECT request FROM reserved_key) = $4
    RETURNING *
),
versioned AS (
    INSERT INTO code_versions (code_id, version, target_url, edit, answer)
    SELECT created.id, version, target_url, last_edit, code_json(built.code) FROM created, built
    RETURNING answer
),
limited AS (
    INSERT INTO scan_quotas (code_id, used) SELECT id, 0 FROM created WHERE max_scans IS NOT NULL
),
answered AS (
    SELECT fingerprint, request, answer FROM earlier_answer
    UNION ALL
    SELECT fingerprint, request, answer FROM reserved_key
)
SELECT
    CASE
        WHEN NOT EXISTS (SELECT FROM caller) THEN 'unauthenticated'
        WHEN access.verdict <> 'ok' THEN access.verdict
        WHEN answered.fingerprint <> $7 THEN 'key_reused'
        WHEN answered.request <> $4 THEN 'replayed'
        WHEN answered.request = $4 OR created.id IS NOT NULL OR earlier_request.id IS NOT NULL THEN 'created'
        ELSE 'taken'
    END AS verdict,
    CASE
        WHEN answered.fingerprint <> $7 THEN NULL
        WHEN answered.answer IS NOT NULL THEN answered.answer
        WHEN created.id IS NOT NULL THEN (SELECT answer FROM versioned)
        WHEN earlier_request.id IS NOT NULL THEN earlier_request.answer
    END AS code,
    coalesce(answered.request, $4) AS edit
FROM (SELECT) one
LEFT JOIN access ON true
LEFT JOIN answered ON true
LEFT JOIN created ON true
LEFT JOIN earlier_request ON true
