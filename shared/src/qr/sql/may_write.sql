-- The code $3, if the caller may change it. A deleted one only shows itself to requests ($4) that changed or deleted it.
code AS (
    SELECT codes.* FROM codes, caller
    WHERE id_key = $3
      AND (deleted_at IS NULL OR EXISTS (SELECT FROM code_versions v WHERE v.code_id = codes.id AND v.edit = $4))
      AND (codes.owner = caller.owner OR 'admin' = ANY (scopes))
),
-- This request was carried out before: its answer was lost, and it is sent again.
done AS (
    SELECT v.answer FROM code JOIN code_versions v ON v.code_id = code.id WHERE v.edit = $4
),
access AS (
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM caller) THEN 'unauthenticated'
        WHEN NOT EXISTS (SELECT FROM caller WHERE scopes && ARRAY['qr:write', 'admin']) THEN 'needs_write'
        WHEN NOT EXISTS (SELECT FROM code) THEN 'not_found'
        WHEN EXISTS (SELECT FROM done) THEN 'done'
        WHEN NOT (SELECT version FROM code) = ANY ($5) THEN 'stale'
        ELSE 'ok'
    END AS verdict
),
