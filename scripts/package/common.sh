# SPDX-License-Identifier: GPL-2.0
# For the scripts that make archives and packages. Needs $kind; $work is a
# directory that ends with the script, $out where it leaves what it made.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154

here=$(dirname "$(realpath "$0")")
tree=$(realpath "$here/../..")
version=$("$here/install" version)
out=${OUT:-${KVMMEM_CACHE:-$HOME/.cache/kvmmem}/packages/$kind}
umask 022

need() {
	for program; do
		command -v "$program" >/dev/null || {
			echo "$kind: $program is not installed; see Documentation/packaging.rst" >&2
			exit 1
		}
	done
}

mkdir -p "$out"
out=$(realpath "$out")
case $out/ in
"$tree"/*)
	echo "$kind: OUT is in the source tree; choose a directory outside" >&2
	exit 1 ;;
esac
work=$(mktemp -d)
log=$work/log
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# said COMMAND...: what it prints matters only if it fails
said() {
	"$@" >"$log" 2>&1 || {
		cat "$log" >&2
		exit 1
	}
}
