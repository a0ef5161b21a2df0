# SPDX-License-Identifier: GPL-2.0
# make install and make uninstall from the archive, as people type them.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /tree/scripts/package/tests/lib.sh

kernel=$(kernels)
tar -x -C /tmp -f "/out/dist/kvmmem-$version.tar.gz"
cd "/tmp/kvmmem-$version" || exit
KDIR=/lib/modules/$kernel/build
export KDIR
module=/lib/modules/$kernel/updates/kvmmem.ko
echo "# kernel $kernel"

# keys NAME: a pair of files
keys() {
	openssl req -new -x509 -nodes -days 1000 -subj "/CN=$1" -newkey rsa:2048 \
		-keyout "/tmp/$1.key" -outform DER -out "/tmp/$1.pub" 2>/dev/null
}
keys mine
keys machine

check "make install before make says what to do" \
	says 'run make KDIR=' make install
check "... and installs nothing" test ! -e /usr/local/bin/kvmmem
check "make" make
check "make install" make install
check "... says that there is no key" grep -q 'is not signed, since there is no key' "$log"
check "the module is there" test -s "$module"
check "... is found by modprobe" \
	test "insmod $module " = "$(modprobe -S "$kernel" --show-depends kvmmem)"
check "... is not signed" test -z "$(modinfo -F signer "$module")"
check "... has no debug information" test "$(stat -c %s "$module")" -lt 1000000
check "the tool is there" test -x /usr/local/bin/kvmmem
check "... and finds its parts" says "^kvmmem $version$" /usr/local/bin/kvmmem --version
check "the service calls it where it is" \
	grep -q '^ExecStart=/usr/local/bin/kvmmem ' /usr/local/lib/systemd/system/kvmmem-record.service
check "... and what checks the hooks" \
	grep -q '^ExecStartPost=/usr/local/libexec/kvmmem/check-hooks$' \
	/usr/local/lib/systemd/system/kvmmem.service
check "systemd knows the services" says '^disabled$' systemctl is-enabled kvmmem.service
check "the manuals are there" ls /usr/local/share/man/man8/kvmmem-top.8 \
	/usr/local/share/man/man4/kvmmem.4
check "... and again with a umask of 077" sh -c 'umask 077; make modules_install'
check "... which others may read" test 644 = "$(stat -c %a "$module")"
check "... as they may modules.dep" test 644 = "$(stat -c %a "/lib/modules/$kernel/modules.dep")"
check "make uninstall, without headers" make uninstall KDIR=/nowhere
check "... leaves nothing" no_traces
check "... and nothing for modprobe" not modprobe -S "$kernel" --dry-run --quiet kvmmem

check "make modules_install with a key" make modules_install \
	MODULE_SIGN_KEY=/tmp/mine.key MODULE_SIGN_CERT=/tmp/mine.pub
check "... signs with it" says '^mine$' modinfo -F signer "$module"
check "... of which there must be both files" says 'must both be files' \
	make modules_install MODULE_SIGN_KEY=/tmp/mine.key
cp /tmp/machine.key /var/lib/dkms/mok.key
cp /tmp/machine.pub /var/lib/dkms/mok.pub
check "make modules_install with dkms's key" make modules_install
check "... signs with it" says '^machine$' modinfo -F signer "$module"
check "... unless told not to" make modules_install MODULE_SIGN_KEY=none
check "... which it then does not" test -z "$(modinfo -F signer "$module")"
rm "$module"
depmod "$kernel"

check "make install below a DESTDIR" make install DESTDIR=/tmp/dest PREFIX=/usr
check "... puts the module there" test -s "/tmp/dest$module"
check "... and the tool" test -x /tmp/dest/usr/bin/kvmmem
check "... which works there" says "^kvmmem $version$" /tmp/dest/usr/bin/kvmmem --version
check "... and nothing elsewhere" no_traces
check "make uninstall below it" make uninstall DESTDIR=/tmp/dest PREFIX=/usr
check "... leaves nothing there" test -z "$(find /tmp/dest -name '*kvmmem*')"
check "a PREFIX that is no path is refused" status 2 make install-tools PREFIX=usr

make_kernel 6.1.0-other
check "a module for another kernel is not installed" \
	says "kvmmem.ko is for .*, not for 6.1.0-other: run make" \
	make modules_install KDIR=/lib/modules/6.1.0-other/build
check "make clean" make clean
check "... leaves the tree as it came" sh -c "mkdir /tmp/fresh &&
	tar -x -C /tmp/fresh -f /out/dist/kvmmem-$version.tar.gz &&
	diff -r . /tmp/fresh/kvmmem-$version"
echo "# done"
