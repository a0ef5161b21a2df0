// SPDX-License-Identifier: GPL-2.0
/* vCPUs: their private pages, page tables and initial state. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "code.h"
#include "guest.h"

#define PTE_P		(1UL << 0)
#define PTE_W		(1UL << 1)
#define PTE_A		(1UL << 5)
#define PTE_D		(1UL << 6)
#define PTE_PS		(1UL << 7)
#define PTE_TABLE	(PTE_P | PTE_W | PTE_A)
#define PTE_LEAF	(PTE_P | PTE_W | PTE_A | PTE_D)

#define CR0_PE		(1UL << 0)
#define CR0_ET		(1UL << 4)
#define CR0_NE		(1UL << 5)
#define CR0_WP		(1UL << 16)
#define CR0_PG		(1UL << 31)
#define CR4_PAE		(1UL << 5)
#define CR4_PGE		(1UL << 7)
#define EFER_LME	(1UL << 8)
#define EFER_LMA	(1UL << 10)

/* Gigabytes that the identity map covers: control, MMIO, all of the slots. */
static unsigned long identity_gb(const struct options *opt)
{
	unsigned long span = opt->pages / opt->slots * opt->stride * PAGE;

	if (opt->slot_mb)
		span = opt->slot_mb << 20;
	span = ROUND_UP(span + PAGE, HUGE) + HUGE;
	return (DATA_GPA_LONG + opt->slots * span) / (1UL << 30) + 1;
}

/*
 * Each vCPU has its own code and its own page tables, so that no vCPU finds
 * them mapped, or not, depending on what another did before. They begin at a
 * multiple of 8 pages since some versions of KVM map up to 8 at a time.
 */
void plan_vcpus(struct vm *vm)
{
	const struct options *opt = vm->opt;
	unsigned long next = 0, share = opt->pages;
	unsigned int i;

	if (!opt->share)
		share /= opt->vcpus;
	vm->nr_vcpus = opt->vcpus;
	vm->vcpu = calloc(opt->vcpus, sizeof(*vm->vcpu));
	if (!vm->vcpu)
		die_errno("calloc");
	for (i = 0; i < opt->vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpu[i];

		vcpu->vm = vm;
		vcpu->index = i;
		vcpu->count = share;
		vcpu->first = opt->share ? 0 : i * share;
		next = ROUND_UP(next, 8);
		vcpu->ctl_code = next++;
		vcpu->ctl_steal = next++;
		if (is_nested(opt->op)) {
			vcpu->ctl_nested = next;
			next += has_tables(opt->op) ? 5 : 2;
		}
		if (opt->flat)
			continue;
		vcpu->ctl_pml4 = next++;
		vcpu->ctl_pdpt = next++;
		vcpu->ctl_pd = next;
		next += identity_gb(opt);
		if (!opt->walk)
			continue;
		vcpu->ctl_walk = next;
		vcpu->walk_pds = (share + 511) / 512;
		next += 1 + vcpu->walk_pds + share;
	}
	vm->ctl_pages = next;
}

static uint64_t *table(struct vm *vm, unsigned long page)
{
	return (uint64_t *)(vm->ctl.hva + page * PAGE);
}

static uint64_t ctl_gpa(unsigned long page)
{
	return CTL_GPA + page * PAGE;
}

/* Page i of the vCPU at WALK_GVA + i * 2M, through a page table of its own. */
static void build_walk(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	unsigned long pdpt = vcpu->ctl_walk, pd = pdpt + 1;
	unsigned long pt = pd + vcpu->walk_pds, i;

	table(vm, vcpu->ctl_pml4)[WALK_GVA >> 39] = ctl_gpa(pdpt) | PTE_TABLE;
	for (i = 0; i < vcpu->walk_pds; i++)
		table(vm, pdpt)[i] = ctl_gpa(pd + i) | PTE_TABLE;
	for (i = 0; i < vcpu->count; i++) {
		table(vm, pd)[i] = ctl_gpa(pt + i) | PTE_TABLE;
		table(vm, pt + i)[0] = page_gpa(vm, vcpu->first + i) | PTE_LEAF;
	}
}

