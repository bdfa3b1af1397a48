# Builds and installs the C and C++ library. Needs cargo and a C compiler, nothing else.
#
#   make                  build libchangeover.so and libchangeover.a
#   make install          install them, the headers, the pkg-config file and the CMake package
#   make install-strip    the same without the line tables that panics and debuggers use
#   make uninstall        remove what install put there (say the same directories again)
#   make examples         build the example programs of examples/c against the tree's library
#   make clean            remove what the above built
#   make help             this text
#
# Variables, as usual:
#   PREFIX=/usr/local     where it will be used
#   DESTDIR=              put in front of every path while installing (for packages)
#   LIBDIR=$(PREFIX)/lib  INCLUDEDIR=$(PREFIX)/include
#   PROFILE=release       cargo's profile
#   CARGO_TARGET_DIR      cargo's directory, CARGO_BUILD_TARGET the target; CARGOFLAGS, such as --offline
#
# `make && sudo make install && sudo ldconfig` needs no cargo for root: install builds only what
# is older than its sources.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
CMAKEDIR ?= $(LIBDIR)/cmake/changeover
DESTDIR ?=
PROFILE ?= release
CARGO ?= cargo
CARGOFLAGS ?=
INSTALL ?= install

# Versions have one source.
cargo_toml = $(shell awk -F'"' '/^\[/ { section = $$0 } section == "[$(1)]" && /^version *=/ { print $$2 }' Cargo.toml)
VERSION := $(call cargo_toml,package)
LIBRARY_VERSION := $(call cargo_toml,package.metadata.capi.library)
ABI := $(firstword $(subst ., ,$(LIBRARY_VERSION)))
SONAME := libchangeover.so.$(ABI)
REAL := libchangeover.so.$(LIBRARY_VERSION)

# A directory of its own: `cargo build` makes files of the same names, without the SONAME.
TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))/make
OUT := $(TARGET_DIR)/$(if $(CARGO_BUILD_TARGET),$(CARGO_BUILD_TARGET)/)$(if $(filter dev test,$(PROFILE)),debug,$(PROFILE))
SO := $(OUT)/libchangeover.so
A := $(OUT)/libchangeover.a
# What a program that links the archive has to link besides, as rustc says.
NATIVE := $(OUT)/libchangeover.native-libs
BUILT := $(OUT)/libchangeover.built
SOURCES := Makefile Cargo.toml Cargo.lock $(shell find src -name '*.rs')

ifneq ($(filter $(shell uname -s),Darwin),)
$(error this Makefile makes ELF libraries; on macOS use: cargo cinstall)
endif

.PHONY: all
all: $(BUILT)

# One run makes both libraries: of what `[lib]` names without its rlib, and with the SONAME.
$(BUILT): $(SOURCES)
	$(if $(and $(VERSION),$(ABI)),,$(error no version found in Cargo.toml))
	rm -f $(BUILT) $(SO) $(A)
	$(CARGO) rustc $(CARGOFLAGS) --locked --profile $(PROFILE) --target-dir '$(TARGET_DIR)' --lib --crate-type cdylib,staticlib -- \
		-C link-arg=-Wl,-soname,$(SONAME) --print 'native-static-libs=$(NATIVE)'
	@test -s '$(NATIVE)' || { echo 'rustc has not said what the archive needs: make clean, and again' >&2; exit 1; }
	test -f '$(SO)' && test -f '$(A)'
	touch $(BUILT)

# The pkg-config file says where things are from where it lies itself, so that the whole tree can be
# moved; what is not below the prefix is told by its full path.
empty :=
inside = $(filter $(PREFIX)/%,$(1))
from_prefix = $(if $(call inside,$(1)),$${prefix}/$(patsubst $(PREFIX)/%,%,$(1)),$(1))
ups = $(subst $(empty) $(empty),/,$(patsubst %,..,$(subst /, ,$(patsubst $(PREFIX)/%,%,$(1)))))
PC_PREFIX = $(if $(call inside,$(PKGCONFIGDIR)),$${pcfiledir}/$(call ups,$(PKGCONFIGDIR)),$(PREFIX))

.PHONY: install
install: $(BUILT)
	$(INSTALL) -d '$(DESTDIR)$(INCLUDEDIR)' '$(DESTDIR)$(LIBDIR)' '$(DESTDIR)$(PKGCONFIGDIR)' '$(DESTDIR)$(CMAKEDIR)'
	$(INSTALL) -m 644 include/changeover.h include/changeover.hpp '$(DESTDIR)$(INCLUDEDIR)'
	$(INSTALL) -m 644 '$(A)' '$(DESTDIR)$(LIBDIR)/libchangeover.a'
	$(INSTALL) -m 755 '$(SO)' '$(DESTDIR)$(LIBDIR)/$(REAL)'
	ln -sf $(REAL) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libchangeover.so'
	sed -e 's|@PREFIX@|$(PC_PREFIX)|' -e 's|@LIBDIR@|$(call from_prefix,$(LIBDIR))|' \
		-e 's|@INCLUDEDIR@|$(call from_prefix,$(INCLUDEDIR))|' \
		-e 's|@VERSION@|$(VERSION)|' -e "s|@NATIVE@|$$(cat '$(NATIVE)')|" \
		cmake/changeover.pc.in > '$(DESTDIR)$(PKGCONFIGDIR)/changeover.pc'
	chmod 644 '$(DESTDIR)$(PKGCONFIGDIR)/changeover.pc'
	$(INSTALL) -m 644 cmake/changeover-config.cmake cmake/changeover-config-version.cmake '$(DESTDIR)$(CMAKEDIR)'

.PHONY: install-strip
install-strip: install
	strip --strip-unneeded '$(DESTDIR)$(LIBDIR)/$(REAL)'
	strip --strip-debug '$(DESTDIR)$(LIBDIR)/libchangeover.a'

.PHONY: uninstall
uninstall:
	for file in changeover.h changeover.hpp; do rm -f '$(DESTDIR)$(INCLUDEDIR)'/$$file; done
	for file in libchangeover.a libchangeover.so $(SONAME) $(REAL); do rm -f '$(DESTDIR)$(LIBDIR)'/$$file; done
	rm -f '$(DESTDIR)$(PKGCONFIGDIR)/changeover.pc'
	for file in changeover-config.cmake changeover-config-version.cmake; do rm -f '$(DESTDIR)$(CMAKEDIR)'/$$file; done
	test ! -d '$(DESTDIR)$(CMAKEDIR)' || rmdir '$(DESTDIR)$(CMAKEDIR)'

.PHONY: examples
examples: $(BUILT)
	ln -sf libchangeover.so '$(OUT)/$(SONAME)'
	$(MAKE) -C examples/c OUT='$(OUT)/examples-c' \
		CHANGEOVER_CFLAGS='-I$(CURDIR)/include' \
		CHANGEOVER_LIBS='-L$(OUT) -lchangeover -Wl,-rpath,$(OUT)'

.PHONY: clean
clean:
	rm -rf '$(TARGET_DIR)'

.PHONY: help
help:
	@sed -n '/^#/!q; s/^#\( \|$$\)//p' Makefile
