# SPDX-License-Identifier: GPL-2.0
"""The laboratory itself: what a guest was computed to do is what KVM counts.

Nothing here needs kvmmem. Each guest's foretold numbers are compared with KVM's
own pf_taken and with an exact count of the kvm_page_fault tracepoint, decoded.
"""

from host import Scenario

EVENT = "kvm:kvm_page_fault"
WORDS = ("read", "write", "exec", "protection", "walk", "mmio")


def equal(what, got, expected):
    """Assert with both numbers."""
    assert got == expected, f"{what} is {got}, expected {expected}"


def same(what, got, kvms):
    """equal(), where this kernel's KVM keeps that count."""
    if kvms != "-":
        equal(what, got, kvms)


def decode(code, amd):
    """What an error code (AMD) or exit qualification (Intel) says."""
    if amd:
        if code & 8:                    # reserved bit: a known MMIO entry
            return ["mmio"]
        access = "exec" if code & 16 else "write" if code & 2 else "read"
        present, walk = code & 1, code >> 33 & 1
    else:
        access = "exec" if code & 4 else "write" if code & 2 else "read"
        present, walk = code & 0x38, code & 0x180 == 0x80
    return [access] + ["protection"] * bool(present) + ["walk"] * bool(walk)


def traced(out, tids, amd):
    """Events of some threads: how many, and how many of each kind."""
    seen = dict.fromkeys(WORDS, 0)
    total = 0
    for row in out.records("trace", "trace "):
        if row["common_pid"] in tids:
            total += row["count"]
            for word in decode(row["error_code"], amd):
                seen[word] += row["count"]
    return total, seen


def check_vm(name, amd, expect, result, pf_taken, trace):
    """Foretold, KVM's count and the tracepoint's agree for one VM."""
    total, seen = trace
    equal(f"{name}: exact", expect["exact"], "yes")
    if pf_taken != "-":                 # before 5.19 KVM did not count them
        equal(f"{name}: pf_taken", pf_taken, expect["pf_taken"])
    equal(f"{name}: events traced", total, expect["trace"])
    if expect["shadow"]:
        equal(f"{name}: shadow faults", total, expect["shadow"])
        return
    # A first access to an address without a slot looks like a read of memory.
    seen["read"] -= expect["trace"] - expect["violations"] - seen["mmio"]
    for word in WORDS[:-1]:
        # 5.10 cuts AMD's error code to 32 bits before it is traced.
        if word != "walk" or pf_taken != "-" or not amd:
            equal(f"{name}: {word}", seen[word], expect[word])
    equal(f"{name}: MMIO exits", result["mmio_exits"],
          expect["mmio"] + expect["emulated"])


def check_guests(out):
    """check_vm() for every VM of every guest."""
    amd = "kvm-amd" in out["vendor"]
    names = [name[len("guest "):] for name in out.sections if name.startswith("guest ")]
    assert names, "no guest ran"
    for name in names:
        expects = out.records(f"guest {name}", "expect ")
        results = out.records(f"guest {name}", "result ")
        stats = out.records(f"kvm {name}", "pf_taken=")
        assert expects and len(expects) == len(results) == len(stats), \
            f"{name}: a VM is missing"
        for expect, result, stat in zip(expects, results, stats):
            tids = [int(tid) for tid in str(result["tids"]).split(",")]
            check_vm(name, amd, expect, result, stat["pf_taken"],
                     traced(out, tids, amd))


def check_sections(out):
    """Nothing of them is missing."""
    equal("sections", [text.split() for text in out.all("lines")],
          [[str(one) for one in range(1, 101)]] * 40)


def guests(name, load="load_kvm", check=check_guests, tail="", host=(), **arguments):
    """A scenario of several guests, one after the other: NAME=kvmguest's arguments."""
    lines = [load, "section vendor kvm_vendor",
             f"trace_count_start {EVENT} common_pid,error_code"]
    for guest, options in arguments.items():
        lines.append(f"""
section "guest {guest}" kvmguest {options} --then '
    for id in $KVMGUEST_IDS; do
        section "kvm {guest}" kvmstat $id pf_taken
    done'""")
    lines += [tail, f"section trace trace_count_stop {EVENT}"]
    return Scenario(name, "\n".join(lines), check, host=dict(host))


