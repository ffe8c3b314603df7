# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# make check: the kernel's checkpatch on C, shellcheck on shell, coccicheck and sparse
# on the driver, all from the Debian root; the form of the driver's comments; whether its
# layers are kept; and whether the tests' README is true.

# Files of the tree, as git knows them; without git, all there are.
tree_files()
{
	(
		cd "$tree"
		git -c safe.directory="$tree" ls-files -co --exclude-standard 2>/dev/null ||
			find . -type f -not -path './.git/*' -not -path './build/*' -printf '%P\n'
	)
}

# Whether a file is a script that is run. Files that it sources are checked with it.
is_shell()
{
	head -n 1 "$tree/$1" | grep -q '^#!/bin/\(ba\)\?sh'
}

# Warnings of checkpatch that do not apply to a file: a header for
# several kernels, the form of trace events, a list of macros, programs of user space.
accepted()
{
	case $1 in
	*/compat.h)
		echo LINUX_VERSION_CODE,CONSTANT_COMPARISON,NEW_TYPEDEFS
		;;
	*/rule.h)
		echo COMPLEX_MACRO,MACRO_ARG_REUSE,MACRO_ARG_UNUSED
		;;
	*trace.h)
		echo PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE
		;;
	tools/*)
		echo PREFER_DEFINED_ATTRIBUTE_MACRO,MACRO_ARG_REUSE
		;;
	*)
		echo NONE
		;;
	esac
}

checkpatch()
{
	local file

	for file; do
		printf '%s %s\n' "$(accepted "$file")" "$file"
	done | in_root "$root" --bind "$tree" /mnt/tree bash -c '
		cd /mnt/tree
		while read -r accepted file; do
			/usr/src/kselftest/scripts/checkpatch.pl --no-tree \
				--strict --no-summary --terse --show-types \
				--ignore "$accepted" -f "$file" || failed=1
		done
		exit "${failed-0}"'
}

# Comments that are kernel-doc are whole.
check_kernel_doc()
{
	in_root "$root" --bind "$tree" /mnt/tree bash -c \
		'cd /mnt/tree && /usr/lib/linux-kbuild-6.12*/scripts/kernel-doc -none \
			-Wall -Werror "$@"' check "$@"
}

# No comment is wider than a reader's window, be it behind code: tabs are 8 columns.
check_width()
{
	(cd "$tree" && awk '{
		while ((at = index($0, "\t")))
			$0 = substr($0, 1, at - 1) \
			     substr("        ", (at - 1) % 8 + 1) substr($0, at + 1)
	}
	length > 100 && /^ *\*|\/\*|\/\// {
		print FILENAME ":" FNR ": a comment over 100 columns"
		failed = 1
	} END { exit failed }' "$@")
}

# check_semantics DIR [WORDS]: the kernel's semantic patches that report, or those of
# them with WORDS in their path. One by one: Debian's spatch has no OCaml, and coccicheck
# ends at the first that wants it.
check_semantics()
{
	# shellcheck disable=SC2016 # expanded in the root
	in_root "$root" --bind "$tree" /mnt/tree bash -euc '
		cd /usr/src/kselftest
		export MODE=report srctree=$PWD KBUILD_EXTMOD=/mnt/tree/$1 \
			LINUXINCLUDE="-I/mnt/tree/include -I/mnt/tree/$1"
		for COCCI in $(grep -rl "^virtual.*report" scripts/coccinelle |
				xargs grep -L ocaml | grep -F -- "$2"); do
			export COCCI
			if ! said=$(bash scripts/coccicheck 2>&1); then
				echo "$COCCI: $said"
				failed=1
			elif grep "^/mnt/tree/.*:[0-9]" <<<"$said"; then
				failed=1
			fi
		done
		exit "${failed-0}"' check "$1" "${2-}"
}

# check_layers DIR SOURCE...: of a driver with a Kbuild
check_layers()
{
	(cd "$1" && awk -f "$vm_dir/layers.awk" Kbuild "${@:2}")
}

# The tests' README names every test, and no source file that does not exist.
check_readme()
{
	local readme=$tree/$selftests/README.md files name failed=0

	for name in $(make -s -C "$tree/$selftests" list-tests); do
		grep -qF "\`$name\`" "$readme" || {
			say "README.md of the tests: $name is missing"
			failed=1
		}
	done
	files=$(tree_files)
	for name in $(grep -o '`[a-z_/]*\.[ch]`' "$readme" | tr -d '`' | grep -v ^kselftest); do
		grep -q "/$name$" <<<"$files" || {
			say "README.md of the tests: there is no $name"
			failed=1
		}
	done
	return "$failed"
}

cmd_check()
{
	local driver=drivers/infiniband/sw/rxe
	local file c_files=() shell_files=() driver_files=() failed=0

	install_host_packages
	need_root_dir
	while read -r file; do
		[ -f "$tree/$file" ] || continue
		case $file in
		*.c | *.h)
			c_files+=("$file")
			[[ $file != "$driver"/* ]] || driver_files+=("${file#"$driver"/}")
			;;
		*)
			! is_shell "$file" || shell_files+=("$file")
			;;
		esac
	done < <(tree_files)
	say "shellcheck: ${#shell_files[@]} files"
	in_root "$root" --bind "$tree" /mnt/tree bash -c \
		'cd /mnt/tree && shellcheck -x -P SCRIPTDIR "$@"' check "${shell_files[@]}" ||
		failed=1
	if [ "${#c_files[@]}" -gt 0 ]; then
		say "checkpatch: ${#c_files[@]} files"
		checkpatch "${c_files[@]}" || failed=1
	fi
	say "comments: ${#driver_files[@]} files of the driver"
	check_kernel_doc "${driver_files[@]/#/$driver/}" || failed=1
	check_width "${driver_files[@]/#/$driver/}" || failed=1
	say "layers: ${#driver_files[@]} files of the driver"
	check_layers "$tree/$driver" "${driver_files[@]}" || failed=1
	check_readme || failed=1
	say "semantics: the driver"
	check_semantics "$driver" || failed=1
	"$0" sparse || failed=1
	[ "$failed" -eq 0 ] || die "check found something"
	say "check found nothing"
}

cmd_sparse()
{
	install_host_packages
	need_root_dir
	new_share 6.12
	say "sparse: the driver, on 6.12"
	# Checks everything each time, so what it says is never lost.
	make_args="C=2 CHECK=sparse" STRICT=1 build_for 6.12 "$share/build"
}
