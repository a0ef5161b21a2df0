/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The registry: a record for each live VM and for each of its vCPUs.
 *
 * A record is born by the first sign of its VM (creation, or an event, or the
 * scan of open files at load) and dies when KVM destroys the VM: at that
 * moment it leaves the table and its pointer to the struct kvm is cleared, so
 * nothing of kvmmem follows that pointer afterwards.
 */
#ifndef _KVMMEM_VM_H
#define _KVMMEM_VM_H

#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/seqlock.h>
#include <linux/spinlock.h>

#include "compat/older.h"
#include "decode/bucket.h"
#include "decode/fault.h"
#include "decode/flush.h"
#include "decode/size.h"
#include "decode/spte.h"
#include "kvmmem.h"
#include "registry/dirty.h"
#include "registry/question.h"
#include "registry/service.h"

struct kvm;
struct kvm_vcpu;
struct kvmmem_inval_counts;
struct kvmmem_ranges;
struct mm_struct;

/**
 * struct kvmmem_backing - result of the last walk over a VM's slots, in KiB
 * @walked: when it began, ktime_get_ns(); 0: none has ended yet
 * @host_kb: in memory, by the size of the host's mapping
 * @swap_kb: in swap
 * @ksm_kb: of @host_kb, merged by KSM
 * @table_kb: KVM's tables; KVMMEM_UNKNOWN if they could not be walked
 * @device_kb: of the slots, what is a device's memory and none of the VM's
 * @private_kb: pages in the slots' guest_memfds; KVMMEM_UNKNOWN if the kernel has none
 * @rmap_kb: what the slots' reverse mappings take
 * @generation: KVM's of the slots that were walked; KVMMEM_UNKNOWN if they changed
 */
struct kvmmem_backing {
	u64 walked;
	u64 host_kb[KVMMEM_NR_SIZES];
	u64 swap_kb;
	u64 ksm_kb;
	u64 table_kb;
	u64 device_kb;
	u64 private_kb;
	u64 rmap_kb;
	u64 generation;
};

