# Bitgap. `make help` lists what can be made; the pipeline stands in its order below.
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

CC      ?= gcc
PREFIX  ?= /usr/local
MARCH   ?= native
BUILD   ?= build$(if $(SAN),-san)
PKGS    := gsl lapacke openblas libcjson libpcre2-8 libutf8proc nettle

ifeq ($(origin CC),default)
CC := gcc
endif

PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lcmark-gfm -lcmark-gfm-extensions
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wdouble-promotion -Wvla -Wpointer-arith \
            -Wwrite-strings -Wformat=2 -Wundef
CFLAGS  ?= -O3 -g
ifdef SAN
CFLAGS  := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
endif
# Contraction is off so that decoders round once per written operation; kernels ask for fma by name.
ALL_CFLAGS := -std=c17 $(WARNINGS) -march=$(MARCH) -ffp-contract=off -fopenmp -I. $(PKG_CFLAGS) $(CFLAGS) $(EXTRA_CFLAGS)
LIBS := $(PKG_LIBS) -lm

SOURCES := $(sort $(wildcard io/*.c quant/*.c quant/kernel/*.c analysis/*.c analysis/model/*.c reports/*.c))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
LIBRARY := $(BUILD)/libbitgap.a
BITGAP  := $(BUILD)/bitgap
TESTS   := $(sort $(wildcard tests/unit/test_*.c tests/property/test_*.c tests/golden/test_*.c))
TEST_PROGRAMS := $(TESTS:%.c=$(BUILD)/%)

.PHONY: all deps report test check bench fuzz peer install clean help

all: $(BITGAP) ## build the program

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$(BITGAP): $(BUILD)/bitgap.o $(LIBRARY)
	$(CC) $(ALL_CFLAGS) -o $@ $< $(LIBRARY) $(LIBS)

# A test program is one file and the library; cmocka runs its cases.
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIBRARY)
	$(CC) $(ALL_CFLAGS) -o $@ $< $(LIBRARY) -lcmocka $(LIBS)

.SECONDARY: $(TESTS:%.c=$(BUILD)/%.o)

test: all $(TEST_PROGRAMS) ## every test; the last line is "N passed, N failed"
	@BUILD=$(BUILD) tests/run $(TEST_PROGRAMS)

clean: ## remove what was built
	rm -rf build build-san

help: ## this text
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

-include $(OBJECTS:.o=.d) $(BUILD)/bitgap.d $(TESTS:%.c=$(BUILD)/%.d)
