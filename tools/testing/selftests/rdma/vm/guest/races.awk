# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Drops KCSAN's reports of races that are entirely of others' code from the kernel's log:
# the core has known ones. Give ours= (our modules' names, with | between) by -v.
#
# A report is ours if one of its stacks names one of our modules: no matter where, as the
# core may race with itself because we call it wrongly. What is below the entry of an
# interrupt does not count: that was interrupted there, and has not called anything. For
# the form of reports see the kernel's Documentation/dev-tools/kcsan.rst.
#
# Other CPUs may write between a report's lines. A line that is none of a report stays,
# and so does a report without its end.

function access_to()
{
	return text ~ / to 0x[0-9a-f]+ of [0-9]+ bytes by (task [0-9]+|interrupt) on cpu [0-9]+:$/
}

function near_end()
{
	return text ~ /^Reported by Kernel Concurrency Sanitizer on:$/
}

# A line of a report: blank or indented, as the stacks are, or one of these.
function in_form()
{
	return text ~ /^( |$)/ || access_to() || near_end() ||
		text ~ /^(value changed|CPU|Tainted|Hardware name|Workqueue|Stopper): /
}

{
	text = $0
	sub(/^\[ *[0-9]+\.[0-9]+\] ?/, "", text)
}

text ~ /^BUG: KCSAN: / {
	printf "%s", report
	report = $0 "\n"
	keep = whole = interrupted = 0
	next
}

report == "" {
	print
	next
}

text ~ /^=====*$/ {
	if (keep || !whole)
		printf "%s%s\n", report, $0
	report = ""
	next
}

!in_form() {
	print
	next
}

{
	report = report $0 "\n"
	if (access_to())
		interrupted = 0
	if (near_end())
		whole = 1
	if (text ~ /^ asm_(sysvec_|common_interrupt)/)
		interrupted = 1
	if (!interrupted && text ~ ("^ .* \\[(" ours ")\\]$"))
		keep = 1
}

END {
	printf "%s", report
}
