-- Codes, their history, their scans, and the keys of those who may touch them.

-- Who may call. Only the SHA-256 of a key is kept.
CREATE TABLE api_keys (
    hash       bytea PRIMARY KEY CHECK (length(hash) = 32),
    prefix     text NOT NULL,
    owner      text NOT NULL,
    name       text,
    scopes     text[] NOT NULL CHECK (scopes <@ ARRAY['qr:read', 'qr:write', 'ops:read', 'admin']),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_keys_owner ON api_keys (owner);

-- `id_key` is the short id in upper case with look-alikes folded (O to 0, I and L to 1): what ids are compared by.
-- A deleted code keeps its row, so that its id is never given out again.
-- `created_by` and `last_edit` are ids of requests: a statement that is sent twice finds its own mark.
CREATE TABLE codes (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id_key          text COLLATE "C" NOT NULL CONSTRAINT codes_id_key UNIQUE,
    short_id        text NOT NULL,
    owner           text NOT NULL,
    name            text,
    target_url      text NOT NULL,
    tags            text[] NOT NULL DEFAULT '{}',
    redirect_status smallint NOT NULL DEFAULT 302 CHECK (redirect_status IN (301, 302, 303, 307, 308)),
    forward_query   boolean NOT NULL DEFAULT false,
    enabled         boolean NOT NULL DEFAULT true,
    valid_since     timestamptz,
    expires_at      timestamptz,
    max_scans       bigint CHECK (max_scans > 0),
    version         integer NOT NULL DEFAULT 1,
    created_by      uuid NOT NULL,
    last_edit       uuid NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    CONSTRAINT codes_window CHECK (valid_since < expires_at)
);
-- In the order of the list, which no other index has: so the planner walks this one also for an owner of whom it knows nothing.
CREATE INDEX codes_list ON codes (owner, created_at DESC, id DESC) WHERE deleted_at IS NULL;

-- Every version's target, the current one included, and what the request that made it was answered: the request that is
-- sent again gets the same, whatever has happened since. A deletion's answer is empty.
CREATE TABLE code_versions (
    code_id    bigint NOT NULL REFERENCES codes ON DELETE CASCADE,
    version    integer NOT NULL,
    target_url text NOT NULL,
    edit       uuid NOT NULL,
    answer     jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (code_id, version)
);

-- One row a scan. `id` is made by the function before the statement is sent, so a second send meets it. It is a UUIDv7:
-- new rows go to the right-hand edge of the index, which stays in memory however large the table grows.
CREATE TABLE scans (
    id       uuid PRIMARY KEY,
    code_id  bigint NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    bot      boolean NOT NULL,
    visitor  bytea,
    country  text,
    device   text,
    referrer text
);
CREATE INDEX scans_code_at ON scans (code_id, at);

-- Counts, kept with each scan in one of 16 rows a code, so that scans of a hot code do not queue on one row and a list
-- adds up at most 16 rows a code however many scans there were. Room on the page keeps updates off the index.
CREATE TABLE scan_totals (
    code_id bigint NOT NULL,
    slot    smallint NOT NULL,
    total   bigint NOT NULL,
    uniques bigint NOT NULL,
    bots    bigint NOT NULL,
    last_at timestamptz,
    PRIMARY KEY (code_id, slot)
) WITH (fillfactor = 50);

-- The first scan of a visitor on a day. Rows of past days have no use.
CREATE TABLE visitors (
    code_id bigint NOT NULL,
    day     date NOT NULL,
    visitor bytea NOT NULL,
    PRIMARY KEY (code_id, day, visitor)
);

-- Only codes with `max_scans` have a row. `recent` holds the scans granted last, so that a scan that is sent twice
-- is granted once.
CREATE TABLE scan_quotas (
    code_id bigint PRIMARY KEY,
    used    bigint NOT NULL,
    recent  uuid[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);

-- First answers by Idempotency-Key, per owner.
CREATE TABLE idempotency_keys (
    owner       text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    request     uuid NOT NULL,
    answer      jsonb NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (owner, key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- The secret that makes visitors' hashes useless elsewhere; 244 random bits from the server.
CREATE TABLE visitor_key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    key bytea NOT NULL
);
INSERT INTO visitor_key (key) VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- A code as the functions read it, counts included.
CREATE FUNCTION code_json(code codes) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', code.id,
        'shortId', code.short_id,
        'name', code.name,
        'targetUrl', code.target_url,
        'userId', code.owner,
        'tags', code.tags,
        'redirectStatus', code.redirect_status,
        'forwardQuery', code.forward_query,
        'enabled', code.enabled,
        'validSince', code.valid_since,
        'expiresAt', code.expires_at,
        'maxScans', code.max_scans,
        'scans', (
            SELECT jsonb_build_object(
                'total', coalesce(sum(t.total), 0),
                'unique', coalesce(sum(t.uniques), 0),
                'bots', coalesce(sum(t.bots), 0),
                'lastAt', max(t.last_at))
            FROM scan_totals t WHERE t.code_id = code.id),
        'version', code.version,
        'createdAt', code.created_at,
        'updatedAt', code.updated_at)
$$;

-- Tries what a scan has to do, and leaves nothing: why it failed, as SQLSTATE, or NULL. Only a write can tell that a disk
-- is full. The id begins with its time, so that the probe meets the page of the index that scans meet.
CREATE FUNCTION write_probe() RETURNS text LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
BEGIN
    INSERT INTO scans (id, code_id, bot) VALUES (
        (lpad(to_hex(floor(extract(epoch FROM now()) * 1000)::bigint), 12, '0')
            || substr(replace(gen_random_uuid()::text, '-', ''), 13))::uuid, 0, true);
    RAISE 'the probe is undone' USING ERRCODE = 'TSPRB';
EXCEPTION WHEN OTHERS THEN
    RETURN nullif(SQLSTATE, 'TSPRB');
END $$;
