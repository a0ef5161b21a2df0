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

for file in grafana/kvmmem-fleet.json grafana/kvmmem-host.json grafana/kvmmem-vm.json \
	prometheus/kvmmem.rules.yml; do
	check "what Prometheus and Grafana want is there: $file" \
		test -s "/usr/share/kvmmem/$file"
done

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

# What the services say of the module.
hooks() {
	printf '# hook name state events why_not purpose\n' >/tmp/hooks
	while read -r line; do
		echo "hook $line" >>/tmp/hooks
	done
	KVMMEM_PROC=/tmp/proc KVMMEM_HOOKS=/tmp/hooks /usr/libexec/kvmmem/check-hooks
}
good="kvm_page_fault attached 5 - faults
kvm_exit off 0 by-parameter service-time
kvm_pml_full waiting 0 kvm-not-loaded dirty
vmx_flush_tlb_asid absent 0 not-in-this-kernel flushes"
check "check-hooks is content with what is right" \
	says '^hooks: 1 attached, 1 waiting, 1 off, 1 absent$' hooks <<END
$good
END
check "... and ends with 0" hooks <<END
$good
END
check "... and names what is not" says '^kvm_entry is refused .prototype:.u32..: .* .time. is unknown' \
	hooks <<END
$good
kvm_entry refused 0 prototype:(u32) time
END
check "... and ends with 1" status 1 hooks <<END
$good
kvm_entry failed 0 errno-12 time
END
check "... also without the module" status 1 /usr/libexec/kvmmem/check-hooks

# Of the documents and manuals.
check "no link leads nowhere" python3 - <<'END'
import pathlib, re, sys
seen = 0
for path in pathlib.Path("/usr/share/doc/kvmmem-tools").rglob("*"):
    if path.is_symlink() and not path.exists():
        sys.exit(f"{path} leads nowhere")
    if path.suffix not in (".md", ".rst"):
        continue
    for one, other in re.findall(r"\]\(([^)\s]+)\)|<([^<>`\s]+)>`__", path.read_text()):
        target = (one or other).split("#")[0]
        if re.match(r"[a-z]+:", target) or not target:
            continue
        seen += 1
        if not (path.parent / target).exists():
            sys.exit(f"{path}: nothing at {target}")
man = pathlib.Path("/usr/share/man")
for unit in pathlib.Path("/usr/lib/systemd/system").glob("kvmmem*"):
    for name, section in re.findall(r"man:([\w-]+)\((\d)\)", unit.read_text()):
        if section == "8" and not list(man.glob(f"man{section}/{name}.{section}*")):
            sys.exit(f"{unit}: no {name}({section})")
print(seen, "links")
if seen < 30:
    sys.exit("few links")
END

# Every option and command of the help is in the manual.
commands=$(words kvmmem '' | grep '^[a-z]')
check "there are commands" test "$(echo "$commands" | wc -l)" -gt 5
for command in '' $commands; do
	page=kvmmem${command:+-$command}
	gzip -dcf /usr/share/man/man8/$page.8* | sed 's/\\//g' >/tmp/manual
	check "the manual $page is there" grep -q '^\.TH KVMMEM.* 8' /tmp/manual
	for word in $(words kvmmem $command - | sort -u); do
		check "$page explains $word" \
			grep -Eq "^\.(SS|B|BI|BR) (.*[^a-z-])?$word([^a-z-]|\$)" /tmp/manual
	done
done
