# SPDX-License-Identifier: GPL-2.0
# The source package's own tests, with the packages as this release has built them.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /tree/scripts/package/tests/lib.sh

status=0
autopkgtest --no-built-binaries --output-dir /tmp/results "/out/$suite"/*.deb \
	"/out/$suite/kvmmem_$version-1.dsc" -- null >/tmp/said 2>&1 || status=$?
echo "# autopkgtest $(dpkg-query -W -f '${Version}' autopkgtest), status $status"
for test in module tool demo; do
	check "test $test" grep "^$test *PASS" /tmp/results/summary
done
[ $status = 0 ] || tail -n 80 /tmp/said
sed -n 's/^Done in /# demo: done in /p' /tmp/results/demo-stdout /tmp/said 2>/dev/null | head -n 1
echo "# done"
