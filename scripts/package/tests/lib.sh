# SPDX-License-Identifier: GPL-2.0
# For the tests, which run as root in a clean Debian of their own: the source
# tree is at /tree, read-only, packages are below /out, and those that the release
# of Debian, $1, has built are below /out/$1.
# shellcheck shell=sh
# shellcheck disable=SC2034
set -u

version=$(/tree/scripts/package/install version)
suite=$1
log=/tmp/log

# Left out of the clean system with its manuals; dpkg does not make it for ours.
mkdir -p /usr/share/man/man4 /usr/share/man/man8

# check NAME COMMAND...: it must succeed; what it printed is in $log for the next
check() {
	name=$1 got=0
	shift
	"$@" >"$log.new" 2>&1 || got=$?
	mv "$log.new" "$log"
	if [ $got = 0 ]; then
		printf 'ok %s\n' "$name"
		return
	fi
	printf 'FAIL %s: status %s of: %s\n' "$name" $got "$*"
	tail -n 20 "$log" | sed 's/^/    /'
	for make_log in /var/lib/dkms/kvmmem/*/build/make.log; do
		[ -e "$make_log" ] || continue
		grep -E 'rror' "$make_log" | head -n 20 | sed 's/^/    /'
		rm -f "$make_log"
	done
}

# status N COMMAND...: it must end with that status
status() {
	want=$1 ended=0
	shift
	"$@" || ended=$?
	[ "$ended" = "$want" ] || {
		echo "status $ended, not $want"
		return 1
	}
}

# says REGEX COMMAND...: it must print a line like that
says() {
	regex=$1
	shift
	text=$("$@" 2>&1) || true
	printf '%s\n' "$text"
	printf '%s\n' "$text" | grep -Eq -- "$regex" || {
		echo "no line matches $regex"
		return 1
	}
}

# The regular expression of what is listed for a kernel that has the module.
installed() {
	printf '^kvmmem/%s, %s, x86_64: installed' "$1" "$2" | sed 's/[.+]/[&]/g'
}

not() {
	! "$@"
}

kernels() {
	ls /lib/modules 2>/dev/null
}

# dkms runs depmod only for kernels that are there as a whole, with modules of their
# own and not only their headers.
for kernel in $(kernels); do
	[ ! -e "/lib/modules/$kernel/modules.dep" ] || continue
	mkdir -p "/lib/modules/$kernel/kernel"
	echo | gcc -c -x c - -o "/lib/modules/$kernel/kernel/some.ko"
	depmod "$kernel" 2>/dev/null
done

# A kernel of another name: its headers are a copy of those of the first one,
# without the options given.
make_kernel() {
	new=$1
	shift
	old=$(kernels | sort -V | head -n 1)
	headers=/usr/src/linux-headers-$new
	cp -a "$(realpath "/lib/modules/$old/build")" "$headers"
	for option; do
		sed -i "s/^$option=.*/# $option is not set/" "$headers/.config" \
			"$headers/include/config/auto.conf"
	done
	echo "#define UTS_RELEASE \"$new\"" >"$headers/include/generated/utsrelease.h"
	mkdir "/lib/modules/$new"
	ln -s "$headers" "/lib/modules/$new/build"
}

# The module that dkms installed for a kernel.
module_of() {
	find "/lib/modules/$1/updates/dkms" -name 'kvmmem.ko*' 2>/dev/null
}

dkms_says() {
	says "$1" dkms status kvmmem
}

# Everything in this system that has to do with kvmmem.
traces() {
	find / \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /tree \
		-o -path /out \) -prune -o -name '*kvmmem*' -print
}

no_traces() {
	left=$(traces)
	[ -z "$left" ] || {
		echo "left behind: $left"
		return 1
	}
}
