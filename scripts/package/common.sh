# SPDX-License-Identifier: GPL-2.0
# For the scripts that make packages: the names of things, and a copy of the
# source outside the tree, so that nothing is left in it. Needs $kind.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154

here=$(dirname "$(realpath "$0")")
tree=$(realpath "$here/../..")
version=$("$here/install" version)
maintainer="${DEBFULLNAME:-The kvmmem developers} <${DEBEMAIL:-kvmmem@kvmmem.example}>"
out=${OUT:-${KVMMEM_CACHE:-$HOME/.cache/kvmmem}/packages/$kind}
epoch=${SOURCE_DATE_EPOCH:-$(stat -c %Y "$tree/dkms.conf")}
export SOURCE_DATE_EPOCH="$epoch"

need() {
	for program; do
		command -v "$program" >/dev/null || {
			echo "$kind: $program is not installed; see Documentation/packaging.rst" >&2
			exit 1
		}
	done
}

# copy_source DIRECTORY
copy_source() {
	mkdir "$1"
	tar -c -C "$tree" --exclude-vcs --exclude-vcs-ignores . | tar -x -C "$1"
}

mkdir -p "$out"
out=$(realpath "$out")
case $out/ in
"$tree"/*)
	echo "$kind: OUT is in the source tree; choose a directory outside" >&2
	exit 1 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
