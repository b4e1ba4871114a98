# thinkd: one short Makefile. `make help` lists what it does.
#
#   make                   build/thinkd
#   make run               install what is missing, build, serve the bundled model on 127.0.0.1:8080
#   make test              build and pass every test
#   make SAN=address,undefined test, make SAN=thread test
#   make fuzz, make prove, make model, make layers, make tidy, make format, make coverage, make bench
#   make bench-engine, make bench-api, make bench-hostile, make anchor, make contract
#
# V=1 shows the commands. DIRS="base json" limits the library and its unit tests to some folders.

CC      ?= cc
AR      ?= ar
SAN     ?=
WERROR  ?=
DIRS    ?= base json config http fetch store media kernel text grammar model engine reason access job api exam cli
V       ?=
BUILD   ?= build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))
comma   := ,
Q       := $(if $(V),,@)

WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes $(if $(WERROR),-Werror)
LIBS    := libmicrohttpd jansson libcurl libcrypto sqlite3 libpcre2-8 libutf8proc yaml-0.1
OPT     ?= $(if $(SAN),-O1 -fno-omit-frame-pointer,-O2)
SANFLAG := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
CFLAGS  ?= -g
# Before scripts/setup has run there may be no pkg-config; the targets that need it run make again behind it.
ALL_CFLAGS := -std=c17 -D_GNU_SOURCE -Isrc $(WARN) $(OPT) $(CFLAGS) $(SANFLAG) -pthread -ffp-contract=off -MMD -MP \
              $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
ALL_LDFLAGS := $(LDFLAGS) $(SANFLAG) -pthread
ALL_LIBS   := $(shell pkg-config --libs $(LIBS) 2>/dev/null) -lwslay -lm

