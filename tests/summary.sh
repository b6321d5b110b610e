#!/usr/bin/env bash
# Adds up what the suites printed. A suite that left no figures counts as failed.
set -euo pipefail
cd "$(dirname "$0")/.."
passed=0 failed=0

count() { # file, sed script that prints "passed failed" a line
  local lines
  lines=$(sed -nE "$2" "$1" 2>/dev/null || true)
  if [ -z "$lines" ]; then
    echo "no figures in $1"
    failed=$((failed + 1))
    return
  fi
  while read -r p f; do
    passed=$((passed + p)) failed=$((failed + f))
  done <<<"$lines"
}

count target/test-rust.log 's/^test result: [a-zA-Z]+\. ([0-9]+) passed; ([0-9]+) failed.*/\1 \2/p'
count target/test-c.log 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p'
go_passed=$(grep -cE '^ *--- PASS' target/test-go.log || true)
go_failed=$(grep -cE '^ *--- (FAIL|SKIP)' target/test-go.log || true)
if [ "$go_passed" -eq 0 ]; then
  echo "no figures in target/test-go.log"
  go_failed=$((go_failed + 1))
fi
passed=$((passed + go_passed)) failed=$((failed + go_failed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
