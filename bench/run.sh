#!/usr/bin/env bash
# bench/run.sh [ROW…]: `parser` is measured by bench/parser, everything else by bench/compare. Peers that come from
# elsewhere (DuckDB, libclang for libpg_query's bindings) are put into bench/.venv; a peer that cannot be had is
# said to be missing, and its columns stay empty.
set -euo pipefail
cd "$(dirname "$0")/.."
rows=("$@")

wanted() { # name
  [ ${#rows[@]} -eq 0 ] && return 0
  local row
  for row in "${rows[@]}"; do
    [ "${row,,}" = "$1" ] && return 0
  done
  return 1
}

venv() { # package, for what
  if [ ! -x bench/.venv/bin/python ] && ! python3 -m venv bench/.venv; then
    echo "bench: no virtual environment can be made (python3-venv?): $2 is missing" >&2
    return 1
  fi
  bench/.venv/bin/python -c "import importlib.metadata as m; m.version('$1')" 2>/dev/null ||
    bench/.venv/bin/pip install --quiet --disable-pip-version-check "$1" ||
    { echo "bench: $1 cannot be installed: $2 is missing" >&2; return 1; }
}

find_duckdb() {
  venv duckdb DuckDB || return 0
  LUMOS_DUCKDB=$(find bench/.venv/lib -name '_duckdb*.so' | head -n 1)
  LUMOS_LIBPYTHON=$(bench/.venv/bin/python -c '
import os, sysconfig
v = sysconfig.get_config_var
path = os.path.join(v("LIBDIR") or "", v("INSTSONAME") or v("LDLIBRARY") or "")
print(path if path.endswith(".so") or ".so." in path else "")')
  if [ -z "$LUMOS_LIBPYTHON" ]; then
    echo "bench: this python3 has no shared library, which DuckDB's object asks for: DuckDB is missing" >&2
  fi
  [ -z "$LUMOS_DUCKDB" ] || LUMOS_DUCKDB=$(realpath "$LUMOS_DUCKDB")
  export LUMOS_DUCKDB LUMOS_LIBPYTHON
}

run_parser() {
  local features=()
  if venv libclang "libpg_query"; then
    LIBCLANG_PATH=$(realpath bench/.venv/lib/python3*/site-packages/clang/native)
    BINDGEN_EXTRA_CLANG_ARGS="-I$(cc -print-file-name=include)"
    export LIBCLANG_PATH BINDGEN_EXTRA_CLANG_ARGS
    if cargo build --release --quiet --manifest-path bench/parser/Cargo.toml --features libpg_query; then
      features=(--features libpg_query)
    else
      echo "bench: libpg_query does not build here (see above): its columns stay empty" >&2
    fi
  fi
  cargo run --release --quiet --manifest-path bench/parser/Cargo.toml "${features[@]}"
}

others=()
for row in "${rows[@]}"; do
  [ "${row,,}" = parser ] || others+=("$row")
done
if [ ${#rows[@]} -eq 0 ] || [ ${#others[@]} -gt 0 ]; then
  if wanted tpch || wanted storage || wanted s5; then find_duckdb; fi
  cargo run --release --quiet --manifest-path bench/compare/Cargo.toml -- "${others[@]}"
fi
! wanted parser || run_parser