def check_counted(out):
    """Where vCPUs race no number can be foretold, but the two counts agree."""
    expect, = out.records("guest racing", "expect ")
    result, = out.records("guest racing", "result ")
    tids = [int(tid) for tid in str(result["tids"]).split(",")]
    total, _ = traced(out, tids, "kvm-amd" in out["vendor"])
    stats = out.values("kvm racing")
    equal("exact", expect["exact"], "no")
    if stats["pf_taken"] != "-":
        equal("events traced", total, stats["pf_taken"])
    assert total >= expect["trace"], f"{total} faults, at least {expect['trace']} foretold"
    return expect, result, stats


def check_dropped(out):
    """Memory that is taken from running vCPUs makes remote flushes."""
    _, _, stats = check_counted(out)
    if stats["remote_tlb_flush_requests"] != "-":
        assert stats["remote_tlb_flush_requests"] >= 20, "too few flush requests"
    assert stats["remote_tlb_flush"] > 0, "no remote flush"
    assert stats["tlb_flush"] > 0, "no vCPU was told to flush"


def check_neighbour(out):
    """A guest is exact while another one runs."""
    check_guests(out)
    busy = out.records("busy", "result ")[0]
    assert busy["passes"] > 2, "the other guest did not run"


def check_lives(out):
    """What is left in KVM's debugfs at each point of a VM's life."""
    ident = out.records("held", "guest ")[0]["id"]
    equal("VMs while one is held", out["one"].split(), [ident])
    equal("VMs after it was closed", out["closed"].split(), [])
    assert "State" in out["process"], "the process did not outlive its VM"
    equal("created", out.values("created")["vms"], 50)
    equal("VMs in the end", out["none"].split(), [])


def check_pv_flush(out):
    """Each paravirtual flush is one flush of a vCPU."""
    check_guests(out)
    equal("exits", out.values("guest steal")["io_exits"], 100)
    equal("exits of hlt", out.values("guest hlt")["hlt_exits"], 100)


def check_moved(out):
    """The vCPU left for another processor at each exit."""
    check_guests(out)
    equal("exits", out.values("guest moving")["io_exits"], 20)


def racing(name, arguments, check):
    """A scenario on two processors."""
    return Scenario(name, f"""
load_kvm
section vendor kvm_vendor
trace_count_start {EVENT} common_pid,error_code
section "guest racing" kvmguest {arguments} --then '
    section "kvm racing" kvmstat $KVMGUEST_ID pf_taken tlb_flush \\
        remote_tlb_flush remote_tlb_flush_requests'
section trace trace_count_stop {EVENT}
""", check, host={"cpus": 2})


LIVES = """
load_kvm
vms() { find /sys/kernel/debug/kvm/ -mindepth 1 -maxdepth 1 -type d -exec basename {} \\;; }
mkfifo held closed
kvmguest --pages 8 --hold held >held.out & held=$!
wait_for grep -q result held.out
section one vms
echo >held
wait $held
section held cat held.out
kvmguest --pages 8 --close-then-hold --hold closed >closed.out & closed=$!
wait_for grep -q result closed.out
section closed vms
section process cat /proc/$closed/status
echo >closed
wait $closed
section created kvmguest --create-only 50
section none vms
"""

NEIGHBOUR = """
load_kvm
section vendor kvm_vendor
kvmguest --pages 64 --rounds 2 --drop --forever >busy.out & busy=$!
wait_for grep -q expect busy.out
"""

