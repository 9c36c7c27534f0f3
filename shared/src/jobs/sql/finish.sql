-- Ends the attempts of one run. One array entry an attempt: $1 jobs, $2 attempt numbers, $3 states, $4 outcomes,
-- $5 statuses of the responses, $6 their redacted beginnings, $7 seconds until the next attempt.
-- A result is accepted only while its attempt is the latest and still open: a late worker, and the same results sent
-- again, change nothing.
WITH result AS (
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7) AS t (id, attempt, state, outcome, status, answer_head, wait)
),
-- Rows that several finishes may want are locked in the same order by each, so that none waits for another in a circle.
locked_job AS (
    SELECT jobs.id FROM jobs JOIN result USING (id) ORDER BY jobs.id FOR UPDATE OF jobs
),
ended AS (
    UPDATE jobs SET
        state = result.state, claim = NULL, outcome = result.outcome, status = result.status, answer_head = result.answer_head,
        run_at = CASE WHEN result.state = 'waiting' THEN now() + make_interval(secs => result.wait) ELSE jobs.run_at END,
        ended_at = CASE WHEN result.state <> 'waiting' THEN now() END
    FROM result JOIN locked_job USING (id)
    WHERE jobs.id = result.id AND jobs.attempt = result.attempt AND jobs.claim IS NOT NULL
    RETURNING jobs.event, jobs.source, jobs.state, jobs.outcome
),
-- The alerts that were open when this statement began. Their counts tell whether somebody has added to one since.
open_alert AS MATERIALIZED (
    SELECT id, code, source, count FROM alerts
    WHERE resolved_at IS NULL AND code IN ('job_dead', 'endpoint_gone') AND source IN (SELECT source FROM ended)
),
locked_alert AS MATERIALIZED (
    SELECT alerts.id FROM alerts JOIN open_alert USING (id) ORDER BY alerts.id FOR UPDATE OF alerts
),
alerted AS (
    INSERT INTO alerts AS old (code, source, event, count)
    SELECT CASE outcome WHEN 'gone' THEN 'endpoint_gone' ELSE 'job_dead' END, source, max(event), count(*)
    FROM ended WHERE state = 'dead' AND (SELECT count(*) FROM locked_alert) >= 0 GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (code, source) WHERE resolved_at IS NULL DO UPDATE SET
        count = old.count + excluded.count, event = excluded.event, last_at = now()
),
-- A delivery closes its source's alerts once nothing of that source lies dead. What died a moment ago cannot be seen here,
-- but has raised the count of the alert.
resolved AS (
    UPDATE alerts SET resolved_at = now(), resolved_by = 'success'
    FROM open_alert JOIN locked_alert USING (id)
    WHERE alerts.id = open_alert.id AND alerts.count = open_alert.count AND alerts.resolved_at IS NULL
        AND alerts.source IN (SELECT source FROM ended WHERE state = 'done')
        AND alerts.source NOT IN (SELECT source FROM ended WHERE state = 'dead')
        AND NOT EXISTS (SELECT FROM jobs WHERE jobs.source = alerts.source AND jobs.state = 'dead')
)
SELECT count(*) AS ended FROM ended
