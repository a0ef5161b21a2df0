// SPDX-License-Identifier: GPL-2.0
/*
 * Flush accounting.
 *
 * KVM counts a vCPU's flushes in stat.tlb_flush, without tag and cause, and
 * calls one of the vendor module's flush functions right after each
 * increment. Those functions are hooked: a call that finds the count grown is a
 * flush of that kind; one that does not is one of KVM's own that it does not
 * count (loading a new root), and neither do we. So the causes sum to KVM's
 * count by construction. What grew it with no such function called are flushes of
 * address ranges, which guests ask for by Hyper-V's interface: KVM counts each
 * range as a flush and flushes its addresses one by one. The next probe finds them.
 *
 * The tag is read where the processor uses it: on Intel in kvm_entry, where the
 * vCPU's VMCS is current, and only when it can be another; on AMD in kvm_exit,
 * since the ASID is chosen after kvm_entry (svm.c, pre_svm_run).
 *
 * All of it runs in the vCPU's thread (or in one that holds the vCPU's mutex),
 * so it has one writer.
 */
#include <linux/rculist.h>
#include <linux/sched.h>

#include "count/away.h"
#include "count/requests.h"
#include "count/run.h"
#include "count/tlb.h"
#include "decode/value.h"
#include "registry/tally.h"
#include "registry/trace.h"

DEFINE_STATIC_KEY_FALSE(kvmmem_tlb_key);

/* Are the flush functions' hooks, all of which are attached, to be listened to? */
bool kvmmem_tlb_heard __read_mostly;

static bool (*tlb_causes_known)(void), (*tlb_ranges_known)(void);

/**
 * kvmmem_tlb_ask - whom to ask what can be told apart
 * @causes_known: says whether causes can
 * @ranges_known: says whether flushes of ranges can
 *
 * Both are called from probes, so they must not sleep. Context: before any hook is
 * attached.
 */
void kvmmem_tlb_ask(bool (*causes_known)(void), bool (*ranges_known)(void))
{
	tlb_causes_known = causes_known;
	tlb_ranges_known = ranges_known;
}

static u32 tlb_tag_of_vmcs(const struct kvm_vcpu *vcpu)
{
	return kvmmem_vcpu_has_vmcs(vcpu) ?
		kvmmem_vmread(KVMMEM_VMCS_VPID, KVMMEM_TAG_UNKNOWN) : KVMMEM_TAG_UNKNOWN;
}

/* From here on the fields are in step; flushes before @flush are not ours. */
static void tlb_track(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu, u64 flush)
{
	u64 ours = 0;
	int i;

	for (i = 0; i < KVMMEM_TAGS; i++)
		ours += kvmmem_tag_flushes(&rec->tags[i]) + rec->range[i];
	if (!rec->tags[0].moves)
		rec->tags[0].tag = KVMMEM_TAG_UNKNOWN;
	rec->now = &rec->tags[0];
	rec->seen_flush = flush;
	rec->seen_single = kvmmem_vcpu_single_flush(vcpu);
	rec->remote_seen = kvmmem_vm_requests(rec->vm, vcpu->kvm);
	rec->migrations = current->se.nr_migrations;
	/* KVM's thread asks for a full flush whenever the processor changes. */
	rec->flush_cpu = -1;
	rec->hflags = vcpu->arch.hflags;
	rec->entered = false;
	rec->flush_base = flush - ours;
	smp_wmb(); /* the base before the word that there is one */
	WRITE_ONCE(rec->tracked, true);
}

/* A cell without moves is one that is free, so that they must not begin anew. */
static void tlb_add_moves(struct kvmmem_tag *cell, u32 moves)
{
	cell->moves += min(moves, U32_MAX - cell->moves);
}

/* Make room: the last cell takes what an older tag has counted. */
static struct kvmmem_tag *tlb_evict(struct kvmmem_vcpu *rec)
{
	struct kvmmem_tag *rest = &rec->tags[KVMMEM_TAGS - 1];
	unsigned int evicted = rec->next_evicted;
	struct kvmmem_tag *cell = &rec->tags[evicted];
	int i;

	rec->next_evicted = (rec->next_evicted + 1) % (KVMMEM_TAGS - 1);
	preempt_disable();
	write_seqcount_begin(&rec->tags_seq);
	rest->tag = KVMMEM_TAG_UNKNOWN;
	tlb_add_moves(rest, cell->moves);
	rest->entries += cell->entries;
	rest->single += cell->single;
	for (i = 0; i < KVMMEM_NR_CAUSES; i++)
		rest->flushes[i] += cell->flushes[i];
	rec->range[KVMMEM_TAGS - 1] += rec->range[evicted];
	rec->range[evicted] = 0;
	memset(cell, 0, sizeof(*cell));
	write_seqcount_end(&rec->tags_seq);
	preempt_enable();
	return cell;
}

