// SPDX-License-Identifier: GPL-2.0
/*
 * Huge mappings that come and go, by KVM's own count of them.
 *
 * KVM counts the 2M and 1G mappings that a VM has now. The difference of two looks
 * says what came or went between them, and who looked says why:
 *
 * - the end of a fault, where one comparison sees that the count of 2M mappings is
 *   not what was seen last: a fault installs them, and splits them;
 * - the beginning of a fault, if memory was taken away since the last: they are gone;
 * - a change of a slot, and the reader: what is missing is gone, too; of 1G what has
 *   come as well, which the ends of faults do not compare, and of 2M if nobody faults;
 * - KVM's splitting for a log, not in a fault: what is missing was split.
 *
 * Each takes what is new from the VM's record in one step, so nothing is counted
 * twice. What goes and what comes between two looks, on two processors, is seen as
 * their difference; installed + recovered - split - zapped is what KVM has now, less
 * what it had when the record was born, once the faults under way are over.
 *
 * While flow.c listens to every change of the tables, it counts, and this does not.
 */
#include <linux/ktime.h>
#include <linux/minmax.h>

#include "attach/hooks.h"
#include "compat/dirty.h"
#include "compat/guest.h"
#include "compat/memory.h"
#include "count/flow.h"
#include "count/huge.h"
#include "registry/info.h"

/* So long after logging ended, many that come at once were put back by KVM. */
#define PUT_BACK_NS	(10 * NSEC_PER_SEC)

enum huge_look { HUGE_ALL, HUGE_FEWER };

/* What KVM's count has changed by since the last look, and is now ours to count. */
static s64 huge_take(struct kvmmem_vm *vm, const struct kvm *kvm, int size, enum huge_look why)
{
	atomic64_t *seen = &vm->huge_seen[size];
	s64 before, now;

	do {
		before = atomic64_read(seen);
		now = kvmmem_ept_leaves(kvm, size + 1);
		/* What came is mostly for the end of the fault that it came by. */
		if (now == before || (now > before && why == HUGE_FEWER))
			return 0;
	} while (atomic64_cmpxchg(seen, before, now) != before);
	return now - before;
}

/* What 2M mappings had come to when there were @now. */
static s64 huge_take_to(struct kvmmem_vm *vm, s64 now)
{
	s64 before;

	do {
		before = atomic64_read(&vm->huge_seen[0]);
		if (before >= now)
			return 0;
	} while (atomic64_cmpxchg(&vm->huge_seen[0], before, now) != before);
	return now - before;
}

static void huge_count(struct kvmmem_vm *vm, enum kvmmem_flow flow, u64 n)
{
	if (n)
		atomic64_add(n, &vm->flows[flow]);
}

/*
 * How many more KVM has split for the mitigation since somebody looked. Its count falls
 * when it gives them back, and rises, too, where it maps 4K at once, to be executed: so
 * whoever looks notes it, whatever he is after.
 */
static u64 huge_take_nx(struct kvmmem_vm *vm, const struct kvm *kvm)
{
	s64 before, now;

	do {
		before = atomic64_read(&vm->nx_seen);
		now = kvmmem_nx_splits(kvm);
	} while (atomic64_cmpxchg(&vm->nx_seen, before, now) != before);
	return max_t(s64, now - before, 0);
}

static void huge_count_logged(struct kvmmem_vm *vm, enum kvmmem_size size, u64 n)
{
	huge_count(vm, KVMMEM_FLOW_SPLIT_LOGGED, n);
	if (size == KVMMEM_2M && n)
		atomic64_add(n, &vm->dirty.split_2m);
}

/*
 * Why so many are gone. KVM has split up to @nx for the mitigation, which it never does
 * in a slot that is logged. The others were @taken away, or may have been split for
 * logging if any slot is logged; a display's is for as long as the VM lives.
 * Return: how many of @nx that were.
 */
static u64 huge_count_fewer(struct kvmmem_vm *vm, enum kvmmem_size size, u64 nx, u64 n,
			    bool taken)
{
	u64 split = taken ? 0 : min(nx, n);

	huge_count(vm, KVMMEM_FLOW_SPLIT, split);
	if (!taken && READ_ONCE(vm->dirty.on))
		huge_count_logged(vm, size, n - split);
	else
		huge_count(vm, KVMMEM_FLOW_ZAPPED, n - split);
	return split;
}

/* So many of 1G were split for logging: into 2M mappings, which came so. */
static void huge_count_apart(struct kvmmem_vm *vm, u64 n)
{
	huge_count_logged(vm, KVMMEM_1G, n);
	huge_count(vm, KVMMEM_FLOW_INSTALLED, n * KVMMEM_2M_OF_1G);
}

