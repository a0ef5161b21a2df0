# SPDX-License-Identifier: GPL-2.0
"""Who may read, and from where: capabilities, namespaces, a chroot, lockdown."""

import re

import procfile
import suite_tenant
from host import Scenario
from suite_lab import equal
from suite_tenant import HELPERS, proc, tenant

prepare = suite_tenant.prepare


def check_rights(out):
    """Who may read."""
    equal("CAP_DAC_OVERRIDE alone", tenant(out, "dac"), {"errno": 13, "read": -1})
    equal("no capability", tenant(out, "none"), {"errno": 13, "read": -1})
    for name in ("perfmon", "admin", "wide"):
        equal(f"errno of {name}", tenant(out, name)["errno"], 0)
        assert tenant(out, name)["read"] > 500, f"{name}: {out[name]}"


def check_chroot(out):
    """The host's facts are the host's, and a FIFO in their place holds nobody up."""
    assert out.status("inside") == 0, out["inside"]
    outside, inside = proc(out, "outside").host, proc(out, "inside").host
    for key in ("thp", "ept", "vpid", "swap_total_kb", "ksm"):
        equal(f"{key} in a chroot", inside[key], outside[key])
    assert outside["thp"] in ("always", "madvise", "never"), outside["thp"]
    hooks = [[(row["name"], row["state"], row["why_not"])
              for row in procfile.table(out[f"hooks {where}"])] for where in ("outside", "inside")]
    equal("hooks of who loads it in a chroot", hooks[1], hooks[0])


def check_namespace(out):
    """Root of a namespace of its own reads nothing, and a VM made there is counted."""
    for name in ("proc", "own", "debugfs", "parameter"):
        assert re.search(r"[Pp]ermission denied|not permitted", out[name]), out[name]
    assert "uid=0" in out["who"], out["who"]
    row, = proc(out, "outside").all("vm")
    equal("id", row["id"], tenant(out, "inner")["id"])
    equal("vCPUs that have a record", len(proc(out, "outside").all("vpid")), 2)
    user, = [line.split() for line in out["registry"].split("\n") if line.startswith("user ")]
    equal("uid, VMs and vCPUs of who was refused one", user[1:4], ["1000", "1", "2"])


def check_lockdown(out):
    """Under lockdown every file but one stays readable, and numbers go on."""
    before = proc(out, "unlocked")
    row, = before.all("vm")
    for mode in ("integrity", "confidentiality"):
        assert f"[{mode}]" in out[f"{mode} mode"], out[f"{mode} mode"]
        equal(f"rows under {mode}", [vm["id"] for vm in proc(out, mode).all("vm")], [row["id"]])
        # It is written to, and shows page tables.
        equal(f"files refused under {mode}", re.sub(r"^cat: .*\n", "", out[f"{mode} refused"],
                                                    flags=re.M),
              f"/sys/kernel/debug/kvmmem/vms/{row['id']}/translate")
    equal("resident_kb", proc(out, "confidentiality").find("vm", id=row["id"])["resident_kb"],
          row["resident_kb"])
    later = proc(out, "later")
    equal("VMs born under lockdown", len(later.all("vm")), 2)
    equal("lost", later.host["lost"], 0)
    # Hooks come and go as before; that a parameter can be written is the kernel's to say.
    hooks = [[(row["name"], row["state"]) for row in procfile.table(out[name])]
             for name in ("hooks", "hooks again")]
    equal("hooks switched off and on", hooks[1], hooks[0])
    equal("switched off meanwhile", out["off"], "off")
    # It is not signed.
    assert "not permitted" in out["load"], out["load"]
    equal("kvmmem is loaded again", out["modules"], "0")


def scenario(name, script, check, **fields):
    """One scenario."""
    return Scenario(f"rights_{name}", HELPERS + script, check, **fields)


