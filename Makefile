# All commands for developers and CI. `make` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Two concurrent builds would compete for the same two cores and the same target directory.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
CACHE   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pgbackup
CLUSTER := tests/cluster/cluster
OUT     := out

# The images of a release, with the names that the chart expects.
OPERATOR_IMAGE := localhost/pgbackup-operator:$(VERSION)
RUNNER_IMAGE   := localhost/pgbackup-runner:$(VERSION)

# The images for demo and tests: the same code from the build of the unit tests, with overflow checks and failpoints.
export PGBACKUP_OPERATOR_IMAGE ?= $(OPERATOR_IMAGE)-debug
export PGBACKUP_RUNNER_IMAGE   ?= $(RUNNER_IMAGE)-debug

# The image of the operator whose clock tests can set.
CHAOS_IMAGE := $(OPERATOR_IMAGE)-chaos

# Tools that Debian does not package are compiled once, outside the checkout.
DENY_VERSION := 0.20.2
DENY         := $(CACHE)/tools/cargo-deny-$(DENY_VERSION)/bin/cargo-deny
FUZZ_VERSION := 0.13.1
FUZZ         := $(CACHE)/tools/cargo-fuzz-$(FUZZ_VERSION)/bin/cargo-fuzz
FUZZ_SECONDS ?= 60

# Use another cluster only if KUBECONFIG is set on make's own command line, never because the variable is exported.
unexport KUBECONFIG
ifeq ($(origin KUBECONFIG),command line)
export PGBACKUP_KUBECONFIG := $(abspath $(KUBECONFIG))
endif

