// SPDX-License-Identifier: GPL-2.0
/*
 * --op nested: the guest is a hypervisor and runs a guest of its own, which has
 * its page tables and executes one HLT after the other, or touches an address that
 * the hypervisor's second-level tables do not map.
 *
 * Layouts are those of AMD's manual, volume 2, appendix B, and of Intel's,
 * volume 3, appendix B.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "code.h"
#include "guest.h"
#include "ports.h"

#define MSR_FEATURE_CONTROL	0x3a
#define MSR_VMX_BASIC		0x480
#define MSR_VMX_PIN		0x481
#define MSR_VMX_PROC		0x482
#define MSR_VMX_EXIT		0x483
#define MSR_VMX_ENTRY		0x484
#define MSR_VMX_PROC2		0x48b
#define MSR_VM_HSAVE_PA		0xc0010117

#define PROC_HLT		(1U << 7)
#define PROC_SECONDARY		(1U << 31)
#define PROC2_EPT		(1U << 1)
#define PROC2_VPID		(1U << 5)
#define EXIT_HOST_64		(1U << 9)
#define ENTRY_GUEST_64		(1U << 9)

#define EXITCODE_HLT		0x78
#define EXITCODE_NPF		0x400
#define REASON_HLT		12
#define REASON_EPT_VIOLATION	48
#define REASON_EPT_MISCONFIG	49
#define NESTED_TAG		1

struct pair {
	uint64_t field, value;
};

/* What the guest reads before it enters its own; it is in the code page. */
struct vmx_block {
	uint64_t vmxon, vmcs;
	struct pair pairs[];
};

static uint64_t get_msr(const struct vcpu *vcpu, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head.nmsrs = 1, .entry.index = index };

	if (ioctl(vcpu->fd, KVM_GET_MSRS, &msr) != 1)
		die(EXIT_LACKING, "KVM has no MSR 0x%x for guests", index);
	return msr.entry.data;
}

static void set_msr(const struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	if (ioctl(vcpu->fd, KVM_SET_MSRS, &msr) != 1)
		die(1, "KVM does not set MSR 0x%x", index);
}

static uint64_t ctl_gpa(unsigned long page)
{
	return CTL_GPA + page * PAGE;
}

static uint8_t *ctl_page(const struct vcpu *vcpu, unsigned long page)
{
	return vcpu->vm->ctl.hva + page * PAGE;
}

static uint64_t code_at(const struct vcpu *vcpu, const uint8_t *label)
{
	return ctl_gpa(vcpu->ctl_code) + (label - code64_start);
}

static uint64_t l2_at(const struct vcpu *vcpu)
{
	return code_at(vcpu, has_tables(vcpu->vm->opt->op) ? code64_l2_touch : code64_l2);
}

/* What an exit of the guest's guest must be for. */
uint64_t nested_exit(const struct vcpu *vcpu)
{
	enum op op = vcpu->vm->opt->op;

	if (vcpu->vm->amd)
		return has_tables(op) ? EXITCODE_NPF : EXITCODE_HLT;
	return op == OP_NESTED_MISSING ? REASON_EPT_VIOLATION :
	       op == OP_NESTED_RESERVED ? REASON_EPT_MISCONFIG : REASON_HLT;
}

/*
 * Tables that map the first gigabyte as it is, and where L2_GPA is have no entry, or
 * one that is not allowed: on AMD of 1G with a low address bit, on Intel write-only.
 */
static uint64_t build_second_level(struct vcpu *vcpu)
{
	unsigned long page = vcpu->ctl_nested + 2;
	uint64_t *pml4 = (void *)ctl_page(vcpu, page);
	uint64_t *pdpt = (void *)ctl_page(vcpu, page + 1);
	uint64_t *pd = (void *)ctl_page(vcpu, page + 2);
	bool amd = vcpu->vm->amd;
	uint64_t all = 7, i;		/* EPT: RWX; NPT: present, writable, user */

	pml4[0] = ctl_gpa(page + 1) | all;
	pdpt[0] = ctl_gpa(page + 2) | all;
	for (i = 0; i < 512; i++)	/* of 2M; EPT: write-back */
		pd[i] = i << 21 | 1 << 7 | (amd ? 0 : 6 << 3) | all;
	if (vcpu->vm->opt->op == OP_NESTED_RESERVED)
		pdpt[L2_GPA >> 30] = amd ? L2_GPA | 1 << 13 | 1 << 7 | all : L2_GPA | 2;
	return ctl_gpa(page);
}

static void put(uint8_t *vmcb, unsigned int at, uint64_t value, unsigned int size)
{
	memcpy(vmcb + at, &value, size);
}

