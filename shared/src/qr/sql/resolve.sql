-- Resolves the code $1 as qr.redirect does, but changes nothing, for a database that cannot count the scan.
-- $2 person, bot or none. A limit that is not used up holds only if the scan is counted: `uncounted`.
SELECT CASE
        WHEN deleted_at IS NOT NULL THEN 'deleted'
        WHEN NOT enabled THEN 'disabled'
        WHEN expires_at <= now() THEN 'expired'
        WHEN valid_since > now() THEN 'early'
        WHEN max_scans <= greatest(
            (SELECT used FROM scan_quotas q WHERE q.code_id = codes.id),
            (SELECT sum(t.total) FROM scan_totals t WHERE t.code_id = codes.id)) THEN 'used_up'
        WHEN max_scans IS NOT NULL AND $2 = 'person' THEN 'uncounted'
        ELSE 'live'
    END AS state,
    target_url, redirect_status, forward_query, valid_since,
    ceil(extract(epoch FROM valid_since - now()))::bigint AS seconds_until_valid
FROM codes WHERE id_key = $1
