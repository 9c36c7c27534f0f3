-- Ends the attempts of one run. One array entry an attempt: $1 jobs, $2 attempt numbers, $3 states, $4 outcomes,
-- $5 statuses of the responses, $6 their redacted beginnings, $7 seconds until the next attempt.
-- A result is accepted only while its attempt is the latest and still open: a late worker, and the same results sent
-- again, change nothing.
WITH result AS (
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7) AS t (id, attempt, state, outcome, status, answer_head, wait)
),
ended AS (
    UPDATE jobs SET
        state = result.state, claim = NULL, outcome = result.outcome, status = result.status, answer_head = result.answer_head,
        run_at = CASE WHEN result.state = 'waiting' THEN now() + make_interval(secs => result.wait) ELSE jobs.run_at END,
        ended_at = CASE WHEN result.state <> 'waiting' THEN now() END
    FROM result
    WHERE jobs.id = result.id AND jobs.attempt = result.attempt AND jobs.claim IS NOT NULL
    RETURNING jobs.event, jobs.source, jobs.state, jobs.outcome
),
alerted AS (
    INSERT INTO alerts AS old (code, source, event, count)
    SELECT CASE outcome WHEN 'gone' THEN 'endpoint_gone' ELSE 'job_dead' END, source, max(event), count(*)
    FROM ended WHERE state = 'dead' GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (code, source) WHERE resolved_at IS NULL DO UPDATE SET
        count = old.count + excluded.count, event = excluded.event, last_at = now()
),
-- A delivery closes its source's alerts once nothing of that source lies dead.
resolved AS (
    UPDATE alerts SET resolved_at = now(), resolved_by = 'success'
    WHERE resolved_at IS NULL AND code IN ('job_dead', 'endpoint_gone')
        AND source IN (SELECT source FROM ended WHERE state = 'done')
        AND source NOT IN (SELECT source FROM ended WHERE state = 'dead')
        AND NOT EXISTS (SELECT FROM jobs WHERE jobs.source = alerts.source AND jobs.state = 'dead')
)
SELECT count(*) AS ended FROM ended