CRATES := $(notdir $(wildcard crates/*))

# One set of features for all crates, so that dependencies are compiled once: every cargo command names the workspace.
# .cargo/config.toml links all programs statically, so that images can use the same build.
WORKSPACE := --locked --workspace
# The tests that `cargo test` omits by default: those that need a cluster, and that of the page in a browser.
ALL_TESTS := --features pgbackup-tests/cluster,pgbackup-operator/browser

TRIPLE := $(shell uname -m)-unknown-linux-gnu
DEBUG  := target/$(TRIPLE)/debug
BUILT  := target/$(TRIPLE)/release

##@ Try it

.PHONY: demo
demo: ## Start Kubernetes and PostgreSQL on this machine and take a verified backup (root; KUBECONFIG=file: on that cluster)
	@examples/demo/demo up

.PHONY: demo-down
demo-down: ## Remove the demo and its cluster
	@examples/demo/demo down

##@ Test it

.PHONY: test
test: ## Run everything, as CI does (root)
	@tests/all

.PHONY: check
check: fmt lint boundaries fresh ## Check format, lints, dependencies and generated files

.PHONY: unit
unit: toolchain ## Run the unit, property and golden tests: the inner loop
	cargo test $(WORKSPACE) --lib --bins --tests
	go -C tests/cluster/oci test ./...
	go -C tests/kstatus test ./...
	PGBACKUP_PLUGIN=$(CURDIR)/$(DEBUG)/kubectl-pgbackup go -C tests/cron test ./...
	tests/alerts/run
	tests/page/run

.PHONY: e2e
e2e: test-images ## Run the end-to-end tests on a real Kubernetes (root); TEST=word: only tests whose name has the word
	@tests/with-cluster tests/end-to-end $(TEST)

.PHONY: demo-test
demo-test: test-images ## Run the demo to its end and remove it (root; a minute)
	@status=0; examples/demo/demo up || status=$$?; examples/demo/demo down; exit $$status

.PHONY: chaos
chaos: test-images ## Run 200 policies through killed servers, lost objects and wrong clocks (root; CHAOS_SECONDS, CHAOS_SEED)
	RUSTFLAGS='' cargo build $(WORKSPACE) --bin pgbackup-operator --target-dir target/dynamic
	@tests/chaos/image $(CHAOS_IMAGE) target/dynamic/$(TRIPLE)/debug/pgbackup-operator $(TEST_IMAGES)/operator-chaos.tar
	@trap 'rm -f $(TEST_IMAGES)/operator-chaos.tar' EXIT; \
	PGBACKUP_OPERATOR_IMAGE=$(CHAOS_IMAGE) CLUSTER_NAME=chaos CLUSTER_NET=198.20 tests/with-cluster cargo test $(WORKSPACE) $(ALL_TESTS) --test chaos -- --nocapture

.PHONY: fuzz
fuzz: toolchain $(FUZZ) ## Search for bytes that break a parser (20 minutes; FUZZ_SECONDS for each)
	@fuzz/run $(FUZZ) $(FUZZ_SECONDS)

.PHONY: bench
bench: images ## Measure against what people run today (root; 25 minutes; BENCH_GB, BENCH_ROUNDS), into docs/benchmarks.md
	@RUNNER=$(BUILT)/pgbackup-runner bench/run

.PHONY: bench-scale
bench-scale: images ## Measure the operator with 1,000 and 10,000 policies (root; 15 minutes; SCALE_*), into docs/benchmarks.md
	$(RELEASE) -p pgbackup-bench-scale
	@PGBACKUP_RUNNER_IMAGE=$(RUNNER_IMAGE) CLUSTER_NAME=scale CLUSTER_NET=198.21 BUILT=$(BUILT) IMAGES=$(OUT)/images bench/scale/run

.PHONY: fmt
fmt: toolchain ## Check the format of the code
	cargo fmt --all --check

.PHONY: lint
lint: toolchain ## Run Clippy on everything; warnings are errors
	cargo clippy $(WORKSPACE) --all-targets $(ALL_TESTS) -- -D warnings

# A workspace build unifies features, so a crate can accidentally depend on features that only another crate enables.
.PHONY: boundaries
boundaries: toolchain $(DENY) ## Check bans, licences and sources; compile each crate alone
	cargo fetch --locked --quiet
	$(DENY) --offline --locked --all-features --log-level error check bans licenses sources
	for crate in $(CRATES); do cargo check --locked --quiet -p pgbackup-$$crate; done

.PHONY: fresh
fresh: toolchain ## Check that generated files, examples and documents match the code
	cargo test $(WORKSPACE) --test repo

.PHONY: generate
generate: ## Write the generated files
	UPDATE_GENERATED=1 cargo test $(WORKSPACE) --test repo

##@ Build it

RELEASE := cargo build --locked --release

# $(call archive,NAME,BINARY,ARCHIVE): builds an image that contains only one static program.
define archive
@readelf --program-headers --dynamic $(2) | { ! grep -E 'INTERP|NEEDED'; } || { echo "$(2) is not static" >&2; exit 1; }
@mkdir -p $(dir $(3)); work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
  objcopy --strip-debug $(2) "$$work/$(notdir $(2))"; layer="$$work/layer.tar"; \
  tar --create --file "$$layer" --directory "$$work" --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=0755 $(notdir $(2)); \
  tests/cluster/oci-image --name $(1) --out $(3) --user 65532:65532 --entrypoint /$(notdir $(2)) "$$layer"
@echo "$(3): $(1), $$(numfmt --to=iec-i --suffix=B $$(stat --format=%s $(3)))"
endef

.PHONY: images
images: toolchain ## Build the images that ship, as OCI archives in out/images
	$(RELEASE) -p pgbackup-operator -p pgbackup-runner
	@! grep --quiet PGBACKUP_FAILPOINT $(BUILT)/pgbackup-runner || { echo "the runner has failpoints in it" >&2; exit 1; }
	$(call archive,$(OPERATOR_IMAGE),$(BUILT)/pgbackup-operator,$(OUT)/images/operator.tar)
	$(call archive,$(RUNNER_IMAGE),$(BUILT)/pgbackup-runner,$(OUT)/images/runner.tar)

TEST_IMAGES := $(OUT)/test-images

.PHONY: test-images
test-images: toolchain ## Build the images of demo and tests, as OCI archives in out/test-images
	cargo build $(WORKSPACE) --bin pgbackup-operator --bin pgbackup-runner
	$(call archive,$(PGBACKUP_OPERATOR_IMAGE),$(DEBUG)/pgbackup-operator,$(TEST_IMAGES)/operator.tar)
	$(call archive,$(PGBACKUP_RUNNER_IMAGE),$(DEBUG)/pgbackup-runner,$(TEST_IMAGES)/runner.tar)

.PHONY: plugin
plugin: toolchain ## Build the kubectl plugin, as out/kubectl-pgbackup
	$(RELEASE) -p pgbackup-kubectl
	@install -D -m 755 $(BUILT)/kubectl-pgbackup $(OUT)/kubectl-pgbackup && echo "$(OUT)/kubectl-pgbackup: put it on your PATH"

$(DENY):
	@echo "Compiling cargo-deny $(DENY_VERSION): about 2 minutes, once"
	CARGO_PROFILE_DEV_DEBUG=false cargo install --quiet --debug --locked --no-default-features --version $(DENY_VERSION) \
	  --root $(CACHE)/tools/cargo-deny-$(DENY_VERSION) cargo-deny

$(FUZZ):
	@echo "Compiling cargo-fuzz $(FUZZ_VERSION): about 1 minute, once"
	cargo install --quiet --locked --version $(FUZZ_VERSION) --root $(CACHE)/tools/cargo-fuzz-$(FUZZ_VERSION) cargo-fuzz

# Installs the packages that compiling needs besides Rust and Go.
.PHONY: toolchain
toolchain:
	@tests/toolchain

##@ The cluster for tests and demo

.PHONY: cluster-up
cluster-up: ## Start the cluster (root); the first time compiles Kubernetes, 5 to 8 minutes
	@$(CLUSTER) up

.PHONY: cluster-down
cluster-down: ## Stop the cluster and remove what it made; compiled programs stay
	@$(CLUSTER) down

##@ Clean up

.PHONY: clean
clean: ## Remove what was built in this checkout
	cargo clean
	rm -rf $(OUT)

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", "make " $$1, $$2 }' $(MAKEFILE_LIST)
