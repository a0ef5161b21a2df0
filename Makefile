# SPDX-License-Identifier: GPL-2.0
#
# make          kvmmem.ko for the running kernel, or for KDIR=<its headers>
# make demo     kvmmem on real guests, in an emulated AMD host
# make demo-shadow   one NPT against 1, 4, 16, 64 shadow tables, side by side
# make check    every test, on emulated AMD and Intel hosts; PART="style tool"
#               runs only those parts
# make check-debug   the suites on kernels that look for mistakes (KASAN, ...)
# make storm    storms of loads, VMs, readers: two hours and more
# make matrix   the system tests on every kernel; WRITE=1 updates Documentation
# make bench    what kvmmem costs beside other tools, in instructions
# make install  the tool and the module, below DESTDIR and PREFIX (/usr/local);
#               make uninstall; the parts are install-tools, modules_install
# make dist     the source archive, TAG=v1.0.0: of that tag; made outside the
#               tree, like the packages of make deb and make rpm
# make check-packages   build, install, use, remove them in clean systems
# make clean    leave the tree as cloned
# make help     this list

KDIR ?= /lib/modules/$(shell uname -r)/build

all:
	@test -e $(KDIR)/Makefile || { \
		echo "No kernel headers at $(KDIR):" \
		     "install them (linux-headers-...) or give KDIR=<headers>" >&2; \
		exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

# What goes where is in scripts/package/files.
PREFIX ?= /usr/local
export DESTDIR PREFIX MODULE_SIGN_KEY MODULE_SIGN_CERT

install: modules_install install-tools
	@scripts/package/install module

uninstall: uninstall-tools
	@scripts/package/install --remove module
	@scripts/package/module remove

modules_install:
	@scripts/package/module install $(KDIR)

install-tools:
	@scripts/package/install tools

# The source, for DKMS to build it.
install-dkms:
	@scripts/package/install dkms module

uninstall-tools:
	@scripts/package/install --remove tools

uninstall-dkms:
	@scripts/package/install --remove dkms module

.PHONY: install uninstall modules_install install-tools install-dkms uninstall-tools \
	uninstall-dkms dist deb rpm check-packages
dist:
	@scripts/package/dist $(TAG)

deb rpm:
	@sh scripts/lab/deps.sh $@
	@scripts/package/$@

check-packages:
	@sh scripts/lab/deps.sh packages
	@scripts/package/test

# Kbuild's own clean wants headers; this must work without.
clean:
	find . -name .git -prune -o \( -name '*.o' -o -name '*.ko' -o -name '*.mod' \
		-o -name '*.mod.c' -o -name '.*.cmd' -o -name '*.o.d' \) \
		-type f -exec rm -f {} +
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f Module.symvers modules.order scripts/guest/kvmguest

# Built once; without it emulated Intel hosts run Debian's, three times slower.
bochs = scripts/lab/bochs.py >/dev/null || echo "kvmmem: going on with Debian's Bochs, which is slow"

# Who has no python yet lacks the rest, too.
check:
	@[ -x /usr/bin/python3 ] || sh scripts/lab/deps.sh build kernels
	@needs=$$(scripts/test/check --needs $(PART)) && \
		{ [ -z "$$needs" ] || sh scripts/lab/deps.sh $$needs; } && \
		case $$needs in *bochs*) $(bochs) ;; esac && \
		scripts/test/check $(PART)

bench:
	@sh scripts/lab/deps.sh build amd bench
	@scripts/bench/bench

demo:
	@sh scripts/lab/deps.sh build amd
	@scripts/demo/demo

demo-shadow:
	@sh scripts/lab/deps.sh build amd
	@scripts/demo/shadow

matrix:
	@sh scripts/lab/deps.sh build kernels amd intel bochs export perf
	@$(bochs)
	@scripts/matrix/matrix.py $(if $(WRITE),--write)

# Every suite on kernels that look for mistakes: KASAN, KCSAN, KVM built in.
check-debug:
	@sh scripts/lab/deps.sh build kernels amd intel bochs kunit export perf
	@$(bochs)
	@scripts/test/check --debug

# Storms, in full: two hours and more, on Debian's 6.1 and on the KASAN kernel.
storm:
	@sh scripts/lab/deps.sh build kernels amd intel bochs kunit
	@$(bochs)
	@scripts/test/run.py --vendor both --kernel 6.1,kasan storm

# The list at the top, up to the first empty line.
help:
	@sed -n '/^# make/,/^$$/s/^# //p' $(firstword $(MAKEFILE_LIST))
	@echo Parts of make check: $$(sed -n 's/^    ("\([a-z]*\)", (.*/\1/p' scripts/test/check)

.PHONY: all clean check check-debug storm matrix bench demo demo-shadow help
