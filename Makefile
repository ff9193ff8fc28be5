# The ways into the house. `make` alone lists them.
#
# One feature set for everything that is tested: a second one would compile the whole tree again.

CARGO ?= cargo
CARGO_FLAGS ?= --locked
FEATURES := --features ykt/pcsc,ykt-capi/pcsc
# Arguments of the demo, for instance: make demo ARGS="--cards 200 --seed 7"
ARGS ?=
# Seconds for each fuzz target.
FUZZ_S ?= 60

.DEFAULT_GOAL := help
.PHONY: help demo test power-cuts card-size bench fuzz lint fmt setup clean-room

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build and let a city live a day; ends with the proof of the books (needs Rust and a C compiler)
	@scripts/need rust cc
	@$(CARGO) run $(CARGO_FLAGS) --release -p ykt -- demo $(ARGS)

test: setup ## install what the tests need (Debian, Ubuntu), then run the whole suite
	$(CARGO) test $(CARGO_FLAGS) --workspace $(FEATURES) --no-fail-fast
	@$(MAKE) --no-print-directory power-cuts card-size

power-cuts: ## cut the power at every memory write of cards and terminals, and print the counts
	$(CARGO) test $(CARGO_FLAGS) --quiet --workspace $(FEATURES) --test it -- --nocapture power_cut:: cut_at_every_memory_write

card-size: ## print what a card needs: its memory image, working memory, no heap
	@$(CARGO) bench $(CARGO_FLAGS) --quiet -p ykt-card --bench size

bench: setup ## measure purchases, APDUs, postings and clearing records per second
	$(CARGO) bench $(CARGO_FLAGS) --quiet --workspace $(FEATURES) --bench '*'

fuzz: ## search for inputs that wrong an oracle, 60 s for each target (installs cargo-fuzz; FUZZ_S=600 for longer)
	@scripts/fuzz $(FUZZ_S)

lint: ## format check, clippy with warnings denied, licences when cargo-deny is there
	@scripts/need rust cc
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(CARGO_FLAGS) --workspace --all-targets $(FEATURES) -- --deny warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check bans licenses sources; \
	else echo "cargo-deny is not installed: licences were not checked"; fi

fmt: ## format every crate
	$(CARGO) fmt --all

setup: ## install the foreign programs the tests talk to; does nothing when they are there
	@scripts/setup

clean-room: ## clone HEAD to a new place, run the demo twice, compare the bytes
	@scripts/clean-room
