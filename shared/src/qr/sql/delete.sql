-- $5 the version the caller holds.
deleted AS (
    UPDATE codes c SET deleted_at = now(), updated_at = now(), version = c.version + 1, last_edit = $4
    FROM code, access
    WHERE c.id = code.id AND access.verdict = 'ok'
      AND c.deleted_at IS NULL AND ($5::integer IS NULL OR c.version = $5)
    RETURNING c.id
)
SELECT CASE
    WHEN verdict <> 'ok' THEN replace(verdict, 'done', 'ok')
    WHEN EXISTS (SELECT FROM deleted) THEN 'ok'
    ELSE 'again'
END AS verdict
FROM access
