// The same redirect in Node with pg, as its documentation leads one to write it, under the runtime API's own loop.
// Node's official runtime client does the same and more; its start-up is not counted against this one.
const fs = require("node:fs");
const http = require("node:http");
const { Client } = require("pg");

let client;

async function connect() {
  const connecting = new Client({
    connectionString: process.env.DATABASE_URL,
    ssl: { ca: fs.readFileSync(process.env.DATABASE_CA) },
  });
  await connecting.connect();
  return connecting;
}

async function handle(event) {
  client ??= await connect();
  const id = event.rawPath.slice("/r/".length);
  const { rows } = await client.query(
    `WITH code AS (SELECT id, target_url FROM codes WHERE id_key = $1 AND enabled AND deleted_at IS NULL),
          scan AS (INSERT INTO scans (id, code_id, bot) SELECT gen_random_uuid(), id, false FROM code)
     SELECT target_url FROM code`,
    [id],
  );
  return rows.length ? { statusCode: 302, headers: { location: rows[0].target_url } } : { statusCode: 404 };
}

const agent = new http.Agent({ keepAlive: true });
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, method, path, agent }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

(async () => {
  const base = "/2018-06-01/runtime/invocation";
  for (;;) {
    const next = await call("GET", `${base}/next`);
    const answer = await handle(JSON.parse(next.body));
    const id = next.headers["lambda-runtime-aws-request-id"];
    await call("POST", `${base}/${id}/response`, JSON.stringify(answer));
  }
})();
