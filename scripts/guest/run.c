// SPDX-License-Identifier: GPL-2.0
/* Running the guests: phases within a round, rounds, and what is between. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "code.h"
#include "guest.h"
#include "ports.h"

#define STUB			0xe3ff
#define SPIN			100000	/* some milliseconds of guest code */
#define MSR_STEAL_TIME		0x4b564d03
#define STEAL_PREEMPTED		16	/* offset in struct kvm_steal_time */
#define VCPU_PREEMPTED		(1 << 0)
#define VCPU_FLUSH_TLB		(1 << 1)

#define ENTRY(vcpu, name) \
	((vcpu)->vm->opt->flat ? (uint64_t)(code32_##name - code32_start) : \
				 (uint64_t)(code64_##name - code64_start))

struct phase {
	uint64_t entry;		/* offset in the code page */
	uint64_t di, si, dx, ax, bx, cx;
	bool migrate;		/* at each tick */
};

static uint64_t code_gpa(const struct vcpu *vcpu)
{
	return CTL_GPA + vcpu->ctl_code * PAGE;
}

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die(1, "cannot run on processor %d: %s", cpu, strerror(errno));
}

static void next_cpu(void)
{
	int cpu = sched_getcpu(), i;

	for (i = 1; i < CPU_SETSIZE; i++) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((cpu + i) % CPU_SETSIZE, &set);
		if (!sched_setaffinity(0, sizeof(set), &set))
			return;
	}
}

/* An exit in the middle of --op pvflush or --migrate. */
static void tick(struct vcpu *vcpu, bool migrate)
{
	struct vm *vm = vcpu->vm;

	vcpu->io_exits++;
	if (migrate)
		next_cpu();
	if (migrate && vm->opt->come_back) {
		struct kvm_regs regs;

		/* KVM loads the vCPU on that processor for this. */
		if (ioctl(vcpu->fd, KVM_GET_REGS, &regs))
			die_errno("KVM_GET_REGS");
		next_cpu();
	} else if (vm->opt->op == OP_PVFLUSH)
		vm->ctl.hva[vcpu->ctl_steal * PAGE + STEAL_PREEMPTED] =
			VCPU_PREEMPTED | VCPU_FLUSH_TLB;
}

static void run_phase(struct vcpu *vcpu, const struct phase *phase)
{
	struct kvm_regs regs = {
		.rip = code_gpa(vcpu) + phase->entry,
		.rflags = 0x202,	/* interrupts enabled */
		.rdi = phase->di, .rsi = phase->si, .rdx = phase->dx,
		.rax = phase->ax, .rbx = phase->bx, .rcx = phase->cx,
	};
	struct kvm_run *run = vcpu->run;

	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		die_errno("KVM_SET_REGS");
	for (;;) {
		if (ioctl(vcpu->fd, KVM_RUN, 0)) {
			if (errno != EINTR && errno != EAGAIN)
				die_errno("KVM_RUN");
			vcpu->eintr++;
			if (vcpu->vm->stop)
				return;
			continue;
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			if (run->io.port == PORT_DONE)
				return;
			tick(vcpu, phase->migrate);
			break;
		case KVM_EXIT_MMIO:
			vcpu->mmio_exits++;
			if (vcpu->vm->opt->mmio_ms)
				usleep(vcpu->vm->opt->mmio_ms * 1000);
			memset(run->mmio.data, 0, sizeof(run->mmio.data));
			break;
		case KVM_EXIT_DIRTY_RING_FULL:
			vcpu->ring_exits++;
			vcpu->rung += empty_ring(vcpu);
			break;
		case KVM_EXIT_HLT:
			vcpu->hlt_exits++;
			break;
		default:
			ioctl(vcpu->fd, KVM_GET_REGS, &regs);
			die(1, "vCPU %u: unexpected exit %u (%u) at 0x%llx",
			    vcpu->index, run->exit_reason,
			    run->internal.suberror, regs.rip);
		}
	}
}

/* One access kind over one range of equidistant pages. */
static void touch_range(struct vcpu *vcpu, enum access access, uint64_t addr,
			unsigned long count, uint64_t stride)
{
	struct phase phase = {
		.di = addr, .si = count, .dx = stride, .ax = STUB,
		.bx = code_gpa(vcpu) + ENTRY(vcpu, exec_back),
	};

	if (!count)
		return;
	phase.entry = access == ACC_READ ? ENTRY(vcpu, read) :
		      access == ACC_WRITE ? ENTRY(vcpu, write) :
					    ENTRY(vcpu, exec);
	run_phase(vcpu, &phase);
}

static void touch_pages(struct vcpu *vcpu, enum access access)
{
	const struct options *opt = vcpu->vm->opt;
	unsigned long i = vcpu->first, end = i + vcpu->count, n;
	unsigned long per_slot = opt->pages / opt->slots;

	if (opt->walk) {
		touch_range(vcpu, access, WALK_GVA, vcpu->count, HUGE);
		return;
	}
	for (; i < end; i += n) {
		n = per_slot - i % per_slot;
		if (n > end - i)
			n = end - i;
		touch_range(vcpu, access, page_gpa(vcpu->vm, i), n,
			    opt->stride * PAGE);
	}
}

static void run_op(struct vcpu *vcpu)
{
	const struct options *opt = vcpu->vm->opt;
	struct phase phase = { .si = opt->ops };

	if (!opt->ops)
		return;
	switch (opt->op) {
	case OP_NONE:
		return;
	case OP_CR3:
		phase.entry = ENTRY(vcpu, cr3);
		break;
	case OP_INVLPG:
		phase.entry = ENTRY(vcpu, invlpg);
		phase.di = code_gpa(vcpu);
		if (vcpu->count)
			phase.di = opt->walk ? WALK_GVA :
				   page_gpa(vcpu->vm, vcpu->first);
		break;
	case OP_INVPCID:
		phase.entry = ENTRY(vcpu, invpcid);
		phase.di = code_gpa(vcpu) + ENTRY(vcpu, desc);
		break;
	case OP_CR4PGE:
		phase.entry = ENTRY(vcpu, cr4pge);
		break;
	case OP_HLT:
		phase.entry = ENTRY(vcpu, hlt);
		break;
	case OP_SPIN:
		phase.entry = ENTRY(vcpu, spin);
		break;
	case OP_IO:
	case OP_PVFLUSH:
		phase.entry = ENTRY(vcpu, io);
		break;
	case OP_HVFLUSH:
	case OP_HVRANGE:
		phase.entry = vcpu->vm->amd ? ENTRY(vcpu, vmmcall) : ENTRY(vcpu, vmcall);
		phase.cx = hyperv_call(vcpu);
		phase.dx = code_gpa(vcpu) + NESTED_BLOCK;
		break;
	case OP_NESTED:
	case OP_NESTED_VPID:
	case OP_NESTED_MISSING:
	case OP_NESTED_RESERVED:
		phase.cx = nested_exit(vcpu);
		phase.entry = vcpu->vm->amd ? ENTRY(vcpu, vmrun) : ENTRY(vcpu, vmx);
		phase.ax = CTL_GPA + vcpu->ctl_nested * PAGE;
		phase.di = code_gpa(vcpu) + NESTED_BLOCK;
		phase.dx = vcpu->nested_fields;
		break;
	}
	run_phase(vcpu, &phase);
	if (is_nested(opt->op))
		check_nested(vcpu);
}

static void touch_mmio(struct vcpu *vcpu)
{
	const struct options *opt = vcpu->vm->opt;
	unsigned long i;

	for (i = 0; vcpu->index == 0 && i < opt->mmio / opt->mmio_pages; i++)
		touch_range(vcpu, opt->ioeventfd ? ACC_WRITE : ACC_READ, MMIO_GPA,
			    opt->mmio_pages, PAGE);
}

static void first_round(struct vcpu *vcpu)
{
	const struct options *opt = vcpu->vm->opt;

	run_op(vcpu);
	if (opt->migrate) {
		struct phase phase = {
			.entry = ENTRY(vcpu, io), .si = opt->migrate,
			.migrate = true,
		};

		run_phase(vcpu, &phase);
	}
}

static void enable_steal_time(struct vcpu *vcpu)
{
	struct phase phase = {
		.entry = ENTRY(vcpu, wrmsr), .cx = MSR_STEAL_TIME,
		.ax = (CTL_GPA + vcpu->ctl_steal * PAGE) | 1,
	};

	run_phase(vcpu, &phase);
}

/* All vCPUs are at rest; what happens after @round? */
static void between_rounds(struct vm *vm, unsigned int round)
{
	const struct options *opt = vm->opt;

	vm->turn = 0;
	if (opt->forever || opt->drop_thread)
		vm->stop_now = vm->stop;
	else
		vm->stop_now = round == opt->rounds;
	if (opt->each) {
		char text[16];

		fflush(stdout);
		snprintf(text, sizeof(text), "%u", round);
		setenv("KVMGUEST_ROUND", text, 1);
		if (system(opt->each))
			die(1, "--each failed after round %u", round);
	}
	if (opt->harvest && round > opt->dirty_on &&
	    (!opt->dirty_off || round <= opt->dirty_off))
		harvest(vm, round);
	if (round == 1 && opt->plug)
		plug_memory(vm);
	if (round == opt->dirty_on)
		set_dirty_log(vm, true);
	if (round == opt->dirty_off)
		set_dirty_log(vm, false);
	if (opt->drop && !vm->stop_now) {
		drop_memory(vm);
		if (needs_prefault(opt))
			prefault_memory(vm);
	}
}

static void take_turn(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	pthread_mutex_lock(&vm->lock);
	while (vm->opt->turns && vm->turn != vcpu->index)
		pthread_cond_wait(&vm->cond, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
}

static void end_turn(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	pthread_mutex_lock(&vm->lock);
	vm->turn++;
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
}

/* All is touched; whoever drops memory meanwhile shall find a guest running. */
static void end_pass(struct vcpu *vcpu)
{
	struct phase phase = {
		.entry = ENTRY(vcpu, spin), .si = SPIN,
	};
	struct vm *vm = vcpu->vm;

	pthread_mutex_lock(&vm->lock);
	vm->passes++;
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
	if (vm->opt->drop_thread)
		run_phase(vcpu, &phase);
}

void run_vcpu(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	const struct options *opt = vm->opt;
	unsigned int round, i;

	vcpu->tid = gettid();
	if (vcpu->index < opt->nr_pin)
		pin_to(opt->pin[vcpu->index]);
	/*
	 * Threads that come and go change the address space, which makes KVM
	 * up to 5.12 repeat a fault that is being handled.
	 */
	pthread_barrier_wait(vm->all);
	for (round = 1; !vm->stop_now; round++) {
		take_turn(vcpu);
		if (round == 1 && opt->steal_time)
			enable_steal_time(vcpu);
		for (i = 0; i < opt->nr_access && !vm->stop; i++)
			touch_pages(vcpu, opt->access[i]);
		touch_mmio(vcpu);
		if (round == 1)
			first_round(vcpu);
		end_pass(vcpu);
		end_turn(vcpu);
		pthread_barrier_wait(&vm->barrier);
		if (vcpu->index == 0)
			between_rounds(vm, round);
		pthread_barrier_wait(&vm->barrier);
	}
	pthread_barrier_wait(vm->all);
}