static void put_segment(uint8_t *vmcb, unsigned int at, unsigned int selector,
			unsigned int attributes)
{
	put(vmcb, at, selector, 2);
	put(vmcb, at + 2, attributes, 2);
	put(vmcb, at + 4, 0xffffffff, 4);
}

static void build_vmcb(struct vcpu *vcpu, const struct kvm_sregs *sregs)
{
	uint8_t *vmcb = ctl_page(vcpu, vcpu->ctl_nested);
	unsigned int at;

	put(vmcb, 0x00c, 1U << 24, 4);			/* intercept HLT */
	put(vmcb, 0x010, 1U << 0, 4);			/* and VMRUN, as one must */
	put(vmcb, 0x058, NESTED_TAG, 4);
	put_segment(vmcb, 0x410, 8, 0xa9b);		/* CS */
	for (at = 0x400; at <= 0x450; at += 0x10)
		if (at != 0x410)
			put_segment(vmcb, at, 16, 0xc93);
	put(vmcb, 0x4d0, sregs->efer, 8);
	put(vmcb, 0x548, sregs->cr4, 8);
	put(vmcb, 0x550, sregs->cr3, 8);
	put(vmcb, 0x558, sregs->cr0, 8);
	put(vmcb, 0x560, 0x400, 8);			/* DR7 */
	put(vmcb, 0x568, 0xffff0ff0, 8);		/* DR6 */
	put(vmcb, 0x570, 2, 8);				/* RFLAGS */
	put(vmcb, 0x578, l2_at(vcpu), 8);
	if (has_tables(vcpu->vm->opt->op)) {
		put(vmcb, 0x090, 1, 8);			/* nested paging */
		put(vmcb, 0x0b0, build_second_level(vcpu), 8);
	}
	put(vmcb, 0x668, 0x0007040600070406, 8);	/* PAT */
	set_msr(vcpu, MSR_VM_HSAVE_PA, ctl_gpa(vcpu->ctl_nested + 1));
}

/* What is wanted, and what the processor insists on. */
static uint32_t controls(const struct vcpu *vcpu, uint32_t index, uint32_t wanted)
{
	uint64_t capability = get_msr(vcpu, index);

	if (wanted & ~(capability >> 32))
		die(EXIT_LACKING, "no control 0x%x in MSR 0x%x for guests", wanted, index);
	return wanted | (uint32_t)capability;
}

