# SPDX-License-Identifier: GPL-2.0
# What the programs say that look for mistakes in packages.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /tree/scripts/package/tests/lib.sh

package=/tree/scripts/package

# silent COMMAND...: it must succeed and print nothing
silent() {
	ended=0
	"$@" >/tmp/said 2>&1 || ended=$?
	cat /tmp/said
	[ $ended = 0 ] && [ ! -s /tmp/said ]
}

echo "# $(lintian --version), rpmlint $(rpmlint --version), mandoc $(dpkg-query -W -f '${Version}' mandoc)"
for of in bookworm trixie testing; do
	check "lintian --pedantic has nothing to say of what $of built" \
		silent lintian --allow-root --info --pedantic --fail-on pedantic "/out/$of"/*.changes
done
check "... and all that is overridden is there to be" not says 'mismatched-override|unused-override' \
	lintian --allow-root --info --display-info /out/testing/*.changes
check "each override has its reason" silent awk \
	'/^#/ { said = 1; next } NF && !said { print FILENAME ": " $0 } { said = said && NF }' \
	"$package/debian/source/lintian-overrides"

check "rpmlint has nothing to say" says ' 0 errors, 0 warnings, ' \
	rpmlint -r "$package/kvmmem.rpmlintrc" /out/kvmmem*.rpm /out/kvmmem.spec
check "the newest rpm makes the packages, too" make -C /tree rpm OUT=/tmp/rpm
check "... without a warning" not says warning rpmbuild --nobuild --nodeps \
	--load $package/macros.systemd --define "_buildhost localhost" \
	--define "_sourcedir /out/dist" /out/dist/kvmmem.spec

for deb in /out/testing/*.deb; do
	dpkg-deb -x "$deb" /
done
for page in /usr/share/man/man[48]/kvmmem*; do
	check "mandoc has nothing to say of ${page##*/}" silent mandoc -T lint -W style "$page"
	check "... which shows" says "kvmmem" mandoc -T utf8 "$page"
done
# Of kmod systemd asks only that it is there.
[ -e /sbin/modprobe ] || ln -s /bin/true /sbin/modprobe
for unit in kvmmem kvmmem-record kvmmem-export; do
	check "systemd has nothing to say of $unit.service" silent \
		systemd-analyze verify --man=no "/usr/lib/systemd/system/$unit.service"
done
echo "# kvmmem-record.service: $(systemd-analyze security --offline=yes kvmmem-record.service |
	sed -n 's/.*Overall exposure level[^:]*: \([^ ]* [^ ]*\).*/exposure \1/p')"

# A profile with what our example allows, and a module of policy for a domain.
mkdir -p /etc/apparmor.d/abstractions
examples=/usr/share/doc/kvmmem-tools/examples
cp $examples/confined/apparmor /etc/apparmor.d/abstractions/kvmmem
cat >/tmp/profile <<END
#include <tunables/global>
profile reader {
  include <abstractions/kvmmem>
}
END
check "AppArmor takes the rules for a confined reader" \
	apparmor_parser --skip-kernel-load --skip-cache --base /etc/apparmor.d /tmp/profile
check "SELinux takes the module for one" \
	checkmodule -M -m -o /tmp/kvmmem_reader.mod $examples/confined/kvmmem_reader.te
echo "# done"
