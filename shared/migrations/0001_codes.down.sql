DROP FUNCTION write_probe();
DROP FUNCTION code_json(codes);
DROP TABLE visitor_key, idempotency_keys, scan_quotas, visitors, scan_totals, scans, code_versions, codes, api_keys;