static void build_vmcs(struct vcpu *vcpu, const struct kvm_sregs *sregs)
{
	uint32_t revision = get_msr(vcpu, MSR_VMX_BASIC) & 0x7fffffff;
	bool tagged = vcpu->vm->opt->op == OP_NESTED_VPID;
	bool tables = has_tables(vcpu->vm->opt->op);
	uint32_t proc2 = (tagged ? PROC2_VPID : 0) | (tables ? PROC2_EPT : 0);
	const struct pair pairs[] = {
		{ 0x4000, controls(vcpu, MSR_VMX_PIN, 0) },
		{ 0x4002, controls(vcpu, MSR_VMX_PROC,
				   PROC_HLT | (proc2 ? PROC_SECONDARY : 0)) },
		{ 0x401e, proc2 ? controls(vcpu, MSR_VMX_PROC2, proc2) : 0 },
		/* Write-back, four levels. */
		{ 0x201a, tables ? build_second_level(vcpu) | 3 << 3 | 6 : 0 },
		{ 0x0000, tagged ? NESTED_TAG : 0 },
		{ 0x400c, controls(vcpu, MSR_VMX_EXIT, EXIT_HOST_64) },
		{ 0x4012, controls(vcpu, MSR_VMX_ENTRY, ENTRY_GUEST_64) },
		/* None of: exceptions, CR3 targets, MSRs, an event to inject. */
		{ 0x4004, 0 }, { 0x4006, 0 }, { 0x4008, 0 }, { 0x400a, 0 },
		{ 0x400e, 0 }, { 0x4010, 0 }, { 0x4014, 0 }, { 0x4016, 0 },
		{ 0x6000, 0 }, { 0x6002, 0 },		/* masks of CR0, CR4 */
		{ 0x2800, -1ULL },			/* VMCS link pointer */
		/* Where an exit goes: selectors ES to GS and TR, then bases. */
		{ 0x6c00, sregs->cr0 }, { 0x6c02, sregs->cr3 }, { 0x6c04, sregs->cr4 },
		{ 0x0c00, 16 }, { 0x0c02, 8 }, { 0x0c04, 16 }, { 0x0c06, 16 },
		{ 0x0c08, 16 }, { 0x0c0a, 16 }, { 0x0c0c, 24 },
		{ 0x6c06, 0 }, { 0x6c08, 0 }, { 0x6c0a, 0 }, { 0x6c0c, 0 }, { 0x6c0e, 0 },
		{ 0x4c00, 0 }, { 0x6c10, 0 }, { 0x6c12, 0 },
		{ 0x6c14, 0 }, { 0x6c16, code_at(vcpu, code64_vmx_exit) },
		/* The guest of the guest: selectors ES to TR. */
		{ 0x6800, sregs->cr0 }, { 0x6802, sregs->cr3 }, { 0x6804, sregs->cr4 },
		{ 0x0800, 16 }, { 0x0802, 8 }, { 0x0804, 16 }, { 0x0806, 16 },
		{ 0x0808, 16 }, { 0x080a, 16 }, { 0x080c, 0 }, { 0x080e, 24 },
		/* Bases, with those of GDTR and IDTR. */
		{ 0x6806, 0 }, { 0x6808, 0 }, { 0x680a, 0 }, { 0x680c, 0 }, { 0x680e, 0 },
		{ 0x6810, 0 }, { 0x6812, 0 }, { 0x6814, 0 }, { 0x6816, 0 }, { 0x6818, 0 },
		/* Limits. */
		{ 0x4800, -1U }, { 0x4802, -1U }, { 0x4804, -1U }, { 0x4806, -1U },
		{ 0x4808, -1U }, { 0x480a, -1U }, { 0x480c, 0 }, { 0x480e, 0x67 },
		{ 0x4810, 0 }, { 0x4812, 0 },
		/* Access rights: no LDT, a busy TSS. */
		{ 0x4814, 0xc093 }, { 0x4816, 0xa09b }, { 0x4818, 0xc093 },
		{ 0x481a, 0xc093 }, { 0x481c, 0xc093 }, { 0x481e, 0xc093 },
		{ 0x4820, 0x10000 }, { 0x4822, 0x8b },
		{ 0x4824, 0 }, { 0x4826, 0 }, { 0x482a, 0 }, { 0x2802, 0 },
		{ 0x681a, 0x400 }, { 0x681c, 0 }, { 0x681e, l2_at(vcpu) },
		{ 0x6820, 2 }, { 0x6822, 0 }, { 0x6824, 0 }, { 0x6826, 0 },
	};
	struct vmx_block *block;

	vcpu->nested_fields = sizeof(pairs) / sizeof(pairs[0]);
	block = (void *)(ctl_page(vcpu, vcpu->ctl_code) + NESTED_BLOCK);
	block->vmxon = ctl_gpa(vcpu->ctl_nested);
	block->vmcs = ctl_gpa(vcpu->ctl_nested + 1);
	memcpy(block->pairs, pairs, sizeof(pairs));
	memcpy(ctl_page(vcpu, vcpu->ctl_nested), &revision, sizeof(revision));
	memcpy(ctl_page(vcpu, vcpu->ctl_nested + 1), &revision, sizeof(revision));
}

/* Make a hypervisor of a vCPU's guest; before KVM_SET_SREGS. */
void setup_nested(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	if (code64_end - code64_start > NESTED_BLOCK)
		die(1, "the guest's code is too long");
	if (vcpu->vm->amd) {
		sregs->efer |= 1UL << 12;	/* SVME */
		build_vmcb(vcpu, sregs);
	} else {
		sregs->cr4 |= 1UL << 13;	/* VMXE */
		set_msr(vcpu, MSR_FEATURE_CONTROL, 5);	/* locked, VMXON outside SMX */
		build_vmcs(vcpu, sregs);
	}
}

/* What ended the last run of the guest's guest? Intel's guest looks itself. */
void check_nested(const struct vcpu *vcpu)
{
	uint64_t code;

	if (!vcpu->vm->amd)
		return;
	memcpy(&code, ctl_page(vcpu, vcpu->ctl_nested) + 0x70, sizeof(code));
	if (code != nested_exit(vcpu))
		die(1, "the guest's guest ended with exit code 0x%llx",
		    (unsigned long long)code);
}

/*
 * --fail-entry: a state that the processor refuses to enter, upon which KVM with
 * dump_invalid_vmcs=1 prints the VMCS: the one witness of the VPID in it.
 */
void fail_entry(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	if (vcpu->vm->amd)
		die(EXIT_LACKING, "--fail-entry needs Intel's VMCS");
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		die_errno("KVM_GET_SREGS");
	sregs.tr.type = 1;		/* no busy TSS */
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		die_errno("KVM_SET_SREGS");
	if (ioctl(vcpu->fd, KVM_RUN, 0))
		die_errno("KVM_RUN");
	if (vcpu->run->exit_reason != KVM_EXIT_FAIL_ENTRY)
		die(1, "exit %u instead of a failed entry", vcpu->run->exit_reason);
}
