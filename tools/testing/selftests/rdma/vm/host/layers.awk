# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Check the layers of a driver. The first file is its Kbuild, whose objects name
# the folders from the lowest layer to the highest; the driver's own folder is on
# top of all. The others are its sources. All are named from the driver's folder.
# Prints each error, and exits with 1 if there is one:
#
#	an include of a higher layer
#	headers that include one another in a circle
#	a header that declares a function that the .c of its name does not define

function wrong(where, text)
{
	print where ": " text
	failed = 1
}

function folder(file)
{
	return file ~ /\// ? substr(file, 1, index(file, "/") - 1) : "."
}

function rank(file)
{
	if (folder(file) == ".")
		return layers + 1
	if (!(folder(file) in layer))
		wrong(file, "no layer: the Kbuild has no object of this folder")
	return layer[folder(file)]
}

# The function that a line at the left margin declares, or begins to define.
function function_of(line,	name)
{
	if (line !~ /^[a-z_]/ || line ~ /^(static|typedef)/)
		return ""
	if (!match(line, /(^|[ *])[a-z_][a-z_0-9]*\(/))
		return ""
	# the type is in the line before
	if (RSTART == 1 && line ~ /^[a-z_0-9]+\(/ && before ~ /^static/)
		return ""
	name = substr(line, RSTART, RLENGTH - 1)
	gsub(/[ *]/, "", name)
	return name
}

# A header reached from another one, along PATH, must not be on PATH.
function walk(header, path,	i, n, next_one)
{
	if (index(path " ", " " header " ")) {
		wrong(header, "headers include one another:" path " " header)
		return
	}
	if (header in walked)
		return
	n = header in includes ? split(includes[header], next_one) : 0
	for (i = 1; i <= n; i++)
		walk(next_one[i], path " " header)
	walked[header] = 1
}

FNR == 1 {
	file = FILENAME
	sub(/^\.\//, "", file)
	before = ""
	other_build = 0
}

NR == FNR {
	if (match($0, /[a-z_0-9]+\/[a-z_0-9]+\.o/)) {
		name = folder(substr($0, RSTART, RLENGTH))
		if (!(name in layer))
			layer[name] = ++layers
	}
	next
}

/^#include "/ {
	split($0, quoted, "\"")
	if (rank(quoted[2]) > rank(file))
		wrong(file ":" FNR, "includes " quoted[2] ", of a higher layer")
	if (file ~ /\.h$/)
		includes[file] = includes[file] " " quoted[2]
}

# what a test module defines, in its own build
/^#ifdef (ODP|RXE)_TEST/ {
	other_build = 1
}

/^#(else|endif)/ {
	other_build = 0
}

{
	name = other_build ? "" : function_of($0)
	before = $0
}

name != "" && file ~ /\.h$/ {
	declared[file ":" FNR] = file " " name
}

name != "" && file ~ /\.c$/ {
	defined[file " " name] = 1
}

END {
	for (where in declared) {
		split(declared[where], words, " ")
		source = words[1]
		sub(/h$/, "c", source)
		if (!((source " " words[2]) in defined))
			wrong(where, words[2] "() is not defined by " source)
	}
	for (header in includes)
		walk(header, "")
	exit failed
}
