# The first target is what a newcomer needs: `make run` ends in a server that answers on port 8080.

PORT    ?= 8080
MODEL   ?= testdata/models/iris
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 10s
IMAGE   ?= clary

export CGO_ENABLED = 1
# go-nvml calls functions that NVIDIA has deprecated; two hundred lines would say so.
export CGO_CFLAGS ?= -O2 -g -Wno-deprecated-declarations

library := $(CURDIR)/bin/$(if $(filter Darwin,$(shell uname -s)),libonnxruntime.1.dylib,libonnxruntime.so.1)
ldflags := -s -w -X github.com/claryhq/clary.Version=$(VERSION)

.PHONY: run build lib tools oracle s3server test lint bench fuzz soak models image image-test image-gpu-test docs clean help

run: build ## serve MODEL (testdata/models/iris) on PORT (8080)
ifeq ($(MODEL),testdata/models/iris)
	@echo "Once it is ready, try:  curl -s localhost:$(PORT)/invocations -H 'Content-Type: text/csv' -d '5.1,3.5,1.4,0.2'"
else
	@bin/serve inspect "$(MODEL)" | sed -n '/\/invocations/ {s/:8080/:$(PORT)/; s/^/Once it is ready, try:  /p; q}'
endif
	@SAGEMAKER_BIND_TO_PORT=$(PORT) exec bin/serve "$(MODEL)"

build: lib ## bin/serve, with ONNX Runtime beside it
	go build -trimpath -ldflags '$(ldflags)' -o bin/serve ./cmd/serve

lib: tools ## ONNX Runtime's library in bin/, from ORT_DYLIB_PATH, pip or npm
	@scripts/onnxruntime.sh

tools:
	@command -v go >/dev/null || { echo "Clary needs Go, $$(sed -n 's/^go //p' go.mod) or newer: see go.dev/doc/install" >&2; exit 1; }
	@cc=$$(go env CC); command -v $${cc%% *} >/dev/null || { echo "Clary needs a C compiler ($$cc): on Debian or Ubuntu, apt-get install gcc libc6-dev" >&2; exit 1; }

oracle: ## Python's reference libraries in .cache/oracle, which the tests of the formats compare with
	@scripts/oracle/venv.sh

s3server: ## the S3 server that the tests talk to, in .cache/versitygw
	@scripts/s3server.sh

test: lib oracle s3server ## every test, race detector on
	ORT_DYLIB_PATH=$(library) go test -race -timeout 10m ./...

lint: tools ## gofmt, go vet, staticcheck, shell and Python syntax
	scripts/lint.sh

bench: build ## benchmarks
	status=0; ORT_DYLIB_PATH=$(library) go run ./bench || status=$$?; cd bench/codec && go run . && exit $$status

fuzz: lib ## every fuzz test, FUZZTIME (10s) each
	ORT_DYLIB_PATH=$(library) scripts/fuzz.sh $(FUZZTIME)

soak: lib oracle s3server ## the tests with their long counts: takes long
	ORT_DYLIB_PATH=$(library) CLARY_SOAK=1 go test -count=1 -timeout 2h ./...

models: ## train and write testdata/models/ anew
	scripts/models/make.sh

image: ## docker build, tagged IMAGE (clary)
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

image-test: ## build the image and drive it as SageMaker does
	scripts/image-test.sh

image-gpu-test: ## build the image for GPUs and drive it where there is none
	scripts/image-gpu-test.sh

docs: build ## write docs/settings.md from the table of settings
	bin/serve settings > docs/settings.md

clean: ## remove what was built; fetched files stay in .cache/
	rm -rf bin dist

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12
