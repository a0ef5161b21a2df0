# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
#
# Print -DKVMMEM_HAVE_<TEST> for each kernel API in this directory that exists.
#
#   configure.sh COMPILER [FLAG...]
#
# A test is a header that compiles where its API exists, included by all.c. All
# are compiled at once, to nothing: a test failed if the compiler found an error
# in its file. Errors anywhere else end the build, rather than to pass for APIs
# that are missing or there; so does a compiler that finds no error in never.h.

here=${0%/*}
terse=-fno-diagnostics-show-caret
case "$*" in
*clang*) terse="-fno-caret-diagnostics -ferror-limit=0" ;;
esac
# shellcheck disable=SC2086
said=$(LC_ALL=C "$@" -Wno-error -Werror=implicit-function-declaration \
	$terse -fsyntax-only "$here/all.c" 2>&1)
errors=$(printf '%s\n' "$said" | grep -E ' (fatal )?error: ')
own=$(printf '%s\n' "$errors" | grep '/configure/[a-z_]*\.h:')

if [ "$errors" != "$own" ] || [ "${own#*/configure/never.h:}" = "$own" ]; then
	printf 'kvmmem: the tests of kernel APIs do not compile:\n%s\n' "$said" >&2
	exit 1
fi
for path in "$here"/*.h; do
	test=${path##*/}
	test=${test%.h}
	[ "${own#*/configure/"$test".h:}" != "$own" ] ||
		printf '%s' "-DKVMMEM_HAVE_$test " | tr '[:lower:]' '[:upper:]'
done
