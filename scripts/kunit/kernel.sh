#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Build a kernel that looks for mistakes, once, into a cache.
#
#   kernel.sh [--path] [debug | kasan | kcsan | builtin | newest]
#
# debug    what kvmmem's KUnit suites run on: KUnit, lockdep, times that locks are
#          held, failing allocations
# kasan    that with KASAN and UBSAN, and all that a host does to its memory
# kcsan    the same with KCSAN instead
# builtin  kasan, with KVM in the kernel instead of modules
# newest   kasan, from the source of the newest kernel that is tested, where probes
#          run with preemption on
# --path   build nothing; end with 1 if it is not built
#
# The last line printed, and the only one on stdout, is the build directory:
#   KDIR=$(scripts/kunit/kernel.sh kasan) && make KDIR="$KDIR"
# In it: bzImage, root/lib/modules/<release>/ (kvm, kvm-intel, kvm-amd, and
# modules.dep), .config, build.log, and what an external module is built with.
#
# The cache is $KVMMEM_CACHE or ~/.cache/kvmmem; a directory in it is named for
# the source, the compiler and the configuration, comments apart. The source is
# $KVMMEM_KERNEL_SOURCE, by default the tarball of Debian's linux-source-6.12;
# newest has its own, which lab/kernels.py fetches.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
source=${KVMMEM_KERNEL_SOURCE:-/usr/src/linux-source-6.12.tar.xz}
cache=${KVMMEM_CACHE:-${HOME:?}/.cache/kvmmem}/kunit
# Raise it when a change below should make what is cached obsolete.
recipe=1
flavour=debug
build=yes

# Nothing that the caller's own make or environment says is meant for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEFILES GNUMAKEFLAGS ARCH CROSS_COMPILE LLVM \
	O M V W C CF KBUILD_OUTPUT KBUILD_EXTMOD KBUILD_EXTRA_SYMBOLS KDIR KCFLAGS \
	KCPPFLAGS LOCALVERSION KCONFIG_CONFIG KCONFIG_ALLCONFIG INSTALL_MOD_PATH
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

die() {
	echo "kernel.sh: $*" >&2
	exit 1
}

# fragment... -> its lines without comments, the last one about a symbol wins;
# "no CONFIG_X" takes what was said before away
merge() {
	awk '/^CONFIG_/ { split($0, a, "="); line[a[1]] = $0 }
	     /^# CONFIG_.* is not set$/ { line[$2] = $0 }
	     /^no CONFIG_/ { delete line[$2] }
	     END { for (s in line) print line[s] }' "$@" | sort
}