/*
 * Was that taken away which is gone now, and no fault and no event tells that it was split?
 * Also what is gone when a slot has ceased to be logged and another still is: KVM puts
 * larger ones in place of what is left.
 */
static bool huge_is_taken(const struct kvmmem_vm *vm)
{
	return READ_ONCE(vm->taken) ||
	       (READ_ONCE(vm->dirty.on) && READ_ONCE(vm->dirty.coming_back));
}

/* Nobody knows whether the page of such a fault is logged. */
static bool huge_is_unseen(const struct kvmmem_vcpu *rec)
{
	return (rec->special & KVMMEM_VCPU_SHADOW) || kvmmem_vcpu_in_l2(rec->vcpu);
}

/*
 * At the end of a fault @n of a size are gone. It has split one itself if its page is
 * logged, and KVM up to @nx for the mitigation; the others went while it was served.
 * Return: how many of @nx that were.
 */
static u64 huge_lost(const struct kvmmem_vcpu *rec, enum kvmmem_size size, u64 nx, u64 n)
{
	bool logged = rec->logged ||
		      (!nx && READ_ONCE(rec->vm->dirty.on) && huge_is_unseen(rec));
	u64 own = logged ? min_t(u64, n, 1) : min(nx, n);

	nx = logged ? 0 : own;
	huge_count_fewer(rec->vm, size, nx, own, false);
	huge_count_fewer(rec->vm, size, 0, n - own, huge_is_taken(rec->vm));
	return nx;
}

/*
 * A fault has written to logged memory that @n of 1G mapped. KVM splits that into 2M
 * mappings, and then the one that was written to; or it maps nothing in its place.
 * Return: what else 2M mappings have changed by.
 */
static s64 huge_wrote_to_1g(struct kvmmem_vm *vm, u64 n, s64 of_2m)
{
	if (of_2m > 0) {
		huge_count_apart(vm, n);
		return of_2m - n * KVMMEM_2M_OF_1G;
	}
	if (KVMMEM_KVM_SPLITS_IN_PLACE) {
		/* Those of 2M are to come: another vCPU is just splitting it. */
		atomic64_add(n, &vm->huge_seen[1]);
		return of_2m;
	}
	huge_count_logged(vm, KVMMEM_1G, n);
	atomic64_add(n * KVMMEM_2M_OF_1G, &vm->dirty.split_2m);
	return of_2m;
}

/* Has logging ended just now? */
static bool huge_put_back(const struct kvmmem_vm *vm)
{
	return READ_ONCE(vm->dirty.put_back) &&
	       ktime_get_mono_fast_ns() - READ_ONCE(vm->dirty.ceased) < PUT_BACK_NS;
}

/**
 * kvmmem_huge_fault - the end of a fault
 * @rec: record of the vCPU, with kvmmem_huge_changed(), or from time to time
 *
 * Context: a hook in the vCPU's thread.
 *
 * Return: true if it has installed a huge mapping, as far as can be told.
 */
bool kvmmem_huge_fault(struct kvmmem_vcpu *rec)
{
	struct kvmmem_vm *vm = rec->vm;
	const struct kvm *kvm = rec->vcpu->kvm;
	bool count = !kvmmem_flow_counts(vm);
	s64 of_1g, of_2m;
	u64 nx;

	of_1g = huge_take(vm, kvm, 1, HUGE_ALL);
	of_2m = huge_take(vm, kvm, 0, HUGE_ALL);
	if (!count || (!of_1g && !of_2m))
		return of_1g > 0 || of_2m > 0;
	nx = huge_take_nx(vm, kvm);
	if (of_1g < 0 && rec->logged)
		of_2m = huge_wrote_to_1g(vm, -of_1g, of_2m);
	else if (of_1g < 0)
		nx -= huge_lost(rec, KVMMEM_1G, nx, -of_1g);
	if (of_2m < 0)
		huge_lost(rec, KVMMEM_2M, nx, -of_2m);
	huge_count(vm, KVMMEM_FLOW_INSTALLED, max_t(s64, of_1g, 0));
	huge_count(vm, of_2m > 1 && huge_put_back(vm) ? KVMMEM_FLOW_RECOVERED :
							KVMMEM_FLOW_INSTALLED,
		   max_t(s64, of_2m, 0));
	return of_1g > 0 || of_2m > 0;
}

