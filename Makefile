.DEFAULT_GOAL := help
GOLANGCI_VERSION := v2.15.0
GOLANGCI := .bin/golangci-lint-$(GOLANGCI_VERSION)
GOVULNCHECK_VERSION := v1.9.0
GOVULNCHECK := .bin/govulncheck-$(GOVULNCHECK_VERSION)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## run the server on an embedded vCenter simulator
	go run ./cmd/vspherepool serve --simulator

.PHONY: build
build: ## build the program into ./vspherepool
	go build -trimpath -o vspherepool ./cmd/vspherepool

.PHONY: test
test: ## run all tests, with the race detector, in random order, then the crash test and some chaos
	go test -race -shuffle=on -timeout 14m ./...
	$(MAKE) crash
	$(MAKE) chaos RUNS=24 SEED=1

.PHONY: crash
crash: ## kill the program at every step it records and every change it makes
	VSPHEREPOOL_CRASH=all go test -run '^TestCrash$$' -count=1 -timeout 10m ./cmd/vspherepool

RUNS ?= 100
SEED ?=

.PHONY: chaos
chaos: ## play RUNS random histories of calls, changes, faults and crashes from SEED on, in virtual time
	cd api/chaos && go test -run '^TestChaos$$' -count=1 -timeout 0 -runs=$(RUNS) -seed=$(SEED)

.PHONY: soak
soak: ## load and trouble for an hour, or SOAK=5m: nothing may grow
	SOAK=$(or $(SOAK),1h) go test -run '^TestSoak$$' -count=1 -v -timeout 0 ./benchmarks/soak

BENCH ?=

.PHONY: bench
bench: ## measure speed against its goals, in about ten minutes; or some of it, as in BENCH="Reads Converge"
	@mkdir -p .bench
	go run ./benchmarks/report -json .bench/last.json -raw .bench/last.txt $(BENCH)

.PHONY: bench-accept
bench-accept: ## make the result of the last make bench the one to compare with
	go run ./benchmarks/report -accept -json .bench/last.json

URL ?= https://127.0.0.1:8443
LOADTEST ?= -insecure

.PHONY: loadtest
loadtest: ## read from the adapter at URL as fast as it answers, and draw a plot; or as LOADTEST="-insecure -rate 500" says
	@mkdir -p .bench
	go run ./benchmarks/loadtest -plot .bench/loadtest.html $(LOADTEST) $(URL)

.PHONY: generate
generate: ## rewrite the generated files
	go generate ./...

.PHONY: fmt
fmt: $(GOLANGCI) ## format the code
	$(GOLANGCI) fmt ./...

.PHONY: lint
lint: $(GOLANGCI) ## check the format, vet and lint
	$(GOLANGCI) fmt --diff ./...
	go vet ./...
	$(GOLANGCI) run ./...

.PHONY: check
check: lint test ## all that CI checks; the tests fail on generated files that are out of date

FUZZTIME ?= 30s

.PHONY: fuzz
fuzz: ## run every fuzz test for FUZZTIME (30s), one after another
	@set -e; for package in $$(go list ./...); do \
		for test in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$test"; \
			go test -run '^$$' -fuzz "^$$test\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

.PHONY: vuln
vuln: $(GOVULNCHECK) ## look up the known vulnerabilities that the program can reach; needs a network
	$(GOVULNCHECK) ./...

.PHONY: clean
clean: ## remove what was built
	rm -rf .bench .bin vspherepool

$(GOLANGCI):
	GOBIN=$(CURDIR)/.bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .bin/golangci-lint $@

$(GOVULNCHECK):
	GOBIN=$(CURDIR)/.bin go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	mv .bin/govulncheck $@
