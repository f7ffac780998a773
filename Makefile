# Everything that people and CI do with this repository. `make` lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Two builds at once fight for the same two cores and the same target directory.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
CACHE   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pgbackup
CLUSTER := tests/cluster/cluster
OUT     := out

# The images' names; the tests and the chart take them from here.
export PGBACKUP_OPERATOR_IMAGE   ?= localhost/pgbackup-operator:$(VERSION)
export PGBACKUP_RUNNER_IMAGE     ?= localhost/pgbackup-runner:$(VERSION)
export PGBACKUP_FAILPOINTS_IMAGE ?= localhost/pgbackup-runner:$(VERSION)-failpoints

# The operator whose clock can be set.
CHAOS_IMAGE := localhost/pgbackup-operator:$(VERSION)-chaos

# Tools that Debian does not have are compiled once, outside the checkout.
DENY_VERSION := 0.20.2
DENY         := $(CACHE)/tools/cargo-deny-$(DENY_VERSION)/bin/cargo-deny
FUZZ_VERSION := 0.13.1
FUZZ         := $(CACHE)/tools/cargo-fuzz-$(FUZZ_VERSION)/bin/cargo-fuzz
FUZZ_SECONDS ?= 60

# Another cluster only by name, on make's own command line: never the one that an exported variable leads to.
unexport KUBECONFIG
ifeq ($(origin KUBECONFIG),command line)
export PGBACKUP_KUBECONFIG := $(abspath $(KUBECONFIG))
endif

