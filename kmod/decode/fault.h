/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an EPT violation or nested page fault was, out of the word the
 * processor reports: pure functions without branches, for the fault probe and
 * for KUnit.
 */
#ifndef _KVMMEM_DECODE_FAULT_H
#define _KVMMEM_DECODE_FAULT_H

#include <linux/bits.h>
#include <linux/types.h>
#include <asm/svm.h>
#include <asm/vmx.h>

#include "decode/value.h"

/**
 * enum kvmmem_mode - how a VM's addresses are translated
 * @KVMMEM_MODE_UNKNOWN: it has no vCPU yet
 * @KVMMEM_MODE_EPT: Intel's second-level tables
 * @KVMMEM_MODE_NPT: AMD's second-level tables
 * @KVMMEM_MODE_SHADOW: KVM's shadow of the guest's tables
 */
enum kvmmem_mode {
	KVMMEM_MODE_UNKNOWN,
	KVMMEM_MODE_EPT,
	KVMMEM_MODE_NPT,
	KVMMEM_MODE_SHADOW,
};

/*
 * A fault's class is these bits; the class is the index of its counter, so
 * that the probe counts with one increment and readers do the sums. Neither
 * WRITE nor EXEC means a read. EXEC wins over WRITE for readers, though no
 * processor reports both.
 */
#define KVMMEM_FAULT_PROT	BIT(0)	/* an entry was there and did not allow it */
#define KVMMEM_FAULT_WRITE	BIT(1)
#define KVMMEM_FAULT_EXEC	BIT(2)
#define KVMMEM_FAULT_WALK	BIT(3)	/* the guest's own page-table walk */
#define KVMMEM_FAULT_CLASSES	16

/* Counters behind the classes that are not faults on backed memory. */
#define KVMMEM_FAULT_MMIO	16	/* known by an entry that KVM has marked */
#define KVMMEM_FAULT_NO_SLOT	17	/* MMIO that is a fault like any other to KVM */
#define KVMMEM_FAULT_SHADOW	18
#define KVMMEM_FAULT_CELLS	19

/* With a class: a device's entry was met where memory is, and is not counted yet. */
#define KVMMEM_FAULT_PLUGGED	BIT(15)

/* Exit qualification of an EPT violation: SDM vol. 3C, table 28-7. */
#define KVMMEM_VMX_ACC_READ	BIT_ULL(0)
#define KVMMEM_VMX_ACC_WRITE	BIT_ULL(1)
#define KVMMEM_VMX_ACC_EXEC	BIT_ULL(2)
#define KVMMEM_VMX_ENTRY_RWX	GENMASK_ULL(5, 3)
#define KVMMEM_VMX_GVA_VALID	BIT_ULL(7)
#define KVMMEM_VMX_GVA_FINAL	BIT_ULL(8)

/* EXITINFO1 of a nested page fault: APM vol. 2, 15.25.6; or a #PF error code. */
#define KVMMEM_PF_PRESENT	BIT_ULL(0)
#define KVMMEM_PF_WRITE		BIT_ULL(1)
#define KVMMEM_PF_USER		BIT_ULL(2)
#define KVMMEM_PF_RSVD		BIT_ULL(3)
#define KVMMEM_PF_FETCH		BIT_ULL(4)
#define KVMMEM_PF_FINAL		BIT_ULL(32)
#define KVMMEM_PF_WALK		BIT_ULL(33)

/**
 * kvmmem_decode_vmx - class of an EPT violation
 * @qual: exit qualification
 *
 * Guest page-table walks with EPT accessed and dirty flags on are reported as
 * read and write together: a write. Bit 8 means something only with bit 7.
 *
 * Return: a class, KVMMEM_FAULT_* bits, below KVMMEM_FAULT_CLASSES.
 */
static inline unsigned long kvmmem_decode_vmx(u64 qual)
{
	return (qual & (KVMMEM_VMX_ACC_WRITE | KVMMEM_VMX_ACC_EXEC)) |
	       (qual & KVMMEM_VMX_ENTRY_RWX ? KVMMEM_FAULT_PROT : 0) |
	       (unsigned long)((qual & (KVMMEM_VMX_GVA_VALID | KVMMEM_VMX_GVA_FINAL)) ==
			       KVMMEM_VMX_GVA_VALID) << 3;
}

/**
 * kvmmem_decode_svm - class of a nested page fault
 * @code: EXITINFO1
 *
 * KVM marks cached MMIO by reserved bits in its entries, so a reserved-bit
 * fault is MMIO (arch/x86/kvm/mmu/spte.c, kvm_mmu_set_mmio_spte_mask).
 *
 * Return: a class below KVMMEM_FAULT_CLASSES, or KVMMEM_FAULT_MMIO.
 */