/**
 * struct kvmmem_vm - record of a VM
 * @lock: holds @kvm alive: whoever has it and finds @kvm set may read the
 *	struct kvm and its vCPUs. Held shortly, never sleeping; VM destruction
 *	waits for it. Nests inside nothing but, rarely, the registry's lock.
 * @kvm: the VM, NULL from the moment KVM destroys it
 * @key: the address that @kvm had, for the hash
 * @node: in the hash by @key; registry_lock, RCU
 * @slot: index in the table of VMs
 * @mode: enum kvmmem_mode
 * @newer_mmu: KVM's newer MMU has its tables, but for those of nested guests
 * @is_tdx: its vCPUs have no VMCS that the host could read
 * @hides_mmio: its accesses to devices are no faults; of SEV-ES known by its first fault
 * @id: "<pid>-<fd>", the key of all rows
 * @padded_id: the same for rows, with blanks behind and no end
 * @id_len: characters of it
 * @comm: name of the process when the record was born
 * @born: when the record was, ktime_get_ns()
 * @ended: when the VM ended, likewise
 * @ended_counts: what was being counted of it then, of registry/ended.h
 * @last_comm: name of the process at that time
 * @tgid: process id
 * @id_pid: what @id begins with: the thread that made the VM
 * @fd: what it ends with; -1 if that is no file descriptor
 * @pid: the process, to look its present name up
 * @requests: remote flushes asked for, where KVM does not count them
 * @requested: KVM's remote flush requests, or @requests, since the record was born; @lock
 * @remote: KVM's remote flushes, likewise
 * @outcome_lock: one reader of @outcomes at a time; sleeping, inside nothing of ours
 * @outcomes: of its vCPUs, by enum kvmmem_outcome, since the record was born
 * @outcomes_before: of those vCPUs that are older than the record; registry_lock
 * @outcomes_shown: the most that was shown of each; @outcome_lock
 * @retried: likewise
 * @vcpus: its vCPUs in order of birth; registry_lock, RCU
 * @nr_vcpus: how many; registry_lock
 * @refs: one of the registry's until the VM is dead and no hook and no reader
 *	under RCU can have found the record, and those of kvmmem_vm_get()
 * @walk_lock: whoever walks the VM's memory; outside of all other locks
 * @walk: where a walk that is to go on has stopped, of memory/backing.c; @walk_lock
 * @backing: what the last walk found; @lock
 * @nodes: the same by NUMA node, of memory/nodes.c; NULL where there is but one;
 *	@walk_lock to look, @lock too to change
 * @root_vcpu: a vCPU that had second-level tables to walk; @lock
 * @slot_pages: pages of all memory slots, as of @slot_generation or later; @lock
 * @slot_generation: KVM's generation of the slots then; @lock
 * @slots_counted: when many were counted last, ktime_get_ns(); @lock
 * @slots_took: how long that took, in ns; @lock
 * @older: events of KVM's older MMU since the record was born, by enum
 *	kvmmem_older_event; @lock
 * @mm: the process's, to be compared and never followed
 * @mm_node: in the hash by @mm, one VM of each; registry_lock, RCU
 * @mm_others: that one and the others of @mm; registry_lock
 * @mm_shared: another VM has the same
 * @user: whose it is; registry_lock
 * @no_share: who may have all records
 * @taken: some of its memory was taken away lately; read at each fault, so it is in a
 *	line that is hardly ever written
 * @slots_changed: its memory slots have changed since they were looked at
 * @inval: who took its memory away, of count/inval.c; NULL until it is counted
 * @ranges: where its memory lies, of count/notifier.c; NULL: not known; RCU
 * @tallies: its own counts by processor (tally.h); NULL until somebody wants them
 * @flows: huge mappings, by enum kvmmem_flow
 * @huge_seen: KVM's counts of 2M and 1G mappings as far as they are in @flows
 * @huge_base: what KVM had when the record was born
 * @huge_odd: what has come since that nobody has counted, see huge.c
 * @nx_seen: KVM's count of NX splits when it was looked at last
 * @dirty: dirty logging
 * @told: the watcher has been told of it; the watcher's lock
 * @told_node: in the list of those; likewise
 * @dir: its debugfs directory, the watcher's
 * @question: what was asked of 'translate' last; @lock
 * @dead: in the list of records that wait for the reaper
 * @counted: in the list of those whose counts are not in the total of the ended yet
 */
struct kvmmem_vm {
	raw_spinlock_t lock;
	struct kvm *kvm;
	const struct kvm *key;
	struct hlist_node node;
	unsigned int slot;
	enum kvmmem_mode mode;
	bool newer_mmu;
	bool is_tdx;
	bool hides_mmio;
	char id[KVMMEM_ID_LEN];
	char padded_id[KVMMEM_ID_LEN];
	unsigned int id_len;
	char comm[TASK_COMM_LEN];
	u64 born;
	u64 ended;
	unsigned int ended_counts;
	char last_comm[TASK_COMM_LEN];
	bool taken;
	bool slots_changed;
	struct kvmmem_inval_counts *inval;
	struct kvmmem_ranges __rcu *ranges;
	u64 __percpu *tallies;
	pid_t tgid;
	pid_t id_pid;
	int fd;
	struct pid *pid;
	atomic64_t requests;
	struct kvmmem_grown requested;
	struct kvmmem_grown remote;
	struct mutex outcome_lock;	/* one reader of the sums at a time */
	struct kvmmem_grown outcomes[KVMMEM_NR_OUTCOMES];
	u64 outcomes_before[KVMMEM_NR_OUTCOMES];
	u64 outcomes_shown[KVMMEM_NR_OUTCOMES];
	u64 retried;
	struct list_head vcpus;
	unsigned int nr_vcpus;
	refcount_t refs;
	struct mutex walk_lock;	/* one walk at a time */
	void *walk;
	struct kvmmem_backing backing;
	u64 *nodes;
	struct kvmmem_vcpu *root_vcpu;
	u64 slot_pages;
	u64 slot_generation;
	u64 slots_counted;
	u64 slots_took;
	struct kvmmem_grown older[KVMMEM_NR_OLDER];
	const struct mm_struct *mm;
	struct hlist_node mm_node;
	struct list_head mm_others;
	bool mm_shared;
	struct kvmmem_user *user;
	bool no_share;
	atomic64_t flows[KVMMEM_NR_FLOWS];
	atomic64_t huge_seen[KVMMEM_NR_SIZES - 1];
	s64 huge_base;
	s64 huge_odd;
	atomic64_t nx_seen;
	struct kvmmem_dirty dirty;
	bool told;
	struct list_head told_node;
	struct dentry *dir;
	struct kvmmem_question question;
	struct llist_node dead;
	struct list_head counted;
};

