-- $5 the versions that the caller holds, $6 the version whose target to take.
past AS (
    SELECT v.target_url FROM code_versions v JOIN code ON v.code_id = code.id WHERE v.version = $6
),
edited AS (
    UPDATE codes c SET target_url = past.target_url, version = c.version + 1, last_edit = $4, updated_at = now()
    FROM code, access, past
    WHERE c.id = code.id AND access.verdict = 'ok'
      AND c.deleted_at IS NULL AND c.last_edit <> $4 AND ($5::integer[] IS NULL OR c.version = ANY ($5))
    RETURNING c AS code, c.id, c.version, c.target_url, c.last_edit
),
versioned AS (
    INSERT INTO code_versions (code_id, version, target_url, edit, answer)
    SELECT id, version, target_url, last_edit, code_json(edited.code) FROM edited
    RETURNING answer
)
SELECT
    CASE
        WHEN verdict <> 'ok' THEN replace(verdict, 'done', 'ok')
        WHEN NOT EXISTS (SELECT FROM past) THEN 'no_version'
        WHEN EXISTS (SELECT FROM edited) THEN 'ok'
        ELSE 'again'
    END AS verdict,
    coalesce(
        (SELECT answer FROM versioned),
        (SELECT answer FROM done WHERE access.verdict = 'done')) AS code
FROM access
