#!/bin/sh
# Writes lumos_checksum.h, so that Go's build cache sees that the archive was built anew.
# To be run after each build of lib/liblumos_core.a, before `go build -tags rust`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
archive=$here/../../../lib/liblumos_core.a
header=$here/lumos_checksum.h
sum=$(cksum <"$archive" | tr ' ' '-')
text="#define LUMOS_CHECKSUM \"$sum\""
# Left alone when nothing changed.
if [ ! -f "$header" ] || [ "$(cat "$header")" != "$text" ]; then
	printf '%s\n' "$text" >"$header"
fi
