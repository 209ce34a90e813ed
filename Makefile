# SPDX-License-Identifier: Apache-2.0
# One non-recursive makefile. README.md has the two targets to begin with; 'make help' prints this:
#:
#: sudo make image     a bootable host in out/, made from manifests/host.yaml (or MANIFEST=FILE)
#: sudo make check     builds and runs every test
#:
#: sudo make demo      a fleet of three virtual machines: a rollout, a bad one, and the page; --keep stays
#:
#: make all            programs into build/bin       make install     under prefix, DESTDIR
#: make deb            the host's programs, as packages, into build/deb
#:      install-agent  ... the same into DESTDIR/usr, for hosts that are not made here
#: make deps           what building needs           make man         manual pages
#:      check-deps     ... and the tests             make dist        a source archive in out/
#:      bench-deps     ... and the comparisons       make clean       removes build/
#:
#: make check-unit check-integration check-system check-vm lint replay     parts of 'check'
#:      check-vm-long  'make demo' as a test, which 'check' leaves out
#:      check-agents   a fleet of AGENTS=500 real agents, which 'check' has 20 of; for a machine of its own
#: make soak           kills and power cuts, SOAK_STATES=20000 of each; hours. CONTRIBUTING.md
#: make fuzz-NAME      fuzzes tests/fuzz/fuzz-NAME.c for FUZZ_SECONDS=60
#: make bench-builder   figures of the builder, beside its peers (docs/performance.md); RUNS=5
#:      bench-update    ... and of updates
#:      bench-fleet     ... and of the fleet server
#:      bench-workload  ... and of workloads
#: make format check-format check-headers tidy analyze coverage
#:
#: Variables: FLAVOR=release|debug|asan|cov|analyze|fuzz, CC=gcc|clang, V=1, prefix, DESTDIR

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

FLAVORS := debug release asan cov analyze fuzz
ifeq ($(filter $(FLAVOR),$(FLAVORS)),)
$(error FLAVOR is one of: $(FLAVORS))
endif
IS_CLANG := $(if $(findstring clang,$(notdir $(CC))),yes)
# build/bin holds the programs of the flavour that people run; the others stay beside it.
B := build/$(FLAVOR)$(if $(IS_CLANG),-clang)
BIN := $(if $(filter build/release,$(B)),build/bin,$(B)/bin)

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
# The directory is not to be seen: programs of the host are the same wherever they were compiled.
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 $(HARDENING) -ffile-prefix-map=$(CURDIR)=.
# gcc's checks of shifts make it lose sight of a value's range in libraries' macros.
CFLAGS_asan := -O1 -g $(SANITIZE) -Wno-conversion
CFLAGS_cov := -O0 -g --coverage
CFLAGS_analyze := -O1 -g -fanalyzer
CFLAGS_fuzz := -O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link
LDFLAGS_debug := $(LINK_HARDENING)
LDFLAGS_release := $(LINK_HARDENING)
LDFLAGS_asan := $(SANITIZE)
LDFLAGS_cov := --coverage
LDFLAGS_fuzz := $(SANITIZE)

# ---- libraries -----------------------------------------------------------------------------------

PKG_lib := gio-2.0 gio-unix-2.0 json-glib-1.0 gnutls yaml-0.1 libarchive libcurl
PKG_builder := $(PKG_lib) ostree-1 libsolv libsolvext ext2fs com_err
PKG_agent := $(PKG_lib) ostree-1 libsystemd
PKG_fleet := $(PKG_lib) libmicrohttpd sqlite3 libpq libargon2 libsystemd
PKG_workload := $(PKG_agent) libseccomp libnftables libmnl ldns
PKG_all := $(PKG_builder) $(PKG_agent) $(PKG_fleet) $(PKG_workload)

prefix ?= /usr/local
bindir := $(prefix)/bin
libdir := $(prefix)/lib/ashlar
datadir := $(prefix)/share/ashlar
mandir := $(prefix)/share/man
completiondir := $(prefix)/share/bash-completion/completions
zshdir := $(prefix)/share/zsh/vendor-completions
fishdir := $(prefix)/share/fish/vendor_completions.d