static void tlb_change_tag(struct kvmmem_vcpu *rec, u32 tag)
{
	struct kvmmem_tag *cell = NULL;
	int i;

	/* What was counted before a tag was known belongs to the first one. */
	if (!rec->tags[0].moves)
		cell = &rec->tags[0];
	for (i = 0; !cell && i < KVMMEM_TAGS - 1; i++)
		if (rec->tags[i].moves && rec->tags[i].tag == tag)
			cell = &rec->tags[i];
	for (i = 0; !cell && i < KVMMEM_TAGS - 1; i++)
		if (!rec->tags[i].moves)
			cell = &rec->tags[i];
	if (!cell)
		cell = tlb_evict(rec);
	WRITE_ONCE(cell->tag, tag);
	tlb_add_moves(cell, 1);
	rec->now = cell;
}

static void tlb_count(struct kvmmem_vcpu *rec, enum kvmmem_cause cause, u64 count)
{
	rec->now->flushes[cause] += count;
	if (!count)
		return;
	kvmmem_tally(rec->vm, KVMMEM_TALLY_FLUSH + cause, count);
	if (trace_tlb_flush_enabled())
		trace_tlb_flush(rec, tlb_causes_known() && !rec->vm->is_tdx ?
				     kvmmem_cause_word(cause) : "-", count);
}

/* Growth that no flush function explained; or KVM's count was cleared: a new base. */
static void tlb_take_unexplained(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu, u64 now)
{
	if (unlikely(now < rec->seen_flush)) {
		rec->flush_base += now - rec->seen_flush;
		WRITE_ONCE(rec->flush_cleared, true);
	} else if (now != rec->seen_flush) {
		u64 grown = now - rec->seen_flush;

		/* Without the flush functions nobody knows which were in ranges. */
		if (!kvmmem_vcpu_hyperv(vcpu) || !tlb_ranges_known()) {
			tlb_count(rec, KVMMEM_CAUSE_OTHER, grown);
		} else {
			tlb_count(rec, KVMMEM_CAUSE_GUEST, rec->whole);
			grown -= rec->whole;
			rec->range[rec->now - rec->tags] += grown;
			kvmmem_tally(rec->vm, KVMMEM_TALLY_RANGE, grown);
			if (grown)
				trace_tlb_flush(rec, "range", grown);
		}
	}
	rec->whole = false;
	rec->seen_flush = now;
}

/*
 * KVM's count has not grown: KVM loads a new root, or this is what another flush
 * function calls, or KVM does not trust the processor with single addresses and
 * flushes everything for a range (AMD, 7.x), which it counts afterwards.
 */
static void tlb_take_uncounted(struct kvmmem_vcpu *rec, enum kvmmem_flush_kind kind)
{
	if (kind == KVMMEM_FLUSH_ASID && rec->asid_due)
		rec->asid_due = false;
	else if (kind == KVMMEM_FLUSH_ASID || kind == KVMMEM_FLUSH_GUEST)
		rec->whole = true;
}

/**
 * kvmmem_tlb_resync - the run probes' other path
 * @rec: record of a vCPU that is new, has another tag or was flushed
 * @vcpu: the vCPU, which the calling thread runs
 * @vmcb: AMD: what it ran on, not yet found good; Intel: NULL
 */
noinline void kvmmem_tlb_resync(struct kvmmem_vcpu *rec, struct kvm_vcpu *vcpu,
				const struct vmcb *vmcb)
{
	u64 single = kvmmem_vcpu_single_flush(vcpu);
	u32 tag;

	if (!rec->tracked)
		tlb_track(rec, vcpu, kvmmem_vcpu_tlb_flush(vcpu));
	tlb_take_unexplained(rec, vcpu, kvmmem_vcpu_tlb_flush(vcpu));

	if (!vmcb) {
		tag = rec->now->tag;
		if (!rec->entered || !kvmmem_tlb_same_vpid(rec, vcpu))
			tag = tlb_tag_of_vmcs(vcpu);
		if (tag == KVMMEM_TAG_UNKNOWN)
			kvmmem_run_note("vpid-not-readable");
		rec->flush_cpu = vcpu->cpu;
		rec->migrations = current->se.nr_migrations;
	} else if (kvmmem_vmcb_is_good(vmcb)) {
		tag = vmcb->control.asid;
		rec->context = vmcb;
	} else {
		tag = KVMMEM_TAG_UNKNOWN;
		kvmmem_run_note("asid-not-readable");
	}
	if (tag != rec->now->tag || !rec->now->moves)
		tlb_change_tag(rec, tag);

	/* Less than before: it was cleared. */
	if (single > rec->seen_single)
		rec->now->single += single - rec->seen_single;
	rec->seen_single = single;
	rec->seen = rec->seen_flush + rec->seen_single;
	rec->hflags = vcpu->arch.hflags;
	rec->now->entries++;
	rec->entered = true;
}

