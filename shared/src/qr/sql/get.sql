SELECT access.verdict, (SELECT code_json(c) FROM codes c JOIN code ON code.id = c.id WHERE access.verdict = 'ok') AS code
FROM access
