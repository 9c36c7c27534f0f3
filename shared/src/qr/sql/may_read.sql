-- The code $3, if the caller may read it.
code AS (
    SELECT codes.* FROM codes, caller
    WHERE id_key = $3 AND deleted_at IS NULL AND (codes.owner = caller.owner OR 'admin' = ANY (scopes))
),
access AS (
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM caller) THEN 'unauthenticated'
        WHEN NOT EXISTS (SELECT FROM caller WHERE scopes && ARRAY['qr:read', 'admin']) THEN 'forbidden'
        WHEN NOT EXISTS (SELECT FROM code) THEN 'not_found'
        ELSE 'ok'
    END AS verdict
)
