# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The driver's modules are built by the kernel's own build system; everything
# that needs a guest is done by the harness. "make help" lists the targets.

KDIR ?= /lib/modules/$(shell uname -r)/build
RXE_DIR := $(CURDIR)/drivers/infiniband/sw/rxe
SELFTESTS := $(CURDIR)/tools/testing/selftests/rdma
VM := $(SELFTESTS)/vm/vm

# Variables that the harness takes from make's command line.
export RXE_ODP_CACHE CMD DEBUG_NEED DEBUG_TESTS DEBUG_WITHIN KERNEL KERNELS PEERS TESTS \
	RXE TOPOLOGY GUEST_CMDLINE MTU MEM CPUS STORM_SECONDS LONG_TESTS \
	TIME_LIMIT QUIET_LIMIT BOOT_LIMIT LIMIT_FACTOR AT_ONCE QUICK PAIRS ROWS DRIVERS BOOTS

.DELETE_ON_ERROR:
.PHONY: all headers modules run shell test test-all test-debug bench check install \
	uninstall deb clean distclean help

all: modules

# An error in one line, instead of kbuild's many.
headers:
	@$(if $(wildcard $(KDIR)/include/generated/utsrelease.h),,$(error \
		no kernel headers in $(KDIR): install them (Debian: linux-headers-amd64) \
		or say where they are, make KDIR=...))

modules: headers
	@'$(CURDIR)/packaging/check_kernel.sh' '$(KDIR)'
	+$(MAKE) -C $(KDIR) M=$(RXE_DIR) modules

run:
	@'$(VM)' run

shell:
	@'$(VM)' shell

test:
	@'$(VM)' test

test-all: export LONG_TESTS := yes
test-all: export STORM_SECONDS := 600
test-all: export TIME_LIMIT := 43200
test-all:
	@'$(VM)' test

test-debug: export TIME_LIMIT := 43200
test-debug:
	@'$(VM)' test-debug

bench:
	@'$(VM)' bench

check:
	@'$(VM)' check

# updates/ comes before the kernel's own modules in depmod's search order, so
# that modprobe takes this rdma_rxe and not the kernel's.
install: headers
install uninstall: export KDIR := $(KDIR)
install uninstall:
	@'$(CURDIR)/packaging/install.sh' $@

# A Debian package, by which DKMS builds the module for each kernel
deb:
	@'$(CURDIR)/packaging/deb.sh'

clean: headers
	$(MAKE) -C $(KDIR) M=$(RXE_DIR) clean
	rm -rf '$(CURDIR)/build'

distclean:
	@'$(VM)' clean

help:
	@echo 'make                  build rdma_rxe.ko for the running kernel (KDIR=... for another)'
	@echo 'make install          install it where modprobe prefers it to the kernel'"'"'s own'
	@echo 'make uninstall        remove it from there'
	@echo 'make deb              a Debian package in build/: the driver for DKMS, and a service'
	@echo 'make run              boot a guest, run perftest with --odp between two hosts in it'
	@echo 'make run CMD="..."    run another command in that guest'
	@echo 'make shell            an interactive guest; leave the shell to end it'
	@echo 'make test             the tests on the Debian kernels 6.1, 6.12 and the newest'
	@echo 'make test-all         all tests on each, also the long ones: a night'
	@echo 'make test-debug       the same on a kernel with KASAN, lockdep and more; KERNEL=kcsan: with'
	@echo '                      KCSAN, which finds data races; KERNEL=rt: on Debian'"'"'s PREEMPT_RT kernel'
	@echo 'make bench            this driver beside the kernel'"'"'s own, and with it as a peer: 50 minutes;'
	@echo '                      QUICK=1: ten minutes; BOOTS="tuned stock peers": parts of it'
	@echo 'make check            checkpatch, shellcheck, sparse, coccicheck, order of layers'
	@echo 'make clean            remove what "make" built'
	@echo 'make distclean        remove the cache: Debian root, built kernels, logs; no files of others'
	@echo
	@echo 'Guests take KERNEL=6.1|6.12|6.12-deb13|newest|debug|kcsan|rt (run, shell), KERNELS="6.1 6.12"'
	@echo 'and TESTS="name ..." (test), MTU=, MEM= (MiB), CPUS=, TIME_LIMIT= (seconds); tests take'
	@echo 'AT_ONCE=2 (kernels that are tested at the same time), LIMIT_FACTOR=4 (times the limits of'
	@echo 'tests, on a slow host). A wrong value is refused, with a list of the valid ones.'
	@echo 'The cache is RXE_ODP_CACHE ('"$${XDG_CACHE_HOME:-\$$HOME/.cache}"'/rxe-odp).'