SCENARIOS = [
    guests("small_pages",
           write="--pages 1000",
           read_holes="--pages 64 --access read",
           read_then_write="--pages 64 --access read,write",
           execute="--pages 64 --access exec",
           write_then_execute="--pages 64 --access write,exec",
           prefaulted="--pages 64 --prefault --access read,write",
           refault="--pages 100 --rounds 3 --drop",
           refault_executed="--pages 64 --rounds 2 --drop --access exec",
           sparse_slots="--pages 64 --slots 8 --slot-mb 4 --stride 100",
           shared="--pages 64 --backing shmem --access read,write",
           memfd="--pages 64 --backing memfd --access read,write --rounds 2 --drop",
           file="--pages 64 --backing file:/tmp/memory --access read,write"),
    guests("huge_pages", load="load_kvm; echo 3 >/proc/sys/vm/nr_hugepages",
           thp="--pages 2048 --backing thp",
           thp_executed="--pages 1024 --backing thp --access exec",
           thp_holes="--pages 1024 --backing thp --access read",
           thp_refault="--pages 1024 --backing thp --rounds 3 --drop",
           misaligned="--pages 512 --backing thp --misalign --slot-mb 4",
           partly="--pages 600 --backing thp --slots 2 --slot-mb 3",
           hugetlb="--pages 1024 --backing hugetlb2m --access read,write",
           memfd_hugetlb="--pages 1024 --backing memfd-hugetlb"),
    guests("nx_split",
           load="load_kvm; echo force >/sys/module/kvm/parameters/nx_huge_pages",
           tail="echo auto >/sys/module/kvm/parameters/nx_huge_pages",
           executed="--pages 512 --backing thp --access exec",
           written_then_executed="--pages 512 --backing thp --access write,exec,read",
           executed_then_written="--pages 512 --backing thp --access exec,write"
                                 " --rounds 2 --drop"),
    guests("dirty_log",
           small="--pages 100 --rounds 3 --dirty-log",
           read="--pages 100 --rounds 3 --dirty-log --access read --prefault",
           huge="--pages 1024 --backing thp --rounds 2 --dirty-log",
           huge_and_back="--pages 512 --backing thp --rounds 4 --dirty-log=1"
                         " --dirty-log-off=2",
           read_back="--pages 512 --backing thp --rounds 4 --dirty-log=1"
                     " --dirty-log-off=3 --access read --prefault",
           dropped="--pages 512 --backing thp --rounds 2 --dirty-log --drop"),
    guests("addresses",
           page_walk="--pages 600 --walk",
           flat="--pages 100 --mode flat",
           mmio="--pages 16 --mmio 30 --mmio-pages 3",
           readonly="--pages 32 --readonly-slot",
           readonly_read="--pages 32 --readonly-slot --access read,write --rounds 2"),
    guests("mmio",
           four="--pages 64 --mmio 32 --mmio-pages 4",
           one="--pages 64 --mmio 32",
           logged="--pages 64 --mmio 32 --mmio-pages 4 --rounds 5 --dirty-log=1"
                  " --dirty-log-off=3"),
    # What hosts without a reserved bit have: each access is a fault without an entry.
    guests("mmio_uncached", load="load_kvm kvm.mmio_caching=N",
           four="--pages 64 --mmio 32 --mmio-pages 4",
           logged="--pages 64 --mmio 32 --mmio-pages 4 --rounds 5 --dirty-log=1"
                  " --dirty-log-off=3"),
    guests("operations", check=check_pv_flush,
           cr3="--pages 10 --op cr3 --ops 100",
           invlpg="--pages 10 --op invlpg --ops 100",
           cr4pge="--pages 10 --op cr4pge --ops 100",
           hlt="--pages 10 --op hlt --ops 100",
           io="--pages 10 --op io --ops 100",
           steal="--pages 10 --steal-time --op pvflush --ops 100"),
    Scenario("invpcid", "load_kvm; section guest kvmguest --op invpcid --ops 100",
             vendors=("intel",)),
    # QEMU has none, and the guest has to say so.
    Scenario("invpcid_lacking", "load_kvm; kvmguest --op invpcid --ops 100",
             status=77, vendors=("amd",)),
    guests("several",
           two_vms="--pages 128 --vms 2",
           four_vcpus="--pages 256 --vcpus 4 --turns",
           shared_pages="--pages 64 --vcpus 2 --turns --share same --rounds 2"),
    guests("shadow_paging", load="load_kvm_shadow",
           write="--pages 256",
           prefaulted="--pages 256 --prefault",
           read_then_write="--pages 64 --access read,write",
           huge="--pages 1024 --backing thp",
           refault="--pages 100 --rounds 2 --drop"),
    guests("neighbour", load=NEIGHBOUR, check=check_neighbour,
           tail="kill $busy; wait $busy; section busy cat busy.out",
           exact="--pages 256 --rounds 2 --drop"),
    # Processes that it has started end while a scenario prints.
    Scenario("sections", """
lines() { seq 100; }
many() { for i in $(seq 1000); do sh -c : & done; wait; }
section "many" true
many & all=$!
for i in $(seq 40); do
    for one in 1 2 3 4 5; do sh -c : & done
    section lines lines
done
wait
""", check_sections, limit=90),
    Scenario("lives", LIVES, check_lives),
    racing("concurrent", "--pages 1024 --vcpus 2", check_counted),
    racing("dropped_while_running",
           "--pages 64 --vcpus 2 --share same --drop-thread 20", check_dropped),
    guests("moved", check=check_moved, host={"cpus": 2},
           moving="--pages 64 --migrate 20"),
]
