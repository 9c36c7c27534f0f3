-- $3 owner asked for, $4 page size, $5 the last code of the page before, $6 tag, $7 text to search for.
-- $8 and $9: a write (a code and its edit) that must be visible here, in the snapshot that the answer comes from.
access AS (
    SELECT coalesce($3, owner) AS owner, CASE
        WHEN $9::uuid IS NOT NULL AND NOT EXISTS (SELECT FROM code_versions WHERE code_id = $8 AND edit = $9) THEN 'behind'
        WHEN NOT scopes && ARRAY['qr:read', 'admin'] THEN 'forbidden'
        WHEN $3 <> owner AND NOT 'admin' = ANY (scopes) THEN 'forbidden_owner'
        ELSE 'ok'
    END AS verdict
    FROM caller
),
-- One more than the page holds, to know whether there is a next one.
page AS (
    SELECT c.id, code_json(c) AS code
    FROM codes c JOIN access ON c.owner = access.owner AND access.verdict = 'ok'
    WHERE c.deleted_at IS NULL
      AND ($5::bigint IS NULL OR c.id < $5)
      AND ($6::text IS NULL OR $6 = ANY (c.tags))
      AND ($7::text IS NULL OR strpos(lower(concat_ws(E'\n', c.short_id, c.name, c.target_url)), lower($7)) > 0)
    ORDER BY c.id DESC LIMIT $4 + 1
)
SELECT coalesce((SELECT verdict FROM access), 'unauthenticated') AS verdict,
       (SELECT coalesce(jsonb_agg(code ORDER BY id DESC), '[]') FROM page) AS codes
