#!/bin/sh
# Cold starts of qr-redirect beside a hello world, a naive Rust function and Node with pg. Needs PostgreSQL, Node with npm, and
# the headers of the system's OpenSSL (libssl-dev). Building takes minutes, and megabytes under target/bench/cold.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
binaries=$target/bench/cold
cd "$root"
mkdir -p "$binaries"

# The same target directory: what the two workspaces share is compiled once.
peers() { cargo build --release --locked --manifest-path "$here/cold/Cargo.toml" --target-dir "$target" "$@"; }
peers
cp "$target/release/cold-hello" "$binaries/"
cp "$target/release/cold-naive" "$binaries/naive-system"
peers --features vendored
cp "$target/release/cold-naive" "$binaries/naive-vendored"
cargo build --release --package qr-redirect
cp "$target/release/qr-redirect" "$binaries/"

npm install --silent --no-save --prefix "$binaries" pg@8.23.1 >&2
cp "$here/cold/pg.cjs" "$binaries/pg.cjs"
printf '#!/bin/sh\nexec %s %s\n' "$(command -v node)" "$binaries/pg.cjs" >"$binaries/node-pg"
chmod +x "$binaries/node-pg"

# The stand-in for Lambda takes no longer unoptimized, and is built already.
COLD_BINARIES=$binaries cargo bench --quiet --profile dev --package tessera-tests --bench cold
