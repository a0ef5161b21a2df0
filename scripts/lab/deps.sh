#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Install, by apt, what is missing for some kinds of work. Says what it does;
# silent if nothing is missing.
set -eu

usage() {
	cat <<-END
	usage: deps.sh [--list] GROUP...
	  build   the modules, for the running kernel's family of Debian kernels
	  kernels other releases' kernels, and toolchains to build for them
	  amd     emulated hosts with SVM (QEMU)
	  intel   emulated hosts with VMX (Bochs)
	  bochs   building a faster Bochs (bochs.py)
	  kunit   a kernel built for KUnit, lockdep and KASAN
	  deb     Debian packages
	  rpm     RPM packages
	  packages  clean systems to try them in
	  style   checks of the sources
	  tool    tests of the tool
	  perf    tests of kvmmem's events, with who shows them
	  report  tests of its HTML report
	  export  tests of what it gives to Prometheus
	  bench   what kvmmem is compared with, for make bench
	  all     all of these
	--list names the missing packages and installs nothing.
	END
}

# What every emulated host is made of.
host='gcc libc6-dev binutils busybox-static xz-utils zstd python3 kmod'

packages() {
	case $1 in
	build) echo gcc make libc6-dev linux-headers-cloud-amd64 ;;
	kernels) echo python3 apt mmdebstrap xz-utils kmod zstd bpftool ;;
	amd) echo "$host" qemu-system-x86 ;;
	intel) echo "$host" bochs bochs-term bochsbios vgabios xorriso \
		isolinux syslinux-common bsdutils ;;
	bochs) echo g++ make xz-utils ;;
	kunit) echo gcc make libc6-dev flex bison bc libelf-dev libssl-dev pahole \
		linux-source-6.12 xz-utils python3 qemu-system-x86 busybox-static kmod ;;
	deb) echo debhelper dh-dkms dh-python dpkg-dev make ;;
	rpm) echo rpm make ;;
	packages) echo python3 apt mmdebstrap util-linux ;;
	style) echo gcc make mandoc perl python3 python3-docutils sparse linux-source-6.12 ;;
	tool) echo python3 gcc libc6-dev tmux valgrind ;;
	perf) echo linux-perf trace-cmd bpftrace ;;
	report) echo python3 libjs-dygraphs chromium ;;
	export) echo python3 python3-prometheus-client python3-yaml python3-bcrypt \
		python3-requests openssl binutils apt dpkg valgrind ;;
	bench) echo linux-perf trace-cmd bpftrace pahole linux-source-6.1 ;;
	all) for group in build kernels amd intel bochs kunit style tool perf report export bench; do
			packages $group
		done ;;
	*) usage >&2
		exit 2 ;;
	esac
}

present() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

list=
case ${1-} in
--list) list=1; shift ;;
--help | -h) usage; exit 0 ;;
esac
[ $# -gt 0 ] || { usage >&2; exit 2; }

wanted=
for group in "$@"; do
	wanted="$wanted $(packages "$group")"
done
missing=
for package in $wanted; do
	case " $missing " in
	*" $package "*) ;;
	*) present "$package" || missing="$missing $package" ;;
	esac
done
missing=${missing# }
[ -n "$missing" ] || exit 0
if [ -n "$list" ]; then
	echo "$missing"
	exit 0
fi
[ "$(id -u)" = 0 ] || {
	echo "deps.sh: run as root to install: $missing" >&2
	exit 1
}
echo "deps.sh: installing $missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
set -- $missing
# A machine that has just begun may be upgrading itself.
wait="-o DPkg::Lock::Timeout=600"
# shellcheck disable=SC2086
apt-get $wait -qq -y --no-install-recommends install "$@" >/dev/null 2>&1 && exit 0
# The package lists may be absent or old.
# shellcheck disable=SC2086
apt-get $wait -qq update
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086
apt-get $wait -qq -y --no-install-recommends install "$@" >"$log" 2>&1 || {
	cat "$log" >&2
	echo "deps.sh: apt could not install: $missing" >&2
	exit 1
}
