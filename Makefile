# Bitgap. What a study is; then one paragraph a stage, in the order in which make runs them; then how the program is
# built, tested and installed. `make help` lists what can be made.
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# ==== the study: everything below can be set on the command line ====

MODEL   = data/austen-3.7m#    a Hugging Face directory, .safetensors, .gguf, org/name in the cache, or source:…
LAYERS  =#                     0,5,11: only these layers
ROLES   = $(GROUPS)#           mlp.down_proj,attn.q_proj: only these roles
SPECS   = scalar vector ecsq:rate=2/3/4 tcq:rate=2/3/4,states=8,code=entropy# what to sweep: specs, presets, aliases (bitgap list)
CALIBRATED = gptq:bits=3/4 awq:bits=4 watersic:step=0.23sigma/0.47sigma# what to sweep beside, if the model can be run on the calibration text
OUTPUT_SPECS = uniform:bits=2/3/4/6,scope=channel uniform:bits=3/4,scope=128 rtn nf4 $(CALIBRATED)#  what to run the model with
PARTS   = rtn nf4 uniform:bits=4,scope=channel kmeans:bits=4,scope=channel uniform:bits=4,scope=128,code=entropy uniform:step=0.3sigma,code=entropy,round=rdo# whose error is split by cause
BASE    = $(MODEL)#            what audit compares with
COPIES  = int8 rtn nf4#        specs of the copies that are audited when QUANTIZED= is not given
BUDGET  = 4.5#                 bits per weight that allocate may spend
TEXT    = data/text/calib.txt# calibration text
FOLDS   = 8#                   parts of it kept apart, for the band of the functional bound (0: none; each costs half a Σ)
TEST    = data/text/test.txt#  text whose perplexity is measured
QA      = data/text/qa.jsonl#  questions
STUDY   = notebooks/seven-methods.json# the study that `make study` runs (bitgap new-study)
METHODS =#                     specs instead of those the study names
THREADS =#                     default: all cores
PREFIX ?= /usr/local
PYTHON ?= python3
MARCH  ?= native
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD  ?= build$(if $(SAN),-san)
# One name for the folder however it was given: the files *.d name their objects so that the next make finds them.
override BUILD := $(patsubst $(CURDIR)/%,%,$(BUILD))

# The flags of the libraries are asked for while this file is read, so `make deps report` installs first and then starts
# make again for the rest.
ifneq ($(filter deps,$(MAKECMDGOALS)),)
AFTER := $(filter-out deps,$(MAKECMDGOALS))
.PHONY: deps after-deps $(AFTER)
deps:
	@.packaging/deps
after-deps: deps
	@$(if $(AFTER),$(MAKE) $(AFTER))
$(AFTER): after-deps
	@:
else

# Threads that wait sleep: spinning ones cost three times the work when something else runs on the machine.
export OMP_WAIT_POLICY ?= passive

# A model's documents lie in a directory named after it, in which the file `model` says which model that is: another model of
# the same name gets a directory with a suffix. A part of a model has a directory of its own.
comma := ,
empty :=
NAME := $(subst :,-,$(subst =,-,$(subst $(comma),-,$(notdir $(patsubst %/,%,$(strip $(MODEL)))))))
MODEL_ID := $(patsubst $(CURDIR)/%,%,$(or $(realpath $(strip $(MODEL))),$(strip $(MODEL))))
quoted = '$(subst ','\'',$(1))'
ifneq ($(wildcard out/$(NAME)/model),)
NAME := $(NAME)$(shell printf '%s\n' $(call quoted,$(MODEL_ID)) | cmp -s - out/$(NAME)/model || \
          printf '%s' $(call quoted,-$(MODEL_ID)) | sha256sum | sed 's/\(.\{8\}\).*/-\1/')
