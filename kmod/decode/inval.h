/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Invalidations: whose work it is that memory is taken away from a guest.
 */
#ifndef _KVMMEM_DECODE_INVAL_H
#define _KVMMEM_DECODE_INVAL_H

#include "compat/taker.h"

/**
 * enum kvmmem_inval - initiators of invalidations
 * @KVMMEM_INVAL_DISCARD: somebody gives the content away: madvise(), a punched hole
 * @KVMMEM_INVAL_UNMAP: the VM's process changes what is mapped
 * @KVMMEM_INVAL_RECLAIM: reclaim, for a memory cgroup or the host, or by madvise()
 * @KVMMEM_INVAL_KSM: KSM merges
 * @KVMMEM_INVAL_THP: a huge page is collapsed or split
 * @KVMMEM_INVAL_MIGRATE: pages are migrated, or moved by compaction
 * @KVMMEM_INVAL_NUMA_SCAN: NUMA balancing looks who uses what
 * @KVMMEM_INVAL_IN_RUN: inside KVM_RUN: copy on write, or NUMA balancing migrates
 * @KVMMEM_INVAL_FORK: fork
 * @KVMMEM_INVAL_PROTECT: mprotect(), userfaultfd, soft-dirty, write-back of files
 * @KVMMEM_INVAL_OTHER: none of these, such as copy on write outside of KVM_RUN
 * @KVMMEM_NR_INVALS: how many there are
 */
enum kvmmem_inval {
	KVMMEM_INVAL_DISCARD,
	KVMMEM_INVAL_UNMAP,
	KVMMEM_INVAL_RECLAIM,
	KVMMEM_INVAL_KSM,
	KVMMEM_INVAL_THP,
	KVMMEM_INVAL_MIGRATE,
	KVMMEM_INVAL_NUMA_SCAN,
	KVMMEM_INVAL_IN_RUN,
	KVMMEM_INVAL_FORK,
	KVMMEM_INVAL_PROTECT,
	KVMMEM_INVAL_OTHER,
	KVMMEM_NR_INVALS
};

enum kvmmem_inval kvmmem_decode_call(long syscall, unsigned long arg1, unsigned long arg2,
				     unsigned long arg3, bool own, unsigned long pages);
enum kvmmem_inval kvmmem_decode_event(unsigned int event, long syscall, unsigned long arg1,
				      bool own);

const char *kvmmem_inval_word(enum kvmmem_inval who);

/* By a thread of the kernel's that is neither reclaiming nor compacting. */
static __always_inline enum kvmmem_inval kvmmem_decode_thread(enum kvmmem_thread thread)
{
	switch (thread) {
	case KVMMEM_THREAD_KSM:
		return KVMMEM_INVAL_KSM;
	case KVMMEM_THREAD_KHUGEPAGED:
		return KVMMEM_INVAL_THP;
	case KVMMEM_THREAD_KCOMPACTD:
		return KVMMEM_INVAL_MIGRATE;
	default:
		return KVMMEM_INVAL_OTHER;
	}
}

static __always_inline bool kvmmem_in_run(const struct kvmmem_taker *taker)
{
	return taker->own && taker->syscall == __NR_ioctl &&
	       (unsigned int)taker->arg[0] == KVM_RUN;
}

/**
 * kvmmem_decode_inval - whose work is an invalidation?
 * @taker: what is known of it
 *
 * In line, so that @taker need not be put together in memory. Nearly all are of the
 * kind that is first here: a mapping goes, the memory may stay.
 *
 * Return: whose.
 */
static __always_inline enum kvmmem_inval kvmmem_decode_inval(const struct kvmmem_taker *taker)
{
	if (taker->event != MMU_NOTIFY_CLEAR)
		return kvmmem_decode_event(taker->event, taker->syscall, taker->arg[0],
					   taker->own);
	if (taker->reclaiming)
		return taker->compacting ? KVMMEM_INVAL_MIGRATE : KVMMEM_INVAL_RECLAIM;
	if (taker->thread != KVMMEM_THREAD_USER)
		return kvmmem_decode_thread(taker->thread);
	if (kvmmem_in_run(taker))
		return KVMMEM_INVAL_IN_RUN;
	return kvmmem_decode_call(taker->syscall, taker->arg[0], taker->arg[1], taker->arg[2],
				  taker->own, taker->pages);
}

#endif /* _KVMMEM_DECODE_INVAL_H */
