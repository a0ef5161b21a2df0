# SPDX-License-Identifier: GPL-2.0
# The Debian packages: installed, upgraded, used, purged. One kernel that
# kvmmem is built for will do here, and one that it is not built for.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /tree/scripts/package/tests/lib.sh

# One with modules of its own: without any, dkms takes it for one that is gone.
kernel=$(cd /lib/modules && dirname "$(find . -mindepth 2 -maxdepth 2 -name kernel | head -n 1)")
kernel=${kernel#./}
make_kernel 6.1.0-nokvm CONFIG_KVM
mkdir /tmp/kernels
for other in $(kernels); do
	[ "$other" = 6.1.0-nokvm ] || mv "/lib/modules/$other" /tmp/kernels/
done

# Nothing can be fetched here: what a package needs but does not say is missed.
install() {
	apt-get -y --no-install-recommends -o APT::Sandbox::User=root install "$@"
}

check "installing the version before" install /out/old/kvmmem-dkms_0.0.9_all.deb
check "... skips the kernel without KVM" dkms_says '^kvmmem/0.0.9: added'

# A kernel is installed: its package calls this.
mv "/tmp/kernels/$kernel" /lib/modules/
check "a new kernel gets the module" /etc/kernel/postinst.d/dkms "$kernel"
check "... which is listed" dkms_says "$(installed 0.0.9 "$kernel")"
check "... is that version" says '^0.0.9$' modinfo -F version "$(module_of "$kernel")"
check "... is signed by a key of dkms's" \
	says '^DKMS module signing key$' modinfo -F signer "$(module_of "$kernel")"

check "upgrading" install "/out/kvmmem-dkms_${version}_all.deb" \
	"/out/kvmmem-tools_${version}_all.deb"
check "... builds it" dkms_says "$(installed "$version" "$kernel")"
check "... leaves no other version" not dkms_says "/0.0.9"
check "... leaves no other source" test ! -e /usr/src/kvmmem-0.0.9
check "... is this version" says "^$version$" modinfo -F version "$(module_of "$kernel")"
check "... skips the kernel without KVM" test -z "$(module_of 6.1.0-nokvm)"
check "the packages are complete" dpkg --audit
check "their files are as packaged" status 0 test -z "$(dpkg -V kvmmem-dkms kvmmem-tools)"

# shellcheck source-path=SCRIPTDIR source=tools.sh
. /tree/scripts/package/tests/tools.sh

check "the service is off" test ! -e /etc/systemd/system/multi-user.target.wants/kvmmem.service
check "... and there" test -s /usr/lib/systemd/system/kvmmem.service -o \
	-s /lib/systemd/system/kvmmem.service
check "... would skip a kernel without the module" \
	not modprobe -S 6.1.0-nokvm --dry-run --quiet kvmmem
check "... would load the module" modprobe -S "$kernel" --dry-run --quiet kvmmem

check "a kernel that is removed takes its module along" /etc/kernel/prerm.d/dkms "$kernel"
check "... which is gone" test -z "$(module_of "$kernel")"

check "purging" apt-get -y purge kvmmem-dkms kvmmem-tools
check "... leaves nothing" no_traces
check "... leaves dkms in order" says '^$' dkms status
echo "# done"
