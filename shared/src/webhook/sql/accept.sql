-- Keeps the events of one request, applies what they do, and promises their forwarding: all of it or nothing.
-- $1 the source, $2 the request's own id, $3 whether the source's events are forwarded; then one array entry an event:
-- $4 ids, $5 topics, $6 types, $7 times, $8 digests of what was signed, $9 why an effect makes no sense, $10 raw bytes.
-- $11 the effects, as JSON, each with the place `n` of its event, counted from 1.
WITH sent AS MATERIALIZED (
    SELECT *
    FROM unnest($4, $5, $6, $7, $8, $9, $10)
        WITH ORDINALITY AS t (event_id, topic, event_type, occurred_at, signed_digest, failure, raw, n)
),
-- Of events that come twice in one batch, the first counts.
candidate AS MATERIALIZED (
    SELECT DISTINCT ON (event_id, topic) * FROM sent ORDER BY event_id, topic, n
),
-- In the order of what was signed, then of their ids, so that two batches wait for each other instead of deadlocking. A
-- duplicate that is being stored by another request is waited for. No conflict target: the digest must be new as well as
-- the id.
stored AS (
    INSERT INTO events (source, event_id, topic, event_type, occurred_at, request, state, failure, signed_digest, raw)
    SELECT
        $1, event_id, topic, event_type, occurred_at, $2,
        CASE WHEN failure IS NULL THEN 'applied' ELSE 'failed' END, failure, signed_digest, raw
    FROM candidate ORDER BY signed_digest, event_id, topic
    ON CONFLICT DO NOTHING
    RETURNING id, event_id, topic
),
new AS MATERIALIZED (
    SELECT stored.id, candidate.n, candidate.failure, length(candidate.raw) AS bytes FROM stored JOIN candidate USING (event_id, topic)
),
-- Only what new events do. A time in the future would keep its row against what really comes later, so that it counts as
-- now; five minutes are left for clocks that differ.
effect AS MATERIALIZED (
    SELECT
        e.*, new.id AS event,
        CASE WHEN e."occurredAt" > now() + interval '5 minutes' THEN now() ELSE e."occurredAt" END AS at
    FROM jsonb_to_recordset($11) AS e (
        n bigint, kind text, "externalId" text, "accountId" text, amount bigint, currency text, status text,
        attributes jsonb, "occurredAt" timestamptz, finality smallint)
    JOIN new USING (n)
),
-- One row can be met once in a statement: of several effects on it, the one that would be left in the end.
account AS (
    SELECT DISTINCT ON ("externalId") * FROM effect WHERE kind = 'account'
    ORDER BY "externalId", at DESC, finality DESC, n DESC
),
account_set AS (
    INSERT INTO accounts AS old (source, external_id, status, attributes, occurred_at, finality, event)
    SELECT $1, "externalId", status, attributes, at, finality, event FROM account ORDER BY "externalId"
    ON CONFLICT (source, external_id) DO UPDATE SET
        status = excluded.status, attributes = excluded.attributes, occurred_at = excluded.occurred_at,
        finality = excluded.finality, event = excluded.event, updated_at = now()
    WHERE (excluded.occurred_at, excluded.finality) >= (old.occurred_at, old.finality)
),
transaction AS (
    SELECT DISTINCT ON ("externalId") * FROM effect WHERE kind = 'transaction'
    ORDER BY "externalId", at DESC, finality DESC, n DESC
),
transaction_set AS (
    INSERT INTO transactions AS old (
        source, external_id, account_id, amount, currency, status, attributes, occurred_at, finality, event)
    SELECT $1, "externalId", "accountId", amount, currency, status, attributes, at, finality, event
    FROM transaction ORDER BY "externalId"
    ON CONFLICT (source, external_id) DO UPDATE SET
        account_id = excluded.account_id, amount = excluded.amount, currency = excluded.currency,
        status = excluded.status, attributes = excluded.attributes, occurred_at = excluded.occurred_at,
        finality = excluded.finality, event = excluded.event, updated_at = now()
    WHERE (excluded.occurred_at, excluded.finality) >= (old.occurred_at, old.finality)
),
-- What makes no sense to us may make sense to the team's own application: failed events are forwarded too.
queued AS (
    INSERT INTO jobs (event, source, bytes) SELECT id, $1, bytes FROM new WHERE $3 ORDER BY n
),
alerted AS (
    INSERT INTO alerts AS old (code, source, event, count)
    SELECT 'event_failed', $1, max(id), count(*) FROM new WHERE failure IS NOT NULL HAVING count(*) > 0
    ON CONFLICT (code, source) WHERE resolved_at IS NULL DO UPDATE SET
        count = old.count + excluded.count, event = excluded.event, last_at = now()
)
-- The places of the events that this request brought, now or when it was sent the first time. What met an event that is not
-- to be seen yet, which another request stored meanwhile or this one sent before, makes it `again`: only a new look tells
-- whose it is.
SELECT
    EXISTS (
        SELECT FROM candidate
        WHERE n NOT IN (SELECT n FROM new)
          AND NOT EXISTS (
              SELECT FROM events
              WHERE source = $1 AND events.event_id = candidate.event_id AND events.topic = candidate.topic)
          AND NOT EXISTS (
              SELECT FROM events WHERE source = $1 AND events.signed_digest = candidate.signed_digest)
    ) AS again,
    (SELECT coalesce(array_agg(n), '{}') FROM (
        SELECT n FROM new
        UNION
        SELECT candidate.n
        FROM candidate JOIN events
            ON events.source = $1 AND events.event_id = candidate.event_id AND events.topic = candidate.topic
        WHERE events.request = $2
    ) of_this_request) AS accepted