# wanted, .config -> the wanted lines that Kconfig dropped or changed
dropped() {
	awk 'NR == FNR { want[/^#/ ? $2 : substr($0, 1, index($0, "=") - 1)] = $0; next }
	     /^CONFIG_/ { have[substr($0, 1, index($0, "=") - 1)] = $0 }
	     END { for (s in want)
			if (want[s] ~ /^#/ ? s in have : have[s] != want[s])
				print "  " want[s] }' "$@" | sort
}

# Sources of drivers and architectures that the configuration cannot reach stay
# packed: two thirds of the tree. Their Kconfig files are needed all the same.
unpack() {
	XZ_DEFAULTS=-T0 tar -xf "$source" -C "$1" --strip-components=1 \
		--wildcards --wildcards-match-slash \
		--exclude='*/drivers/accel/*.[chS]' \
		--exclude='*/drivers/gpu/*.[chS]' \
		--exclude='*/drivers/infiniband/*.[chS]' \
		--exclude='*/drivers/media/*.[chS]' \
		--exclude='*/drivers/net/*.[chS]' \
		--exclude='*/drivers/scsi/*.[chS]' \
		--exclude='*/drivers/staging/*.[chS]' \
		--exclude='*/drivers/usb/*.[chS]' \
		--exclude='*/sound/*.[chS]' \
		--exclude='*/arch/*/boot/dts/*' \
		--exclude='*/tools/perf/*' \
		--exclude='*/tools/testing/*' \
		--exclude='*/Documentation/*/*'
}

compile() {
	nice -n 5 make -j"$(nproc)" -C "$@"
}

# source tree, wanted configuration, empty directory to fill
make_kernel() {
	compile "$1" KCONFIG_ALLCONFIG="$2" allnoconfig
	lost=$(dropped "$2" "$1/.config")
	[ -z "$lost" ] || die "this source's Kconfig does not give:
$lost"
	compile "$1" bzImage modules
	compile "$1" INSTALL_MOD_PATH="$3/root" INSTALL_MOD_STRIP=1 modules_install
	rm -f "$3"/root/lib/modules/*/build "$3"/root/lib/modules/*/source
	[ -e "$(echo "$3"/root/lib/modules/*/modules.dep)" ] || die "no modules.dep"

	# vmlinux stays for its BTF: without debug info a tenth of its size.
	strip --strip-debug "$1/vmlinux"
	cp "$1/arch/x86/boot/bzImage" "$3/bzImage"
	(cd "$1" && tar -cf - --exclude='*.o' --exclude='.*.cmd' \
		.config Makefile Module.symvers System.map vmlinux include scripts \
		arch/x86/include arch/x86/Makefile* tools/objtool/objtool \
		tools/bpf/resolve_btfids/resolve_btfids) | tar -xf - -C "$3"
}

for arg; do
	case $arg in
	--path) build=no ;;
	debug | kasan | kcsan | builtin | newest) flavour=$arg ;;
	*) die "usage: kernel.sh [--path] [debug | kasan | kcsan | builtin | newest]" ;;
	esac
done
if [ $flavour = newest ]; then
	source=$(echo "$cache"/../sources/7.3/linux-source-*.tar.*)
	[ -r "$source" ] || [ $build = no ] ||
		source=$(python3 "$here/../lab/kernels.py" tarball 7.3) || die "no source of 7.3"
fi
[ -r "$source" ] || die "$source is missing: install linux-source-6.12, or set KVMMEM_KERNEL_SOURCE"

case $flavour in
debug) set -- debug lockstat ;;
builtin | newest) set -- debug host kasan $flavour ;;
*) set -- debug host $flavour ;;
esac
for fragment; do
	shift
	set -- "$@" "$here/$fragment.config"
done
key=$({ echo $recipe; gcc --version | head -n 1; sha256sum <"$source"; merge "$@"; } |
	sha256sum | cut -c 1-16)
dir=$cache/$key

if [ $build = no ]; then
	[ -e "$dir/bzImage" ] || die "the $flavour kernel is not built"
	echo "$dir"
	exit 0
fi

# One builder at a time. The directory gets its name when it is complete.
mkdir -p "$cache"
exec 9>"$cache/$key.lock"
flock -n 9 || {
	echo "kernel.sh: waiting for another build of the $flavour kernel" >&2
	flock 9
}
if [ -e "$dir/bzImage" ]; then
	echo "kernel.sh: the $flavour kernel is built already" >&2
	echo "$dir"
	exit 0
fi

work=$dir.work
log=$cache/$key.log
echo "kernel.sh: building the $flavour kernel from ${source##*/}, some minutes, log in $log" >&2

finish() {
	if [ $? != 0 ]; then
		grep -m 5 -B 2 -E '\*\*\* |: error:' "$log" >&4 || tail -n 20 "$log" >&4
		echo "kernel.sh: the build failed, see $log" >&4
	fi
	rm -rf "$work"
}

exec 3>&1 4>&2 >"$log" 2>&1
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
rm -rf "$work"
mkdir -p "$work/src" "$work/out"
merge "$@" >"$work/wanted"
unpack "$work/src"
make_kernel "$work/src" "$work/wanted" "$work/out"
mv "$log" "$work/out/build.log"
mv "$work/out" "$dir"
echo "$dir" >&3
