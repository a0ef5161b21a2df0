# SPDX-License-Identifier: GPL-2.0
# The source archive and the packages, as a maintainer makes them, of this version
# and of one before it; and each twice, from trees in different places.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /tree/scripts/package/tests/lib.sh

# same DIRECTORY DIRECTORY PATTERN: files of these names are there in both, and the same
same() {
	(cd "$1" && ls $3) >/tmp/names && (cd "$2" && ls $3) | diff /tmp/names - &&
		while read -r file; do
			cmp "$1/$file" "$2/$file" || return 1
		done </tmp/names
}

# The repository that a maintainer tags, and a clone by someone whose umask differs.
mkdir /tmp/repository
tar -c -C /tree --exclude-vcs --exclude-vcs-ignores . | tar -x -C /tmp/repository
cp /tree/.gitignore /tmp/repository/
repository() {
	git -c init.defaultBranch=main init -q /tmp/repository &&
		git -C /tmp/repository add -A &&
		git -C /tmp/repository -c user.name=me -c user.email=me@localhost commit -q -m one &&
		git -C /tmp/repository tag "v$version" && git -C /tmp/repository tag v0.9.9
}
check "a repository with a tag" repository
(umask 077 && git clone -q /tmp/repository /tmp/clone)

check "make dist of the tag" make -C /tmp/repository dist TAG="v$version" OUT=/out/dist
check "... of a tag that is not called after its version: refused" \
	not make -C /tmp/repository dist TAG=v0.9.9 OUT=/tmp/no
echo "a change" >>/tmp/clone/README.md
touch /tmp/clone/left-by-me
check "make dist of the tag, in a clone that is not as it was" \
	make -C /tmp/clone dist TAG="v$version" OUT=/tmp/dist
check "... is the same, byte for byte" same /out/dist /tmp/dist '*.tar.gz *.spec'
rm -r /tmp/clone/left-by-me
git -C /tmp/clone checkout -q README.md
check "make dist of a tree" make -C /tree dist OUT=/tmp/tree
check "... is the same" same /out/dist /tmp/tree '*.tar.gz *.spec'
echo "# kvmmem-$version.tar.gz: $(stat -c %s "/out/dist/kvmmem-$version.tar.gz") bytes"
check "the archive makes itself" sh -c "cd /tmp && tar xf /out/dist/kvmmem-$version.tar.gz &&
	: >kvmmem-$version/kmod/left.o && make -C kvmmem-$version dist OUT=/tmp/again"
check "... the same" same /out/dist /tmp/again '*.tar.gz *.spec'

# refuses FILE EXPRESSION WHO: make dist says who names another version
refuses() {
	cp "/tmp/clone/$1" /tmp/kept
	sed -i "$2" "/tmp/clone/$1"
	check "make dist refuses another version in $1" \
		says "^versions: .*$3" make -C /tmp/clone dist OUT=/tmp/no
	cp /tmp/kept "/tmp/clone/$1"
}
refuses NEWS "s/^$version\$/9.9.9/" NEWS
refuses NEWS "s/^$version\$/Unreleased/" NEWS
refuses scripts/package/kvmmem.spec "s/^Version:.*/Version: 9.9.9/" kvmmem.spec
refuses scripts/package/debian/changelog "1s/$version/9.9.9/" debian/changelog
refuses scripts/package/tools/kvmmem.4 "s/$version/9.9.9/" kvmmem.4
refuses scripts/tool/kvmmem_cli/__init__.py "s/^VERSION.*/VERSION = \"9.9.9\"/" kvmmem_cli
refuses dkms.conf "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"9.9.9\"/" NEWS
check "... and nothing was left by it" not test -e "/tmp/no/kvmmem-$version.tar.gz"

check "make deb" make -C /tree deb OUT=/out
check "... and again" make -C /tmp/clone deb OUT=/tmp/deb
check "... are the same, byte for byte" same /out /tmp/deb '*.deb *.dsc *.tar.*'
check "the source package has the archive" \
	cmp "/out/kvmmem_$version.orig.tar.gz" "/out/dist/kvmmem-$version.tar.gz"
check "dpkg-buildpackage -S of what make dist laid out" \
	sh -c "cd /tmp/dist/kvmmem-$version && dpkg-buildpackage -S -us -uc -d"
check "... is the same source package" same /out /tmp/dist '*.dsc *.debian.tar.*'
check "... is 3.0 (quilt)" grep '^Format: 3.0 (quilt)$' "/out/kvmmem_$version-1.dsc"
check "... names its tests" grep '^Testsuite: autopkgtest' "/out/kvmmem_$version-1.dsc"
check "make rpm" make -C /tree rpm OUT=/tmp/rpm
cp /tmp/rpm/*.rpm /tmp/rpm/kvmmem.spec /out
check "... and again" make -C /tmp/clone rpm OUT=/tmp/rpm
check "... are the same, byte for byte" same /out /tmp/rpm '*.rpm'
for rpm in /out/*.rpm; do
	echo "# ${rpm#/out/}: $(($(stat -c %s "$rpm") / 1024)) KiB," \
		"installed $(($(rpm -qp --qf '%{longsize}' "$rpm") / 1024)) KiB"
done
check "a package of this source tree changes nothing in it" \
	status 0 test -z "$(git -C /tmp/clone status --porcelain)"

dkms_files() {
	dpkg-deb -c "/out/kvmmem-dkms_$version-1_all.deb" |
		sed -n "s,^.* \./usr/src/kvmmem-$version/\([^ ]*[^/]\)$,\1,p" | sort
}
check "the source of the module has it all" says '^kmod/main\.c$' dkms_files
check "... and no test of it" not says '^kmod/tests/' dkms_files
check "... and nothing that is not in the source" \
	sh -c 'cd /tree && xargs ls' <<END
$(dkms_files)
END

# What 0.1.0 was, for upgrades; of the module it has next to nothing, which is
# quicker to build.
old=/tmp/old/kvmmem-0.1.0
mkdir -p /tmp/old /out/old
cp -R "/tmp/dist/kvmmem-$version" $old
cd $old || exit
sed -i 's/^PACKAGE_VERSION=.*/PACKAGE_VERSION="0.1.0"\nCLEAN="make clean"/' dkms.conf
sed -i '/check-hooks/d' scripts/package/files scripts/package/tools/kvmmem.service
sed -i "1s/(.*)/(0.1.0)/" debian/changelog
echo '3.0 (native)' >debian/source/format
sed -i 's/^Version:.*/Version: 0.1.0/; /^%check/,/^$/d; /_libexecdir/d' scripts/package/kvmmem.spec
echo 'kvmmem-y := kmod/old.o' >>Kbuild
cat >kmod/old.c <<END
#include <linux/module.h>

MODULE_DESCRIPTION("An older version, for tests");
MODULE_LICENSE("GPL");
MODULE_VERSION(KVMMEM_VERSION);
END
check "packages of 0.1.0" env DEB_BUILD_OPTIONS=nocheck dpkg-buildpackage -b -us -uc -d
mv /tmp/old/*.deb /out/old
mkdir /tmp/SOURCES
rm -r debian
tar -c -z -f /tmp/SOURCES/kvmmem-0.1.0.tar.gz -C /tmp/old kvmmem-0.1.0
check "... and RPMs" rpmbuild -bb --nodeps --define "_topdir /tmp" \
	--define "_buildhost localhost" --load scripts/package/macros.systemd scripts/package/kvmmem.spec
mv /tmp/RPMS/noarch/*.rpm /out/old
echo "# done"
