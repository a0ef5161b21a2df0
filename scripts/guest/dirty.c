// SPDX-License-Identifier: GPL-2.0
/* Fetching what a guest has written to, as a VMM does that migrates it. */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "guest.h"

#ifndef KVM_CAP_DIRTY_LOG_RING_ACQ_REL
#define KVM_CAP_DIRTY_LOG_RING_ACQ_REL	223
#endif

static size_t ring_bytes(const struct vm *vm)
{
	return vm->opt->dirty_ring * sizeof(struct kvm_dirty_gfn);
}

/* Before there are vCPUs. */
void setup_dirty(struct vm *vm)
{
	struct kvm_enable_cap ring = {
		.cap = KVM_CAP_DIRTY_LOG_RING_ACQ_REL, .args = { ring_bytes(vm) },
	};
	struct kvm_enable_cap manual = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { vm->opt->manual },
	};

	if (vm->opt->manual && ioctl(vm->fd, KVM_ENABLE_CAP, &manual))
		die(EXIT_LACKING, "KVM has no such manual protection here");
	if (!vm->opt->dirty_ring)
		return;
	if (ioctl(vm->fd, KVM_ENABLE_CAP, &ring)) {
		ring.cap = KVM_CAP_DIRTY_LOG_RING;
		if (ioctl(vm->fd, KVM_ENABLE_CAP, &ring))
			die(EXIT_LACKING, "KVM has no dirty ring here");
	}
}

void map_ring(struct vcpu *vcpu)
{
	if (!vcpu->vm->opt->dirty_ring)
		return;
	vcpu->ring = mmap(NULL, ring_bytes(vcpu->vm), PROT_READ | PROT_WRITE, MAP_SHARED,
			  vcpu->fd, KVM_DIRTY_LOG_PAGE_OFFSET * PAGE);
	if (vcpu->ring == MAP_FAILED)
		die_errno("mmap of the dirty ring");
}

/* The vCPU is at rest. */
unsigned long empty_ring(struct vcpu *vcpu)
{
	unsigned long pages = 0;

	for (;; pages++) {
		struct kvm_dirty_gfn *entry =
			&vcpu->ring[vcpu->ring_next % vcpu->vm->opt->dirty_ring];

		if (!(__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) &
		      KVM_DIRTY_GFN_F_DIRTY))
			break;
		__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		vcpu->ring_next++;
	}
	if (ioctl(vcpu->vm->fd, KVM_RESET_DIRTY_RINGS, 0) < 0)
		die_errno("KVM_RESET_DIRTY_RINGS");
	return pages;
}

static unsigned long fetch_log(struct vm *vm, const struct slot *slot)
{
	unsigned long words = ROUND_UP(slot->size / PAGE, 64) / 64, pages = 0, i;
	uint64_t *bitmap = calloc(words, sizeof(*bitmap));
	struct kvm_dirty_log log = { .slot = slot->id, .dirty_bitmap = bitmap };
	struct kvm_clear_dirty_log clear = {
		.slot = slot->id, .num_pages = slot->size / PAGE,
		.dirty_bitmap = bitmap,
	};

	if (!bitmap || ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log))
		die_errno("KVM_GET_DIRTY_LOG");
	for (i = 0; i < words; i++)
		pages += __builtin_popcountll(bitmap[i]);
	if (vm->opt->manual && ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &clear))
		die_errno("KVM_CLEAR_DIRTY_LOG");
	free(bitmap);
	return pages;
}

/* A round of pre-copy, all vCPUs at rest. */
void harvest(struct vm *vm, unsigned int round)
{
	unsigned long pages = 0, before = 0, full = 0;
	unsigned int i;

	for (i = 0; vm->opt->dirty_ring && i < vm->nr_vcpus; i++) {
		pages += empty_ring(&vm->vcpu[i]);
		before += vm->vcpu[i].rung;
		full += vm->vcpu[i].ring_exits;
		vm->vcpu[i].rung = 0;
	}
	for (i = 0; !vm->opt->dirty_ring && i < vm->opt->slots; i++)
		pages += fetch_log(vm, &vm->data[i]);
	/* What was there now, and what was fetched since a ring was full. */
	printf("harvest id=%s round=%u pages=%lu before=%lu full=%lu\n", vm->id, round, pages,
	       before, full);
	fflush(stdout);
}