static void huge_gone(struct kvmmem_vm *vm, u64 nx, s64 of_2m, s64 of_1g, bool taken)
{
	if (!(of_2m || of_1g) || kvmmem_flow_counts(vm))
		return;
	nx -= huge_count_fewer(vm, KVMMEM_1G, nx, -of_1g, taken);
	huge_count_fewer(vm, KVMMEM_2M, nx, -of_2m, taken);
}

/**
 * kvmmem_huge_taken - the beginning of a fault, after memory was taken away
 * @rec: record of the vCPU
 *
 * Context: the fault probe.
 */
void kvmmem_huge_taken(struct kvmmem_vcpu *rec)
{
	const struct kvm *kvm = rec->vcpu->kvm;

	if (KVMMEM_KVM_COUNTS_LEAVES)
		huge_gone(rec->vm, 0, huge_take(rec->vm, kvm, 0, HUGE_FEWER),
			  huge_take(rec->vm, kvm, 1, HUGE_FEWER), true);
}

/**
 * kvmmem_huge_apart - KVM has split one of 1G for a log, and will split what that gave
 * @vm: the VM's record
 *
 * What it gave is not to be missed when it is split. Context: any; takes @vm->lock.
 */
void kvmmem_huge_apart(struct kvmmem_vm *vm)
{
	s64 of_1g = 0, fewer = 0;

	raw_spin_lock(&vm->lock);
	if (vm->kvm) {
		fewer = (s64)kvmmem_ept_leaves(vm->kvm, 2) - atomic64_read(&vm->huge_seen[1]);
		fewer = min_t(s64, fewer, 0);
		/* First, or the end of a fault takes them for new ones. */
		atomic64_sub(fewer * KVMMEM_2M_OF_1G, &vm->huge_seen[0]);
		of_1g = huge_take(vm, vm->kvm, 1, HUGE_FEWER);
	}
	/* Somebody else may have looked meanwhile. */
	if (of_1g != fewer)
		atomic64_sub((of_1g - fewer) * KVMMEM_2M_OF_1G, &vm->huge_seen[0]);
	raw_spin_unlock(&vm->lock);
	if (of_1g && !kvmmem_flow_counts(vm))
		huge_count_apart(vm, -of_1g);
}

/*
 * How many 2M mappings were there when no vCPU was in a fault, at whose end they would be
 * looked for: KVM was asked to make them (KVM_PRE_FAULT_MEMORY).
 * Return: 0 where nothing came, or not so.
 */
static u64 huge_asked(struct kvmmem_vm *vm)
{
	struct kvmmem_vcpu *rec;
	u64 now = 0;

	raw_spin_lock(&vm->lock);
	if (vm->kvm)
		now = kvmmem_ept_leaves(vm->kvm, 1);
	raw_spin_unlock(&vm->lock);
	if ((s64)now <= atomic64_read(&vm->huge_seen[0]))
		return 0;
	smp_rmb(); /* the count, and then who may have raised it */
	kvmmem_vm_for_each_vcpu(rec, vm)
		if (READ_ONCE(rec->fault_tsc))
			return 0;
	return now;
}

/*
 * Look for what is gone, @taken away or not; for what KVM has put back, if @back; and for
 * 2M mappings that came, up to @asked.
 */
static void huge_look(struct kvmmem_vm *vm, bool taken, bool back, u64 asked)
{
	/* After logging has ended all of them may be back before the guest faults. */
	bool put_back = back && READ_ONCE(vm->dirty.put_back);
	s64 of_2m = 0, of_1g = 0;
	u64 nx = 0;

	raw_spin_lock(&vm->lock);
	if (vm->kvm) {
		of_2m = huge_take(vm, vm->kvm, 0, put_back ? HUGE_ALL : HUGE_FEWER);
		if (!of_2m && asked)
			of_2m = huge_take_to(vm, asked);
		of_1g = huge_take(vm, vm->kvm, 1, HUGE_ALL);
		if (of_2m < 0 || of_1g < 0)
			nx = huge_take_nx(vm, vm->kvm);
	}
	if (put_back && !huge_put_back(vm))
		WRITE_ONCE(vm->dirty.put_back, false);
	raw_spin_unlock(&vm->lock);
	if (!kvmmem_flow_counts(vm))
		huge_count(vm, put_back ? KVMMEM_FLOW_RECOVERED : KVMMEM_FLOW_INSTALLED,
			   max_t(s64, of_2m, 0) + max_t(s64, of_1g, 0));
	huge_gone(vm, nx, min_t(s64, of_2m, 0), min_t(s64, of_1g, 0), taken);
}

