# make demo: a first review.  make test: all tests.  make bench: the figures of docs/benchmarks.md.

CARGO ?= cargo
WORLD ?= fixtures/shop
# what `make release` builds, and what it is built of
GUIDED := target/guided/watertight
SOURCES := Cargo.toml Cargo.lock .ci/guided benches/train.rs $(shell find src -name '*.rs')
BUILT := $(or $(CARGO_TARGET_DIR),target)/release/watertight

# minutes of processor time that fuzzing takes, and folders of captures whose packets it begins with
MINUTES ?= 75
CAPTURES ?=

.PHONY: help demo test release fuzz bench bench-capture bench-cluster bench-live install

help:
	@echo "make demo   build, review a bundled world, draw its graph into target/demo"
	@echo "make test   install what the tests need, run them all"
	@echo "make release   the fastest build, guided by what it is asked most, into $(GUIDED): two builds of some five minutes"
	@echo "make fuzz   every detector, container, link type and tunnel for its share of MINUTES=75 of processor time"
	@echo "make bench  measure, and write docs/benchmarks.md"
	@echo "make bench-cluster   the same for live clusters alone, against a real API server"
	@echo "make bench-live   packets lost under a live load, of ours, tcpdump and dumpcap (needs root)"
	@echo "make bench-capture   the same for captures alone, against the peers that are installed"

install:
	@.ci/install

demo:
	@.ci/install build
	$(CARGO) build --release
	@mkdir -p target/demo
	$(BUILT) check $(WORLD)/manifests --capture $(WORLD)/capture.pcap --fail-on never --report html=target/demo/report.html
	$(BUILT) suggest $(WORLD)/manifests --capture $(WORLD)/capture.pcap -o target/demo/observed.yaml
	$(BUILT) graph $(WORLD)/manifests --capture $(WORLD)/capture.pcap --what overlay -f dot -o target/demo/overlay.dot
	@if command -v dot >/dev/null; then dot -Tsvg target/demo/overlay.dot -o target/demo/overlay.svg; \
	  echo "drawn: target/demo/overlay.svg"; else echo "written: target/demo/overlay.dot (install Graphviz to draw it)"; fi
	@echo "written: target/demo/report.html, and target/demo/observed.yaml with policies for what was seen"

test: install
	@.ci/apiserver >/dev/null
	$(CARGO) test --quiet --no-run
	$(CARGO) test

release: $(GUIDED)

$(GUIDED): $(SOURCES)
	@.ci/install build
	@.ci/guided

fuzz:
	CAPTURES="$(CAPTURES)" fuzz/run $(MINUTES)

bench: install bench-capture bench-cluster
	$(CARGO) bench --bench policy
	$(CARGO) bench --bench watch

bench-cluster: install
	@.ci/apiserver >/dev/null
	$(CARGO) bench --bench cluster

# Peers: tcpdump, wireshark-common, tshark, softflowd, nfdump, argus-server, libndpi-bin, suricata.
# The build of `make release` is measured too, where it is of these sources.
bench-capture: install
	WATERTIGHT_BENCH_RELEASE=$$($(MAKE) -q --no-print-directory $(GUIDED) && echo $(abspath $(GUIDED))) $(CARGO) bench --bench capture
	$(CARGO) bench --bench live

bench-live: install
	$(CARGO) bench --bench live
