# Targets for people and CI. Only Go is needed for demo and test.
GO   ?= go
TAGS ?=
export CGO_ENABLED = 0
flags = $(if $(TAGS),-tags $(TAGS))

.PHONY: help demo emoji test fuzz builds generate fresh lint clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 16

demo: emoji ## find pictures by words with the compiled demo model (TAGS=noasm: plain Go)
	bin/emoji demo --html bin/demo.html

emoji: generated/emoji/weights.bin ## build bin/emoji
	$(GO) build $(flags) -trimpath -o bin/emoji ./cmd/emoji

# Committed; made again if what it is made of is newer.
generated/emoji/weights.bin: generated/emoji/emoji.yaml $(filter-out %.go,$(wildcard generated/emoji/source/*))
	$(GO) generate ./generated/emoji && touch $@

test: ## run every test
	$(GO) test $(flags) ./...

fuzztime ?= 60s
fuzz: ## fuzz every reader of outside bytes, fuzztime=60s each
	@$(GO) list ./... | while read pkg; do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(fuzztime) -fuzzminimizetime 1x $$pkg || exit 1; \
	  done; \
	done

presets ?= beit3-base-patch16-384-coco-retrieval,beit3-base-patch16-480-vqa,beit3-base-patch16-480-coco-captioning,beit3-large-patch16-384-coco-retrieval
builds: ## build models of real size, and write README's table of time and memory (takes minutes and 10 GB of disk)
	$(GO) test ./cmd/multiway -count=1 -timeout 2h -run BuildReal -v -real $(presets) -table ../../README.md

generate: ## make every generated file again
	$(GO) generate ./...

lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt'ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags noasm ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

clean: ## remove what the other targets made
	rm -rf bin