/**
 * kvmmem_huge_look - are there fewer than there were?
 * @vm: the VM's record
 * @taken: they were taken away; else they may have been split, too
 *
 * Where a fault is not the reason. Context: any; takes @vm->lock.
 */
void kvmmem_huge_look(struct kvmmem_vm *vm, bool taken)
{
	huge_look(vm, taken, !taken, 0);
}

/**
 * kvmmem_huge_settle - count what has come and gone so far
 * @vm: the VM's record
 *
 * Memory that was taken away since the guest's last fault explains what is gone.
 * Context: a reference on the record; takes @vm->lock.
 */
void kvmmem_huge_settle(struct kvmmem_vm *vm)
{
	u64 asked = huge_asked(vm);

	/* huge_balance() waits for who has looked and not counted yet. */
	rcu_read_lock();
	huge_look(vm, huge_is_taken(vm), true, asked);
	rcu_read_unlock();
}

/* What has come and gone so far was counted by somebody else, or is to be found missing. */
static void huge_skip(struct kvmmem_vm *vm)
{
	int i;

	raw_spin_lock(&vm->lock);
	for (i = 0; vm->kvm && kvmmem_flow_counts(vm) && i < ARRAY_SIZE(vm->huge_seen); i++)
		huge_take(vm, vm->kvm, i, HUGE_ALL);
	raw_spin_unlock(&vm->lock);
}

/* What nobody has counted so far; more or less by what is counted at this moment. */
static s64 huge_uncounted(struct kvmmem_vm *vm)
{
	s64 sum = -vm->huge_base;
	int i;

	huge_skip(vm);
	for (i = 0; i < ARRAY_SIZE(vm->huge_seen); i++)
		sum += atomic64_read(&vm->huge_seen[i]);
	return sum - atomic64_read(&vm->flows[KVMMEM_FLOW_INSTALLED]) -
	       atomic64_read(&vm->flows[KVMMEM_FLOW_RECOVERED]) +
	       atomic64_read(&vm->flows[KVMMEM_FLOW_SPLIT]) +
	       atomic64_read(&vm->flows[KVMMEM_FLOW_SPLIT_LOGGED]) +
	       atomic64_read(&vm->flows[KVMMEM_FLOW_ZAPPED]);
}

static bool huge_again, huge_last;

static void huge_balance_vm(struct kvmmem_vm *vm)
{
	s64 now;

	if (!KVMMEM_KVM_COUNTS_LEAVES || !vm->newer_mmu)
		return;
	now = huge_uncounted(vm);
	/* At last it may be wrong by one or two, which is less than what is missing. */
	if (now == vm->huge_odd || huge_last) {
		huge_count(vm, now > 0 ? KVMMEM_FLOW_INSTALLED : KVMMEM_FLOW_ZAPPED, abs(now));
		vm->huge_odd = 0;
	} else {
		vm->huge_odd = now;
		huge_again = true;
	}
}

/*
 * Count what came and went of all VMs while nobody counted, after somebody else has begun
 * to: a hook takes its time to come and go. Whatever is gone was zapped, as nobody saw why.
 * Who has looked and not counted yet has done so when all are synchronized: what is the same
 * twice is nobody's. Sleeps; not beside itself.
 */
static void huge_balance(void)
{
	int tries = 10;

	do {
		kvmmem_probes_synchronize();
		huge_again = false;
		huge_last = !--tries;
		kvmmem_vm_for_all(huge_balance_vm);
	} while (huge_again && !huge_last);
}

/**
 * kvmmem_huge_of_vm - flows of a VM's huge mappings
 * @vm: the record
 * @flows: where to, by enum kvmmem_flow
 *
 * Context: a reference on the record.
 *
 * Return: true if each change is counted by itself. Else they are by KVM's count of
 * mappings, and right if that is by size (KVMMEM_KVM_COUNTS_LEAVES), the ends of faults
 * are looked at, and it is known when memory is taken away.
 */
bool kvmmem_huge_of_vm(struct kvmmem_vm *vm, u64 *flows)
{
	int i;

	kvmmem_huge_settle(vm);
	for (i = 0; i < KVMMEM_NR_FLOWS; i++)
		flows[i] = atomic64_read(&vm->flows[i]);
	if (kvmmem_flow_counts(vm))
		return true;
	flows[KVMMEM_FLOW_TABLE_ZAPPED] = KVMMEM_UNKNOWN;
	return false;
}

const struct kvmmem_flow_others kvmmem_huge_others = {
	.settle = kvmmem_huge_settle,
	.skip = huge_skip,
	.balance = huge_balance,
};
