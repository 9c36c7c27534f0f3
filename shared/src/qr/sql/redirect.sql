-- Resolves the code $1 and records the scan $2, exactly once however often it is sent.
-- $3 person, bot or none (counted not at all); $4 a digest of the visitor; $5 country, $6 device, $7 referrer.
WITH code AS MATERIALIZED (
    SELECT id, target_url, redirect_status, forward_query, max_scans, valid_since, CASE
        WHEN deleted_at IS NOT NULL THEN 'deleted'
        WHEN NOT enabled THEN 'disabled'
        WHEN expires_at <= now() THEN 'expired'
        WHEN valid_since > now() THEN 'early'
        ELSE 'live'
    END AS state
    FROM codes WHERE id_key = $1
),
-- Only scans of a limited code queue on a row. The newest row decides, also when this scan has waited for another. A scan
-- that was granted before is found among the scans; while that one is still under way, it is waited for on the row, and
-- found in `recent`. What was counted before the limit was set, or while it was, is used up too.
granted AS (
    UPDATE scan_quotas q SET
        used = CASE WHEN earlier.is_recorded OR $2 = ANY (q.recent) THEN q.used ELSE greatest(q.used, earlier.counted) + 1 END,
        recent = CASE WHEN $2 = ANY (q.recent) THEN q.recent ELSE q.recent[greatest(1, cardinality(q.recent) - 62):] || $2 END
    FROM code CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT FROM scans WHERE scans.id = $2) AS is_recorded,
               (SELECT coalesce(sum(t.total), 0) FROM scan_totals t WHERE t.code_id = code.id)::bigint AS counted
        WHERE code.state = 'live' AND code.max_scans IS NOT NULL AND $3 = 'person'
        OFFSET 0
    ) earlier
    WHERE q.code_id = code.id
      AND (earlier.is_recorded OR $2 = ANY (q.recent) OR greatest(q.used, earlier.counted) < code.max_scans)
    RETURNING q.used
),
outcome AS (
    SELECT CASE
        WHEN state <> 'live' OR max_scans IS NULL THEN state
        WHEN $3 = 'person' AND EXISTS (SELECT FROM granted) THEN 'live'
        WHEN $3 <> 'person' AND greatest(
            (SELECT used FROM scan_quotas q WHERE q.code_id = code.id),
            (SELECT sum(t.total) FROM scan_totals t WHERE t.code_id = code.id)) < max_scans THEN 'live'
        ELSE 'used_up'
    END AS state
    FROM code
),
scan AS (
    INSERT INTO scans (id, code_id, bot, visitor, country, device, referrer)
    SELECT $2, code.id, $3 = 'bot', CASE WHEN $3 = 'person' THEN
            substr(sha256(key || convert_to(to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 'UTF8') || $4), 1, 16)
        END, $5, $6, $7
    FROM code, outcome, visitor_key
    WHERE outcome.state = 'live' AND $3 <> 'none'
    ON CONFLICT (id) DO NOTHING
    RETURNING code_id, at, bot, visitor
),
first_today AS (
    INSERT INTO visitors (code_id, day, visitor)
    SELECT code_id, (at AT TIME ZONE 'UTC')::date, visitor FROM scan WHERE visitor IS NOT NULL
    ON CONFLICT DO NOTHING
    RETURNING 1
),
counted AS (
    INSERT INTO scan_totals AS t (code_id, slot, total, uniques, bots, last_at)
    SELECT code_id, get_byte(uuid_send($2), 15) % 16, (NOT bot)::int, (SELECT count(*) FROM first_today), bot::int,
           CASE WHEN NOT bot THEN at END
    FROM scan
    ON CONFLICT (code_id, slot) DO UPDATE SET
        total = t.total + excluded.total,
        uniques = t.uniques + excluded.uniques,
        bots = t.bots + excluded.bots,
        last_at = greatest(t.last_at, excluded.last_at)
)
SELECT outcome.state, target_url, redirect_status, forward_query, valid_since,
       ceil(extract(epoch FROM valid_since - now()))::bigint AS seconds_until_valid
FROM code, outcome
