-- Who calls: the owner and scopes of a key ($1, its SHA-256), or an owner who is known without one ($2).
WITH caller AS (
    SELECT owner, scopes FROM api_keys
    WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
    UNION ALL
    SELECT $2, ARRAY['qr:read', 'qr:write'] WHERE $2 IS NOT NULL
),
