# Targets for users and CI. demo and test need only Go.
GO   ?= go
TAGS ?=
export CGO_ENABLED = 0
flags = $(if $(TAGS),-tags $(TAGS))

.PHONY: help demo emoji test quick soak bare test-arm64 test-avx512 neon-mca cross fuzz builds presets precisions drafts speeds docs generate lint bench bench-peers check-onnx check-pictures clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 16

demo: emoji ## find images by text with the compiled demo model; the first build takes minutes (TAGS=noasm: plain Go)
	bin/emoji demo --html bin/demo.html

emoji: generated/emoji/weights.bin ## build bin/emoji
	@[ -e bin/emoji ] || echo "building bin/emoji: the first build compiles everything and downloads what go.mod names, which can take minutes"
	$(GO) build $(flags) -trimpath -o bin/emoji ./cmd/emoji

# Committed; rebuilt if a source is newer.
generated/emoji/weights.bin: generated/emoji/emoji.yaml $(filter-out %.go,$(wildcard generated/emoji/source/*))
	$(GO) generate ./generated/emoji && touch $@

suite = $(GO) run ./golden/suite
test: ## run the tests, and list those that did not run here (MULTIWAY_MUST_RUN=avx2,neon,...: fail instead)
	@$(suite) -timeout 30m $(flags) ./...

quick: ## run the fast tests, which take a minute, while editing
	@$(suite) -short -timeout 5m $(flags) ./...

soak: ## look for rare faults: kills at random moments, a full disk, load, the race detector
	@MULTIWAY_SOAK=1 $(suite) -count 1 -timeout 30m -run '^TestSoak' $$(grep -rl --include '*_test.go' '^func TestSoak' . | xargs dirname | sort -u)
	@if command -v $${CC:-gcc} >/dev/null; then \
	  MULTIWAY_SOAK=1 CGO_ENABLED=1 $(suite) -race -count 1 -timeout 30m -short -skip '^TestSoakKill' $(raced); \
	else echo "NOT RUN: the race detector needs a C compiler; on Debian: apt-get install gcc libc6-dev"; fi
raced = ./codegen/rt ./codegen/rt/exec ./codegen/rt/blob ./codegen/rt/task ./codegen/rt/index ./codegen/rt/engineproc ./codegen/rt/cli

bare: ## build from a clone and from a module that imports it, with empty caches of the go command, with and then without a network
	@MULTIWAY_MUST_RUN=bare $(suite) -count 1 -timeout 40m -run '^TestBare$$' ./cmd/multiway

test-arm64: ## run NEON code under emulation, the base model included; on Debian: apt-get install qemu-user-static binutils-aarch64-linux-gnu
	@for tool in qemu-aarch64-static aarch64-linux-gnu-objdump; do command -v $$tool >/dev/null || { \
	  echo "test-arm64 needs $$tool; on Debian: apt-get install qemu-user-static binutils-aarch64-linux-gnu"; exit 1; }; done
	@MULTIWAY_MUST_RUN=neon,as-arm64,base $(suite) -count 1 -timeout 60m ./asm/arm64 ./golden/emulated

test-avx512: ## run AVX-512 code under emulation; on Debian, the first time as root, for minutes
	@MULTIWAY_MUST_RUN=bochs $(suite) -count 1 -timeout 90m ./golden/emulated/bochs/...

neon-mca: ## estimate by llvm-mca how close NEON inner loops come to the limits of some CPUs; on Debian: apt-get install llvm-19
	$(GO) test ./asm/arm64 -run Throughput -update
	@cat asm/arm64/THROUGHPUT.md

targets = linux/amd64 linux/arm64 linux/386 linux/arm linux/s390x darwin/amd64 darwin/arm64 windows/amd64 windows/arm64 linux/riscv64 js/wasm
cross: ## build for every system and CPU that is supported
	@for t in $(targets); do echo "$$t"; \
	  GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -o /dev/null ./cmd/multiway && \
	  GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -o /dev/null ./cmd/emoji || exit 1; \
	done

fuzztime ?= 60s
# Before Go 1.27 the go command sometimes reports the end of fuzztime as a failure (https://go.dev/issue/75804). A real failure prints its failing input.
fuzz: ## fuzz every reader of outside bytes, fuzztime=60s each
	@log=$$(mktemp); trap 'rm -f $$log' EXIT; $(GO) list ./... | while read pkg; do \
	  for f in $$($(GO) test -tags nodynamic -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; \
	    { $(GO) test -tags nodynamic -run '^$$' -fuzz "^$$f$$" -fuzztime $(fuzztime) -fuzzminimizetime 1x $$pkg || echo failed; } 2>&1 | tee $$log; \
	    if grep -q '^failed$$' $$log && ! { grep -q '^ *context deadline exceeded$$' $$log && ! grep -q 'Failing input' $$log; }; then exit 1; fi; \
	  done; \
	done

presets ?= beit3-base-patch16-384-coco-retrieval,beit3-base-patch16-480-vqa,beit3-base-patch16-480-coco-captioning,beit3-large-patch16-384-coco-retrieval,clip-vit-base-patch32,clip-vit-base-patch32:int8,clip-vit-base-patch16,siglip-base-patch16-224
builds: ## build models of real size, and write README's table of time and memory (takes minutes and 10 GB of disk)
	$(GO) test ./cmd/multiway -count=1 -timeout 2h -run BuildReal -v -real $(presets) -table ../../README.md

photos ?= clip-vit-base-patch32,siglip-base-patch16-224,siglip2-base-patch32-256,chinese-clip-vit-base-patch16,beit3-base-patch16-480-coco-captioning
presets: ## time a photo, or captions, of models of real size, and write README's table of which file to get (minutes, 4 GB of memory; photos=NAME,NAME)
	$(GO) test ./cmd/multiway -count=1 -timeout 2h -run PresetTable -v -photos '$(photos)' -table ../../README.md

precisions: ## measure the demo model at every precision, and write README's table of precisions
	$(GO) test ./cmd/emoji -count=1 -timeout 2h -run PrecisionTable -v -table ../../README.md

drafts: ## measure what draft and thumbnails do to the demo model, and write README's table of them
	$(GO) test ./cmd/emoji -count=1 -run DraftTable -v -table ../../README.md

speeds: ## time matrix products in every format on the levels of this CPU, and write the table by which tune chooses formats
	$(GO) test ./codegen/compile -count=1 -timeout 2h -run SpeedsTable -v -speeds

docs: ## write README's tables of the keys of a description
	$(GO) test ./cmd/multiway -count=1 -run DescriptionTable -table ../../README.md

generate: ## regenerate every generated file
	$(GO) generate ./...

lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt'ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags noasm,nodynamic ./...
	GOARCH=386 $(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

count ?= 6
benchtime ?= 50ms
match ?= Kernels|Gemm|Attention|Model
bench: ## time kernels, attention and the demo's functions (match=Model, count=20); README says how to compare before and after a change
	@$(GO) test $(flags) ./golden -run '^$$' -bench '$(match)' -count $(count) -benchtime $(benchtime)

# Python is only needed to check results and to time other runtimes.
python = bin/venv/bin/python
bin/venv/bin/python:
	python3 -m venv bin/venv && bin/venv/bin/pip install -q numpy onnx onnxruntime || { rm -rf bin/venv; exit 1; }

# bench-peers needs Linux, Python 3.11 or later, 40 GB under bin, and a network the first time, to fill bin/peers. PyTorch is several
# GB; PIP_EXTRA_INDEX_URL can name its index of builds for CPUs. Its results depend on these versions, and name them.
bin/peers/bin/python:
	python3 -m venv bin/peers && bin/peers/bin/pip install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 nncf==3.4.0 \
	  torch==2.15.0 transformers==4.57.1 onnxscript==0.7.2 sentencepiece==0.2.1 pillow==13.0.0 || { rm -rf bin/peers; exit 1; }

peers ?= golden/reference/peers
race ?= --work bin/race
bench-peers: bin/peers/bin/python ## race ONNX Runtime and OpenVINO by turns, 1.5 hours on an idle machine, and write README's tables and picture (race=--help)
	$(GO) build -trimpath -o bin/multiway ./cmd/multiway
	bin/peers/bin/python golden/reference/bench_peers.py --multiway bin/multiway --out $(peers).json $(race)
	$(GO) run ./golden/peers $(peers) README.md

goldens ?= golden/testdata
check-onnx: $(python) ## check the exported models of the golden cases with ONNX Runtime (goldens=FOLDER)
	$(GO) build -trimpath -o bin/multiway ./cmd/multiway
	$(python) golden/reference/check_onnx.py --multiway bin/multiway $(dir $(wildcard $(goldens)/*/case.json))

pictures ?= --count 1000
bin/pillow/bin/python:
	python3 -m venv bin/pillow && bin/pillow/bin/pip install -q numpy 'pillow<13' || { rm -rf bin/pillow; exit 1; }

check-pictures: bin/pillow/bin/python ## compare the decoding of images of all kinds with Pillow (pictures="--count 1000 --seed 1")
	$(GO) build -trimpath -o bin/multiway ./cmd/multiway
	sed 's/alpha: white/alpha: drop/' generated/emoji/emoji.yaml > generated/emoji/.drop.yaml
	bin/multiway build --check off --binary bin/drop-emoji generated/emoji/.drop.yaml; status=$$?; rm generated/emoji/.drop.yaml; exit $$status
	bin/pillow/bin/python golden/reference/check_pictures.py --binary bin/drop-emoji $(pictures)

clean: ## remove what the other targets made
	rm -rf bin