VERSION := $(shell cat VERSION)
SRC     := $(filter-out src/cli/main.c,$(wildcard $(DIRS:%=src/%/*.c)))
OBJ     := $(SRC:%.c=$(BUILD)/%.o) $(if $(filter model,$(DIRS)),$(BUILD)/src/model/bundled.o) \
           $(if $(filter store,$(DIRS)),$(BUILD)/src/store/schema.o)
TESTS   := $(wildcard $(DIRS:%=tests/unit/%/*.c))
BENCHES := $(patsubst bench/%.c,%,$(wildcard bench/*.c))
ANCHORS := $(patsubst tests/anchor/%.c,%,$(wildcard tests/anchor/thinkd_*.c))
FUZZ    := $(patsubst fuzz/%.c,%,$(wildcard fuzz/*.c))

# One job a CPU, unless the caller says how many.
ifeq (0,$(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)))
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 1)
endif

all: $(BUILD)/thinkd

$(BUILD)/thinkd: $(BUILD)/src/cli/main.o $(BUILD)/libthinkd.a
	@echo "link  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(BUILD)/libthinkd.a $(ALL_LIBS)

$(BUILD)/libthinkd.a: $(OBJ)
	@rm -f $@
	@echo "ar    $@"
	$(Q)$(AR) rcs $@ $(OBJ)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "cc    $<"
	$(Q)$(CC) $(ALL_CFLAGS) $(ISA) $(FLAGS_$(notdir $*)) -c -o $@ $<

# One file per instruction set, each with its own flags; on other machines they compile to nothing.
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
ifneq (,$(findstring x86_64,$(MACHINE)))
AVX2    := -mavx2 -mfma -mf16c
AVX512  := $(AVX2) -mavx512f -mavx512bw -mavx512dq -mavx512vl
$(BUILD)/src/kernel/%avx2.o:    ISA := $(AVX2)
$(BUILD)/src/kernel/%avxvnni.o: ISA := $(AVX2) -mavxvnni
$(BUILD)/src/kernel/%avx512.o:  ISA := $(AVX512)
$(BUILD)/src/kernel/%vnni512.o: ISA := $(AVX512) -mavx512vnni -mavx512vbmi
$(BUILD)/src/kernel/%amx.o:     ISA := $(AVX512) -mavx512vnni -mavx512vbmi -mamx-tile -mamx-int8
endif
ifneq (,$(findstring aarch64,$(MACHINE)))
$(BUILD)/src/kernel/%dotprod.o: ISA := -march=armv8.2-a+dotprod+fp16
$(BUILD)/src/kernel/%i8mm.o:    ISA := -march=armv8.2-a+dotprod+fp16+i8mm
endif
# Tiles unrolled a dozen times: UBSan's checks of every access would take a minute to compile. ASan and TSan stay.
$(BUILD)/src/kernel/packed_%.o: ALL_CFLAGS += $(if $(findstring undefined,$(SAN)),-fno-sanitize=undefined)
$(BUILD)/src/cli/version.o: FLAGS_version := -DTHINKD_VERSION='"$(VERSION)"'
$(BUILD)/src/api/openapi.o: FLAGS_openapi := -DTHINKD_VERSION='"$(VERSION)"'
$(BUILD)/src/cli/version.o $(BUILD)/src/api/openapi.o: VERSION

$(BUILD)/src/model/bundled.o: src/model/bundled.S models/thinkd-first.gguf
	@mkdir -p $(@D)
	@echo "cc    $<"
	$(Q)$(CC) $(CFLAGS) -DBUNDLED_MODEL='"models/thinkd-first.gguf"' -c -o $@ $<

$(BUILD)/src/store/schema.o: src/store/schema.S $(wildcard src/store/schema/*.sql)
	@mkdir -p $(@D)
	@echo "cc    $<"
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

# --- tests ---------------------------------------------------------------------------------------

$(BUILD)/unit-tests: $(TESTS:%.c=$(BUILD)/%.o) $(BUILD)/tests/unit/main.o $(BUILD)/libthinkd.a
	@echo "link  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libthinkd.a $(ALL_LIBS) $(shell pkg-config --libs cmocka)
$(BUILD)/tests/%.o: ALL_CFLAGS += -Itests/unit

# The same program, but that a document loses the field that a file names: what the contract of the fields runs against.
$(BUILD)/tests/api/thinkd: $(BUILD)/src/cli/main.o $(BUILD)/tests/api/drop.o $(BUILD)/libthinkd.a
	@echo "link  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--wrap=json_read -o $@ $(filter %.o,$^) $(BUILD)/libthinkd.a $(ALL_LIBS)

test-unit: $(BUILD)/unit-tests
	$(BUILD)/unit-tests

# A fuzz target and its corpus, replayed by an ordinary main; `make fuzz` links the same file with libFuzzer.
$(BUILD)/replay/%: $(BUILD)/fuzz/%.o $(BUILD)/tests/replay.o $(BUILD)/libthinkd.a
	@mkdir -p $(@D)
	@echo "link  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libthinkd.a $(ALL_LIBS)
replays: $(FUZZ:%=$(BUILD)/replay/%)

# Random texts of schemas, for tests/e2e/schemas.
$(BUILD)/schema-walk: $(BUILD)/tests/e2e/schemas/walk.o $(BUILD)/tests/unit/grammar/reference.o $(BUILD)/libthinkd.a
	@echo "link  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libthinkd.a $(ALL_LIBS) $(shell pkg-config --libs cmocka)

test:
	@scripts/setup --test
	@$(MAKE) --no-print-directory -s tests-only
tests-only: $(BUILD)/thinkd $(BUILD)/tests/api/thinkd $(BUILD)/unit-tests $(BUILD)/schema-walk $(BUILD)/corpus replays
	@BUILD=$(BUILD) SAN=$(SAN) scripts/test

setup:
	@scripts/setup
run: setup
	@$(MAKE) --no-print-directory -s all
	@exec $(BUILD)/thinkd serve

# --- more ----------------------------------------------------------------------------------------

fuzz:
	@BUILD=$(BUILD) scripts/fuzz $(FUZZ)
layers:
	@scripts/layers
# What takes longer than a test may: a thousand requests under the sanitizers, three thousand that must leave memory flat,
# 200 kills, texts and answers of ten thousand random schemas held against ajv, then the other platforms.
prove:
	@$(MAKE) --no-print-directory SAN=address,undefined soak
	@$(MAKE) --no-print-directory flat kills schemas
	@scripts/prove-platforms
contract: $(BUILD)/tests/api/thinkd
	@BUILD=$(BUILD) scripts/test contract
soak: $(BUILD)/thinkd
	@scripts/soak $(BUILD)/thinkd
flat: $(BUILD)/thinkd
	@scripts/soak --requests 3000 --growth-max 4096 $(BUILD)/thinkd -- --engine echo
kills: $(BUILD)/thinkd
	@tests/crash/run $(BUILD)/thinkd 200
schemas: $(BUILD)/schema-walk
	@BUILD=$(abspath $(BUILD)) tests/e2e/run schemas 10000
bench: $(BUILD)/thinkd
	@bench/startup $(BUILD)/thinkd
# ARGS="--only branches-512 --pairs 7" and more: bench/engine --help. Beside llama.cpp where scripts/anchor has put it.
bench-engine: $(BUILD)/thinkd $(BENCHES:%=$(BUILD)/bench/%)
	@bench/engine $(BUILD) $(ARGS)
# Jobs accepted a second, latencies, beside nginx and the echo engine alone. ARGS="--only latency --runs 7": bench/api --help.
bench-api: $(BUILD)/thinkd $(BUILD)/bench/api $(BUILD)/bench/streams
	@bench/api $(BUILD) $(ARGS)
bench-hostile: $(BUILD)/bench/hostile
	@bench/hostile $(BUILD) $(ARGS)
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/libthinkd.a
	@echo "link  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)
# The same files in thinkd and in llama.cpp: logits, greedy ids, token ids. Skipped without ANCHOR_HOME; see scripts/anchor.
anchor: $(ANCHORS:%=$(BUILD)/tests/anchor/%)
	@tests/anchor/run $(BUILD) $(ARGS)
$(BUILD)/tests/anchor/%: $(BUILD)/tests/anchor/%.o $(BUILD)/libthinkd.a
	@echo "link  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libthinkd.a $(ALL_LIBS) $(shell pkg-config --libs cmocka)
$(BUILD)/tests/anchor/thinkd_tiny: $(BUILD)/tests/unit/model/gguf_make.o
coverage:
	@$(MAKE) --no-print-directory BUILD=build/coverage OPT=-O0 CFLAGS='-g --coverage' LDFLAGS=--coverage tests-only
	gcovr --root . --object-directory build/coverage --filter src/ --sort-percentage
print-libraries:
	@echo $(ALL_LIBS)
format:
	@clang-format -i $(shell git ls-files -co --exclude-standard '*.c' '*.h')
tidy:
	clang-tidy --quiet $(SRC) -- -std=c17 -D_GNU_SOURCE -Isrc
corpus: $(BUILD)/corpus
$(BUILD)/corpus: $(patsubst %.c,$(BUILD)/%.o,$(wildcard train/*.c)) $(BUILD)/libthinkd.a
	@echo "link  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)
help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile
# Trains the bundled model anew: about an hour on two CPU cores, see train/README.md.
model:
	@train/remake --build $(BUILD)
clean:
	rm -rf build

.PHONY: all help test tests-only test-unit replays setup run fuzz layers prove contract soak flat kills schemas bench bench-engine bench-api bench-hostile anchor coverage print-libraries format tidy corpus model clean
.PRECIOUS: $(BUILD)/%.o
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
