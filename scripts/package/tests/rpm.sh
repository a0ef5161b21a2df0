# SPDX-License-Identifier: GPL-2.0
# The RPM packages, as far as a Debian can install them: rpm knows none of its
# packages, so dependencies are looked at and not resolved.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /tree/scripts/package/tests/lib.sh

dkms_rpm=/out/kvmmem-dkms-$version-1.noarch.rpm
tools_rpm=/out/kvmmem-tools-$version-1.noarch.rpm
kernel=$(kernels | sort -V | head -n 1)
for other in $(kernels); do
	[ "$other" = "$kernel" ] || rm -r "/lib/modules/$other"
done

check "kvmmem-dkms wants dkms" says '^dkms >= ' rpm -qp --requires "$dkms_rpm"
check "kvmmem-tools wants python" says 'python3' rpm -qp --requires "$tools_rpm"
check "it has a license" says '^GPL-2.0-only$' rpm -qp --qf '%{license}\n' "$dkms_rpm"

check "installing" rpm -i --nodeps "$dkms_rpm" "$tools_rpm"
check "... builds it" dkms_says "$(installed "$version" "$kernel")"
check "their files are as packaged" rpm -V --nodeps kvmmem-dkms kvmmem-tools
# shellcheck source-path=SCRIPTDIR source=tools.sh
. /tree/scripts/package/tests/tools.sh
check "removing" rpm -e --nodeps kvmmem-dkms kvmmem-tools
check "... leaves nothing" no_traces
check "... leaves dkms in order" says '^$' dkms status
echo "# done"
