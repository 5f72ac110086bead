# Everything that is done with this repository. "make help" lists the targets.

GO      ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
BINARY  := packetwalk
FUZZTIME ?= 30s

.DEFAULT_GOAL := help
.PHONY: help build demo test difftest faults bench lint fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build ./packetwalk, one static file
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BINARY) ./cmd/packetwalk

demo: ## set up what is missing and watch a packet walk to a published port
	@.ci/needs demo
	@$(MAKE) --no-print-directory build
	./$(BINARY) run publish-port

test: ## set up what is missing and run every test, as root also as an ordinary user
	@.ci/needs test
	.ci/test

difftest: ## hold 300 random rulesets to the kernel's own trace, and kill tracers 50 times (some minutes)
	@.ci/needs test
	$(GO) test ./trace/difftest -count=1 -timeout 30m -full
	$(GO) test ./trace/nflog -count=1 -timeout 30m -run 'Guard|Clean' -full

faults: ## break 200 random labs, ask in every step of every scenario, and hold packetwalk why to the culprit (some minutes)
	@.ci/needs test
	$(GO) test ./trace/why/inquire -count=1 -timeout 30m -full -random 200

bench: ## run the benchmarks, those against a shell script and iptables-restore included
	@.ci/needs test
	$(GO) test -run '^$$' -bench . ./...

lint: ## gofmt, vet, staticcheck, go.mod, and the build for other systems
	.ci/lint

fuzz: ## fuzz every parser for FUZZTIME each (30s, or 2000x)
	.ci/fuzz $(FUZZTIME)

clean: ## remove what was built
	rm -f $(BINARY)
