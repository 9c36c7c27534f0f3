-- $5 the versions that the caller holds.
deleted AS (
    UPDATE codes c SET deleted_at = now(), updated_at = now(), version = c.version + 1, last_edit = $4
    FROM code, access
    WHERE c.id = code.id AND access.verdict = 'ok'
      AND c.deleted_at IS NULL AND ($5::integer[] IS NULL OR c.version = ANY ($5))
    RETURNING c.id, c.version, c.target_url, c.last_edit
),
versioned AS (
    INSERT INTO code_versions (code_id, version, target_url, edit)
    SELECT id, version, target_url, last_edit FROM deleted
)
SELECT CASE
    WHEN verdict <> 'ok' THEN replace(verdict, 'done', 'ok')
    WHEN EXISTS (SELECT FROM deleted) THEN 'ok'
    ELSE 'again'
END AS verdict, (SELECT id FROM code) AS id
FROM access