CRATES := $(notdir $(wildcard crates/*))

##@ Try it

.PHONY: demo
demo: ## From nothing to a verified backup on a real Kubernetes on this machine (root; first time up to 15 minutes)
	@examples/demo/demo up

.PHONY: demo-down
demo-down: ## Remove the demo and its cluster
	@examples/demo/demo down

##@ Test it

.PHONY: test
test: check unit e2e demo-test ## All there is: what CI runs (root; half an hour, the first time a little more)

.PHONY: check
check: fmt lint boundaries fresh ## Format, lints, who may depend on what, generated files

.PHONY: unit
unit: toolchain ## Unit, property and golden tests: the inner loop
	cargo test --locked --workspace --exclude pgbackup-tests
	cargo test --locked -p pgbackup-tests --lib --test chart
	go -C tests/cluster/oci test ./...
	go -C tests/kstatus test ./...
	cargo build --locked -p pgbackup-kubectl
	PGBACKUP_PLUGIN=$(CURDIR)/target/debug/kubectl-pgbackup go -C tests/cron test ./...
	tests/alerts/run
	tests/page/run

.PHONY: e2e
e2e: images test-images ## End-to-end tests on a real Kubernetes (root); TEST=word: those whose name has the word
	@tests/with-cluster tests/end-to-end $(TEST)

.PHONY: demo-test
demo-test: ## The demo, to its end and removed again (root; a minute)
	@status=0; examples/demo/demo up || status=$$?; examples/demo/demo down; exit $$status

.PHONY: chaos
chaos: images test-images ## Everything goes wrong for some minutes, on a real Kubernetes (root; CHAOS_SECONDS, CHAOS_SEED)
	cargo build --locked -p pgbackup-operator
	@tests/chaos/image $(CHAOS_IMAGE) target/debug/pgbackup-operator $(OUT)/images/operator-chaos.tar
	@trap 'rm -f $(OUT)/images/operator-chaos.tar' EXIT; \
	PGBACKUP_OPERATOR_IMAGE=$(CHAOS_IMAGE) CLUSTER_NAME=chaos CLUSTER_NET=198.20 tests/with-cluster cargo test --locked -p pgbackup-tests --test chaos -- --nocapture

.PHONY: fuzz
fuzz: toolchain $(FUZZ) ## Let libFuzzer search for bytes that break a parser (20 minutes; FUZZ_SECONDS for each)
	@fuzz/run $(FUZZ) $(FUZZ_SECONDS)

.PHONY: bench
bench: images ## Measure against what people run today (root; 25 minutes; BENCH_GB, BENCH_ROUNDS), into docs/benchmarks.md
	@RUNNER=$(BUILT)/pgbackup-runner bench/run

.PHONY: bench-scale
bench-scale: images ## Measure the operator with 1,000 and 10,000 policies (root; 15 minutes; SCALE_*), into docs/benchmarks.md
	$(BUILD) -p pgbackup-bench-scale
	@CLUSTER_NAME=scale CLUSTER_NET=198.21 BUILT=$(BUILT) bench/scale/run

.PHONY: fmt
fmt: toolchain ## The format of the code
	cargo fmt --all --check

.PHONY: lint
lint: toolchain ## Clippy on everything, warnings are errors
	cargo clippy --locked --workspace --all-targets --features pgbackup-operator/browser -- -D warnings
	cargo clippy --locked -p pgbackup-runner --features failpoints -- -D warnings

# A workspace build unifies features, so that a crate can lean on what only another one asked for.
.PHONY: boundaries
boundaries: toolchain $(DENY) ## Bans, licences, sources; each crate compiles alone
	cargo fetch --locked --quiet
	$(DENY) --offline --locked --all-features --log-level error check bans licenses sources
	for crate in $(CRATES); do cargo check --locked --quiet -p pgbackup-$$crate; done

.PHONY: fresh
fresh: toolchain ## Generated files, examples and documentation say what the code says
	cargo test --locked -p pgbackup-tests --test repo

.PHONY: generate
generate: ## Write the generated files anew
	UPDATE_GENERATED=1 cargo test --locked -p pgbackup-tests --test repo

##@ Build it

TARGET  := $(shell uname -m)-unknown-linux-gnu
# Static: the runner runs in images that are not ours, the operator in none at all. With --target the flag does
# not reach build scripts and procedural macros, which cannot be static.
BUILD   := RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release --target $(TARGET)
BUILT   := target/$(TARGET)/release

# $(call archive,NAME,BINARY,ARCHIVE): the image that holds one static program and nothing else.
define archive
@readelf --program-headers --dynamic $(2) | { ! grep -E 'INTERP|NEEDED'; } || { echo "$(2) is not static" >&2; exit 1; }
@mkdir -p $(dir $(3)); layer=$$(mktemp); trap 'rm -f "$$layer"' EXIT; \
  tar --create --file "$$layer" --directory $(dir $(2)) --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=0755 $(notdir $(2)); \
  tests/cluster/oci-image --name $(1) --out $(3) --user 65532:65532 --entrypoint /$(notdir $(2)) "$$layer"
@echo "$(3): $(1), $$(numfmt --to=iec-i --suffix=B $$(stat --format=%s $(3)))"
endef

.PHONY: images
images: toolchain ## The images, as OCI archives in out/images
	$(BUILD) -p pgbackup-operator -p pgbackup-runner
	@! grep --quiet PGBACKUP_FAILPOINT $(BUILT)/pgbackup-runner || { echo "the runner has failpoints in it" >&2; exit 1; }
	$(call archive,$(PGBACKUP_OPERATOR_IMAGE),$(BUILT)/pgbackup-operator,$(OUT)/images/operator.tar)
	$(call archive,$(PGBACKUP_RUNNER_IMAGE),$(BUILT)/pgbackup-runner,$(OUT)/images/runner.tar)

.PHONY: plugin
plugin: toolchain ## The kubectl plugin, as out/kubectl-pgbackup
	$(BUILD) -p pgbackup-kubectl
	@install -D -m 755 $(BUILT)/kubectl-pgbackup $(OUT)/kubectl-pgbackup && echo "$(OUT)/kubectl-pgbackup: put it on your PATH"

.PHONY: test-images
test-images: toolchain ## The runner that can be stopped at each stage, for tests only
	$(BUILD) -p pgbackup-runner --features failpoints
	$(call archive,$(PGBACKUP_FAILPOINTS_IMAGE),$(BUILT)/pgbackup-runner,$(OUT)/images/runner-failpoints.tar)

$(DENY):
	@echo "Compiling cargo-deny $(DENY_VERSION): about 4 minutes, once"
	CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	  cargo install --quiet --locked --no-default-features --version $(DENY_VERSION) --root $(CACHE)/tools/cargo-deny-$(DENY_VERSION) cargo-deny

$(FUZZ):
	@echo "Compiling cargo-fuzz $(FUZZ_VERSION): about 1 minute, once"
	cargo install --quiet --locked --version $(FUZZ_VERSION) --root $(CACHE)/tools/cargo-fuzz-$(FUZZ_VERSION) cargo-fuzz

# What compiling needs beside Rust and Go.
.PHONY: toolchain
toolchain:
	@tests/toolchain

##@ The cluster for tests and demo

.PHONY: cluster-up
cluster-up: ## Start it (root); the first time compiles Kubernetes, 5 to 8 minutes
	@$(CLUSTER) up

.PHONY: cluster-down
cluster-down: ## Stop it and remove everything it made; what was compiled stays
	@$(CLUSTER) down

##@ Clean up

.PHONY: clean
clean: ## Remove what was built in this checkout
	cargo clean
	rm -rf $(OUT)

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", "make " $$1, $$2 }' $(MAKEFILE_LIST)
