# Lumos. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := build-all
.PHONY: build-all build-rust build-go header docs quickstart test test-long test-rust test-go test-c slt isolation tpch crash crash-planted history history-planted loom shuttle fuzz bench bench-rust lint clean help tools-rust tools-go tools-c

PREFIX ?= /usr/local
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
CORPORA ?= $(if $(LUMOS_CORPORA),$(LUMOS_CORPORA),../shared/corpora)
export LUMOS_CORPORA := $(abspath $(CORPORA))
KILLS ?= 50
BENCH ?=
TARGET ?=
SECONDS ?= 60
SEED ?= 1
SCALE ?= 0.01
FILES ?= tests/sql/*.slt
RELEASE := target/release

# A missing tool is named before anything is built.
define need
	@command -v $(1) >/dev/null 2>&1 || { echo "make: '$(1)' was not found: $(2)" >&2; exit 1; }
endef

tools-rust:
	$(call need,cargo,install Rust 1.95 or newer from https://rustup.rs)

tools-go:
	$(call need,go,install Go 1.24 or newer from https://go.dev/dl)

tools-c:
	$(call need,cc,install a C compiler - Debian: apt-get install gcc)

build-all: tools-rust tools-go tools-c build-rust build-go ## Build the library, the shell and the Go package (default)

build-rust: tools-rust ## Build lib/liblumos_core.{a,so}, lib/lumos.pc, include/lumos_core.h, bin/lumos
	cargo build --release -p lumos-core -p lumos-cli
	@mkdir -p lib bin
	@cmp -s $(RELEASE)/lumos bin/lumos || cp $(RELEASE)/lumos bin/lumos
	@cmp -s $(RELEASE)/liblumos_core.a lib/liblumos_core.a || cp $(RELEASE)/liblumos_core.a lib/
	@cmp -s $(RELEASE)/liblumos_core.so lib/liblumos_core.so || cp $(RELEASE)/liblumos_core.so lib/
	@printf '%s\n' 'prefix=$(abspath .)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' \
	  'Name: lumos' 'Description: Embedded relational SQL engine' 'Version: $(VERSION)' \
	  'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -llumos_core' 'Libs.private: -lpthread -ldl -lm' > lib/lumos.pc
	@# Go's build cache does not look into archives: a checksum in a header tells it of a new one.
	@sh go/internal/capi/checksum.sh
	@echo "lib/liblumos_core.a  lib/liblumos_core.so  lib/lumos.pc  include/lumos_core.h  bin/lumos"

build-go: tools-go tools-c build-rust ## Build the Go package, by cgo and without
	cd go && go build -tags rust ./... && CGO_ENABLED=0 go build ./...

header: tools-rust ## Generate include/lumos_core.h
	cargo run --quiet -p xtask -- header

docs: tools-rust ## Generate the reference pages in docs/
	cargo run --quiet -p xtask -- docs

quickstart: build-all ## Load TPC-H data from C, write from Go, kill it, and count what was lost
	./examples/quickstart.sh

test: test-rust test-c test-go ## The whole suite; last line: N passed, M failed
	@./tests/summary.sh

test-rust: tools-rust
	@mkdir -p target && set -o pipefail; (cargo test --workspace && \
	  cargo test -p lumos-crash -p lumos-history --features lumos-crash/planted,lumos-history/planted \
	    --test planted --test readers) 2>&1 | tee target/test-rust.log

test-go: tools-go tools-c build-rust
	@mkdir -p target && set -o pipefail; (cd go && go vet -tags rust ./... && go test -count=1 -v -tags rust ./... && \
	  CGO_ENABLED=0 LUMOS_LIBRARY=$(abspath lib/liblumos_core.so) go test -count=1 -v ./... && \
	  cd ../examples/go && go vet ./... && go test -count=1 -v -tags rust ./...) 2>&1 | tee target/test-go.log

test-c: tools-c build-rust
	@mkdir -p target && set -o pipefail; ./tests/c_abi/run.sh 2>&1 | tee target/test-c.log

test-long: tools-rust ## The tests that take long: limits of memory, space, crashes and faults, a million transactions
	LUMOS_LONG=1 cargo test --profile long -p lumos-tests --test memory --test space --test queue -- --nocapture
	LUMOS_LONG=1 LUMOS_ROUNDS=400 cargo test --profile long -p lumos-crash
	LUMOS_LONG=1 cargo test --profile long -p lumos-history --test histories --test disk_faults --test crowd -- --nocapture
	LUMOS_LONG=1 cargo test --profile long -p lumos-shuttle -- --nocapture
	cargo run --profile long --quiet -p lumos-tests --bin lumos-large

slt: tools-rust ## Run sqllogictest files: make slt FILES="…" [ARGS="--path=vectorised --on-disk"]
	@cargo run --release --quiet -p lumos-tests --bin slt -- $(ARGS) $(FILES)

isolation: tools-rust ## Run isolation scenarios: make isolation FILES="…"
	@cargo run --release --quiet -p lumos-tests --bin isolation -- $(ARGS) $(FILES)

tpch: tools-rust ## TPC-H's 22 queries against known answers: make tpch SCALE=0.01|1 [ARGS="--path point Q5"]
	@cargo run --release --quiet -p lumos-tests --bin tpch -- --scale $(SCALE) $(ARGS)

crash: tools-rust ## Kill a writing process KILLS times and look for what was lost
	@cargo run --release --quiet -p lumos-crash -- --kills $(KILLS)

crash-planted: tools-rust ## See that the crash harness reports mistakes planted in the engine
	@cargo test -p lumos-crash --features planted --test planted --test readers

history: tools-rust ## Look for anomalies in a million concurrent transactions: make history [SEED=2]
	@LUMOS_LONG=1 LUMOS_SEED=$(SEED) cargo test --profile long -q -p lumos-history --test histories -- --nocapture

history-planted: tools-rust ## See that the history checker reports mistakes planted in the engine
	@cargo test -p lumos-history --features planted --test planted -- --nocapture

loom: tools-rust ## Small pieces of the engine in every order of their threads' steps
	@cargo test -q -p lumos-loom -- --nocapture

shuttle: tools-rust ## Critical paths in 10,000 schedules each: make shuttle [SEED=2]
	@LUMOS_LONG=1 LUMOS_SEED=$(SEED) cargo test -q -p lumos-shuttle -- --nocapture

fuzz: tools-rust ## Fuzz with cargo-fuzz: make fuzz TARGET=lexer|parser|binder|page|log|file SECONDS=60
	@./fuzz/run.sh "$(TARGET)" "$(SECONDS)"

bench: build-rust ## Measure beside SQLite, DuckDB, PostgreSQL, other parsers: make bench [BENCH="O1 transactions tpch parser"]
	@./bench/run.sh $(BENCH)

bench-rust: bench

lint: tools-rust tools-go ## Formatting, clippy, go vet, header drift
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo run --quiet -p xtask -- header --check
	cargo run --quiet -p xtask -- docs --check
	@cd go && unformatted=$$(gofmt -l .) && [ -z "$$unformatted" ] || { echo "gofmt: $$unformatted"; exit 1; }

clean: ## Remove everything that was built
	cargo clean
	rm -rf lib/*.a lib/*.so lib/lumos.pc bin bench/compare/target bench/parser/target bench/.venv

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
