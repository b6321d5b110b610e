#!/usr/bin/env bash
# bench/run.sh [ROW…]: `parser` is measured by bench/parser, `S7` by lumos-log, `S9` by lumos-locks, everything else by bench/compare.
# Peers that come from elsewhere (DuckDB, libclang for libpg_query's bindings) are put into bench/.venv, PostgreSQL is
# started from where the system has it; a peer that cannot be had is said to be missing, and its columns stay empty.
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

# A server of our own, on a socket in a folder of its own; it goes when this script ends.
find_postgres() {
  local bin
  bin=$(pg_config --bindir 2>/dev/null || find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort | tail -n 1)
  LUMOS_LIBPQ=$(ldconfig -p 2>/dev/null | sed -n 's/.*libpq\.so\.5 .*=> //p' | head -n 1)
  if [ ! -x "$bin/initdb" ] || [ -z "$LUMOS_LIBPQ" ]; then
    echo "bench: PostgreSQL is not installed (Debian: apt-get install postgresql libpq5): its columns stay empty" >&2
    return 0
  fi
  local as=()
  postgres_folder=$(mktemp -d)
  if [ "$(id -u)" = 0 ]; then # initdb refuses the superuser
    chown postgres "$postgres_folder"
    as=(setpriv --reuid postgres --regid postgres --clear-groups)
  fi
  "${as[@]}" "$bin/initdb" --pgdata "$postgres_folder/data" --auth trust --username lumos >/dev/null
  printf '%s\n' "unix_socket_directories = '$postgres_folder'" "listen_addresses = ''" 'shared_buffers = 1GB' \
    'max_wal_size = 4GB' >>"$postgres_folder/data/postgresql.conf"
  (cd "$postgres_folder" && "${as[@]}" "$bin/postgres" -D "$postgres_folder/data" >"$postgres_folder/log" 2>&1) &
  postgres=$!
  trap 'kill -INT $(head -n 1 "$postgres_folder/data/postmaster.pid"); wait "$postgres"; rm -rf "$postgres_folder"' EXIT
  until "$bin/pg_isready" --quiet --host "$postgres_folder"; do
    kill -0 "$postgres" 2>/dev/null || { cat "$postgres_folder/log" >&2; return 1; }
    sleep 0.1
  done
  export LUMOS_LIBPQ LUMOS_POSTGRES="host=$postgres_folder user=lumos dbname=postgres"
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
  case "${row,,}" in
  parser | s7 | s9) ;;
  *) others+=("$row") ;;
  esac
done
if [ ${#rows[@]} -eq 0 ] || [ ${#others[@]} -gt 0 ]; then
  if wanted tpch || wanted storage || wanted s5; then find_duckdb; fi
  for name in storage s8 transactions point range100 update insert o7 o8 tpcc; do
    if wanted "$name"; then
      find_postgres
      break
    fi
  done
  cargo run --release --quiet --manifest-path bench/compare/Cargo.toml -- "${others[@]}"
fi
if wanted s7 || wanted storage; then cargo run --release --quiet -p lumos-tests --bin lumos-log; fi
if wanted s9 || wanted storage; then cargo run --release --quiet -p lumos-tests --bin lumos-locks; fi
! wanted parser || run_parser
