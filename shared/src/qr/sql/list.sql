-- $3 owner asked for, $4 page size, $5 and $6 the time and the key of the code that the page before ended with, $7 tag,
-- $8 text to search for.
-- $9 and $10: a write (a code and its edit) that must be visible here, in the snapshot that the answer comes from.
access AS (
    SELECT coalesce($3, owner) AS owner, CASE
        WHEN NOT scopes && ARRAY['qr:read', 'admin'] THEN 'needs_read'
        WHEN $3 <> owner AND NOT 'admin' = ANY (scopes) THEN 'forbidden_owner'
        WHEN $10::uuid IS NOT NULL AND NOT EXISTS (SELECT FROM code_versions WHERE code_id = $9 AND edit = $10) THEN 'behind'
        ELSE 'ok'
    END AS verdict
    FROM caller
),
-- In the order of the owner's index, whose conditions hold without knowing the values: a small owner's page costs the same
-- beside a huge one's, and a deep page the same as the first. One more than the page holds, to know whether there is a
-- next one. With a tag or a text, which no index finds, 10,000 codes are looked through and no more.
looked_through AS (
    SELECT c.* FROM access CROSS JOIN LATERAL (
        SELECT * FROM codes
        WHERE codes.owner = access.owner AND deleted_at IS NULL
          AND (created_at, id) < (coalesce($5::timestamptz, 'infinity'), coalesce($6::bigint, 9223372036854775807))
        ORDER BY created_at DESC, id DESC
        LIMIT CASE WHEN $7::text IS NULL AND $8::text IS NULL THEN $4 + 1 ELSE 10000 END
    ) c
    WHERE access.verdict = 'ok'
),
page AS (
    SELECT * FROM looked_through
    WHERE ($7 IS NULL OR $7 = ANY (tags))
      AND ($8 IS NULL OR strpos(lower(concat_ws(E'\n', short_id, name, target_url)), lower($8)) > 0)
    ORDER BY created_at DESC, id DESC LIMIT $4 + 1
),
-- Where the next page goes on when this one is not full and not everything has been looked through.
looked_until AS (
    SELECT created_at, id FROM looked_through WHERE (SELECT count(*) FROM page) <= $4
    ORDER BY created_at DESC, id DESC OFFSET 9999 LIMIT 1
)
-- A row a code; a single one without a code when there is none, or the caller may not see them.
SELECT
    coalesce(access.verdict, 'unauthenticated') AS verdict,
    looked_until.created_at AS looked_until, looked_until.id AS looked_until_id,
    page.id, page.short_id, page.name, page.target_url, page.owner, page.tags, page.redirect_status, page.forward_query,
    page.enabled, page.valid_since, page.expires_at, page.max_scans, page.version, page.created_at, page.updated_at,
    counted.total, counted.uniques, counted.bots, counted.last_at
FROM (SELECT) one
LEFT JOIN access ON true
LEFT JOIN looked_until ON true
LEFT JOIN page ON true
LEFT JOIN LATERAL (
    SELECT coalesce(sum(t.total), 0)::bigint AS total, coalesce(sum(t.uniques), 0)::bigint AS uniques,
           coalesce(sum(t.bots), 0)::bigint AS bots, max(t.last_at) AS last_at
    FROM scan_totals t WHERE t.code_id = page.id
) counted ON true
ORDER BY page.created_at DESC, page.id DESC