/* Nobody writes to what each fault reads. */
static_assert(offsetof(struct kvmmem_vm, taken) / SMP_CACHE_BYTES !=
	      offsetof(struct kvmmem_vm, lock) / SMP_CACHE_BYTES);

/* Tags that a vCPU's record tells apart. */
#define KVMMEM_TAGS		6
#define KVMMEM_TAG_UNKNOWN	U32_MAX

/**
 * struct kvmmem_tag - what happened under one hardware tag of a vCPU
 * @tag: VPID or ASID. KVMMEM_TAG_UNKNOWN in the first cell until a tag is
 *	known; in the last cell when it holds what remains of many older tags.
 * @moves: how often the vCPU came to this tag; U32_MAX: or more often
 * @entries: VM entries
 * @flushes: by enum kvmmem_cause
 * @single: flushes of one address
 */
struct kvmmem_tag {
	u32 tag;
	u32 moves;
	u64 entries;
	u64 flushes[KVMMEM_NR_CAUSES];
	u64 single;
} ____cacheline_aligned;

/* The cell of vCPUs that flush accounting does not track; never written. */
extern struct kvmmem_tag kvmmem_no_tag;

/**
 * struct kvmmem_counts - two counts of the same thing, of one vCPU
 * @ours: kvmmem's
 * @kvms: what KVM's grew by since counting began
 * @cleared: KVM's was cleared meanwhile, so @kvms says no more than since then
 */
struct kvmmem_counts {
	u64 ours;
	u64 kvms;
	bool cleared;
};

/* For a TSC: the exit was not seen. */
#define KVMMEM_NO_EXIT		1
/* In @fault_tsc: there is more to do when the fault is over. No TSC gets that far. */
#define KVMMEM_TSC_RARE		BIT_ULL(63)

/* Reasons for the fault probe to leave its straight path. */
#define KVMMEM_VCPU_SHADOW	BIT(0)	/* shadow paging: decode a #PF code */
#define KVMMEM_VCPU_NO_BASE	BIT(1)	/* @pf_base is not known yet */
#define KVMMEM_VCPU_SAMPLE	BIT(2)	/* look whether it is stuck */

