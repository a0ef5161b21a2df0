# SPDX-License-Identifier: GPL-2.0
# The RPM packages, as far as a Debian can install them: rpm knows none of its
# packages, so dependencies are looked at and not resolved.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /tree/scripts/package/tests/lib.sh

dkms_rpm=/out/kvmmem-dkms-$version-1.noarch.rpm
tools_rpm=/out/kvmmem-tools-$version-1.noarch.rpm
kernel=$(kernels)
make_kernel 6.1.0-nokvm CONFIG_KVM

check "kvmmem-dkms wants dkms" says '^dkms >= ' rpm -qp --requires "$dkms_rpm"
check "kvmmem-tools wants python" says 'python3' rpm -qp --requires "$tools_rpm"
check "it has a license" says '^GPL-2.0-only$' rpm -qp --qf '%{license}\n' "$dkms_rpm"
for what in postinstall preuninstall postuninstall; do
	rpm -qp --scripts "$tools_rpm" | sed -n "/^$what scriptlet/,/^[a-z]* scriptlet/p" >/tmp/scriptlet
	check "$what of kvmmem-tools does something" grep systemctl /tmp/scriptlet
	check "... and is written out" not grep % /tmp/scriptlet
done

check "installing 0.1.0" rpm -i --nodeps /out/old/kvmmem-dkms-0.1.0-1.noarch.rpm \
	/out/old/kvmmem-tools-0.1.0-1.noarch.rpm
check "... builds it" dkms_says "$(installed 0.1.0 "$kernel")"
check "... has services that can be enabled" systemctl enable kvmmem.service
check "upgrading" rpm -U --nodeps "$dkms_rpm" "$tools_rpm"
cp "$log" /tmp/upgrade
check "... without a complaint" not grep -iE 'deprecated|warning|error' /tmp/upgrade
check "... builds it" dkms_says "$(installed "$version" "$kernel")"
check "... leaves no other version" not dkms_says "/0.1.0"
check "... skips the kernel without KVM" not dkms_says "$version, 6.1.0-nokvm"
check "... leaves enabled what was" systemctl is-enabled kvmmem.service
check "their files are as packaged" rpm -V --nodeps kvmmem-dkms kvmmem-tools
# shellcheck source-path=SCRIPTDIR source=tools.sh
. /tree/scripts/package/tests/tools.sh
check "removing" rpm -e --nodeps kvmmem-dkms kvmmem-tools
check "... leaves nothing, and nothing enabled" no_traces
check "... leaves dkms in order" says '^$' dkms status
echo "# done"
