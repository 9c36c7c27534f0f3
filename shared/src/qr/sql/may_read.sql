-- The code $3, if the caller may read it. $4 and $5: a write (a code and its edit) that must be visible here. The check and
-- the answer see the same snapshot, so on a replica the answer is never older than that write.
code AS (
    SELECT codes.* FROM codes, caller
    WHERE id_key = $3 AND deleted_at IS NULL AND (codes.owner = caller.owner OR 'admin' = ANY (scopes))
),
access AS (
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM caller) THEN 'unauthenticated'
        WHEN NOT EXISTS (SELECT FROM caller WHERE scopes && ARRAY['qr:read', 'admin']) THEN 'needs_read'
        WHEN $5::uuid IS NOT NULL AND NOT EXISTS (SELECT FROM code_versions WHERE code_id = $4 AND edit = $5) THEN 'behind'
        WHEN NOT EXISTS (SELECT FROM code) THEN 'not_found'
        ELSE 'ok'
    END AS verdict
)
