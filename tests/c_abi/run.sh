#!/usr/bin/env bash
# Builds and runs the C tests against include/ and lib/ (run `make` first). The last line counts everything.
# Environment: CC, CXX, LUMOS_LIB_DIR.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
lib=${LUMOS_LIB_DIR:-$root/lib}
header=$root/include/lumos_core.h
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

good() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "failed: $*"; }
check() { local what=$1; shift; if "$@"; then good; else bad "$what"; fi; }

for file in liblumos_core.so liblumos_core.a; do
    [ -e "$lib/$file" ] || { echo "$lib/$file is missing: run \`make\` first"; exit 1; }
done

# Every function of the header is exported, nothing else is, and every one is called by some test.
grep -oE '\blumos_[a-z0-9_]+\(' "$header" | grep -vE '^lumos_(status|error|run_info|column_info)\($' | tr -d '(' |
    sort -u >"$work/declared"
nm -D --defined-only "$lib/liblumos_core.so" | awk '{print $3}' | sort -u >"$work/exported"
check "the library exports exactly the header's functions" diff "$work/declared" "$work/exported"
while read -r name; do
    check "$name is called" grep -qE "\b$name\(" "$here"/calls.c "$here"/packed.c "$here"/threads.c "$here"/layout.c
done <"$work/declared"

flags="-pedantic -Wall -Wextra -Werror -I$root/include -I$here"
# What the static library needs, by `rustc --print native-static-libs`.
system="-lpthread -ldl -lm -lgcc_s -lutil -lrt -lc"

run() { # name, program, arguments
    local name=$1 output
    shift
    output=$(timeout 120 "$@" 2>&1)
    local status=$? last
    last=$(tail -n 1 <<<"$output")
    if [[ $last =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        [ "${BASH_REMATCH[2]}" = 0 ] || { echo "$name:"; echo "$output"; }
    else
        bad "$name: status $status: $output"
    fi
}

for standard in c99 c11 c17; do
    for source in layout calls packed threads; do
        program=$work/$source-$standard
        if ${CC:-cc} -std=$standard $flags "$here/$source.c" -o "$program" -L"$lib" -Wl,-rpath,"$lib" -l:liblumos_core.so -lpthread; then
            good
            run "$source ($standard)" "$program" "$work/$standard-$source.lumos"
        else
            bad "$source does not compile as $standard"
        fi
    done
done
for source in calls packed threads; do
    program=$work/$source-static
    if ${CC:-cc} -std=c11 $flags "$here/$source.c" -o "$program" "$lib/liblumos_core.a" $system; then
        good
        run "$source (static)" "$program" "$work/static-$source.lumos"
    else
        bad "$source does not link with the static library"
    fi
done
if ${CXX:-c++} -std=c++17 $flags "$here/header_only.cpp" -o "$work/header_only" -L"$lib" -Wl,-rpath,"$lib" -l:liblumos_core.so; then
    good
    run "header_only" "$work/header_only"
else
    bad "the header does not compile as C++17"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
