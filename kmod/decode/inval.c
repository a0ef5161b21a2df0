// SPDX-License-Identifier: GPL-2.0
/*
 * Whose work an invalidation is, by what the kernel tells its notifiers and by the
 * thread that they run in. Documentation/invalidations.rst has the table, and what
 * cannot be told apart.
 */
#include <linux/mman.h>
#include <linux/userfaultfd.h>

#include "decode/inval.h"

/* Of later kernels' headers. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif
#ifndef __NR_set_mempolicy_home_node
#define __NR_set_mempolicy_home_node	450
#endif

#define HUGE_PAGES	512

/* PAGEMAP_SCAN, of linux/fs.h from 6.7 on, write-protects what it is asked to. */
#define PAGEMAP_TYPE	'f'
#define PAGEMAP_SCAN_NR	16

/* Of userfaultfd, or one like it. */
static bool inval_is_protecting(long syscall, unsigned long command)
{
	unsigned int type = _IOC_TYPE((unsigned int)command);

	return syscall == __NR_ioctl &&
	       (type == UFFDIO ||
		(type == PAGEMAP_TYPE && _IOC_NR((unsigned int)command) == PAGEMAP_SCAN_NR));
}

static enum kvmmem_inval inval_by_advice(unsigned long advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_GUARD_INSTALL:
		return KVMMEM_INVAL_DISCARD;
	case MADV_COLD:
	case MADV_PAGEOUT:
		return KVMMEM_INVAL_RECLAIM;
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_COLLAPSE:
		return KVMMEM_INVAL_THP;
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
		return KVMMEM_INVAL_KSM;
	case MADV_SOFT_OFFLINE:
	case MADV_HWPOISON:
		return KVMMEM_INVAL_MIGRATE;
	default:
		return KVMMEM_INVAL_OTHER;
	}
}

/**
 * kvmmem_decode_call - whose work is it that a mapping goes, by the system call?
 * @syscall: the system call, or KVMMEM_NO_SYSCALL
 * @arg1: its second argument
 * @arg2: its third
 * @arg3: its fourth
 * @own: by the process itself
 * @pages: how much
 *
 * Return: whose.
 */
enum kvmmem_inval kvmmem_decode_call(long syscall, unsigned long arg1, unsigned long arg2,
				     unsigned long arg3, bool own, unsigned long pages)
{
	switch (syscall) {
	case __NR_madvise:
		return inval_by_advice(arg2);
	case __NR_process_madvise:
		return inval_by_advice(arg3);
	case __NR_munmap:
	case __NR_mmap:
	case __NR_mremap:
	case __NR_brk:
	case __NR_shmdt:
		return KVMMEM_INVAL_UNMAP;
	case __NR_fallocate:
	case __NR_truncate:
	case __NR_ftruncate:
		return KVMMEM_INVAL_DISCARD;
	case __NR_mbind:
	case __NR_migrate_pages:
	case __NR_move_pages:
	case __NR_set_mempolicy_home_node:
		return KVMMEM_INVAL_MIGRATE;
	case __NR_mprotect:
	case __NR_pkey_mprotect:
		return KVMMEM_INVAL_PROTECT;
	case __NR_ioctl:
		return inval_is_protecting(syscall, arg1) ? KVMMEM_INVAL_PROTECT :
							     KVMMEM_INVAL_OTHER;
	case __NR_clone:
	case __NR_fork:
	case __NR_vfork:
	case __NR_clone3:
		return own ? KVMMEM_INVAL_FORK : KVMMEM_INVAL_OTHER;
	case __NR_write:
		/* To a file of the kernel's: compact_memory, split_huge_pages. */
		if (own)
			return KVMMEM_INVAL_OTHER;
		return pages < HUGE_PAGES ? KVMMEM_INVAL_MIGRATE : KVMMEM_INVAL_THP;
	default:
		return KVMMEM_INVAL_OTHER;
	}
}

/*
 * NUMA balancing works on the way back to user space, or to the guest, so any system
 * call may seem to be the one. close() is that of a userfaultfd.
 */
static enum kvmmem_inval inval_protection(long syscall, unsigned long arg1, bool own)
{
	if (!own || syscall == __NR_mprotect || syscall == __NR_pkey_mprotect ||
	    syscall == __NR_close || inval_is_protecting(syscall, arg1))
		return KVMMEM_INVAL_PROTECT;
	return KVMMEM_INVAL_NUMA_SCAN;
}

/**
 * kvmmem_decode_event - whose work is an invalidation that is not MMU_NOTIFY_CLEAR?
 * @event: what it is
 * @syscall: the system call, or KVMMEM_NO_SYSCALL
 * @arg1: its second argument
 * @own: by the process itself
 *
 * Return: whose.
 */
enum kvmmem_inval kvmmem_decode_event(unsigned int event, long syscall, unsigned long arg1,
				      bool own)
{
	switch (event) {
	case MMU_NOTIFY_UNMAP:
		return own ? KVMMEM_INVAL_UNMAP : KVMMEM_INVAL_OTHER;
	case MMU_NOTIFY_PROTECTION_VMA:
		return inval_protection(syscall, arg1, own);
	case MMU_NOTIFY_PROTECTION_PAGE:
		return own && (syscall == __NR_clone || syscall == __NR_clone3 ||
			       syscall == __NR_fork || syscall == __NR_vfork) ?
		       KVMMEM_INVAL_FORK : KVMMEM_INVAL_PROTECT;
	case MMU_NOTIFY_SOFT_DIRTY:
		return KVMMEM_INVAL_PROTECT;
	case MMU_NOTIFY_MIGRATE:
		return KVMMEM_INVAL_MIGRATE;
	default:
		return KVMMEM_INVAL_OTHER;
	}
}

/**
 * kvmmem_inval_word - the initiator of an invalidation as a word
 * @who: the initiator
 *
 * Return: as the columns of inval rows are called.
 */
const char *kvmmem_inval_word(enum kvmmem_inval who)
{
	static const char * const words[KVMMEM_NR_INVALS] = {
		[KVMMEM_INVAL_DISCARD] = "discard",
		[KVMMEM_INVAL_UNMAP] = "unmap",
		[KVMMEM_INVAL_RECLAIM] = "reclaim",
		[KVMMEM_INVAL_KSM] = "ksm",
		[KVMMEM_INVAL_THP] = "thp",
		[KVMMEM_INVAL_MIGRATE] = "migrate",
		[KVMMEM_INVAL_NUMA_SCAN] = "numa_scan",
		[KVMMEM_INVAL_IN_RUN] = "in_run",
		[KVMMEM_INVAL_FORK] = "fork",
		[KVMMEM_INVAL_PROTECT] = "protect",
		[KVMMEM_INVAL_OTHER] = "other",
	};

	return words[who];
}
