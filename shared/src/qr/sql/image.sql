SELECT short_id FROM codes WHERE id_key = $1 AND deleted_at IS NULL
