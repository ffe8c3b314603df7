# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The Makefiles of the folders include this once they have named their tests: the
# kernel's lib.mk, by whose rule each program is one file; here with the library, and
# with PARTS, where there are more files.
KSFT ?= $(abspath ../..)
OUTPUT ?= $(CURDIR)
# of a whole program in run_tests, in seconds: the kernel's own 45 are too few
export kselftest_override_timeout ?= 1800
LIBRARY := $(abspath $(OUTPUT)/../lib/lib.a)

.DEFAULT_GOAL := all

CFLAGS += -std=gnu11 -O2 -g -Wall -Wextra -Wno-unused-parameter \
	-Wno-missing-field-initializers -Wmissing-prototypes \
	-Wstrict-prototypes -I$(KSFT) -I../lib
LDLIBS += -libverbs -lpthread
LOCAL_HDRS := $(wildcard ../lib/*.h *.h)

.PHONY: list-tests
list-tests:
	@for name in $(TEST_GEN_PROGS) $(TEST_PROGS); do echo $$name; done

# The list does without the kernel's selftests.
ifneq ($(MAKECMDGOALS),list-tests)
include $(KSFT)/lib.mk
endif

$(TEST_GEN_PROGS) $(TEST_GEN_PROGS_EXTENDED): $(PARTS) $(LIBRARY)

.PHONY: FORCE
ifneq ($(notdir $(CURDIR)),lib)
$(LIBRARY): FORCE
	@mkdir -p $(@D) && $(MAKE) --no-print-directory -C ../lib OUTPUT=$(@D)
endif