static enum kvmmem_asker tlb_asker(const struct kvmmem_vcpu *rec, const struct kvm_vcpu *vcpu)
{
	const struct vmcb *vmcb;

	if (!rec->entered)
		return KVMMEM_ASKER_NOBODY;
	if (!kvmmem_cpu_is_svm())
		return kvmmem_vcpu_has_vmcs(vcpu) ?
			kvmmem_asker_vmx(kvmmem_vmread(KVMMEM_VMCS_EXIT_REASON, U32_MAX)) :
			KVMMEM_ASKER_NOBODY;
	vmcb = kvmmem_svm_vmcb(vcpu);
	if (vmcb != rec->context && !kvmmem_vmcb_is_good(vmcb))
		return KVMMEM_ASKER_NOBODY;
	return kvmmem_asker_svm(vmcb->control.exit_code);
}

/**
 * kvmmem_tlb_pv_asked - the guest has asked by the paravirtual interface
 * @vcpu: which flushes next, or NULL
 *
 * Context: a hook in the vCPU's thread.
 */
void kvmmem_tlb_pv_asked(struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_of_hook(vcpu);

	if (rec)
		rec->pv_asked = true;
}

/* Who asks for full flushes here? */
static enum kvmmem_full tlb_full(void)
{
	if (!KVMMEM_FULL_FLUSHES_BY_TWO || !kvmmem_requests_reach_vcpus())
		return KVMMEM_FULL_ANYBODY;
	return kvmmem_cpu_is_svm() ? KVMMEM_FULL_REMOTE : KVMMEM_FULL_MOVE;
}

/**
 * kvmmem_tlb_flushed - one of KVM's flush functions was called
 * @vcpu: for which vCPU
 * @kind: which
 *
 * Context: a hook in the vCPU's thread, or in one that holds its mutex.
 */
void kvmmem_tlb_flushed(struct kvm_vcpu *vcpu, enum kvmmem_flush_kind kind)
{
	struct kvmmem_flush_signs signs = { .kind = kind, .full = tlb_full() };
	u64 flush = kvmmem_vcpu_tlb_flush(vcpu);
	struct kvmmem_vcpu *rec;
	u32 requests, migrations;

	/* Not all hooks are attached. */
	if (!READ_ONCE(kvmmem_tlb_heard))
		return;
	/* The record stays as long as its vCPU is at work; its neighbours may not. */
	rcu_read_lock();
	rec = kvmmem_vcpu_find(vcpu);
	rcu_read_unlock();
	if (!rec)
		return;
	if (!rec->tracked) {
		/* Nothing has been counted yet, so this is no flush of KVM's count. */
		if (!flush)
			return;
		/* Nor may it be one of those that KVM has counted by now. */
		tlb_track(rec, vcpu, flush - !READ_ONCE(rec->flush_older));
	}
	if (flush == rec->seen_flush)
		tlb_take_uncounted(rec, kind);
	rec->asid_due = kind != KVMMEM_FLUSH_ASID;
	if (flush == rec->seen_flush)
		return;
	tlb_take_unexplained(rec, vcpu, flush ? flush - 1 : 0);
	/* Cleared, and this is none of those that KVM counts. */
	if (!flush)
		return;

	if (!kvmmem_cpu_is_svm() && (!rec->entered || !kvmmem_tlb_same_vpid(rec, vcpu))) {
		u32 tag = tlb_tag_of_vmcs(vcpu);

		if (tag != rec->now->tag || !rec->now->moves)
			tlb_change_tag(rec, tag);
	}

	requests = kvmmem_vm_requests(rec->vm, vcpu->kvm);
	migrations = current->se.nr_migrations;
	signs.asker = tlb_asker(rec, vcpu);
	/* A count that was cleared and has grown since shows requests, too. */
	signs.remote = kvmmem_requests_reach_vcpus() && requests && requests != rec->remote_seen;
	signs.moved = vcpu->cpu != rec->flush_cpu;
	signs.migrated = !kvmmem_cpu_is_svm() && migrations != rec->migrations;
	signs.stayed = kvmmem_away_stayed(rec);
	signs.switched = rec->entered &&
			 ((vcpu->arch.hflags ^ rec->hflags) & HF_GUEST_MASK);
	/* RSM restores CR0 and CR4; on Intel its exit is one for an invalid opcode. */
	if (rec->entered && ((vcpu->arch.hflags ^ rec->hflags) & HF_SMM_MASK))
		signs.asker = KVMMEM_ASKER_GUEST;
	signs.pv = rec->pv_asked;
	rec->pv_asked = false;
	signs.hyperv = kvmmem_vcpu_hyperv(vcpu);
	if (kind == KVMMEM_FLUSH_ALL || kind == KVMMEM_FLUSH_ANY) {
		rec->remote_seen = requests;
		rec->migrations = migrations;
		rec->flush_cpu = vcpu->cpu;
	}

	tlb_count(rec, kvmmem_flush_cause(&signs), 1);
	rec->seen_flush = flush;
	/* Else the run probe has to go the other way, which notes what is new. */
	if (rec->entered && !signs.switched)
		rec->seen = rec->seen_flush + rec->seen_single;
}