SCENARIOS = [
    scenario("capabilities", """
load_kvm; load_kvmmem
section dac tenant read 2 /proc/kvmmem
section none tenant read 0 /proc/kvmmem
section perfmon tenant read 4000000000 /proc/kvmmem
section admin tenant read 200000 /proc/kvmmem
unload_kvmmem
load_kvmmem proc_mode=0444
section wide tenant read 0 /proc/kvmmem
unload_kvmmem
""", check_rights),
    scenario("chroot", """
load_kvm; load_kvmmem
jail=/tmp/jail
mkdir -p $jail/proc $jail/bin
mount -t proc proc $jail/proc
cp /bin/busybox $jail/bin/
for file in kernel/mm/transparent_hugepage/enabled kernel/mm/ksm/run \\
            module/kvm_amd/parameters/npt module/kvm_intel/parameters/ept \\
            kernel/btf/vmlinux kernel/btf/kvm kernel/btf/kvm_amd kernel/btf/kvm_intel; do
    mkdir -p $jail/sys/${file%/*}
    mkfifo $jail/sys/$file
done
section outside proc
section inside timeout 10 chroot $jail /bin/busybox cat /proc/kvmmem
# Who loads it there does not decide either what the kernel's types are.
section "hooks outside" hooks
unload_kvmmem
cp /lab/kvmmem.ko $jail/
timeout 20 chroot $jail /bin/busybox insmod /kvmmem.ko
section "hooks inside" hooks
umount $jail/proc
rm -r $jail
""", check_chroot),
    # As user 1000, who is root in there.
    scenario("namespace", """
load_kvm; load_kvmmem max_vcpus=4 user_share=50
chmod 666 /dev/kvm
chmod 755 /sys/kernel/debug
mkdir -p /etc
echo other:x:1000:1000::/:/bin/sh >/etc/passwd
inside() { su other -c "unshare -U -r $*" || :; }
section who inside id
section proc inside cat /proc/kvmmem
# Whose file it is, and who is root of another namespace only.
section own sh -c 'unshare -U -r cat /proc/kvmmem || true'
section debugfs inside cat /sys/kernel/debug/kvmmem/registry
section parameter inside tee /sys/module/kvmmem/parameters/flush_accounting
mkfifo inner.fifo
chmod 666 inner.fifo
inside tenant hold 3 $PWD/inner.fifo >inner.out 2>&1 &
wait_for grep -q ^tenant inner.out
section inner cat inner.out
section outside proc
section registry registry
: >inner.fifo
wait $!
chmod 700 /sys/kernel/debug
unload_kvmmem
""", check_namespace),
    scenario("lockdown", """
load_kvm; load_kvmmem
tenant_on one hold 1 one.fifo
registry >/dev/null
section unlocked proc
[ -e /sys/kernel/security/lockdown ] || mount -t securityfs securityfs /sys/kernel/security
refused() {
    local path
    for path in /proc/kvmmem /sys/kernel/debug/kvmmem/vms/*/* /sys/kernel/debug/kvmmem/[a-u]*; do
        [ ! -f $path ] || cat $path >/dev/null || echo $path
    done
}
off() { hooks | awk '$2 == "kvm_mmu_notifier_invalidate_range_start" { print $3 }'; }
for mode in integrity confidentiality; do
    echo $mode >/sys/kernel/security/lockdown
    section "$mode mode" cat /sys/kernel/security/lockdown
    section $mode proc
    section "$mode refused" refused
done
tenant_on two hold 1 two.fifo
section later proc
section hooks hooks
for value in 0 1; do
    for name in flush_accounting service_time huge_flows invalidations; do
        echo $value >/sys/module/kvmmem/parameters/$name
    done
    [ $value = 1 ] || section off off
done
echo 0 >/sys/module/kvmmem/parameters/huge_flows
section "hooks again" hooks
tenant_off one
tenant_off two
unload_kvmmem
section load sh -c 'insmod /lab/kvmmem.ko 2>&1 || true'
section modules sh -c 'grep -c "^kvmmem " /proc/modules || true'
""", check_lockdown, host={"cmdline": "lsm=lockdown"}),
]
