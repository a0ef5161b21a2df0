/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a vCPU's record keeps of the service of its faults. Only the vCPU's thread,
 * or one that holds the vCPU's mutex, writes here. Times are ticks of the TSC.
 */
#ifndef _KVMMEM_SERVICE_H
#define _KVMMEM_SERVICE_H

#include <linux/types.h>

#include "decode/fault.h"

/**
 * enum kvmmem_access - what a guest wanted of a page, two bits of a fault's class
 * @KVMMEM_ACCESS_READ: data read
 * @KVMMEM_ACCESS_WRITE: data written; under shadow paging: any #PF
 * @KVMMEM_ACCESS_EXEC: an instruction fetched
 * @KVMMEM_ACCESS_BOTH: no processor reports that
 * @KVMMEM_NR_ACCESSES: how many there are
 */
enum kvmmem_access {
	KVMMEM_ACCESS_READ,
	KVMMEM_ACCESS_WRITE,
	KVMMEM_ACCESS_EXEC,
	KVMMEM_ACCESS_BOTH,
	KVMMEM_NR_ACCESSES
};

/**
 * kvmmem_access_of - the access of a fault
 * @class: of the fault
 *
 * Return: enum kvmmem_access.
 */
static __always_inline unsigned int kvmmem_access_of(unsigned int class)
{
	return (class & (KVMMEM_FAULT_WRITE | KVMMEM_FAULT_EXEC)) / KVMMEM_FAULT_WRITE;
}

/**
 * struct kvmmem_served - faults that were served
 * @count: how many
 * @kvm: time in KVM
 * @away: time asleep, preempted or in user space
 * @longest: the longest time of one, all told
 */
struct kvmmem_served {
	u64 count;
	u64 kvm;
	u64 away;
	u64 longest;
};

/**
 * struct kvmmem_away - where a vCPU's thread was when it was not running in KVM
 * @exit: TSC at the VM exit that the next ones are about
 * @off: when the thread lost its processor; 0: it has one
 * @put: when KVM put the vCPU away for that, by KVM's word
 * @asleep: time without a processor since the exit
 * @gpa: where it faulted, if it lost its processor with a fault begun
 * @cr3: the guest's CR3 at that exit; for who asks for it while the vCPU is asleep
 * @asleep_sum: of @asleep, of all faults that were served
 * @user_sum: time in user space, likewise
 */
struct kvmmem_away {
	u64 exit;
	u64 off;
	u64 put;
	u64 asleep;
	u64 gpa;
	u64 cr3;
	u64 asleep_sum;
	u64 user_sum;
};

/**
 * struct kvmmem_async - faults whose page KVM fetches while the guest runs
 * @begun: how many
 * @ready: those whose page has come
 * @open: those whose page has not, as far as known
 * @at: TSC when @ticks was brought up to date
 * @ticks: time that they took, of all together
 */
struct kvmmem_async {
	u64 begun;
	u64 ready;
	u64 open;
	u64 at;
	u64 ticks;
};

/**
 * struct kvmmem_stuck - the fault that may be the same again and again
 * @page: guest page, a gfn
 * @state: of the guest's registers, a hash
 * @fixed: KVM's count of faults that it has mended, its lowest bits
 * @repeats: faults since, all with the same three
 * @since: when the first came, ktime_get_mono_fast_ns()
 * @last: when the last came
 */
struct kvmmem_stuck {
	u64 page;
	u32 state;
	u32 fixed;
	u64 repeats;
	u64 since;
	u64 last;
};

/**
 * struct kvmmem_violation - a violation that is observed, until it is over
 * @gpa: where
 * @fixed: KVM's counts of outcomes when it came, like the next three: their lowest bits,
 *	since they are asked only whether they have changed
 * @fast: without KVM's lock
 * @spurious: nothing was to be done
 * @emulated: the instruction was
 */
struct kvmmem_violation {
	u64 gpa;
	u16 fixed;
	u16 fast;
	u16 spurious;
	u16 emulated;
};

/**
 * struct kvmmem_observed - more of it
 * @async: faults begun then that KVM lets the guest run beside, their lowest bits
 * @reflected: faults that L1 had been given then, likewise
 * @class: of the fault
 * @l2: it is a nested guest's
 * @open: there is one
 */
struct kvmmem_observed {
	u8 async;
	u8 reflected;
	u8 class;
	u8 l2:1;
	u8 open:1;
};

#endif /* _KVMMEM_SERVICE_H */
