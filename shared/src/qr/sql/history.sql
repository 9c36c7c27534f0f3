SELECT access.verdict, (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'version', v.version, 'targetUrl', v.target_url, 'createdAt', v.created_at,
        'current', v.version = code.version) ORDER BY v.version DESC), '[]')
    FROM code JOIN code_versions v ON v.code_id = code.id
    WHERE access.verdict = 'ok') AS versions
FROM access