# 'make deps' must work before anything is there, so pkg-config is asked only when compiling.
pkg_cflags = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(1)))
pkg_libs = $(shell pkg-config --libs $(1))
NO_COMPILE_GOALS := demo deps check-deps bench-deps bench-builder bench-update bench-fleet bench-workload image check help clean dist man lint soak
ifneq ($(if $(MAKECMDGOALS),$(filter-out $(NO_COMPILE_GOALS),$(MAKECMDGOALS)),all),)
ifneq ($(shell pkg-config --exists $(PKG_all) 2>/dev/null && echo yes),yes)
NEEDS_DEPS := yes
endif
endif

CFLAGS_ALL = -std=gnu11 $(WARNINGS) -Werror -fno-common -fno-strict-aliasing -ffunction-sections \
	-DGLIB_VERSION_MIN_REQUIRED=GLIB_VERSION_2_74 -DGLIB_VERSION_MAX_ALLOWED=GLIB_VERSION_2_74 \
	-DG_LOG_USE_STRUCTURED -D_GNU_SOURCE -DASH_VERSION='"$(VERSION)"' \
	-DASH_DATADIR='"$(datadir)"' -DASH_LIBDIR='"$(libdir)"' -I. $(CFLAGS_$(FLAVOR)) $(CFLAGS)
LDFLAGS_ALL = $(LDFLAGS_$(FLAVOR)) $(LDFLAGS)

# Objects are rebuilt when the flags change: the stamp's content is compared at each run.
ifndef NEEDS_DEPS
CFLAGS_PKG := $(call pkg_cflags,$(PKG_all))
LIBS_lib := $(call pkg_libs,$(PKG_lib))
LIBS_builder := $(call pkg_libs,$(PKG_builder))
LIBS_agent := $(call pkg_libs,$(PKG_agent))
LIBS_workload := $(call pkg_libs,$(PKG_workload))
LIBS_fleet := $(call pkg_libs,$(PKG_fleet)) -lm
LIBS_tests := $(call pkg_libs,$(PKG_all)) -lm
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
# On the host: each program has a file of its name. What it does not use is not linked, so that those
# that sleep all day stay small.
NAMES_agent := ashlard ashlar-link ashlarctl ashlar-worker ashlar-fetch ashlar-check ashlar-checkin \
	ashlar-provision \
	ashlar-tuf
