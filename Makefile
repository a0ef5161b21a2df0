# SPDX-License-Identifier: GPL-2.0
#
# make          kvmmem.ko for the running kernel, or for KDIR=<its headers>
# make deb      Debian packages, made outside the tree; make rpm: RPMs
# make check-packages   install, use and remove them in clean systems
# make demo     kvmmem on real guests, in an emulated AMD host
# make check    every test, on emulated AMD and Intel hosts
# make matrix   the system tests on every kernel; WRITE=1 updates Documentation
# make bench    what kvmmem costs beside other tools, in instructions
# make clean    leave the tree as cloned

KDIR ?= /lib/modules/$(shell uname -r)/build

all:
	@test -e $(KDIR)/Makefile || { \
		echo "No kernel headers at $(KDIR):" \
		     "install them (linux-headers-...) or give KDIR=<headers>" >&2; \
		exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

.PHONY: deb rpm check-packages
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

check:
	@sh scripts/lab/deps.sh build kernels amd intel bochs kunit style
	@$(bochs)
	@scripts/test/check

bench:
	@sh scripts/lab/deps.sh build amd bench
	@scripts/bench/bench

demo:
	@sh scripts/lab/deps.sh build amd
	@scripts/demo/demo

matrix:
	@sh scripts/lab/deps.sh build kernels amd intel bochs
	@$(bochs)
	@scripts/matrix/matrix.py $(if $(WRITE),--write)

.PHONY: all clean check matrix bench demo
