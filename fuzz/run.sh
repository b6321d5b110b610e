#!/usr/bin/env bash
# fuzz/run.sh TARGET SECONDS: cargo-fuzz on one target, from the kept corpus. Targets: lexer, parser, binder (SQL); page,
# log, file (hostile bytes in files). Says what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-} seconds=${2:-60}
if [ ! -f "fuzz/fuzz_targets/$target.rs" ]; then
  echo "make fuzz TARGET=NAME SECONDS=N; targets: $(cd fuzz/fuzz_targets && ls | sed 's/\.rs$//' | tr '\n' ' ')" >&2
  exit 1
fi
if ! rustc +nightly --version >/dev/null 2>&1; then
  echo "make fuzz: a nightly toolchain is needed: rustup toolchain install nightly" >&2
  echo "(cargo test -p lumos-fuzzing runs the same bodies on any toolchain)" >&2
  exit 1
fi
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
  echo "make fuzz: cargo-fuzz is needed: cargo install cargo-fuzz" >&2
  echo "(cargo test -p lumos-fuzzing runs the same bodies without it)" >&2
  exit 1
fi
cargo run --quiet -p lumos-fuzzing --bin lumos-seeds -- "fuzz/corpus/$target"
# The limits: no input takes five seconds, none needs two gigabytes.
exec cargo +nightly fuzz run --fuzz-dir fuzz "$target" -- \
  -max_total_time="$seconds" -max_len=4096 -timeout=5 -rss_limit_mb=2048 -print_final_stats=1
