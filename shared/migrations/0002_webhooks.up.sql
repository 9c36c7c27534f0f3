-- Webhook events, what they did, the jobs that forward them, and the alerts that failures raise.

-- Every verified event, once. `raw` is what was sent, as bytes: `text` and `jsonb` refuse NUL characters and odd JSON
-- that a sender may well sign. It is null once retention has taken it.
-- Shopify gives one id to all webhooks of one happening, which differ in their topic; `topic` is empty for all others.
-- GitHub and Shopify sign neither ids nor topics, so what they signed may not come twice under others: `signed_digest`.
-- `request` is the id of the request that brought it: a statement that is sent twice finds its own mark.
CREATE TABLE events (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source        text COLLATE "C" NOT NULL,
    event_id      text COLLATE "C" NOT NULL,
    topic         text COLLATE "C" NOT NULL DEFAULT '',
    event_type    text,
    occurred_at   timestamptz,
    received_at   timestamptz NOT NULL DEFAULT now(),
    request       uuid NOT NULL,
    state         text NOT NULL CHECK (state IN ('applied', 'failed')),
    failure       text,
    signed_digest text COLLATE "C",
    raw           bytea,
    CONSTRAINT events_once UNIQUE (source, event_id, topic),
    CONSTRAINT events_failure CHECK ((state = 'failed') = (failure IS NOT NULL))
);
CREATE UNIQUE INDEX events_signed_once ON events (source, signed_digest) WHERE signed_digest IS NOT NULL;
-- For retention, which goes through events by age.
CREATE INDEX events_payloads ON events (received_at) WHERE raw IS NOT NULL;

-- The newest known state of an account, by (occurred_at, finality), then arrival.
CREATE TABLE accounts (
    source      text COLLATE "C" NOT NULL,
    external_id text COLLATE "C" NOT NULL,
    status      text NOT NULL,
    attributes  jsonb NOT NULL,
    occurred_at timestamptz NOT NULL,
    finality    smallint NOT NULL,
    event       bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, external_id)
) WITH (fillfactor = 80);

-- The newest known state of a transaction. An account may be heard of after its transactions: no foreign key.
CREATE TABLE transactions (
    source      text COLLATE "C" NOT NULL,
    external_id text COLLATE "C" NOT NULL,
    account_id  text COLLATE "C",
    amount      bigint NOT NULL,
    currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status      text NOT NULL,
    attributes  jsonb NOT NULL,
    occurred_at timestamptz NOT NULL,
    finality    smallint NOT NULL,
    event       bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, external_id)
) WITH (fillfactor = 80);
CREATE INDEX transactions_account ON transactions (source, account_id) WHERE account_id IS NOT NULL;

-- An event to be forwarded. A waiting job is due at `run_at`; a claim moves `run_at` to the end of its lease, so that a
-- job whose worker died becomes due by itself. `attempt` counts claims and never goes back: it is the fence that keeps
-- a late worker's word out. The job is given up after attempt number `last_attempt`, which a redrive moves up.
-- `claim` is the worker's id of the claim under way; `bytes` is the size of the payload, by which claims are bounded.
CREATE TABLE jobs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event        bigint NOT NULL CONSTRAINT jobs_event UNIQUE REFERENCES events ON DELETE CASCADE,
    source       text COLLATE "C" NOT NULL,
    bytes        integer NOT NULL DEFAULT 0,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'dead')),
    run_at       timestamptz NOT NULL DEFAULT now(),
    attempt      integer NOT NULL DEFAULT 0,
    last_attempt integer NOT NULL DEFAULT 5,
    claim        uuid,
    -- How the last attempt ended: a word of ours, the status of the answer, and the redacted beginning of its body.
    outcome      text CHECK (outcome ~ '^[a-z_]{1,32}$'),
    status       smallint,
    answer_head  text CHECK (length(answer_head) <= 256),
    created_at   timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz
) WITH (fillfactor = 80);
CREATE INDEX jobs_due ON jobs (source, run_at) WHERE state = 'waiting';
CREATE INDEX jobs_claim ON jobs (claim) WHERE claim IS NOT NULL;
CREATE INDEX jobs_dead ON jobs (source) WHERE state = 'dead';
CREATE INDEX jobs_done ON jobs (ended_at) WHERE state = 'done';

-- Claims of the last hours. One that is sent twice meets itself here, and takes nothing more.
CREATE TABLE claims (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);

-- What somebody should look at. The checks leave no room for a payload: a code, a configured source's name, a row's id.
-- The same alert again counts up while it is open.
CREATE TABLE alerts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code        text COLLATE "C" NOT NULL CHECK (code ~ '^[a-z]+(_[a-z]+)*$' AND length(code) <= 32),
    source      text COLLATE "C" NOT NULL CHECK (source ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    event       bigint,
    count       bigint NOT NULL DEFAULT 1,
    first_at    timestamptz NOT NULL DEFAULT now(),
    last_at     timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    resolved_by text CHECK (resolved_by IN ('operator', 'success'))
);
CREATE UNIQUE INDEX alerts_open ON alerts (code, source) WHERE resolved_at IS NULL;

-- When retention last ran: one worker does it, once an hour.
CREATE TABLE upkeep (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    cleaned_at timestamptz NOT NULL
);
INSERT INTO upkeep (cleaned_at) VALUES (now());