static inline unsigned long kvmmem_decode_svm(u64 code)
{
	if (code & KVMMEM_PF_RSVD)
		return KVMMEM_FAULT_MMIO;
	return (code & (KVMMEM_PF_PRESENT | KVMMEM_PF_WRITE)) |
	       (code & KVMMEM_PF_FETCH) >> 2 |
	       (code & KVMMEM_PF_WALK) >> 30;
}

/**
 * kvmmem_decode_shadow - class of a guest #PF intercepted by shadow paging
 * @code: #PF error code, the same on both vendors
 *
 * Return: KVMMEM_FAULT_MMIO or KVMMEM_FAULT_SHADOW.
 */
static inline unsigned int kvmmem_decode_shadow(u64 code)
{
	return code & KVMMEM_PF_RSVD ? KVMMEM_FAULT_MMIO : KVMMEM_FAULT_SHADOW;
}

/**
 * kvmmem_decode_reflected - is an exit that L1 gets for its guest's missing memory?
 * @svm: of a VMCB, or of a VMCS
 * @code: exit code, or exit reason
 *
 * What L1's tables lack, and what they say in a way that is not allowed: on Intel
 * two exits, on AMD one.
 *
 * Return: true if it is.
 */
static inline bool kvmmem_decode_reflected(bool svm, u64 code)
{
	if (svm)
		return code == SVM_EXIT_NPF;
	code &= 0xffff;
	return code == EXIT_REASON_EPT_VIOLATION || code == EXIT_REASON_EPT_MISCONFIG;
}

/**
 * struct kvmmem_fault_sum - fault counters as readers want them
 * @violations: read + write + exec
 * @read: data reads
 * @write: data writes, guest page-table walks included
 * @exec: instruction fetches
 * @protection: of @violations, those that met an entry that did not allow them
 * @walk: of @violations, those of the guest's own page-table walks
 * @mmio: accesses that no memory backs
 * @shadow: guest #PFs under shadow paging
 */
struct kvmmem_fault_sum {
	u64 violations;
	u64 read;
	u64 write;
	u64 exec;
	u64 protection;
	u64 walk;
	u64 mmio;
	u64 shadow;
};

/**
 * kvmmem_fault_add - add one set of class counters to a sum
 * @sum: where to
 * @cells: KVMMEM_FAULT_CELLS counters, which their writer may be changing
 */
static inline void kvmmem_fault_add(struct kvmmem_fault_sum *sum, const u64 *cells)
{
	unsigned int class;

	for (class = 0; class < KVMMEM_FAULT_CLASSES; class++) {
		u64 n = READ_ONCE(cells[class]);

		/* Most classes never happen. */
		if (!n)
			continue;
		sum->violations += n;
		if (class & KVMMEM_FAULT_EXEC)
			sum->exec += n;
		else if (class & KVMMEM_FAULT_WRITE)
			sum->write += n;
		else
			sum->read += n;
		if (class & KVMMEM_FAULT_PROT)
			sum->protection += n;
		if (class & KVMMEM_FAULT_WALK)
			sum->walk += n;
	}
	sum->mmio += READ_ONCE(cells[KVMMEM_FAULT_MMIO]) +
		     READ_ONCE(cells[KVMMEM_FAULT_NO_SLOT]);
	sum->shadow += READ_ONCE(cells[KVMMEM_FAULT_SHADOW]);
}

/**
 * kvmmem_fault_mask - turn what cannot be known into KVMMEM_UNKNOWN
 * @sum: the sums
 * @mode: of the VM
 * @is_tdx: is it of a TDX guest?
 * @mmio_known: are all MMIO accesses seen?
 *
 * Under shadow paging there are no EPT violations to count. How a TDX guest accesses its
 * private memory is not told: KVM itself writes "write" for it
 * (tdx_handle_ept_violation()).
 */
static inline void kvmmem_fault_mask(struct kvmmem_fault_sum *sum, enum kvmmem_mode mode,
				     bool is_tdx, bool mmio_known)
{
	if (mode == KVMMEM_MODE_SHADOW)
		sum->violations = KVMMEM_UNKNOWN;
	if (mode == KVMMEM_MODE_SHADOW || is_tdx) {
		sum->read = KVMMEM_UNKNOWN;
		sum->write = KVMMEM_UNKNOWN;
		sum->exec = KVMMEM_UNKNOWN;
		sum->protection = KVMMEM_UNKNOWN;
		sum->walk = KVMMEM_UNKNOWN;
	}
	if (!mmio_known)
		sum->mmio = KVMMEM_UNKNOWN;
}

#endif /* _KVMMEM_DECODE_FAULT_H */
