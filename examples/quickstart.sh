#!/usr/bin/env bash
# The quickstart: makes TPC-H data, loads it from C, then writes from Go, kills the writer and counts what was lost.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=${QUICKSTART_FOLDER:-$root/target/quickstart}
mkdir -p "$work"
[ -e "$root/lib/liblumos_core.so" ] || { echo "lib/liblumos_core.so is missing: run \`make\` first" >&2; exit 1; }
if [ ! -e "$work/supplier.tbl" ]; then
    cargo run --release --quiet --manifest-path "$root/tools/quickstart-data/Cargo.toml" -- "$work" "${SCALE:-0.05}"
fi
cc -std=c99 -O2 -Wall -Wextra -I"$root/include" "$root/examples/c/quickstart.c" -o "$work/quickstart" \
    -L"$root/lib" -Wl,-rpath,"$root/lib" -l:liblumos_core.so
rm -rf "$work/quickstart.lumos" "$work/quickstart.lumos-wal"
"$work/quickstart" "$work" "$work/quickstart.lumos" "$root/tests/tpch/queries"
cd "$root/examples/go"
go run -tags rust ./quickstart -file "$work/quickstart.lumos"
