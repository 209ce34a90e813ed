# One non-recursive makefile. 'make help' lists the targets; README.md has the two to begin with.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
SHELL := /bin/bash
.DEFAULT_GOAL := all

VERSION := 0.1.0
FLAVOR ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
Q := $(if $(V),,@)

# ---- flavours: each has a directory of its own ---------------------------------------------------

FLAVORS := debug release asan cov analyze
ifeq ($(filter $(FLAVOR),$(FLAVORS)),)
$(error FLAVOR is one of: $(FLAVORS))
endif
# build/bin holds the programs of the flavour that people run; the others stay beside it.
B := build/$(FLAVOR)

IS_CLANG := $(if $(findstring clang,$(notdir $(CC))),yes)

WARNINGS := -Wall -Wextra -Wshadow -Wundef -Wvla -Walloca -Wwrite-strings -Wpointer-arith \
	-Wstrict-prototypes -Wold-style-definition -Wmissing-prototypes -Wmissing-declarations \
	-Wredundant-decls -Wnested-externs -Wformat=2 -Wswitch-enum -Wcast-qual -Wconversion \
	-Wdate-time -Wnull-dereference -Wno-unused-parameter -Wno-missing-field-initializers
WARNINGS += $(if $(IS_CLANG),-Wcast-align -Wimplicit-fallthrough -Wcomma,-Wformat-signedness \
	-Wcast-align=strict -Wimplicit-fallthrough=5 -Wduplicated-cond -Wduplicated-branches \
	-Wlogical-op -Wjump-misses-init)

HARDENING := -fPIE -fstack-protector-strong -fstack-clash-protection
LINK_HARDENING := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

CFLAGS_debug := -O0 -g $(HARDENING)
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 $(HARDENING)
CFLAGS_asan := -O1 -g $(SANITIZE)
CFLAGS_cov := -O0 -g --coverage
CFLAGS_analyze := -O1 -g -fanalyzer
LDFLAGS_debug := $(LINK_HARDENING)
LDFLAGS_release := $(LINK_HARDENING)
LDFLAGS_asan := $(SANITIZE)
LDFLAGS_cov := --coverage

# ---- libraries -----------------------------------------------------------------------------------

PKG_lib := gio-2.0 gio-unix-2.0 json-glib-1.0 gnutls yaml-0.1 libarchive libcurl
PKG_builder := $(PKG_lib) ostree-1 libsolv libsolvext ext2fs

prefix ?= /usr/local
datadir := $(prefix)/share/ashlar

# 'make deps' must work before anything is there, so pkg-config is asked only when compiling.
pkg_cflags = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(1)))
pkg_libs = $(shell pkg-config --libs $(1))
NO_COMPILE_GOALS := deps help clean image-deps
ifneq ($(if $(MAKECMDGOALS),$(filter-out $(NO_COMPILE_GOALS),$(MAKECMDGOALS)),all),)
ifneq ($(shell pkg-config --exists $(PKG_builder) 2>/dev/null && echo yes),yes)
NEEDS_DEPS := yes
endif
endif

CFLAGS_ALL = -std=gnu11 $(WARNINGS) -Werror -fno-common -fno-strict-aliasing \
	-DGLIB_VERSION_MIN_REQUIRED=GLIB_VERSION_2_74 -DGLIB_VERSION_MAX_ALLOWED=GLIB_VERSION_2_74 \
	-DG_LOG_USE_STRUCTURED -D_GNU_SOURCE -DASH_VERSION='"$(VERSION)"' \
	-DASH_DATADIR='"$(datadir)"' -I. $(CFLAGS_$(FLAVOR)) $(CFLAGS)
LDFLAGS_ALL = $(LDFLAGS_$(FLAVOR)) $(LDFLAGS)

# Objects are rebuilt when the flags change: the stamp's content is compared at each run.
ifndef NEEDS_DEPS
CFLAGS_PKG := $(call pkg_cflags,$(PKG_builder))
LIBS_lib := $(call pkg_libs,$(PKG_lib))
LIBS_builder := $(call pkg_libs,$(PKG_builder))
endif
FLAGS_NOW = $(CC) $(CFLAGS_ALL) $(CFLAGS_PKG) $(LDFLAGS_ALL)
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(FLAGS_NOW))' | cmp -s - $@ || echo '$(subst ','\'',$(FLAGS_NOW))' > $@

# ---- programs and what each is made of -----------------------------------------------------------

SRC_lib := $(sort $(wildcard lib/*.c))
SRC_builder := $(sort $(wildcard builder/*.c))
# The first process of the initramfs: static, libc only.
SRC_initrd := $(sort $(wildcard agent/initrd*.c))

OBJ = $(patsubst %.c,$(B)/%.o,$(1))

BIN := $(if $(filter release,$(FLAVOR)),build/bin,$(B)/bin)
PROGRAMS := $(BIN)/ashlar $(BIN)/ashlar-initrd

.PHONY: all
all: $(PROGRAMS)

$(B)/%.o: %.c $(B)/flags | needs-deps
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC      $<")
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS_PKG) -MMD -MP -c -o $@ $<

$(B)/lib.a: $(call OBJ,$(SRC_lib))
$(B)/builder.a: $(call OBJ,$(filter-out builder/main.c,$(SRC_builder)))
%.a:
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BIN)/ashlar: $(B)/builder/main.o $(B)/builder.a $(B)/lib.a
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_builder)

# Made the same way in every flavour: its bytes are part of every image that is built.
$(BIN)/ashlar-initrd: $(SRC_initrd) $(wildcard agent/initrd*.h) Makefile | needs-deps
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) -std=gnu11 $(WARNINGS) -Werror -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
		-fno-common -D_GNU_SOURCE -I. -static -s -Wl,--build-id=none \
		-ffile-prefix-map=$(CURDIR)=. -o $@ $(SRC_initrd)

.PHONY: FORCE needs-deps
FORCE:
needs-deps:
ifdef NEEDS_DEPS
	@echo "Libraries are missing: $$(pkg-config --print-errors --exists $(PKG_builder) 2>&1 | head -1)" >&2
	@echo "Run 'sudo make deps' first ('sudo make image' and 'sudo make check' do it by themselves)." >&2
	@exit 1
endif

# ---- tests ---------------------------------------------------------------------------------------

UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(sort $(wildcard tests/unit/test-*.c)))
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz-*.c)))
REPLAY := $(patsubst $(B)/tests/fuzz/fuzz-%,$(B)/tests/fuzz/replay-%,$(FUZZ))
TEST_TOOLS := $(patsubst tests/lib/%.c,$(B)/tests/lib/%,$(sort $(wildcard tests/lib/*.c)))

$(UNIT) $(TEST_TOOLS): $(B)/tests/%: $(B)/tests/%.o $(B)/builder.a $(B)/lib.a
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_builder)

$(REPLAY): $(B)/tests/fuzz/replay-%: $(B)/tests/fuzz/fuzz-%.o $(B)/tests/fuzz/replay.o \
		$(B)/builder.a $(B)/lib.a
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_builder)

.PHONY: tests
tests: $(UNIT) $(REPLAY) $(TEST_TOOLS)

.PRECIOUS: %.o
-include $(shell find $(B) -name '*.d' 2>/dev/null)
