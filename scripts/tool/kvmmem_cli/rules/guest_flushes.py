# SPDX-License-Identifier: GPL-2.0
"""The guest asks for flushes, since its vCPUs are preempted."""

from ..units import show_rate
from . import Found

WORD, WEIGHT, SCOPE = "pv flushes", 3, "vm"
ABOUT = "storms of paravirtual flushes"
THRESHOLD = 500             # a second and vCPU
SOURCE = ("Documentation/flushes.rst: with EPT or NPT the guest's ordinary flushes do not reach "
          "KVM, so that many are of preempted vCPUs")


def check(seen):
    """Flushes that the guest asked for, on a host with more vCPUs than processors."""
    rate, vcpus = seen.rate("vpid.guest"), seen.now("vm", "vcpus")
    if not vcpus or rate < THRESHOLD * vcpus or seen.vm.one("vm", "mode") == "shadow":
        return
    cpus = seen.settings.get("cpus")
    everyone = sum(vm.total("vm", "vcpus") or 0 for vm in seen.snapshot.vms.values())
    if seen.need(cpus, "the host's number of processors") >= everyone:
        return
    yield Found(
        "its vCPUs are preempted while others want them to flush: the host is overcommitted.",
        [f"{show_rate(rate)} flushes a second that the guest asked for, on {vcpus} vCPUs",
         f"{everyone} vCPUs on {cpus} processors"],
        "give the guests fewer vCPUs or the host more processors; of a Windows guest it is normal")
