# SPDX-License-Identifier: GPL-2.0
# The source package, built again where there is only what debian/control asks for,
# as build daemons do.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /tree/scripts/package/tests/lib.sh

mkdir -p "/out/$suite" /tmp/one /tmp/another/place
cp "/out/kvmmem_$version-1.dsc" "/out/kvmmem_$version.orig.tar.gz" \
	"/out/kvmmem_$version-1.debian.tar.xz" "/out/$suite/"

# build DIRECTORY
build() {
	cd "$1" && dpkg-source -x "/out/kvmmem_$version-1.dsc" source && cd source &&
		dpkg-buildpackage -us -uc "$2"
}
echo "# debhelper $(dpkg-query -W -f '${Version}' debhelper)," \
	"dh-dkms $(dpkg-query -W -f '${Version}' dh-dkms)"
check "unpacks, has what it needs to be built, and builds" build /tmp/one -F
check "... and again, elsewhere" build /tmp/another/place -b
for package in dkms tools; do
	deb=kvmmem-${package}_$version-1_all.deb
	check "$deb is the same, byte for byte" cmp "/tmp/one/$deb" "/tmp/another/place/$deb"
	echo "# $deb: $(($(stat -c %s "/tmp/one/$deb") / 1024)) KiB," \
		"installed $(dpkg-deb -f "/tmp/one/$deb" Installed-Size) KiB"
done
check "... and so is the source package" \
	cmp "/tmp/one/kvmmem_$version-1.debian.tar.xz" "/out/kvmmem_$version-1.debian.tar.xz"
check "cleaning leaves the source as it was" sh -c "cd /tmp/another/place/source &&
	debian/rules clean && dpkg-source -b . && dpkg-source -x --no-check \
		../kvmmem_$version-1.dsc ../clean && diff -r . ../clean"
cp /tmp/one/*.deb /tmp/one/*.changes /tmp/one/*.buildinfo "/out/$suite/"
echo "# done"
