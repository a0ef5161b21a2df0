# SPDX-License-Identifier: GPL-2.0
# The Debian packages as this release has built them: upgraded from 0.1.0, used,
# removed, purged; and meanwhile a new kernel comes, and one goes.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /tree/scripts/package/tests/lib.sh

kernel=$(kernels)
make_kernel 6.1.0-nokvm CONFIG_KVM
echo "# $(dkms --version 2>&1), kernel $kernel, then" /var/kernels/linux-headers-*amd64_*

# Nothing can be fetched here: what a package needs but does not say is missed.
install() {
	apt-get -y --no-install-recommends -o APT::Sandbox::User=root install "$@"
}

check "installing 0.1.0" install /out/old/kvmmem-dkms_0.1.0_all.deb /out/old/kvmmem-tools_0.1.0_all.deb
check "... builds it" dkms_says "$(installed 0.1.0 "$kernel")"
check "... skips the kernel without KVM" not dkms_says "0.1.0, 6.1.0-nokvm"
check "... has a service that can be enabled" systemctl enable kvmmem.service kvmmem-record.service

check "upgrading" install "/out/$suite/kvmmem-dkms_$version-1_all.deb" \
	"/out/$suite/kvmmem-tools_$version-1_all.deb"
cp "$log" /tmp/upgrade
check "... builds it" dkms_says "$(installed "$version" "$kernel")"
check "... without a warning of dkms.conf's" not grep -i deprecated /tmp/upgrade
check "... leaves no other version" not dkms_says "/0.1.0"
check "... leaves no other source" test ! -e /usr/src/kvmmem-0.1.0
check "... is this version" says "^$version$" modinfo -F version "$(module_of "$kernel")"
check "... is signed by a key of dkms's" \
	says '^DKMS module signing key$' modinfo -F signer "$(module_of "$kernel")"
check "... is found by modprobe" modprobe -S "$kernel" --dry-run kvmmem
check "... skips the kernel without KVM" test -z "$(module_of 6.1.0-nokvm)"
check "... leaves enabled what was" systemctl is-enabled kvmmem.service kvmmem-record.service

check "a new kernel with its headers, by apt" install /var/kernels/*.deb
new=$(kernels | grep -vx -e "$kernel" -e 6.1.0-nokvm)
check "... gets the module" dkms_says "$(installed "$version" "$new")"
check "... is there" test -n "$(module_of "$new")"
check "... and the other has it still" dkms_says "$(installed "$version" "$kernel")"
check "the packages are complete" dpkg --audit
check "their files are as packaged" status 0 test -z "$(dpkg -V kvmmem-dkms kvmmem-tools)"

# shellcheck source-path=SCRIPTDIR source=tools.sh
. /tree/scripts/package/tests/tools.sh

check "the service would skip a kernel without the module" \
	not modprobe -S 6.1.0-nokvm --dry-run --quiet kvmmem

check "a kernel that is removed takes its module along" /etc/kernel/prerm.d/dkms "$kernel"
check "... which is gone" test -z "$(module_of "$kernel")"

check "removing" apt-get -y remove kvmmem-dkms kvmmem-tools
check "... leaves dkms in order" says '^$' dkms status
check "... leaves no module" test -z "$(module_of "$new")"
check "installing again" install "/out/$suite/kvmmem-tools_$version-1_all.deb"
check "... with what was enabled" systemctl is-enabled kvmmem.service
mkdir -p /var/lib/kvmmem && : >/var/lib/kvmmem/host.kvmmem
check "purging" apt-get -y purge kvmmem-dkms kvmmem-tools
check "... leaves nothing" no_traces
check "installing anew" install "/out/$suite/kvmmem-tools_$version-1_all.deb"
check "... leaves services off" not systemctl is-enabled kvmmem.service
check "... and off" not systemctl is-enabled kvmmem-record.service
echo "# done"