/**
 * kvmmem_tlb_untrack - forget where the accounting of a VM's vCPUs was
 * @vm: its record
 *
 * A vCPU that is met again after this begins anew. Context: nobody writes; a reference
 * on the record.
 */
void kvmmem_tlb_untrack(struct kvmmem_vm *vm)
{
	struct kvmmem_vcpu *rec;

	kvmmem_vm_for_each_vcpu(rec, vm) {
		rec->now = &kvmmem_no_tag;
		rec->context = NULL;
		rec->flush_cpu = -1;	/* so that the run probe goes the other way */
		rec->pv_asked = false;
		WRITE_ONCE(rec->tracked, false);
	}
}

/**
 * kvmmem_tag_flushes - flushes of all causes under a tag
 * @tag: its cell
 *
 * Return: their sum.
 */
u64 kvmmem_tag_flushes(const struct kvmmem_tag *tag)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < KVMMEM_NR_CAUSES; i++)
		sum += READ_ONCE(tag->flushes[i]);
	return sum;
}

/**
 * kvmmem_tlb_tags - copy a vCPU's tags
 * @rec: its record
 * @tags: room for KVMMEM_TAGS
 * @range: likewise, for their flushes of ranges
 *
 * Context: rcu_read_lock(), or a reference on the VM's record.
 *
 * Return: how many there are.
 */
unsigned int kvmmem_tlb_tags(struct kvmmem_vcpu *rec, struct kvmmem_tag *tags, u64 *range)
{
	unsigned int seq, i, n;

	do {
		seq = read_seqcount_begin(&rec->tags_seq);
		for (i = 0, n = 0; i < KVMMEM_TAGS; i++) {
			const struct kvmmem_tag *tag = &rec->tags[i];

			/* In use, or the first with flushes from before an entry. */
			if (READ_ONCE(tag->moves) || (!i && kvmmem_tag_flushes(tag))) {
				range[n] = READ_ONCE(rec->range[i]);
				tags[n++] = *tag;
			}
		}
	} while (read_seqcount_retry(&rec->tags_seq, seq));
	return n;
}

/**
 * kvmmem_tlb_witness - our count of a vCPU's flushes and KVM's own
 * @rec: its record
 * @counts: where to: the sum over tags, causes and ranges, and KVM's tlb_flush
 *
 * Context: rcu_read_lock(), @rec->vm->lock, the VM alive.
 *
 * Return: false before counting began.
 */
bool kvmmem_tlb_witness(struct kvmmem_vcpu *rec, struct kvmmem_counts *counts)
{
	struct kvmmem_tag tags[KVMMEM_TAGS];
	u64 range[KVMMEM_TAGS], flush, seen;
	unsigned int i, n;

	if (!READ_ONCE(rec->tracked))
		return false;
	smp_rmb(); /* pairs with tlb_track() */
	n = kvmmem_tlb_tags(rec, tags, range);
	counts->ours = 0;
	for (i = 0; i < n; i++)
		counts->ours += kvmmem_tag_flushes(&tags[i]) + range[i];
	seen = READ_ONCE(rec->seen_flush);
	smp_rmb(); /* what was seen, and then what is: it may have grown since */
	flush = kvmmem_vcpu_tlb_flush(rec->vcpu);
	counts->cleared = READ_ONCE(rec->flush_cleared);
	counts->kvms = flush - READ_ONCE(rec->flush_base);
	/* The vCPU has not run since: its thread begins anew when it does. */
	if (flush < seen) {
		counts->cleared = true;
		counts->kvms = counts->ours;
	}
	return true;
}
