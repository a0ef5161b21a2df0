# SPDX-License-Identifier: GPL-2.0
# The tool as installed; part of the tests of each kind of package.
# shellcheck shell=sh

mkdir /tmp/proc
cat >/tmp/proc/kvmmem <<END
# kvmmem 1
host     isa      svm
host     vms      1
host     lost     0
# vm     id           pid comm   vcpus mode   mem_kb resident_kb swap_kb ksm_kb
vm       4121-11     4121 qemu       4 npt   4194304     2201344       0      0
# fault  vm      ept_violations read write exec protection page_walk mmio shadow
fault    4121-11           1500 1000   400  100          0         0    -      0
END
check "kvmmem without the module says what to do" \
	says '^kvmmem: /proc/kvmmem: not there; load the module' kvmmem
check "... and ends with 1" status 1 kvmmem
check "kvmmem prints a line a VM" says '^qemu +4 +4.0G' \
	env KVMMEM_PROC=/tmp/proc kvmmem
check "... and all that it knows" says '^qemu +4121-11 +4121 +npt +4 +4.0G' \
	env KVMMEM_PROC=/tmp/proc kvmmem --wide
check "kvmmem stat prints totals" says '^total +qemu +1.50k' \
	env KVMMEM_PROC=/tmp/proc kvmmem stat -n 1 -i 0.1
check "kvmmem reads a copy" says '"read": 1000' kvmmem --file /tmp/proc/kvmmem --json
check "it leaves no bytecode of its own" \
	not grep -q . <<END
$(find /usr/share/kvmmem -newer /tmp/proc/kvmmem)
END

# words LINE...: what bash offers for the last word
words() {
	bash -c '. /usr/share/bash-completion/completions/kvmmem
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_kvmmem "$1" && printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}
check "completion knows commands" says '^stat$' words kvmmem s
check "... and options" says '^--json$' words kvmmem --j
check "... and a command's options" says '^--csv$' words kvmmem stat --c
check "... which are not everybody's" not says '^--csv$' words kvmmem --c
check "... and columns" says '^violations$' words kvmmem --sort v
check "... and files" says '^/tmp/proc/kvmmem$' words kvmmem --file /tmp/proc/k

check "... and recordings" says '^/tmp/proc/kvmmem$' words kvmmem report /tmp/proc/k

# Every option and command of the help is in the manual.
for command in '' stat top record report explain export; do
	page=kvmmem${command:+-$command}
	gzip -dcf /usr/share/man/man8/$page.8* | sed 's/\\//g' >/tmp/manual
	check "the manual $page is there" grep -q '^\.TH KVMMEM.* 8' /tmp/manual
	for word in $(words kvmmem $command - | sort -u); do
		check "$page explains $word" \
			grep -Eq "^\.(SS|B|BI|BR) (.*[^a-z-])?$word([^a-z-]|\$)" /tmp/manual
	done
done
