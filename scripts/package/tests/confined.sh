# SPDX-License-Identifier: GPL-2.0
# What our example for AppArmor allows is what a reader needs: in an emulated host.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /tree/scripts/package/tests/lib.sh

# Rules as of an old kernel, which every kernel takes.
features=/etc/apparmor.d/abi/3.0
cp /tree/scripts/package/tools/confined/apparmor /etc/apparmor.d/abstractions/kvmmem
cat >/tmp/profiles <<END
abi <abi/3.0>,
#include <tunables/global>
profile reader {
  include <abstractions/kvmmem>
  /bin/busybox mrix,
}
profile file-only {
  @{PROC}/kvmmem r,
  /bin/busybox mrix,
}
profile without {
  capability perfmon,
  /bin/busybox mrix,
}
END
check "profiles" apparmor_parser --skip-kernel-load --skip-cache --base /etc/apparmor.d \
	--kernel-features $features --policy-features $features --ofile /tmp/policy /tmp/profiles
export KVMMEM_CACHE=/tmp/cache
/tree/scripts/package/tests/confined.py /tmp/policy
echo "# done"
