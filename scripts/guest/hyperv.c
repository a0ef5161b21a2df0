// SPDX-License-Identifier: GPL-2.0
/*
 * --op hvflush and hvrange: the guest asks for flushes as Windows does, of all
 * that its processors have, or of lists of address ranges.
 *
 * The layout is that of Microsoft's Hypervisor Top Level Functional Specification.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "guest.h"

#define MSR_GUEST_OS_ID		0x40000000
#define CALL_FLUSH_SPACE	0x0002
#define CALL_FLUSH_LIST		0x0003
#define FLUSH_ALL_PROCESSORS	(1 << 0)
#define FLUSH_ALL_SPACES	(1 << 1)
#define RANGES			2

struct flush_input {
	uint64_t space, flags, processors;
	uint64_t ranges[RANGES];	/* the low 12 bits: pages more than one */
};

/* Its leaves instead of KVM's own; the new number of entries. */
unsigned int hyperv_cpuid(struct kvm_cpuid_entry2 *entries, unsigned int n)
{
	static const struct kvm_cpuid_entry2 leaves[] = {
		{ .function = 0x40000000, .eax = 0x40000003,
		  .ebx = 0x7263694d, .ecx = 0x666f736f, .edx = 0x76482074 },
		{ .function = 0x40000001, .eax = 0x31237648 },	/* "Hv#1" */
		{ .function = 0x40000003, .eax = 1 << 5 },	/* hypercalls */
	};
	unsigned int i, kept = 0;

	for (i = 0; i < n; i++)
		if (entries[i].function >> 8 != 0x400000)
			entries[kept++] = entries[i];
	memcpy(&entries[kept], leaves, sizeof(leaves));
	return kept + sizeof(leaves) / sizeof(leaves[0]);
}

void setup_hyperv(struct vcpu *vcpu)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head.nmsrs = 1, .entry = { .index = MSR_GUEST_OS_ID, .data = 1 } };
	uint8_t *page = vcpu->vm->ctl.hva + vcpu->ctl_code * PAGE;
	struct flush_input *input = (void *)(page + NESTED_BLOCK);

	if (ioctl(vcpu->fd, KVM_SET_MSRS, &msr) != 1)
		die(EXIT_LACKING, "KVM does not offer Hyper-V's interface");
	input->flags = FLUSH_ALL_PROCESSORS | FLUSH_ALL_SPACES;
	input->ranges[0] = CTL_GPA | 3;		/* four pages */
	input->ranges[1] = DATA_GPA_LONG;	/* one */
}

/* What is in cx at the hypercall. */
uint64_t hyperv_call(const struct vcpu *vcpu)
{
	if (vcpu->vm->opt->op == OP_HVFLUSH)
		return CALL_FLUSH_SPACE;
	return CALL_FLUSH_LIST | (uint64_t)RANGES << 32;
}
