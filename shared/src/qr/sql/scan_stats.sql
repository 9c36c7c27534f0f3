-- $6 from, $7 to, $8 what to group by.
counted AS (
    SELECT
        CASE $8
            WHEN 'day' THEN to_char(s.at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
            WHEN 'hour' THEN to_char(s.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:00:00"Z"')
            WHEN 'country' THEN s.country
            WHEN 'device' THEN s.device
            WHEN 'referrer' THEN s.referrer
        END AS key,
        count(*) FILTER (WHERE NOT s.bot) AS total,
        count(DISTINCT s.visitor) AS uniques,
        count(*) FILTER (WHERE s.bot) AS bots
    FROM scans s JOIN code ON s.code_id = code.id, access
    WHERE access.verdict = 'ok' AND s.at >= $6 AND s.at < $7
    GROUP BY 1
)
SELECT access.verdict, (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'key', key, 'total', total, 'unique', uniques, 'bots', bots)
        ORDER BY CASE WHEN $8 IN ('day', 'hour') THEN key END, total DESC, bots DESC, key), '[]')
    FROM (SELECT * FROM counted ORDER BY total DESC, bots DESC LIMIT CASE WHEN $8 IN ('day', 'hour') THEN 100000 ELSE 100 END) most
) AS stats
FROM access
