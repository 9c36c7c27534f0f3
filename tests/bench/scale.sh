#!/usr/bin/env bash
# What a redirect and a list cost with few and with many scans: pages touched, which is repeatable, and milliseconds,
# which are not. Usage: tests/bench/scale.sh SCANS URL, where URL is an empty, migrated database (psql on the PATH).
set -euo pipefail
cd "$(dirname "$0")/../.."
scans=${1:?number of scans}
url=${2:?URL of an empty, migrated database}
run() { psql "$url" --no-psqlrc -qAt -v ON_ERROR_STOP=1 "$@"; }

# $1 what, $2 files of the statement, $3 its parameters' types, $4 their values. A hundred runs in one session.
average() {
    local pages="SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read) FROM pg_statio_user_tables"
    {
        echo "PREPARE s ($3) AS"; cat $2; echo ";"
        echo "EXECUTE s ($4) \\g /dev/null"
        echo "SELECT pg_stat_force_next_flush() \\g /dev/null"
        echo "SELECT ($pages) AS before, clock_timestamp() AS begun \\gset"
        for _ in $(seq 100); do echo "EXECUTE s ($4) \\g /dev/null"; done
        echo "SELECT clock_timestamp() AS ended \\gset"
        echo "SELECT pg_stat_force_next_flush() \\g /dev/null"
        echo "SELECT format('  %-26s %8s pages %8s ms', '$1', round((($pages) - :before) / 100.0, 1),"
        echo "  round(extract(epoch FROM :'ended'::timestamptz - :'begun'::timestamptz) * 10, 2));"
    } > target/scale.sql
    run -f target/scale.sql
}

measure() {
    run -c 'VACUUM ANALYZE' > /dev/null
    echo "$1 scans:"
    local sql=shared/src/qr/sql
    average "redirect with its scan" "$sql/redirect.sql" "text, uuid, text, bytea, text, text, text" \
        "'C0DE42', (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || substr(md5(random()::text), 1, 20))::uuid, 'person', '\\\\x00', 'DE', 'mobile', NULL"
    average "list of 50 with counts" "$sql/caller.sql $sql/list.sql" \
        "bytea, text, text, bigint, timestamptz, bigint, text, text, bigint, uuid" \
        "NULL, 'owner', NULL, 50, NULL, NULL, NULL, NULL, NULL, NULL"
}

mkdir -p target
run <<'SQL'
INSERT INTO codes (id_key, short_id, owner, target_url, created_by, last_edit)
SELECT 'C0DE' || n, 'C0DE' || n, 'owner', 'https://example.com/' || n, gen_random_uuid(), gen_random_uuid()
FROM generate_series(1, 1000) n;
SQL
measure 0
# Ids as the functions make them, in order of time; a tenth of all scans is of one hot code.
run -v scans="$scans" <<'SQL'
INSERT INTO scans (id, code_id, at, bot, visitor, country, device, referrer)
SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || substr(md5(n::text), 1, 20))::uuid,
       CASE WHEN n % 10 = 0 THEN 42 ELSE 1 + n % 1000 END,
       now() - (:scans - n) * interval '1 second' / 10, n % 20 = 0, decode(md5((n / 3)::text), 'hex'), 'DE', 'mobile', NULL
FROM generate_series(1, :scans) n;
INSERT INTO scan_totals
SELECT code_id, slot, n / 16, n / 32, n / 320, now()
FROM (SELECT code_id, count(*) AS n FROM scans GROUP BY 1) c, generate_series(0, 15) slot
ON CONFLICT (code_id, slot) DO UPDATE SET total = excluded.total;
SQL
measure "$scans"
run -c "SELECT '  scans: ' || pg_size_pretty(pg_table_size('scans')) || ', indexes: ' || pg_size_pretty(pg_indexes_size('scans'))"