/**
 * struct kvmmem_vcpu - record of a vCPU
 * @node: in the hash by @vcpu; registry_lock, RCU
 * @vcpu: the vCPU: a key, to be followed only under @vm->lock or by the thread
 *	that runs it
 * @vm: the record of its VM, which lives at least as long
 * @sibling: in @vm->vcpus
 * @id: KVM's vcpu_id
 * @special: KVMMEM_VCPU_* flags; written by the vCPU's thread after birth
 * @pf_base: KVM's pf_taken when counting began
 * @time_base: faults from before service time was measured, less those measured then
 * @fault: counters by class (decode/fault.h), written only by the vCPU's thread
 * @slot_start: address of the slot of the last fault that was looked up
 * @slot_bytes: its size; 0: there is none
 * @slot_generation: of KVM's slots then
 * @fault_exit: KVM's count of exits at the last one whose access is counted for good
 * @pf_cleared: KVM's pf_taken was cleared since counting began
 * @flush_cleared: KVM's tlb_flush was
 * @pf_top: KVM's pf_taken when it was looked at last, to see that it was cleared
 * @mmio_stale: faults of KVM's count for entries that changes of slots made useless
 * @flushed: KVM's tlb_flush since the record was born; @vm->lock
 * @flush_base: KVM's tlb_flush when counting began
 * @clock_back: faults that ended before they began, by the TSC
 * @tags_seq: guards @tags against readers while cells are moved
 * @next_evicted: the cell whose turn it is to make room
 * @tracked: these fields are in step with KVM's
 * @flush_older: until then, KVM may have counted flushes that nobody listened to
 * @entered: there was an entry since, so there is a last exit
 * @asid_due: AMD: a flush function has been called that calls the one for the ASID
 * @whole: a full flush that KVM has not counted yet: it does so after one for a range
 * @logged: the fault being served is a write to a page that is logged
 * @in_user: user space had the vCPU since the exit of @away, before that lost its processor
 * @pv_asked: the guest has asked for the next flush by the paravirtual interface
 * @now: the cell of the tag it runs under, in @tags
 * @context: AMD: the VMCB whose pointer was found good
 * @seen: @seen_flush + @seen_single, for one comparison in the probe
 * @exit_tsc: TSC at the last VM exit; KVMMEM_NO_EXIT: not known
 * @fault_tsc: TSC at the VM exit of the fault being served; 0: there is none
 * @seen_flush: KVM's tlb_flush as far as it has been accounted for
 * @seen_single: KVM's invlpg as far as it has been accounted for
 * @hflags: KVM's flags at the last entry, for changes between L1 and L2
 * @flush_cpu: processor of the last full flush; Intel: or of the last entry; -1: not known
 * @tags: a cell for each tag
 * @range: flushes of address ranges under each of @tags
 * @bucket: faults by the bucket of their service time
 * @l2: faults of a nested guest, of @fault
 * @reflected: of those, the ones that L1 was given to serve
 * @fault_class: of the fault being served
 * @observed: the violation that is observed, with @violation
 * @served: faults by access
 * @away: where the thread was since the last exit
 * @async: faults that the guest need not wait for
 * @stuck: the last fault that was looked at
 * @remote_seen: the VM's remote flush requests at this vCPU's last look, their lowest bits
 * @migrations: the thread's moves between processors then, likewise
 * @refaults: faults that brought back what was taken away lately
 * @huge: faults that installed a huge mapping; the rest is of 4K
 * @huge_ticks: their service time, all told
 * @violation: the violation that is observed, with @observed
 *
 * What the probes read and what they write are in lines of their own.
 */
struct kvmmem_vcpu {
	struct hlist_node node;
	struct kvm_vcpu *vcpu;
	struct kvmmem_vm *vm;
	struct list_head sibling;
	u32 id;
	u32 special;
	u64 pf_base;

	/* All below is written only by the vCPU's thread, but for @flushed and @pf_top. */
	u64 time_base ____cacheline_aligned;
	u64 fault[KVMMEM_FAULT_CELLS];
	u64 slot_start;
	u64 slot_bytes;
	u32 slot_generation;
	u32 fault_exit;
	u64 mmio_stale;
	u64 pf_top;
	struct kvmmem_grown flushed;
	u64 flush_base;
	u64 clock_back;
	seqcount_t tags_seq;
	u8 next_evicted;
	bool tracked;
	bool entered;
	bool pf_cleared;
	bool flush_cleared;
	bool flush_older;
	bool asid_due;
	bool whole;
	bool logged;
	bool in_user;
	bool pv_asked;
	u16 fault_class;
	struct kvmmem_observed observed;

	/* What every exit passes: a line for flush accounting and service time. */
	struct kvmmem_tag *now ____cacheline_aligned;
	const void *context;
	u64 seen;
	u64 exit_tsc;
	u64 fault_tsc;
	u32 hflags;
	int flush_cpu;
	u64 seen_flush;
	u64 seen_single;

	struct kvmmem_tag tags[KVMMEM_TAGS];
	u64 range[KVMMEM_TAGS];

	u64 bucket[KVMMEM_LATENCY_BUCKETS];
	u64 l2;
	u64 reflected;
	struct kvmmem_served served[KVMMEM_NR_ACCESSES];
	struct kvmmem_away away;
	struct kvmmem_async async;
	struct kvmmem_stuck stuck;
	u32 remote_seen;
	u32 migrations;
	u64 refaults;
	u64 huge;
	u64 huge_ticks;
	struct kvmmem_violation violation;
};

/* Lock debugging makes a seqcount_t larger. */
#ifndef CONFIG_DEBUG_LOCK_ALLOC
static_assert(sizeof(struct kvmmem_vcpu) <= 1344,
	      "a larger record: if it must be, raise this by a cache line, keep within BYTES_PER_VCPU of scripts/bench, correct Documentation/performance.rst");
