// SPDX-License-Identifier: GPL-2.0
/*
 * Asynchronous faults: the host has to wait for a page, and KVM lets a worker do so. It
 * tells the guest, which runs something else, or halts the vCPU, which still takes
 * interrupts. Such a fault's service time is short; how long the page took is here.
 *
 * Which of several pages has come need not be known for the sum of their times: that
 * grows by the number of those that are open.
 */
#include "attach/hooks.h"
#include "count/async.h"
#include "count/ticks.h"

#define ASYNC_EVENT(_id, _name)							\
	{ .id = _id, .name = _name, .module = "kvm", .purpose = "asynchronous-faults",	\
	  .why_not = kvmmem_ticks_why_not }

static struct kvmmem_hook begun_hook =
	ASYNC_EVENT(KVMMEM_HOOK_ASYNC_BEGUN, "kvm_async_pf_not_present");
static struct kvmmem_hook ready_hook =
	ASYNC_EVENT(KVMMEM_HOOK_ASYNC_READY, "kvm_async_pf_ready");

/**
 * kvmmem_async_init - add the hooks, off
 * @begun: probes of kvm_async_pf_not_present
 * @ready: probes of kvm_async_pf_ready
 *
 * Before any kvmmem_async_switch(). Context: may sleep.
 */
void kvmmem_async_init(const struct kvmmem_probe *begun, const struct kvmmem_probe *ready)
{
	begun_hook.probes = begun;
	ready_hook.probes = ready;
	begun_hook.state = KVMMEM_HOOK_OFF;
	ready_hook.state = KVMMEM_HOOK_OFF;
	kvmmem_hook_add(&begun_hook);
	kvmmem_hook_add(&ready_hook);
}

/**
 * kvmmem_async_switch - attach the hooks, or let go of them
 * @on: are they wanted?
 *
 * Context: may sleep; not beside itself.
 */
void kvmmem_async_switch(bool on)
{
	kvmmem_hook_switch(&begun_hook, on);
	kvmmem_hook_switch(&ready_hook, on);
}

static bool async_on(void)
{
	return kvmmem_hook_attached(&begun_hook) && kvmmem_hook_attached(&ready_hook);
}

/* Bring the time of open ones up to date. */
static void async_pass(struct kvmmem_async *async)
{
	u64 now = rdtsc();

	if (async->open && now > async->at)
		WRITE_ONCE(async->ticks, async->ticks + async->open * (now - async->at));
	async->at = now;
}

/**
 * kvmmem_async_begun - KVM has a worker fetch a page
 * @vcpu: for whom, or NULL
 *
 * When the guest is reset KVM forgets those that are open, without a word. Then it has
 * fewer now than there should be, and for how long is not known.
 *
 * Context: a hook in the vCPU's thread.
 */
void kvmmem_async_begun(struct kvm_vcpu *vcpu)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_of_hook(vcpu);
	struct kvmmem_async *async;

	if (!rec)
		return;
	async = &rec->async;
	if (vcpu->async_pf.queued <= async->open)
		async->open = 0;
	async_pass(async);
	async->open = min_t(u64, async->open + 1, vcpu->async_pf.queued);
	WRITE_ONCE(async->begun, async->begun + 1);
}

/**
 * kvmmem_async_ready - the page is there, and KVM tells the guest
 * @vcpu: whom, or NULL
 * @token: which one; all bits if it says that all have come
 *
 * Context: a hook in the vCPU's thread.
 */
void kvmmem_async_ready(struct kvm_vcpu *vcpu, u64 token)
{
	struct kvmmem_vcpu *rec = kvmmem_vcpu_of_hook(vcpu);

	if (!rec || (u32)token == U32_MAX || !rec->async.open)
		return;
	async_pass(&rec->async);
	rec->async.open--;
	WRITE_ONCE(rec->async.ready, rec->async.ready + 1);
}

/**
 * kvmmem_async_of_vcpu - asynchronous faults of a vCPU
 * @rec: its record
 * @sum: where to
 *
 * Context: rcu_read_lock(), or a reference on the VM's record.
 */
void kvmmem_async_of_vcpu(const struct kvmmem_vcpu *rec, struct kvmmem_async_sum *sum)
{
	memset(sum, 0xff, sizeof(*sum));
	if (!async_on())
		return;
	sum->begun = READ_ONCE(rec->async.begun);
	sum->ready = READ_ONCE(rec->async.ready);
	sum->ns = kvmmem_ticks_to_ns(READ_ONCE(rec->async.ticks));
}

/**
 * kvmmem_async_of_vm - how many of all vCPUs of a VM
 * @vm: its record
 *
 * Context: rcu_read_lock(), or a reference on the VM's record.
 *
 * Return: how many have begun; KVMMEM_UNKNOWN while nobody counts.
 */
u64 kvmmem_async_of_vm(struct kvmmem_vm *vm)
{
	struct kvmmem_vcpu *rec;
	u64 sum = 0;

	if (!async_on())
		return KVMMEM_UNKNOWN;
	kvmmem_vm_for_each_vcpu(rec, vm)
		sum += READ_ONCE(rec->async.begun);
	return sum;
}
