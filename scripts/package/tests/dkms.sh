# SPDX-License-Identifier: GPL-2.0
# dkms add, build, install and remove, as an administrator types them.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /tree/scripts/package/tests/lib.sh

echo "# $(dkms --version 2>&1), kernel $(kernels)"
make -C /tree install-dkms >/dev/null
# What dkms signs with when there is one; it is not dkms's own, as its name shows.
openssl req -new -x509 -nodes -days 1000 -subj "/CN=a key of this machine" -newkey rsa:2048 \
	-keyout /var/lib/dkms/mok.key -outform DER -out /var/lib/dkms/mok.pub 2>/dev/null

check "dkms add" dkms add "kvmmem/$version"
check "... finds nothing wrong with dkms.conf" not grep -iE 'deprecated|warning' "$log"
check "... is listed" dkms_says "^kvmmem/$version: added"
for kernel in $(kernels); do
	check "dkms build for $kernel" dkms build "kvmmem/$version" -k "$kernel"
	check "... has nothing to warn of" not grep -iE 'deprecated|warning' "$log"
	check "dkms install for $kernel" dkms install "kvmmem/$version" -k "$kernel"
	check "... is listed" dkms_says "$(installed "$version" "$kernel")"
	module=$(module_of "$kernel")
	check "... is there" test -n "$module"
	check "... is found by modprobe" \
		test "insmod $module " = "$(modprobe -S "$kernel" --show-depends kvmmem)"
	modinfo "$module" >/tmp/info
	check "... is of that kernel" grep -F "$kernel " /tmp/info
	check "... is signed by the machine's key" grep "^signer: *a key of this machine$" /tmp/info
	check "... has its version" grep "^version: *$version$" /tmp/info
	check "... has a description" grep "^description: *[A-Z]" /tmp/info
	check "... has its authors" grep "^author: *The kvmmem developers" /tmp/info
	check "... has its license" grep "^license: *GPL" /tmp/info
	check "... has its parameters" grep "^parm: *proc_mode:" /tmp/info
	check "... explains each of them" not grep -E '^parm: *[a-z_]+:( *\(|$)' /tmp/info
	check "... needs no other module" grep "^depends: *$" /tmp/info
done

# Kernels that cannot have it.
for what in KVM TRACEPOINTS DYNAMIC_FTRACE_WITH_REGS KPROBES; do
	kernel=6.1.0-$(echo $what | tr 'A-Z_' 'a-z-')
	make_kernel "$kernel" "CONFIG_$what"
	check "a kernel without $what is skipped" \
		status 77 dkms build "kvmmem/$version" -k "$kernel"
done
for kernel in 4.19.0 5.9.16 5.1.0; do
	mkdir "/lib/modules/$kernel"
	ln -s /usr/src/linux-headers-6.1.0-kvm "/lib/modules/$kernel/build"
	check "kernel $kernel is skipped for its age" \
		status 77 dkms build "kvmmem/$version" -k "$kernel"
done
check "another processor is skipped" \
	status 77 dkms build "kvmmem/$version" -k 6.1.0-kvm -a aarch64
check "none of them is listed" not dkms_says '6[.]1[.]0-[dkt]|4[.]19|5[.]'

# What the packages of a new kernel call, for one that cannot have it.
for hook in postinst.d header_postinst.d; do
	check "/etc/kernel/$hook/dkms skips a kernel without KVM" "/etc/kernel/$hook/dkms" 6.1.0-kvm
done
check "... and one that is too old" /etc/kernel/postinst.d/dkms 5.9.16
check "dkms autoinstall has nothing more to do" \
	dkms autoinstall -k "$(kernels | grep -e -amd64 | tail -n 1)"

check "dkms remove" dkms remove "kvmmem/$version" --all
check "... is not listed any more" not dkms_says kvmmem
for kernel in $(kernels); do
	check "... is gone from $kernel" test -z "$(module_of "$kernel")"
done
check "make uninstall-dkms" make -C /tree uninstall-dkms
check "nothing is left" no_traces
echo "# done"
