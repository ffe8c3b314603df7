# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Sums the KTAP output of one test program and prints
#	PASSED FAILED SKIPPED reasons...
# where reasons are the errors: of the first results that are "not ok" their names
# and the last two diagnostic lines before them, and all other errors. Give status=
# (its exit status), limit= (seconds, for the text) by -v.
# A program that prints no result, or fewer than its plan, has failed.

function reason(text)
{
	reasons = reasons (reasons == "" ? "" : "; ") text
}

function wrong(text)
{
	failed++
	reason(text)
}

BEGIN {
	most_named = 3
}

# Only the outermost level counts: subtests show as their parent's result.
/^1\.\.[0-9]+/ {
	planned = 1
	plan = substr($1, 4) + 0
	plan_skip = toupper($0) ~ /# *SKIP/
	next
}
/^# / {
	before = last
	last = substr($0, 3)
	next
}
/^ok([ \t]|$)/ {
	results++
	before = last = ""
	if (toupper($0) ~ /#[ \t]*SKIP/)
		skipped++
	else
		passed++
	next
}
/^not ok([ \t]|$)/ {
	results++
	if (toupper($0) ~ /#[ \t]*SKIP/) {
		skipped++
	} else {
		failed++
		if (++not_ok <= most_named)
			reason($0 " [" before "] [" last "]")
	}
	before = last = ""
	next
}
/^Bail out!/ {
	wrong("bailed out")
}

END {
	passed += 0; failed += 0; skipped += 0
	if (status == 4 && !results && !failed) {
		skipped = 1
	} else if (plan_skip && !plan && !results && status == 0) {
		skipped = 1
	} else {
		if (!planned)
			wrong("no plan")
		else if (plan != results)
			wrong("planned " plan ", ran " results + 0)
		else if (!results)
			wrong("tested nothing")
		if (status == 124 || status == 137)
			wrong("not done after " limit " s")
		else if (status > 128)
			wrong("killed by signal " status - 128)
		else if (status && status != 4 && !not_ok)
			wrong("exit status " status)
	}
	print passed, failed, skipped, reasons
}
