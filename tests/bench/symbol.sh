#!/bin/sh
# Symbols beside npm qrcode and segno, in one run. Needs Node with npm, and Python 3 with venv.
# Output: who, format, pixels, microseconds from URL to bytes (median), bytes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
peers="$here/../../target/bench/symbol"

mkdir -p "$peers"
npm install --silent --no-save --prefix "$peers" qrcode@1.5.4 >&2
[ -x "$peers/venv/bin/python" ] || python3 -m venv "$peers/venv"
"$peers/venv/bin/pip" install --quiet segno==1.6.6 >&2
cargo bench --quiet --package tessera-tests --bench symbol --no-run

cargo bench --quiet --package tessera-tests --bench symbol
NODE_PATH="$peers/node_modules" node "$here/symbol_npm.cjs"
"$peers/venv/bin/python" "$here/symbol_segno.py"
