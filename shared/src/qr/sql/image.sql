-- One row in any case, so that a replica that has not heard of the code can say so.
SELECT CASE WHEN short_id IS NULL THEN 'not_found' ELSE 'ok' END AS verdict, short_id
FROM (SELECT) one
LEFT JOIN codes ON id_key = $1 AND deleted_at IS NULL