#endif
/* A hash chain is walked by everybody's probes; nothing there is written often. */
static_assert(offsetof(struct kvmmem_vcpu, time_base) % SMP_CACHE_BYTES == 0);
static_assert(offsetof(struct kvmmem_vcpu, now) % SMP_CACHE_BYTES == 0);
static_assert(offsetof(struct kvmmem_vcpu, seen_single) + sizeof(u64) ==
	      offsetof(struct kvmmem_vcpu, now) + SMP_CACHE_BYTES);

#define KVMMEM_VCPU_HASH_BITS	12

extern struct hlist_head kvmmem_vcpu_hash[1 << KVMMEM_VCPU_HASH_BITS];

/**
 * kvmmem_vcpu_find - the record of a vCPU
 * @vcpu: the vCPU
 *
 * Context: a hook. Records are freed only after every hook that was running
 * when they left the hash has ended, so the result is good until the hook
 * returns, preemption or not.
 *
 * Return: the record or NULL.
 */
static __always_inline struct kvmmem_vcpu *kvmmem_vcpu_find(const struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec;

	hlist_for_each_entry_rcu(rec, &kvmmem_vcpu_hash[hash_ptr(vcpu, KVMMEM_VCPU_HASH_BITS)],
				 node, true)
		if (rec->vcpu == vcpu)
			return rec;
	return NULL;
}

/**
 * kvmmem_vcpu_of_hook - the record of the vCPU that a hook is called for, off the hot path
 * @vcpu: the vCPU, or NULL
 *
 * The record stays as long as its vCPU is at work; its neighbours in the hash may not.
 * Context: a hook that runs in the vCPU's thread or holds its mutex.
 *
 * Return: the record or NULL.
 */
static inline struct kvmmem_vcpu *kvmmem_vcpu_of_hook(const struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec;

	rcu_read_lock();
	rec = vcpu ? kvmmem_vcpu_find(vcpu) : NULL;
	rcu_read_unlock();
	return rec;
}

/**
 * kvmmem_vcpu_first - the record of a vCPU, if it is the first of its chain
 * @vcpu: the vCPU
 *
 * For the straight path of a probe, which leaves the rest to
 * kvmmem_vcpu_find(). Context: as kvmmem_vcpu_find().
 *
 * Return: the record or NULL.
 */
static __always_inline struct kvmmem_vcpu *kvmmem_vcpu_first(const struct kvm_vcpu *vcpu)
{
	struct hlist_head *head = &kvmmem_vcpu_hash[hash_ptr(vcpu, KVMMEM_VCPU_HASH_BITS)];
	struct kvmmem_vcpu *rec = hlist_entry_safe(rcu_dereference_raw(hlist_first_rcu(head)),
						   struct kvmmem_vcpu, node);

	return likely(rec && rec->vcpu == vcpu) ? rec : NULL;
}

/**
 * kvmmem_vm_for_each_vcpu - walk the vCPUs of a VM
 * @rec: struct kvmmem_vcpu cursor
 * @vm: struct kvmmem_vm
 *
 * vCPUs are added while somebody walks, and go only with the VM's record. Context:
 * rcu_read_lock(), or a reference on the record.
 */
#define kvmmem_vm_for_each_vcpu(rec, vm) \
	list_for_each_entry_rcu(rec, &(vm)->vcpus, sibling, true)

/**
 * kvmmem_vm_next_vcpu - go through the vCPUs of a VM in steps
 * @vm: the VM
 * @rec: a vCPU of it, or NULL for the first one
 *
 * Context: as kvmmem_vm_for_each_vcpu().
 *
 * Return: the next one, or NULL.
 */
static inline struct kvmmem_vcpu *kvmmem_vm_next_vcpu(struct kvmmem_vm *vm,
						      struct kvmmem_vcpu *rec)
{
	struct list_head *at = rec ? &rec->sibling : &vm->vcpus;
	struct list_head *next = rcu_dereference_raw(list_next_rcu(at));

	return next == &vm->vcpus ? NULL : list_entry(next, struct kvmmem_vcpu, sibling);
}

#endif /* _KVMMEM_VM_H */
