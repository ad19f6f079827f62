# make            build everything that bin/hopspan needs
# make test       unit, integration and end-to-end tests; the last line is "N passed, N failed"
# make check      format, lint, types, generated files
# make demo       two chained Envoys on loopback, watched; ends by itself
# make bench      what hopspan costs
# make containers the tour of docs/quickstart.md in a Docker engine of its own
# make kubernetes deploy/kubernetes by the API description of a Kubernetes release; needs Go
# make fuzz       broken HTTP streams through a real relay: CASES of each kind, 100000 where not given
# make pack       the npm package
# make generate   write src/records.gen.ts anew, after a change in bpf/
# make clean      remove what was built
#
# Compiler and libbpf come from the distribution (scripts/install-deps.sh), Node 24 and all else from npm.

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: build test check demo bench containers kubernetes fuzz pack generate clean tools backends

# bpftool lies there on Debian, where only root looks for it.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

# Patterns for the shell, since npm brings these files while make runs.
NODE = node_modules/node-linux-*/bin/node
TSC = $(NODE) node_modules/typescript/bin/tsc
BIOME = $(NODE) node_modules/@biomejs/biome/bin/biome

MODULES = node_modules/.package-lock.json
OBJECT = dist/bpf/hopspan.bpf.o
MAIN = dist/src/cli/main.js
SOURCES := $(shell find src -name '*.ts')
TESTS = 'test/unit/**/*.test.ts' 'test/replay/**/*.test.ts' 'test/integration/**/*.test.ts' 'test/e2e/**/*.test.ts'

# Debian's clang looks for <asm/types.h> in the folder of the target, which BPF is not.
BPF_CFLAGS = -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Wpadded -Werror -I/usr/include/$(shell uname -m)-linux-gnu

build: $(MODULES) $(OBJECT) $(MAIN)

tools:
	@scripts/install-deps.sh build

$(MODULES): package-lock.json | tools
	npm ci --no-progress
	@touch $@

$(OBJECT): $(wildcard bpf/*.c bpf/*.h) | tools
	@mkdir -p $(@D)
	clang $(BPF_CFLAGS) -c bpf/hopspan.bpf.c -o $@
	llvm-strip -g $@

$(MAIN): $(SOURCES) tsconfig.json tsconfig.build.json $(MODULES)
	$(TSC) -p tsconfig.build.json
	@touch $@

# Envoy, Jaeger and the Collector are fetched first, so that no test's time limit pays for it; status 4: cannot be
# had here, and the test that needs it says so.
backends: build
	@scripts/install-deps.sh test
	@scripts/get-envoy.sh >/dev/null
	@scripts/get-jaeger.sh >/dev/null || [ $$? = 4 ]
	@scripts/get-otelcol.sh >/dev/null || [ $$? = 4 ]

test: backends
	@$(NODE) scripts/test.ts $(TESTS)

containers: backends
	@scripts/get-docker.sh >/dev/null
	@$(NODE) scripts/test.ts --file-timeout 1800 test/containers/quickstart.test.ts

kubernetes: build
	@NODE="$$(echo $(NODE))" scripts/check-kubernetes.sh

check: build
	@scripts/install-deps.sh test
	$(BIOME) check
	$(TSC) --noEmit -p .
	$(NODE) scripts/gen-records.ts $(OBJECT) | $(BIOME) format --stdin-file-path=src/records.gen.ts | diff src/records.gen.ts -

demo: build
	@scripts/install-deps.sh test
	@scripts/get-envoy.sh >/dev/null
	@$(NODE) demo/run.ts

bench: build
	@scripts/install-deps.sh test
	@scripts/get-envoy.sh >/dev/null
	@$(NODE) test/bench/main.ts

fuzz: build
	@scripts/install-deps.sh test
	@scripts/get-envoy.sh >/dev/null
	@HOPSPAN_HOSTILE_CASES=$(or $(CASES),100000) $(NODE) scripts/test.ts --file-timeout 36000 \
		'test/integration/*-hostile.test.ts'

# From nothing, so that no file of an earlier build gets in.
pack: clean
	@$(MAKE) --no-print-directory build
	npm pack

generate: $(OBJECT) $(MODULES)
	$(NODE) scripts/gen-records.ts $(OBJECT) >dist/records.gen.ts
	$(BIOME) format --stdin-file-path=src/records.gen.ts <dist/records.gen.ts >src/records.gen.ts

clean:
	rm -rf dist hopspan-*.tgz
