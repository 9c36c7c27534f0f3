-- $5 the versions that the caller holds, $6 the changes, named as the columns are.
edited AS (
    UPDATE codes c SET
        target_url      = CASE WHEN $6 ? 'target_url' THEN $6 ->> 'target_url' ELSE c.target_url END,
        name            = CASE WHEN $6 ? 'name' THEN $6 ->> 'name' ELSE c.name END,
        tags            = CASE WHEN $6 ? 'tags' THEN ARRAY(SELECT jsonb_array_elements_text($6 -> 'tags')) ELSE c.tags END,
        redirect_status = CASE WHEN $6 ? 'redirect_status' THEN ($6 ->> 'redirect_status')::smallint ELSE c.redirect_status END,
        forward_query   = CASE WHEN $6 ? 'forward_query' THEN ($6 ->> 'forward_query')::boolean ELSE c.forward_query END,
        enabled         = CASE WHEN $6 ? 'enabled' THEN ($6 ->> 'enabled')::boolean ELSE c.enabled END,
        valid_since     = CASE WHEN $6 ? 'valid_since' THEN ($6 ->> 'valid_since')::timestamptz ELSE c.valid_since END,
        expires_at      = CASE WHEN $6 ? 'expires_at' THEN ($6 ->> 'expires_at')::timestamptz ELSE c.expires_at END,
        max_scans       = CASE WHEN $6 ? 'max_scans' THEN ($6 ->> 'max_scans')::bigint ELSE c.max_scans END,
        version         = c.version + 1,
        last_edit       = $4,
        updated_at      = now()
    FROM code, access
    WHERE c.id = code.id AND access.verdict = 'ok'
      -- Checked again on the newest row when another edit came first.
      AND c.deleted_at IS NULL AND c.last_edit <> $4 AND ($5::integer[] IS NULL OR c.version = ANY ($5))
    RETURNING c AS code, c.id, c.version, c.target_url, c.last_edit, c.max_scans
),
versioned AS (
    INSERT INTO code_versions (code_id, version, target_url, edit, answer)
    SELECT id, version, target_url, last_edit, code_json(edited.code) FROM edited
    RETURNING answer
),
-- A code that becomes limited starts with the scans it has had.
limited AS (
    INSERT INTO scan_quotas AS q (code_id, used)
    SELECT edited.id, (SELECT coalesce(sum(total), 0) FROM scan_totals t WHERE t.code_id = edited.id)
    FROM edited WHERE max_scans IS NOT NULL AND (SELECT max_scans FROM code) IS NULL
    ON CONFLICT (code_id) DO UPDATE SET used = greatest(q.used, excluded.used)
)
SELECT
    CASE
        WHEN verdict <> 'ok' THEN replace(verdict, 'done', 'ok')
        WHEN EXISTS (SELECT FROM edited) THEN 'ok'
        ELSE 'again'
    END AS verdict,
    coalesce(
        (SELECT answer FROM versioned),
        (SELECT answer FROM done WHERE access.verdict = 'done')) AS code
FROM access