endif
PART := $(subst $(empty) ,-,$(strip $(LAYERS:%=layers-%) $(ROLES:%=%)))
OUT  := out/$(NAME)$(if $(PART),/$(PART))
MODEL_STAMP := $(if $(filter file,$(origin OUT)),out/$(NAME),$(OUT))/model
HUB  := $(HOME)/.cache/huggingface/hub/models--$(subst /,--,$(strip $(MODEL)))/snapshots/*
MODEL_FILES := $(wildcard $(foreach d,$(MODEL) $(HUB),$(d)/*.safetensors $(d)/*.json) $(filter %.safetensors %.gguf,$(MODEL))) \
               $(MODEL_STAMP)
BITGAP  := $(BUILD)/bitgap
LIBRARY := $(BUILD)/libbitgap.a

# A room is a folder below io, quant, analysis or reports.
ROOMS   := $(filter-out %.c %.h %.md,$(wildcard $(foreach d,io quant analysis reports,$d/* $d/*/* $d/*/*/*)))
SOURCES := $(sort $(wildcard $(ROOMS:%=%/*.c)))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)

# ==== the pipeline ====

# $(call stage,NAME): a document depends on its inputs, on the settings it was made with, on the code of its own stage and
# on the library below the stages; not on other stages, not on the code and templates that only draw.
stage = $(BUILD)/analysis/stages/$(1).o $(BUILD)/measuring | $(BITGAP)
RUN   = @mkdir -p $(@D); set -x; $(BITGAP)
FLAGS = $(THREADS:%=-j %) -o $@

# extract: the tensors of the model by role and layer, their statistics, their exact histograms
$(OUT)/groups.json: $(MODEL_FILES) $(call stage,extract)
	$(RUN) extract $(MODEL) $(LAYERS:%=--layers %) $(ROLES:%=--roles %) $(FLAGS)

# can-run: whether the model can be run, asked once and kept as a line of make; the page of one that cannot says why. A part
# of a model is not run.
ifneq ($(if $(PART),,$(filter report layers documents audit out/% $(OUT)/%,$(MAKECMDGOALS))),)
-include $(OUT)/can-run.mk
endif
$(OUT)/can-run.mk: $(MODEL_FILES) $(call stage,can_run)
	@mkdir -p $(@D)
	@if $(BITGAP) can-run $(MODEL) >/dev/null; then echo 'RUNNABLE := yes'; elif [ $$? -eq 1 ]; then echo 'RUNNABLE :='; \
	else exit 1; fi > $@

# calibrate: what the layers see of a text
CALIBRATION := $(if $(RUNNABLE),$(OUT)/calibration.json)
CALIBRATED_WITH = $(CALIBRATION:%=--calibration %)
$(OUT)/calibration.json: $(MODEL_FILES) $(TEXT) $(call stage,calibrate)
	$(RUN) calibrate $(MODEL) --text $(TEXT) --samples 32 --folds $(FOLDS) $(FLAGS)

# bound: what any code must pay for these weights, and for what their layers compute
$(OUT)/bounds.json: $(OUT)/groups.json $(CALIBRATION) $(call stage,bound)
	$(RUN) bound $< $(CALIBRATED_WITH) $(FLAGS)

# curve: what each quantizer does pay
$(OUT)/curves.json: $(OUT)/groups.json $(CALIBRATION) $(OUT)/with.SPECS $(OUT)/with.CALIBRATED $(call stage,curve)
	$(RUN) curve $< -q $(SPECS) $(if $(RUNNABLE),$(CALIBRATED) $(CALIBRATED_WITH)) $(FLAGS)

# gap: the difference
$(OUT)/gaps.json: $(OUT)/curves.json $(OUT)/bounds.json $(call stage,gap)
	$(RUN) gap $(filter %.json,$^) $(FLAGS)

# budget: where each error and each bit goes
$(OUT)/budget.json: $(OUT)/groups.json $(OUT)/with.PARTS $(call stage,budget)
	$(RUN) budget $< -q $(PARTS) $(FLAGS)

# lossless: what entropy coding alone buys
$(OUT)/lossless.json: $(OUT)/groups.json $(call stage,lossless)
	$(RUN) lossless $< $(FLAGS)

# logits, correlate: does it matter at the output?
$(OUT)/logits.json: $(MODEL_FILES) $(CALIBRATION) $(TEST) $(OUT)/with.OUTPUT_SPECS $(call stage,logits)
	$(RUN) logits $(MODEL) -q $(OUTPUT_SPECS) -t $(TEST) --windows 8 --linearity $(CALIBRATED_WITH) $(FLAGS)
$(OUT)/correlation.json: $(OUT)/logits.json $(OUT)/curves.json $(call stage,correlate)
	$(RUN) correlate $(filter %.json,$^) $(FLAGS)

# allocate: where should the bits go?
$(OUT)/allocation.json: $(OUT)/curves.json $(OUT)/logits.json $(call stage,allocate)
	$(RUN) allocate $(filter %.json,$^) --budget $(BUDGET) --model $(MODEL) --text $(TEST) --windows 8 $(FLAGS)

# quantize, audit: what did the checkpoint cost that somebody made? Without QUANTIZED= copies are made first
$(OUT)/quantized/%/config.json: $(MODEL_FILES) $(call stage,quantize)
	$(RUN) quantize $(BASE) -q $* $(if $(filter nf4% fp4%,$*),--layout bitsandbytes) -o $(@D)
QUANTIZED = $(COPIES:%=$(OUT)/quantized/%)
$(OUT)/audit.json: $(OUT)/with.QUANTIZED $(if $(filter file,$(origin QUANTIZED)),$(COPIES:%=$(OUT)/quantized/%/config.json)) $(call stage,audit)
	$(RUN) audit $(BASE) $(QUANTIZED) $(FLAGS)
audit: $(OUT)/audit.json ## BASE= and QUANTIZED="DIR FILE.gguf": rate, error and gap of shipped checkpoints
	$(BITGAP) report $< -o $(OUT) --name audit

# evaluate: perplexity, questions, memory and speed of the methods people compare; in the report a few on less text
EVALUATE = evaluate $(MODEL) --text $(TEST) --qa $(QA) $(CALIBRATED_WITH) $(FLAGS)
$(OUT)/evaluation.json: $(MODEL_FILES) $(CALIBRATION) $(TEST) $(QA) $(call stage,evaluate)
	$(RUN) $(EVALUATE) -q rtn nf4:double=true --windows 8 --repeats 1

# atlas: every format over shape, correlation, outliers and block size, and where the tensors of the model lie on it
$(OUT)/atlas.json: $(OUT)/curves.json $(OUT)/groups.json $(call stage,atlas)
	$(RUN) atlas $(filter %.json,$^) $(FLAGS)

# published: no model's affair: run once, copied beside each report, which tells of values outside their tolerance (status 1)
PUBLISHED := $(wildcard data/published/*.json)
out/published.json: $(PUBLISHED) $(call stage,published)
	$(RUN) published $(PUBLISHED) $(FLAGS) > /dev/null || [ $$? -eq 1 ]
$(OUT)/published.json: out/published.json
	@mkdir -p $(@D)
	@cp $< $@

# report: everything a person reads
DOCUMENTS := groups bounds curves gaps budget lossless atlas published $(if $(RUNNABLE),calibration logits correlation allocation audit evaluation)
TEMPLATES := $(wildcard templates/* templates/*/*)
$(OUT)/report.html: $(DOCUMENTS:%=$(OUT)/%.json) $(TEMPLATES) $(BITGAP)
	$(RUN) report $(filter %.json,$^) -o $(OUT) >/dev/null

# study: what a configuration asks, measured in a directory of its own and shown on a page. A page depends on the templates
# that it used, which index.d beside it lists; a change of words or figures in the configuration measures nothing again.
STUDIES  := $(wildcard notebooks/*.json)
MEASURES := extract calibrate bound curve gap logits correlate evaluate audit quantize estimate
SETTINGS  = MODEL=$(call quoted,$(MODEL)) TEXT=$(call quoted,$(TEXT)) TEST=$(call quoted,$(TEST)) QA=$(call quoted,$(QA))
SHELL_HERE = OUT=$(call quoted,$(@D)) $(SETTINGS) PATH="$(abspath $(BUILD)):$$PATH" sh
STUDY_OF  = $(BITGAP) study $< $(METHODS:%=-q %)
keep     = { cmp -s $@.new $@ && rm $@.new || mv $@.new $@; }
all_documents = $$(ls $(1) 2>/dev/null | grep -v timings.json)
define study_rules
$(OUT)/studies/$(1)/commands: $(2) $(OUT)/with.METHODS $(BITGAP)
	@mkdir -p $$(@D)
	@$$(STUDY_OF) --commands -o $$@.new && $$(keep)
$(OUT)/studies/$(1)/done: $(OUT)/studies/$(1)/commands $(MODEL_FILES) $(TEXT) $(TEST) $(QA) $(BUILD)/measuring $(filter $(MEASURES:%=$(BUILD)/analysis/stages/%.o),$(OBJECTS)) | $(BITGAP)
	@echo "study $(1): measuring"
	@$$(SHELL_HERE) $$<
	@touch $$@
$(OUT)/studies/$(1)/study.json: $(2) $(OUT)/studies/$(1)/done
	@$$(SETTINGS) $$(STUDY_OF) -o $$@
$(OUT)/studies/$(1)/index.html: $(OUT)/studies/$(1)/study.json $(BITGAP)
	@$(BITGAP) report $$(call all_documents,$$(@D)/*.json) -o $$(@D) --name index --depends $$(@D)/index.d
endef
$(foreach s,$(sort $(STUDIES) $(STUDY)),$(eval $(call study_rules,$(basename $(notdir $s)),$s)))
study: $(OUT)/studies/$(basename $(notdir $(STUDY)))/index.html ## STUDY=FILE.json: its documents and its page (bitgap new-study starts one)
	@echo $<
TABLES := $(patsubst notebooks/%.json,$(OUT)/studies/%/index.html,$(STUDIES))
tables: $(TABLES) ## the comparison tables people know, a page each: every study of notebooks/ (MODEL= TEXT= TEST= QA=)
	@printf '%s\n' $^

# notebooks: each runs its own commands in a directory of its own; then every number in it is filled in from those documents
# and, where it shows the study of the same name, from the documents of that
SHOWN := $(filter $(STUDIES),$(patsubst %.md,%.json,$(shell grep -l '^{{section study}}' notebooks/*.md)))
NOTEBOOKS := $(patsubst notebooks/%.md,$(OUT)/notebooks/%,$(filter-out %/README.md,$(wildcard notebooks/*.md)))
$(NOTEBOOKS:%=%/commands): $(OUT)/notebooks/%/commands: notebooks/%.md $(BITGAP)
	@mkdir -p $(@D)
	@$(BITGAP) notebook $< --commands -o $@.new && $(keep)
$(NOTEBOOKS:%=%/done): %/done: %/commands $(MODEL_FILES) $(BUILD)/measuring $(filter $(MEASURES:%=$(BUILD)/analysis/stages/%.o),$(OBJECTS)) | $(BITGAP)
	@echo "notebook $(notdir $(@D)): running its commands"
	@$(SHELL_HERE) $<
	@touch $@
$(NOTEBOOKS:%=%/index.html): $(OUT)/notebooks/%/index.html: notebooks/%.md $(OUT)/notebooks/%/done $(BITGAP)
	@$(BITGAP) notebook $< $(call all_documents,$(@D)/*.json $(if $(filter notebooks/$*.json,$(SHOWN)),$(OUT)/studies/$*/*.json)) \
	    -o $(@D) --name index --depends $(@D)/index.d
$(foreach s,$(SHOWN),$(eval $(s:notebooks/%.json=$(OUT)/notebooks/%)/index.html: $(s:notebooks/%.json=$(OUT)/studies/%)/study.json))
notebooks: $(NOTEBOOKS:%=%/index.html) ## every notebook, its commands run and its numbers filled in (MODEL=)
	@printf '%s\n' $^
-include $(wildcard $(OUT)/studies/*/index.d $(OUT)/notebooks/*/index.d)

# A setting is a file that changes when its value does.
define remember
	@mkdir -p $(@D)
	@printf '%s\n' $(call quoted,$($*)) | cmp -s - $@ || printf '%s\n' $(call quoted,$($*)) > $@
endef
$(OUT)/with.%: FORCE
	$(remember)
$(MODEL_STAMP): FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(call quoted,$(MODEL_ID)) | cmp -s - $@ || printf '%s\n' $(call quoted,$(MODEL_ID)) > $@

.PHONY: all deps report documents layers audit study tables published notebooks test regression check faults bench fuzz peer install uninstall \
        dist deb clean help FORCE

report: $(OUT)/report.html ## from MODEL= to out/MODEL/report.html and report.md (LAYERS= ROLES= SPECS= TEXT=)
	@echo "$(OUT)/report.html"

layers: $(DOCUMENTS:%=$(OUT)/%.json) $(BITGAP) ## the report and a page for each layer, out/MODEL/layer-N.html
	$(BITGAP) report $(filter %.json,$^) --pages -o $(OUT)

documents: $(DOCUMENTS:%=$(OUT)/%.json) ## the documents of the report, without the report

published: all ## tables of the literature, each case run again: value, ours, inside its tolerance or not
	@mkdir -p out
	$(BITGAP) published $(PUBLISHED) -o out/published.json

# ==== the program ====

.DEFAULT_GOAL := all
all: $(BITGAP) ## build the program (default; SAN=1: with sanitizers, into build-san)

PKGS := gsl lapacke openblas libcjson libpcre2-8 libutf8proc libcmark-gfm nettle
ifneq ($(filter-out clean help dist uninstall,$(or $(MAKECMDGOALS),all)),)
MISSING := $(shell for p in $(PKGS); do pkg-config --exists $$p || echo $$p; done 2>&1)
$(if $(MISSING),$(error Missing: $(MISSING). `make deps` installs what Bitgap needs))
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
# GSL's own BLAS is a slow reference: OpenBLAS serves GSL too.
PKG_LIBS   := $(filter-out -lgslcblas,$(shell pkg-config --libs $(PKGS))) -lcmark-gfm-extensions
endif
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wdouble-promotion -Wvla -Wpointer-arith \
            -Wwrite-strings -Wformat=2 -Wundef -Wno-psabi
# clang takes INFINITY for a promoted float and reports loops that it leaves scalar.
WARNINGS += $(if $(findstring clang,$(CC)),-Wno-double-promotion -Wno-pass-failed)
CFLAGS  ?= -O3 -g
ifdef SAN
# Under the sanitizers gcc misjudges two bounded prints.
WARNINGS += $(if $(findstring clang,$(CC)),,-Wno-format-truncation -Wno-restrict)
CHECKED := undefined,float-cast-overflow,float-divide-by-zero
CFLAGS  := -O1 -g -fno-omit-frame-pointer -DBG_DEBUG -fsanitize=address,$(CHECKED) -fno-sanitize-recover=$(CHECKED)
CFLAGS  += $(if $(ENGINE),-fsanitize=fuzzer-no-link)
endif
# Contraction is off so that decoders round once per written operation; kernels ask for fma by name.
ALL_CFLAGS := -std=c17 $(WARNINGS) -march=$(MARCH) -ffp-contract=off -fopenmp -I. $(PKG_CFLAGS) $(CFLAGS) $(EXTRA_CFLAGS)
LIBS := $(PKG_LIBS) -lm
# The code below what draws: a checkpoint's shard made by other code is no shard of this run (analysis/conversion/quantize_model.c).
CODE = $(shell cat $(sort $(filter-out reports/%,$(wildcard $(ROOMS:%=%/*.[ch])))) | sha256sum | cut -c1-16)
$(BUILD)/analysis/conversion/quantize_model.o: FILE_CFLAGS = -DBG_CODE_HASH='"$(CODE)"'
$(BUILD)/analysis/conversion/quantize_model.o: $(BUILD)/with.CODE
# Where an installed program finds the texts of the report; a program in its source tree looks there first.
$(BUILD)/reports/%.o: ALL_CFLAGS += -DBG_TEMPLATES='"$(PREFIX)/share/bitgap/templates"'

# One word a command; V=1 shows the commands themselves.
hush = $(if $(V),,@)
say  = @$(if $(V),:,echo)

$(BUILD)/%.o: %.c $(BUILD)/with.COMPILE
	@mkdir -p $(@D)
	$(say) '  cc   $<'
	$(hush)$(CC) $(ALL_CFLAGS) $(FILE_CFLAGS) -MMD -MP -c -o $@ $<

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	$(say) '  ar   $@'
	$(hush)$(AR) qcs $@ $^

$(BITGAP): $(BUILD)/bitgap.o $(LIBRARY)
	$(say) '  link $@'
	$(hush)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(LIBRARY) $(LIBS)

# Changes when code below the stages does: whatever measures is stale then.
$(BUILD)/measuring: $(filter-out $(BUILD)/reports/% $(BUILD)/analysis/stages/%,$(OBJECTS))
	@touch $@

COMPILE = $(CC) $(ALL_CFLAGS)
# Kept: a setting forgotten would make everything stale.
.PRECIOUS: $(BUILD)/with.% $(OUT)/with.% $(MODEL_STAMP)
$(BUILD)/with.%: FORCE
	$(remember)

# ==== tests ====

TEST_SOURCES := $(sort $(wildcard tests/unit/test_*.c tests/property/test_*.c tests/golden/test_*.c))
FUZZ  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH := $(sort $(wildcard tests/bench/*.c))
programs = $(patsubst %.c,$(BUILD)/%,$(1))
# TESTS=word: only the programs whose path holds the word are built and run.
TESTED := $(if $(TESTS),$(foreach s,$(TEST_SOURCES),$(if $(findstring $(TESTS),$s),$s)),$(TEST_SOURCES))

# A test program is one file and the library; cmocka runs its cases.
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIBRARY)
	$(say) '  link $@'
	$(hush)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(LIBRARY) -lcmocka $(LIBS)

.SECONDARY: $(patsubst %.c,$(BUILD)/%.o,$(TEST_SOURCES) $(BENCH) $(FUZZ)) $(BUILD)/tests/fuzz/driver.o

REPLAYED := $(if $(or $(if $(TESTS),,yes),$(findstring $(TESTS),tests/fuzz)),$(FUZZ))
test: all $(call programs,$(TESTED) $(REPLAYED)) ## every test; the last line is "N passed, N failed" (TESTS=word: only those)
	@BUILD=$(BUILD) TESTS=$(TESTS) tests/run $(call programs,$(TESTED))

regression: all ## results.csv anew: what a change moved is then a diff of lines (the test `regression` compares)
	@BITGAP=$(BITGAP) tests/regression/run write

check: test faults ## test, the same tests again under the sanitizers, and failing system calls
	@$(MAKE) SAN=1 test

faults: all ## stages whose system calls fail: no half file, no wrong status, no lost input (FAULTS=N places for each call)
	@BITGAP=$(abspath $(BITGAP)) FAULTS=$(FAULTS) tests/faults/run

# A fuzz target and the driver that replays and mutates its seeds; with ENGINE=libfuzzer (clang) libFuzzer is the driver.
FUZZ_DRIVER := $(if $(ENGINE),,$(BUILD)/tests/fuzz/driver.o)
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(FUZZ_DRIVER) $(LIBRARY)
	$(say) '  link $@'
	$(hush)$(CC) $(ALL_CFLAGS) $(if $(ENGINE),-fsanitize=fuzzer) $(LDFLAGS) -o $@ $< $(FUZZ_DRIVER) $(LIBRARY) $(LIBS)

# Counting peak arithmetic wants the contraction that results must not have.
$(BUILD)/tests/bench/limits.o: FILE_CFLAGS = -ffp-contract=fast

bench: all $(call programs,$(BENCH)) ## throughput against this machine's limits and, with PYTHON=, against peers
	@BUILD=$(BUILD) PYTHON=$(PYTHON) tests/bench/run

fuzz: ## every parser of outside bytes under the sanitizers, SECONDS=60 a target (by libFuzzer where clang is)
	@$(MAKE) SAN=1 $(if $(shell command -v clang),CC=clang ENGINE=libfuzzer BUILD=build-fuzz-clang,BUILD=build-fuzz) fuzz-targets

.PHONY: fuzz-targets
fuzz-targets: $(call programs,$(FUZZ))
	@ENGINE=$(ENGINE) tests/fuzz/run $(or $(SECONDS),60) $(call programs,$(FUZZ))

peer: all ## compare with other people's programs (PYTHON= an interpreter that has them)
	@BUILD=$(BUILD) tests/peer/run $(PYTHON)

# ==== house ====

VERSION = $(shell sed -n 's/.*bg_version\[\] = "\(.*\)".*/\1/p' io/documents/document.c)

INSTALLED = $(DESTDIR)$(PREFIX)

install: all ## into PREFIX (/usr/local), DESTDIR respected
	install -d $(INSTALLED)/bin $(INSTALLED)/share/bitgap $(INSTALLED)/share/doc/bitgap $(INSTALLED)/share/man/man1 \
	    $(INSTALLED)/share/bash-completion/completions
	install -m 755 $(BITGAP) $(INSTALLED)/bin/bitgap
	install -m 644 README.md LICENSE CHANGELOG.md $(INSTALLED)/share/doc/bitgap
	install -d $(INSTALLED)/include $(INSTALLED)/share/pkgconfig
	install -m 644 quant/grid/bitgap_quantizer.h $(INSTALLED)/include
	printf 'Name: bitgap\nDescription: header of quantizers for Bitgap\nVersion: %s\nCflags: -I%s/include\n' $(VERSION) $(PREFIX) \
	    > $(INSTALLED)/share/pkgconfig/bitgap.pc
	$(BITGAP) help --man > $(INSTALLED)/share/man/man1/bitgap.1
	$(BITGAP) help --completion > $(INSTALLED)/share/bash-completion/completions/bitgap
	$(BITGAP) help documents > $(INSTALLED)/share/doc/bitgap/documents.md
	$(if $(wildcard templates),cp -R templates $(INSTALLED)/share/bitgap/)

uninstall: ## remove what install put there
	rm -rf $(INSTALLED)/share/bitgap $(INSTALLED)/share/doc/bitgap
	rm -f $(INSTALLED)/bin/bitgap $(INSTALLED)/share/man/man1/bitgap.1 $(INSTALLED)/include/bitgap_quantizer.h \
	    $(INSTALLED)/share/pkgconfig/bitgap.pc $(INSTALLED)/share/bash-completion/completions/bitgap

dist: ## a source archive, bitgap-VERSION.tar.gz
	git archive --prefix=bitgap-$(VERSION)/ -o bitgap-$(VERSION).tar.gz HEAD

deb: ## a Debian package, bitgap_VERSION_ARCH.deb
	@.packaging/deb

clean: ## remove what was built (documents and reports in out/ stay)
	rm -rf build build-san build-fuzz build-fuzz-clang build-deb

help: ## this text
	@echo 'make deps report           the default model, from a fresh machine to a page'
	@echo 'make report MODEL=DIR      your own checkpoint'
	@echo
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 15
	@printf '  deps         install what is missing (Debian and Ubuntu packages)\n'

FORCE:

-include $(OBJECTS:.o=.d) $(BUILD)/bitgap.d $(patsubst %.c,$(BUILD)/%.d,$(TEST_SOURCES) $(BENCH) $(FUZZ))
endif
