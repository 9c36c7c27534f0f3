-- $6 page size, $7 the version that the page before ended with. One more than the page holds, to know whether there is a
-- next one.
SELECT access.verdict, (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'version', v.version, 'targetUrl', v.target_url, 'createdAt', v.created_at,
        'current', v.version = code.version) ORDER BY v.version DESC), '[]')
    FROM code CROSS JOIN LATERAL (
        SELECT version, target_url, created_at FROM code_versions
        WHERE code_id = code.id AND version < coalesce($7::int, 2147483647)
        ORDER BY version DESC LIMIT $6 + 1
    ) v
    WHERE access.verdict = 'ok') AS versions
FROM access