NAMES_agent := $(foreach n,$(NAMES_agent),$(if $(wildcard agent/$(n).c),$(n)))
SRC_agent := $(filter-out $(SRC_initrd) $(NAMES_agent:%=agent/%.c),$(sort $(wildcard agent/*.c)))

# What runs workloads on a host. The first program inside a workload is static, libc only; so is the first
# process of a guest.
SRC_enter := $(sort $(wildcard agent/workload/enter*.c))
SRC_call := agent/workload/call-client.c agent/workload/call-carry.c
SRC_guest := $(sort $(wildcard agent/workload/guest*.c)) \
	$(foreach n,log file cmdline module,agent/initrd-$(n).c) agent/workload/mux.c
NAMES_workload := ashlar-workloadd ashlar-launch ashlar-net ashlar-broker
NAMES_workload := $(foreach n,$(NAMES_workload),$(if $(wildcard agent/workload/$(n).c),$(n)))
SRC_workload := $(filter-out $(SRC_enter) $(SRC_guest) $(SRC_call) $(NAMES_workload:%=agent/workload/%.c), \
	$(sort $(wildcard agent/workload/*.c))) agent/workload/guest-record.c agent/workload/mux.c \
	agent/workload/call-carry.c

# The server and its command line; fleet/sim-*.c and the like are in the archive, used by either.
NAMES_fleet := ashlar-fleetd ashlar-fleet
NAMES_fleet := $(foreach n,$(NAMES_fleet),$(if $(wildcard fleet/$(n).c),$(n)))
SRC_fleet := $(filter-out $(NAMES_fleet:%=fleet/%.c),$(sort $(wildcard fleet/*.c fleet/store/*.c)))

OBJ = $(patsubst %.c,$(B)/%.o,$(1))

PROGRAMS := $(BIN)/ashlar $(BIN)/ashlar-initrd $(NAMES_agent:%=$(BIN)/%) \
	$(NAMES_workload:%=$(BIN)/%) $(if $(SRC_enter),$(BIN)/ashlar-enter) $(if $(SRC_guest),$(BIN)/ashlar-guest) $(BIN)/ashlar-call \
	$(if $(filter x86_64,$(shell uname -m)),$(BIN)/ashlar-kvm-probe) \
	$(NAMES_fleet:%=$(BIN)/%)

.PHONY: all
all: $(PROGRAMS)

$(B)/%.o: %.c $(B)/flags | needs-deps
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC      $<")
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS_PKG) -MMD -MP -c -o $@ $<

$(B)/builder/shortcut.o: $(wildcard builder/shortcuts/*)

$(B)/lib.a: $(call OBJ,$(SRC_lib))
$(B)/builder.a: $(call OBJ,$(filter-out builder/main.c,$(SRC_builder)))
$(B)/agent.a: $(call OBJ,$(SRC_agent))
$(B)/workload.a: $(call OBJ,$(SRC_workload))
$(B)/fleet.a: $(call OBJ,$(SRC_fleet))
# The page is part of the server, as it is; build/node_modules is shared by the flavours.
build/node_modules/.ashlar: fleet/web/package-lock.json
	$(Q)tools/web-npm.sh
	@touch $@
$(B)/web/web.gresource.xml: $(wildcard fleet/web/*) tools/web.sh build/node_modules/.ashlar
	@$(if $(V),,echo "  WEB     $(@D)")
	$(Q)tools/web.sh build/node_modules $(@D)
$(B)/fleet/web-data.c: $(B)/web/web.gresource.xml
	@mkdir -p $(@D)
	$(Q)glib-compile-resources --generate-source --internal --manual-register \
		--c-name ash_web_data --sourcedir $(<D) --target $@ $<
$(B)/fleet/web-data.o: $(B)/fleet/web-data.c $(B)/flags
	@$(if $(V),,echo "  CC      $<")
	$(Q)$(CC) $(CFLAGS_ALL) -Wno-missing-prototypes -Wno-missing-declarations $(CFLAGS_PKG) -c -o $@ $<
$(B)/fleet.a: $(B)/fleet/web-data.o
# SQL text is part of the object that runs it.
$(B)/fleet/store/schema.o: $(wildcard fleet/store/*.sql)
%.a:
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BIN)/ashlar: $(B)/builder/main.o $(B)/builder.a $(B)/lib.a
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_builder)

$(NAMES_agent:%=$(BIN)/%): $(BIN)/%: $(B)/agent/%.o $(B)/workload.a $(B)/agent.a $(B)/lib.a
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -Wl,--gc-sections,--as-needed -o $@ $^ $(LIBS_agent)

$(NAMES_workload:%=$(BIN)/%): $(BIN)/%: $(B)/agent/workload/%.o $(B)/workload.a $(B)/agent.a $(B)/lib.a
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -Wl,--gc-sections,--as-needed -o $@ $^ $(LIBS_workload)

$(NAMES_fleet:%=$(BIN)/%): $(BIN)/%: $(B)/fleet/%.o $(B)/fleet.a $(B)/lib.a
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -Wl,--gc-sections,--as-needed -o $@ $^ $(LIBS_fleet)

# The host's programs as packages, which manifests/layers/agent.yaml puts into it: of the release flavour,
# whatever is being tested.
DEB_LINKS := $(foreach n,ashlar-agent ashlar-link,build/deb/$(n)_$(shell dpkg --print-architecture).deb)
DEB_FLEET := build/deb/ashlar-fleet_$(shell dpkg --print-architecture).deb
DEB_WORKLOAD := build/deb/ashlar-workload_$(shell dpkg --print-architecture).deb
WORKLOAD_BINS := $(NAMES_workload:%=$(BIN)/%) $(if $(SRC_enter),$(BIN)/ashlar-enter) $(if $(SRC_guest),$(BIN)/ashlar-guest) $(BIN)/ashlar-call
.PHONY: deb
ifeq ($(BIN),build/bin)
deb: $(DEB_LINKS) $(DEB_FLEET) $(DEB_WORKLOAD)
$(DEB_LINKS) &: $(NAMES_agent:%=$(BIN)/%) $(wildcard data/* data/*/*) agent/org.ashlar.Host1.xml \
		tools/agent-deb.sh tools/deb.bash
	@$(if $(V),,echo "  DEB     build/deb")
	$(Q)tools/agent-deb.sh $(BIN) build/deb $(VERSION)
	@touch -h $(DEB_LINKS)
$(DEB_FLEET): $(NAMES_fleet:%=$(BIN)/%) data/systemd/ashlar-fleetd.service data/sysusers/ashlar-fleet.conf \
		tools/fleet-deb.sh tools/deb.bash
	@$(if $(V),,echo "  DEB     $@")
	$(Q)tools/fleet-deb.sh $(BIN) build/deb $(VERSION)
	@touch -h $@
$(DEB_WORKLOAD): $(WORKLOAD_BINS) data/systemd/ashlar-workloadd.service data/systemd/ashlar-workloadd.path \
		data/systemd/ashlar-names.service data/systemd/ashlar-names.path data/sysusers/ashlar-names.conf \
		data/firewall/workload.nft data/org.ashlar.Workload1.conf data/org.ashlar.Workload1.service \
		tools/workload-deb.sh tools/deb.bash
	@$(if $(V),,echo "  DEB     $@")
	$(Q)tools/workload-deb.sh $(BIN) build/deb $(VERSION)
	@touch -h $@
else
deb:
	@$(MAKE) FLAVOR=release CC=gcc deb
endif

# Made the same way in every flavour: its bytes are part of every image that is built.
$(BIN)/ashlar-initrd: $(SRC_initrd) $(wildcard agent/initrd*.h) Makefile | needs-deps
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) -std=gnu11 $(WARNINGS) -Werror -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
		-fno-common -D_GNU_SOURCE -I. -static -s -Wl,--build-id=none \
		-ffile-prefix-map=$(CURDIR)=. -o $@ $(SRC_initrd)
# The guest that proves KVM; where there is none, KVM counts as unproven.
$(BIN)/ashlar-kvm-probe: agent/workload/kvm-probe.S Makefile | needs-deps
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) -nostdlib -static -no-pie -Wl,-Ttext=0x100000,-e,start,-n,--build-id=none,-z,noexecstack \
		-s -o $@ $<