static void build_identity(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	unsigned long gb = identity_gb(vm->opt), i, j;

	table(vm, vcpu->ctl_pml4)[0] = ctl_gpa(vcpu->ctl_pdpt) | PTE_TABLE;
	for (i = 0; i < gb; i++) {
		table(vm, vcpu->ctl_pdpt)[i] =
			ctl_gpa(vcpu->ctl_pd + i) | PTE_TABLE;
		for (j = 0; j < 512; j++)
			table(vm, vcpu->ctl_pd + i)[j] =
				(i << 30) | (j << 21) | PTE_LEAF | PTE_PS;
	}
}

void build_tables(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpu[i];
		const uint8_t *start = code32_start, *end = code32_end;

		if (!vm->opt->flat) {
			start = code64_start;
			end = code64_end;
			build_identity(vcpu);
			if (vm->opt->walk)
				build_walk(vcpu);
		}
		memcpy(table(vm, vcpu->ctl_code), start, end - start);
	}
}

static void set_cpuid(struct vcpu *vcpu)
{
	const struct options *opt = vcpu->vm->opt;
	struct kvm_cpuid2 *cpuid;
	bool invpcid = false;
	unsigned int i;

	cpuid = calloc(1, sizeof(*cpuid) + 256 * sizeof(cpuid->entries[0]));
	if (!cpuid)
		die_errno("calloc");
	cpuid->nent = 256;
	if (ioctl(vcpu->vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid))
		die_errno("KVM_GET_SUPPORTED_CPUID");
	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 7 &&
		    cpuid->entries[i].index == 0)
			invpcid = cpuid->entries[i].ebx & (1U << 10);
	if (is_hyperv(opt->op))
		cpuid->nent = hyperv_cpuid(cpuid->entries, cpuid->nent);
	if (opt->op == OP_INVPCID && !invpcid)
		die(EXIT_LACKING, "the processor has no INVPCID for guests");
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid))
		die_errno("KVM_SET_CPUID2");
	free(cpuid);
}

static void set_segments(struct kvm_sregs *sregs, bool flat)
{
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1,
		.s = 1, .g = 1, .db = flat, .l = !flat,
	};
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 16, .type = 3, .present = 1,
		.s = 1, .g = 1, .db = 1,
	};

	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
}

void create_vcpu(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct kvm_sregs sregs;
	int size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, vcpu->index);
	if (vcpu->fd < 0)
		die_errno("KVM_CREATE_VCPU");
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (size < 0 || vcpu->run == MAP_FAILED)
		die_errno("mmap of the vCPU");
	map_ring(vcpu);
	set_cpuid(vcpu);
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		die_errno("KVM_GET_SREGS");
	set_segments(&sregs, vm->opt->flat);
	sregs.cr0 = CR0_PE | CR0_ET | CR0_NE;
	sregs.cr4 = CR4_PGE;
	if (!vm->opt->flat) {
		sregs.cr0 |= CR0_PG | CR0_WP;
		sregs.cr3 = ctl_gpa(vcpu->ctl_pml4);
		sregs.cr4 |= CR4_PAE;
		sregs.efer = EFER_LME | EFER_LMA;
	}
	if (is_nested(vm->opt->op))
		setup_nested(vcpu, &sregs);
	if (is_hyperv(vm->opt->op))
		setup_hyperv(vcpu);
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		die_errno("KVM_SET_SREGS");
}

void destroy_vcpu(struct vcpu *vcpu)
{
	if (vcpu->ring)
		munmap(vcpu->ring, vcpu->vm->opt->dirty_ring * sizeof(*vcpu->ring));
	munmap(vcpu->run, ioctl(vcpu->vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(vcpu->fd);
}
