#!/bin/sh
# The database time of a report of `health` with 10 million scans and a million events. Needs PostgreSQL; filling it takes
# minutes, and 4 GB in the directory for temporary files.
set -eu
cd "$(dirname "$0")/../.."
# What is measured happens in the database: the bench itself needs no optimization.
cargo bench --quiet --profile dev --package tessera-tests --bench health