$(BIN)/ashlar-enter: $(SRC_enter)
$(BIN)/ashlar-guest: $(SRC_guest)
$(BIN)/ashlar-call: $(SRC_call)
$(BIN)/ashlar-enter $(BIN)/ashlar-guest $(BIN)/ashlar-call: $(wildcard agent/workload/*.h) Makefile | needs-deps
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) -std=gnu11 $(WARNINGS) -Werror -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
		-fno-common -D_GNU_SOURCE -I. -static -s -Wl,--build-id=none \
		-ffile-prefix-map=$(CURDIR)=. -o $@ $(filter %.c,$^)

.PHONY: FORCE needs-deps
FORCE:
needs-deps:
ifdef NEEDS_DEPS
	@echo "Libraries are missing: $$(pkg-config --print-errors --exists $(PKG_all) 2>&1 | head -1)" >&2
	@echo "Run 'sudo make deps' first ('sudo make image' and 'sudo make check' do it by themselves)." >&2
	@exit 1
endif

# ---- what a newcomer runs: each does all its own set-up -------------------------------------------

# The libraries are looked for when a makefile is read, so what compiles is a make of its own that
# begins when they are there.
.PHONY: image check
image:
	@tools/deps.sh image
	@$(MAKE) -j$(JOBS) all deb
	@set -e; built=$$(build/bin/ashlar build $(MANIFEST)); \
		build/bin/ashlar image "$${built%% *}"

check:
	@tools/deps.sh image check
	@$(MAKE) -j$(JOBS) all deb tests man
	@$(MAKE) -j$(JOBS) FLAVOR=asan all tests
	@tests/run $(TESTS_QUICK) $(filter-out $(TESTS_LONG),$(call tests_in,system vm))

MANIFEST := manifests/host.yaml
JOBS := $(shell nproc)

.PHONY: demo
DEMO_HOSTS ?= 3
# make takes `--keep` for its own --keep-going, so that is asked as well.
demo: keep = $(or $(KEEP),$(findstring k,$(firstword -$(MAKEFLAGS))))
demo:
	@tools/deps.sh image demo
	@$(MAKE) -j$(JOBS) all deb
	@tools/demo.sh $(if $(keep),--keep) --hosts $(DEMO_HOSTS)

.PHONY: deps check-deps bench-deps
deps:
	@tools/deps.sh image
check-deps:
	@tools/deps.sh image check
bench-deps:
	@tools/deps.sh image bench

# ---- tests ---------------------------------------------------------------------------------------

UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(sort $(wildcard tests/unit/test-*.c)))
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz-*.c)))
REPLAY := $(patsubst $(B)/tests/fuzz/fuzz-%,$(B)/tests/fuzz/replay-%,$(FUZZ))
TEST_TOOLS := $(patsubst tests/lib/%.c,$(B)/tests/lib/%,$(sort $(wildcard tests/lib/*.c)))

$(UNIT) $(TEST_TOOLS): $(B)/tests/%: $(B)/tests/%.o $(B)/builder.a $(B)/workload.a $(B)/agent.a $(B)/fleet.a $(B)/lib.a
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_tests)

$(REPLAY): $(B)/tests/fuzz/replay-%: $(B)/tests/fuzz/fuzz-%.o $(B)/tests/fuzz/replay.o \
		$(B)/builder.a $(B)/workload.a $(B)/agent.a $(B)/fleet.a $(B)/lib.a
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_tests)

$(FUZZ): $(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(B)/builder.a $(B)/workload.a $(B)/agent.a $(B)/fleet.a $(B)/lib.a
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LIBS_tests)

# What measures, and what is measured against: make bench-builder RUNS=5 BENCH_ROWS="1 3 4"
BENCH := $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(sort $(wildcard tests/bench/*.c)))
$(BENCH): $(B)/tests/bench/%: $(B)/tests/bench/%.o $(B)/fleet.a $(B)/lib.a
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_tests)

.PHONY: bench-builder
RUNS ?= 5
bench-builder:
	@tools/deps.sh image bench
	@$(MAKE) -j$(JOBS) all deb bench-tools
	@RUNS=$(RUNS) tests/bench/builder.sh
.PHONY: bench-update
bench-update:
	@tools/deps.sh image check bench
	@$(MAKE) -j$(JOBS) all deb bench-tools tests
	@RUNS=$(RUNS) tests/bench/update.sh
.PHONY: bench-fleet
bench-fleet:
	@tools/deps.sh image bench
	@$(MAKE) -j$(JOBS) all bench-tools
	@tests/bench/fleet.sh
.PHONY: bench-workload
bench-workload:
	@tools/deps.sh image bench
	@$(MAKE) -j$(JOBS) all
	@set -e; for bench in $(sort $(wildcard tests/bench/workload-*.sh)); do $$bench; done
.PHONY: bench-tools
bench-tools: $(BENCH) ;@:

# Runs inside machines, whatever they lack: tests/vm/probe.yaml.
build/probe: tests/vm/probe.c Makefile | needs-deps
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) -std=gnu11 $(WARNINGS) -Werror -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
		-D_GNU_SOURCE -static -s -Wl,--build-id=none -ffile-prefix-map=$(CURDIR)=. -o $@ $<

# Runs inside workloads, which have no library.
build/escape: tests/system/escape.c Makefile | needs-deps
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LINK    $@")
	$(Q)$(CC) -std=gnu11 $(WARNINGS) -Werror -O2 -D_GNU_SOURCE -static -s -o $@ $<

.PHONY: tests
tests: $(UNIT) $(REPLAY) $(TEST_TOOLS) build/probe build/escape

# Shell tests by level, and the C tests of the release and the sanitizer flavour.
tests_in = $(sort $(wildcard $(patsubst %,tests/%/*.sh,$(1))))
ASAN = $(patsubst build/release/%,build/asan/%,$(1))
TESTS_C = $(UNIT) $(REPLAY) $(call ASAN,$(UNIT) $(REPLAY))
# What takes too long for every change: 'make check-vm-long'.
TESTS_LONG := tests/vm/fleet.sh tests/vm/updates-document.sh
TESTS_QUICK = $(TESTS_C) $(call tests_in,golden lint integration)

# What may happen at any instant, tried so often that it takes hours.
.PHONY: soak
SOAK := $(CURDIR)/out/soak
SOAK_STATES ?= 20000
SOAK_KILLS ?= 40
SOAK_SEED ?= $(shell date +%s)
SOAK_TESTS ?= tests/system/host.sh tests/system/agent-kill.sh tests/system/power-cut.sh \
	tests/system/deploy-faults.sh \
	tests/vm/power-cut.sh tests/vm/kills.sh
soak:
	@tools/deps.sh image check
	@$(MAKE) -j$(JOBS) all deb tests
	@mkdir -p $(SOAK)
	@ASH_TEST_TIMEOUT=604800 ASHLAR_CRASH_STATES=$(SOAK_STATES) ASHLAR_KILLS=$(SOAK_STATES) \
		ASHLAR_ERRORS=$(SOAK_STATES) FAULTS=$(SOAK_STATES) ASHLAR_SECONDS=604800 ASHLAR_VM_KILLS=$(SOAK_KILLS) \
		ASHLAR_CRASH_SEED=$(SOAK_SEED) ASHLAR_CRASH_OUT=$(SOAK) tests/run $(SOAK_TESTS); \
	result=$$?; tests/lib/soak-summary.sh $(SOAK); exit $$result

.PHONY: check-unit check-integration check-system check-vm check-vm-long check-agents replay lint
check-unit: tests
	@tests/run $(UNIT)
replay: tests
	@tests/run $(REPLAY)
check-integration: all deb tests
	@tests/run $(call tests_in,golden integration)
check-system: all deb tests
	@tests/run $(call tests_in,system)
check-vm: all deb tests
	@tests/run $(filter-out $(TESTS_LONG),$(call tests_in,vm))
check-vm-long: all deb tests
	@tests/run $(TESTS_LONG)
AGENTS ?= 500
check-agents: all tests
	@ASHLAR_AGENTS=$(AGENTS) tests/run tests/system/fleet-agents-many.sh
lint:
	@tools/deps.sh image check
	@$(MAKE) -j$(JOBS) all man
	@tests/run $(call tests_in,lint)

# make fuzz-NAME: a libFuzzer run; what it finds new stays in build/, what it crashes on is to become a
# named file in tests/fuzz/corpus/NAME.
FUZZ_SECONDS ?= 60
.PHONY: $(notdir $(FUZZ))
$(notdir $(FUZZ)): fuzz-%:
	@$(MAKE) FLAVOR=fuzz CC=clang build/fuzz-clang/tests/fuzz/fuzz-$*
	@mkdir -p build/fuzz-clang/corpus/$* tests/fuzz/corpus/$*
	build/fuzz-clang/tests/fuzz/fuzz-$* -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
		-artifact_prefix=build/fuzz-clang/$*- \
		$(wildcard tests/fuzz/$*.dict:%=-dict=%) build/fuzz-clang/corpus/$* tests/fuzz/corpus/$*

# ---- looking at the code -------------------------------------------------------------------------

C_FILES = $(sort $(wildcard $(foreach d,lib builder agent agent/workload fleet fleet/store tests/*,$(d)/*.[ch])))
HEADERS = $(filter %.h,$(C_FILES))

.PHONY: format check-format check-headers check-syntax tidy analyze coverage
format:
	clang-format -i $(C_FILES)
check-format:
	clang-format --dry-run -Werror $(C_FILES)

# The compiler's opinion of all sources, without code: make check-syntax CC=clang
check-syntax: $(patsubst %.c,$(B)/syntax/%.ok,$(filter %.c,$(C_FILES)))
$(B)/syntax/%.ok: %.c $(B)/flags | needs-deps
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS_PKG) -MMD -MP -MT $@ -MF $(@:.ok=.d) -fsyntax-only $<
	@touch $@

check-headers: $(patsubst %.h,$(B)/headers/%.ok,$(HEADERS))
$(B)/headers/%.ok: %.h $(B)/flags | needs-deps
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS_PKG) -MMD -MP -MT $@ -MF $(@:.ok=.d) -fsyntax-only -include $< \
		-x c /dev/null
	@touch $@

tidy:
	@tools/deps.sh image tidy
	clang-tidy --quiet $(filter-out agent/%,$(filter %.c,$(C_FILES))) -- -std=gnu11 \
		$(filter -D% -I%,$(CFLAGS_ALL)) $(CFLAGS_PKG)
	cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability \
		--library=gtk --inline-suppr --suppress=unknownMacro '-DG_DEFINE_QUARK(a,b)=' \
		'-DG_GNUC_PRINTF(a,b)=' -I. $(filter %.c,$(C_FILES))
analyze:
	@$(MAKE) -j$(JOBS) FLAVOR=analyze all
coverage:
	@tools/deps.sh image check tidy
	@$(MAKE) -j$(JOBS) FLAVOR=cov all tests
	@ASH_BIN=build/cov/bin tests/run $(UNIT:build/release/%=build/cov/%) \
		$(REPLAY:build/release/%=build/cov/%) $(call tests_in,golden integration)
	gcovr -r . -e tests/ build/cov

# ---- manual, installation, the rest --------------------------------------------------------------

MAN := $(patsubst docs/man/%.scd,build/man/%,$(sort $(wildcard docs/man/*.scd)))
.PHONY: man install install-agent dist help clean
man: $(MAN)
build/man/%: docs/man/%.scd
	@mkdir -p $(@D)
	$(Q)SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-0} scdoc < $< > $@

# For who builds and publishes, and asks hosts. What runs on a host is in the packages.
install: all deb man
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir) $(DESTDIR)$(completiondir) $(DESTDIR)$(zshdir) \
		$(DESTDIR)$(fishdir) $(DESTDIR)$(datadir)
	install -m 755 $(BIN)/ashlar $(BIN)/ashlar-tuf $(BIN)/ashlarctl $(NAMES_fleet:%=$(BIN)/%) \
		$(DESTDIR)$(bindir)
	install -m 755 $(BIN)/ashlar-initrd $(DESTDIR)$(libdir)
	for page in $(MAN); do \
		install -D -m 644 -t $(DESTDIR)$(mandir)/man$${page##*.} $$page || exit; done
	for program in ashlar ashlarctl ashlar-fleet; do \
		$(BIN)/$$program completion bash > $(DESTDIR)$(completiondir)/$$program && \
		$(BIN)/$$program completion zsh > $(DESTDIR)$(zshdir)/_$$program && \
		$(BIN)/$$program completion fish > $(DESTDIR)$(fishdir)/$$program.fish || exit; done
	cp -R --no-preserve=ownership manifests images $(DESTDIR)$(datadir)
	# Where manifests/layers/agent.yaml looks for them.
	install -D -m 644 -t $(DESTDIR)$(datadir)/build/deb $(DEB_LINKS)

# Programs, units, D-Bus and firewall rules: their places are in the units, so there is no prefix.
install-agent: deb
	install -d $(DESTDIR)/
	for package in $(DEB_LINKS); do dpkg-deb --extract $$package $(DESTDIR)/ || exit; done

dist:
	@mkdir -p out
	git archive --prefix=ashlar-$(VERSION)/ -o out/ashlar-$(VERSION).tar.gz HEAD

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

clean:
	rm -rf build

.PRECIOUS: %.o
-include $(shell find $(B) -name '*.d' 2>/dev/null)
