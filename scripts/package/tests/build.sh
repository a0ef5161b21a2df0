# SPDX-License-Identifier: GPL-2.0
# Make the packages, of this version and of one before it.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /tree/scripts/package/tests/lib.sh

export OUT=/out
check "make deb" make -C /tree deb
check "make rpm" make -C /tree rpm

for package in dkms tools; do
	check "kvmmem-${package}_${version}_all.deb is there" \
		test -s "/out/kvmmem-${package}_${version}_all.deb"
	check "kvmmem-$package-$version-1.noarch.rpm is there" \
		test -s "/out/kvmmem-$package-$version-1.noarch.rpm"
done

check "lintian has no error" \
	lintian --allow-root --fail-on error --display-info --tag-display-limit 0 \
	/out/kvmmem_"$version"_*.changes
grep '^[EWI]:' "$log" | sed 's/^/# /'

dkms_files() {
	dpkg-deb -c "/out/kvmmem-dkms_${version}_all.deb" |
		sed -n "s,^.* \./usr/src/kvmmem-$version/\([^ ]*[^/]\)$,\1,p" | sort
}
check "the source package of the module has it all" says '^kmod/main\.c$' dkms_files
check "... and no test of it" not says '^kmod/tests/' dkms_files
check "... and nothing that is not in the source" \
	sh -c 'cd /tree && xargs ls' <<END
$(dkms_files)
END

check "the spec is accepted without a warning" not says warning rpmbuild --nobuild --nodeps \
	--define "_sourcedir /out" --define "_buildhost localhost" /out/kvmmem.spec

# A version before this one, for upgrades; of the module it has next to nothing,
# which is quicker to build.
mkdir /tmp/old
tar -c -C /tree --exclude-vcs --exclude-vcs-ignores . | tar -x -C /tmp/old
sed -i 's/^PACKAGE_VERSION=.*/PACKAGE_VERSION="0.0.9"/' /tmp/old/dkms.conf
echo 'kvmmem-y := kmod/old.o' >>/tmp/old/Kbuild
cat >/tmp/old/kmod/old.c <<END
#include <linux/module.h>

MODULE_DESCRIPTION("An older version, for tests");
MODULE_LICENSE("GPL");
MODULE_VERSION(KVMMEM_VERSION);
END
mkdir /out/old
check "make deb of the version before" make -C /tmp/old deb OUT=/out/old
check "one line of dkms.conf is the version" test -s /out/old/kvmmem-dkms_0.0.9_all.deb
echo "# done"
