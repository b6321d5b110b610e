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
    check "$name is called" grep -qE "\b$name\(" "$here"/calls.c "$here"/packed.c "$here"/threads.c "$here"/layout.c "$here"/process.c
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
    for source in layout calls packed threads process; do
        program=$work/$source-$standard
        if ${CC:-cc} -std=$standard $flags "$here/$source.c" -o "$program" -L"$lib" -Wl,-rpath,"$lib" -l:liblumos_core.so -lpthread; then
            good
            run "$source ($standard)" "$program" "$work/$standard-$source.lumos"
        else
            bad "$source does not compile as $standard"
        fi
    done
done
for source in calls packed threads process; do
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

# The examples do what they say.
example() { # name, the last line that it prints, arguments
    local name=$1 expected=$2 output
    shift 2
    if ! ${CC:-cc} -std=c99 -O1 $flags "$root/examples/c/$name.c" -o "$work/$name" -L"$lib" -Wl,-rpath,"$lib" \
        -l:liblumos_core.so -lpthread; then
        bad "examples/c/$name.c does not compile"
        return
    fi
    good
    output=$(cd "$work" && timeout 120 "./$name" "$@" 2>&1)
    local status=$?
    if [ $status = 0 ] && [ "$(tail -n 1 <<<"$output")" = "$expected" ]; then
        good
    else
        bad "examples/c/$name: status $status: $output"
    fi
}
example first '23505: duplicate key value violates unique constraint "city_pkey"'
example transfer 'together they still have 200'
example copy '2,2,12.00'
example stop 'left over: 9'
tbl() { printf '%s\n' "${@:2}" >"$work/$1.tbl"; }
tbl region '0|AFRICA|a|' '1|AMERICA|b|'
tbl nation '0|ALGERIA|0|a|' '1|ARGENTINA|1|b|'
tbl part '1|a part|Manufacturer#1|Brand#13|PROMO BURNISHED COPPER|7|JUMBO PKG|901.00|x|'
tbl supplier '1|Supplier#000000001|street|1|27-918-335-1736|5755.94|x|'
tbl partsupp '1|1|3325|771.64|x|'
tbl customer '1|Customer#000000001|street|1|25-989-741-2988|711.56|BUILDING|x|'
tbl orders '7|1|O|252004.18|1996-01-10|2-HIGH|Clerk#000000470|0|x|'
tbl lineitem '7|1|1|1|12.00|13608.60|0.07|0.03|N|O|1996-05-07|1996-03-13|1996-06-03|TAKE BACK RETURN|FOB|x|'
example quickstart 'verified: 0 findings' "$work" "$work/quickstart.lumos" "$root/tests/tpch/queries"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
