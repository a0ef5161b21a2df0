// SPDX-License-Identifier: GPL-2.0
/*
 * Walking the host's page tables: see hostwalk.h.
 *
 * The kernel has a walker and exports it to nobody, so this is one of our own,
 * on the inline helpers of the public headers. It only reads. What makes that
 * safe:
 *
 * - The mmap lock, held for reading for the length of a chunk, keeps the VMAs.
 *   munmap() may zap with the lock held for reading only, but has taken its
 *   VMAs out before, so we do not look there. It is tried and not waited for:
 *   it can be held, or a writer queue for it, for as long as a page takes to
 *   come by FUSE or NFS.
 * - A page table can be freed under the mmap lock held for reading: by
 *   khugepaged (retract_page_tables() since 6.6; before, it held the lock for
 *   writing) and by MADV_DONTNEED where the kernel reclaims empty tables
 *   (PT_RECLAIM, which needs MMU_GATHER_RCU_TABLE_FREE). Both hand the table to
 *   RCU, which a section with interrupts off holds up. So we go from the top down
 *   to one table at a time with interrupts off, and read each entry once.
 * - A hugetlb PMD table that processes share can be unshared from us, and then be
 *   freed by the other process. Without RCU-freed tables (no PARAVIRT) only
 *   processors in that process's cpumask are waited for, and a reader of another
 *   process's mm is in nobody's. Unsharing needs the file's i_mmap_rwsem for
 *   writing (huge_pmd_unshare()), so we hold it for reading, tried as well.
 * - Entries can change at any time. Each is looked at as a copy. Of a page that
 *   an entry names only the struct page is read, which is there whatever
 *   happens to the page.
 */
#include <linux/fs.h>
#include <linux/hugetlb_inline.h>
#include <linux/irqflags.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/shmem_fs.h>

#include "compat/hostpage.h"
#include "compat/memory.h"
#include "memory/hostwalk.h"

/* Entries that may be looked at in one go, the mmap lock held: about 100 us. */
#define CHUNK	8192

/* A VMA costs as much as so many entries: to find it is to go down a tree. */
#define VMA_COST	32

/* What is looked at of a file in one RCU section: see kvmmem_xas_cost(). */
#define SHMEM_BATCH	192

/* Entries of a table with interrupts off, if each is looked up in a file, too. */
#define LOOKUPS		64
/* Such a one costs as much as so many others. */
#define LOOKUP_COST	8

/**
 * struct piece - the part of the walk that lies in one VMA
 * @walk: the walk
 * @vma: the VMA
 * @end: where the part ends
 * @mapping: private mapping of shared memory: what was swapped out of there,
 *	seen only where the page tables have nothing. Otherwise NULL.
 * @look: pages have to be looked at, not only counted
 * @budget: entries that may still be looked at
 * @busy: somebody else had a lock that is needed
 */
struct piece {
	struct kvmmem_hostwalk *walk;
	struct vm_area_struct *vma;
	unsigned long end;
	struct address_space *mapping;
	bool look;
	int budget;
	bool busy;
};

static void host_add_node(struct kvmmem_hostwalk *walk, struct page *page, u64 pages)
{
	int node = kvmmem_page_node(page);

	if (walk->nodes && node >= 0 && node < nr_node_ids)
		walk->nodes[node] += pages;
}

static void host_add_run(struct kvmmem_hostwalk *walk, unsigned long hva, u64 pages)
{
	struct kvmmem_run *last;

	if (!walk->runs)
		return;
	last = walk->nr_runs ? &walk->runs[walk->nr_runs - 1] : NULL;
	if (last && last->hva + (last->pages << PAGE_SHIFT) == hva) {
		last->pages += pages;
	} else {
		walk->runs[walk->nr_runs].hva = hva;
		walk->runs[walk->nr_runs].pages = pages;
		walk->nr_runs++;
	}
}

static void host_add_absent(struct piece *piece, pte_t pte, unsigned long addr,
			    enum kvmmem_size size, u64 pages)
{
	struct kvmmem_hostwalk *walk = piece->walk;
	unsigned long pfn;

	switch (kvmmem_absent(pte, &pfn)) {
	case KVMMEM_ABSENT_SWAP:
		walk->sum->swap += pages;
		break;
	case KVMMEM_ABSENT_PAGE:
	case KVMMEM_ABSENT_POISON:	/* as smaps has it */
		walk->sum->mapped[size] += pages;
		if (size != KVMMEM_4K)
			host_add_run(walk, addr, pages);
		if (!pfn_valid(pfn))
			break;
		host_add_node(walk, pfn_to_page(pfn), pages);
		if (size == KVMMEM_4K && kvmmem_page_is_ksm(pfn_to_page(pfn)))
			walk->sum->ksm += pages;
		break;
	case KVMMEM_ABSENT_NOTHING:
		break;
	}
}

/*
 * The zero page is mapped huge only in anonymous memory, where all other pages
 * that are mapped huge are anonymous. Where the kernel has put no struct page
 * behind a mapping, the VMA says so.
 */
static bool host_huge_is_special(const struct piece *piece, unsigned long pfn)
{
	if (is_vm_hugetlb_page(piece->vma))
		return false;
	if ((piece->vma->vm_flags & (VM_PFNMAP | VM_MIXEDMAP)) || vma_is_dax(piece->vma))
		return true;
	if (!pfn_valid(pfn))
		return true;
	return vma_is_anonymous(piece->vma) && !kvmmem_page_is_anon(pfn_to_page(pfn));
}

static void host_add_huge(struct piece *piece, unsigned long addr, unsigned long next,
			  unsigned long pfn, enum kvmmem_size size)
{
	struct kvmmem_hostwalk *walk = piece->walk;
	u64 pages = (next - addr) >> PAGE_SHIFT;

	if (host_huge_is_special(piece, pfn)) {
		walk->sum->special += pages;
		return;
	}
	walk->sum->mapped[size] += pages;
	host_add_run(walk, addr, pages);
	if (walk->nodes && pfn_valid(pfn))
		host_add_node(walk, pfn_to_page(pfn), pages);
}

static noinline void host_look_at_pte(struct piece *piece, pte_t pte, unsigned long addr)
{
	struct kvmmem_hostwalk *walk = piece->walk;
	struct page *page;

	/* Hidden by what is mapped here; unless it went to swap after the file was counted. */
	if (piece->mapping && walk->sum->swap &&
	    xa_is_value(xa_load(&piece->mapping->i_pages,
				linear_page_index(piece->vma, addr))))
		walk->sum->swap--;
	if (!pte_present(pte)) {
		host_add_absent(piece, pte, addr, KVMMEM_4K, 1);
		return;
	}
	/* x86 marks what has no struct page of its own, and the zero page; on 7.3 no DAX. */
	if (pte_special(pte) ||
	    (vma_is_dax(piece->vma) && is_zone_device_page(pte_page(pte)))) {
		walk->sum->special++;
		return;
	}
	walk->sum->mapped[KVMMEM_4K]++;
	if (!piece->look)
		return;
	page = pte_page(pte);
	host_add_node(walk, page, 1);
	if (kvmmem_page_is_ksm(page))
		walk->sum->ksm++;
}

static unsigned long host_walk_ptes(struct piece *piece, pmd_t pmd, unsigned long addr,
				    unsigned long end)
{
	/* The address of a copy: the entry itself may change under us. */
	const pte_t *ptep = pte_offset_kernel(&pmd, addr);
	u64 mapped = 0;

	if (piece->mapping) {
		end = min(end, addr + LOOKUPS * PAGE_SIZE);
		piece->budget -= (LOOKUP_COST - 1) * ((end - addr) >> PAGE_SHIFT);
	}
	piece->budget -= (end - addr) >> PAGE_SHIFT;
	for (; addr < end; addr += PAGE_SIZE, ptep++) {
		pte_t pte = READ_ONCE(*ptep);

		if (pte_none(pte))
			continue;
		if (piece->look || !pte_present(pte) || pte_special(pte))
			host_look_at_pte(piece, pte, addr);
		else
			mapped++;
	}
	piece->walk->sum->mapped[KVMMEM_4K] += mapped;
	return addr;
}

/* Huge pages that are looked at in one go. */
#define HUGE_BATCH	128

/* A table of PMDs, up to the first table of PTEs in it, or that alone. */
static unsigned long host_walk_pmds(struct piece *piece, pud_t pud, unsigned long addr,
				    unsigned long end)
{
	const pmd_t *pmdp = pmd_offset(&pud, addr);
	unsigned long begin = addr, next;
	unsigned int huge = 0;

	for (; addr < end && piece->budget > 0; addr = next, pmdp++) {
		pmd_t pmd = READ_ONCE(*pmdp);

		next = pmd_addr_end(addr, end);
		piece->budget--;
		if (pmd_none(pmd))
			continue;
		if (!pmd_present(pmd) || pmd_leaf(pmd)) {
			if (piece->walk->nr_runs == KVMMEM_RUNS || huge++ == HUGE_BATCH)
				break;
		}
		if (!pmd_present(pmd)) {
			host_add_absent(piece, __pte(pmd_val(pmd)), addr, KVMMEM_2M,
					(next - addr) >> PAGE_SHIFT);
		} else if (pmd_leaf(pmd)) {
			host_add_huge(piece, addr, next,
				      pmd_pfn(pmd) + ((addr & ~PMD_MASK) >> PAGE_SHIFT),
				 KVMMEM_2M);
		} else if (!pmd_bad(pmd)) {
			return addr == begin ? host_walk_ptes(piece, pmd, addr, next) : addr;
		}
	}
	return addr;
}

/* From the top down to one table. Interrupts are off. */
static unsigned long host_walk_table(struct piece *piece, unsigned long addr)
{
	unsigned long end = piece->end, next;
	pgd_t pgd = READ_ONCE(*pgd_offset(piece->walk->mm, addr));
	p4d_t p4d;
	pud_t pud;

	piece->budget -= 4;
	if (pgd_none(pgd) || pgd_bad(pgd))
		return pgd_addr_end(addr, end);
	p4d = READ_ONCE(*p4d_offset_lockless(pgd_offset(piece->walk->mm, addr), pgd, addr));
	if (p4d_none(p4d) || p4d_bad(p4d))
		return p4d_addr_end(addr, end);
	pud = READ_ONCE(*pud_offset_lockless(&p4d, p4d, addr));
	next = pud_addr_end(addr, end);
	if (pud_none(pud))
		return next;
	if (!pud_present(pud) || pud_leaf(pud)) {
		if (piece->walk->nr_runs == KVMMEM_RUNS)
			return addr;
	}
	if (!kvmmem_pud_is_there(pud)) {
		host_add_absent(piece, __pte(pud_val(pud)), addr, KVMMEM_1G,
				(next - addr) >> PAGE_SHIFT);
		return next;
	}
	if (pud_leaf(pud) || !pud_present(pud)) {
		host_add_huge(piece, addr, next,
			      pud_pfn(pud) + ((addr & ~PUD_MASK) >> PAGE_SHIFT), KVMMEM_1G);
		return next;
	}
	if (pud_bad(pud))
		return next;
	return host_walk_pmds(piece, pud, addr, next);
}

static struct inode *host_shmem_inode(const struct vm_area_struct *vma)
{
	struct inode *inode;

	if (!IS_ENABLED(CONFIG_SHMEM) || !vma->vm_file)
		return NULL;
	inode = file_inode(vma->vm_file);
	/* Devices' nodes are on a tmpfs, too. */
	return inode->i_sb->s_magic == TMPFS_MAGIC && S_ISREG(inode->i_mode) ? inode : NULL;
}

/*
 * The swapped pages of shared memory: they have left nothing in the page tables
 * but a place in the file. Until the end of the piece or of the budget.
 */
static void host_walk_shmem(struct piece *piece, struct inode *inode)
{
	struct kvmmem_hostwalk *walk = piece->walk;
	unsigned long from = max(walk->shmem, walk->addr);
	pgoff_t first = linear_page_index(piece->vma, from);
	pgoff_t last = first + ((piece->end - from) >> PAGE_SHIFT) - 1;
	XA_STATE(xas, &inode->i_mapping->i_pages, first);
	unsigned int cost, batch = 0;
	pgoff_t seen = first;
	void *entry;

	rcu_read_lock();
	xas_for_each(&xas, entry, last) {
		pgoff_t begin, end;

		if (xas_retry(&xas, entry))
			continue;
		if (xa_is_value(entry)) {
			begin = max(xas.xa_index & ~(kvmmem_xas_pages(&xas) - 1), first);
			end = min((xas.xa_index | (kvmmem_xas_pages(&xas) - 1)), last);
			walk->sum->swap += end - begin + 1;
		}
		cost = kvmmem_xas_cost(seen, max(seen, xas.xa_index));
		piece->budget -= cost;
		batch += cost;
		seen = xas.xa_index;
		if (piece->budget <= 0) {
			end = xas.xa_index | (kvmmem_xas_pages(&xas) - 1);
			walk->shmem = min(from + ((end - first + 1) << PAGE_SHIFT),
					  piece->end);
			break;
		}
		if (batch >= SHMEM_BATCH) {
			batch = 0;
			xas_pause(&xas);
			rcu_read_unlock();
			cond_resched();
			rcu_read_lock();
		}
	}
	rcu_read_unlock();
	if (!entry) {
		piece->budget -= kvmmem_xas_cost(seen, max(seen, last));
		walk->shmem = piece->end;
	}
}

/**
 * kvmmem_host_sharing - the lock that keeps hugetlb PMD tables from being unshared
 * @vma: whose tables; the mmap lock is held
 *
 * Return: the lock, NULL if none has to be held.
 */
struct rw_semaphore *kvmmem_host_sharing(struct vm_area_struct *vma)
{
	if (!is_vm_hugetlb_page(vma) || !vma->vm_file)
		return NULL;
	return &vma->vm_file->f_mapping->i_mmap_rwsem;
}

/**
 * kvmmem_host_kind - what is mapped
 * @vma: where; the mmap lock is held
 *
 * Return: KVMMEM_KIND_*.
 */
u32 kvmmem_host_kind(struct vm_area_struct *vma)
{
	if (is_vm_hugetlb_page(vma))
		return KVMMEM_KIND_HUGETLB;
	if (vma->vm_flags & (VM_PFNMAP | VM_IO))
		return KVMMEM_KIND_DEVICE;
	if (host_shmem_inode(vma))
		return KVMMEM_KIND_SHMEM;
	return vma->vm_file ? KVMMEM_KIND_FILE : KVMMEM_KIND_ANON;
}

/* The page tables of a VMA; false when the budget or the runs are used up. */
static bool host_walk_tables(struct piece *piece)
{
	struct kvmmem_hostwalk *walk = piece->walk;

	while (walk->addr < piece->end) {
		unsigned long flags, addr;

		if (piece->budget <= 0)
			return false;
		local_irq_save(flags);
		addr = host_walk_table(piece, walk->addr);
		local_irq_restore(flags);
		if (addr == walk->addr)		/* no room for another run */
			return false;
		walk->addr = addr;
	}
	return true;
}

/* The part of the walk in a VMA; false when the budget or the runs are used up. */
static bool host_walk_vma(struct piece *piece)
{
	struct kvmmem_hostwalk *walk = piece->walk;
	struct inode *inode = host_shmem_inode(piece->vma);
	u32 kind = kvmmem_host_kind(piece->vma);
	struct rw_semaphore *sharing;
	bool done;

	walk->sum->kinds |= kind;
	if (kind == KVMMEM_KIND_DEVICE) {	/* no memory, so there is nothing to find */
		walk->sum->device += (piece->end - walk->addr) >> PAGE_SHIFT;
		walk->addr = piece->end;
		return true;
	}
	piece->look = walk->nodes || (piece->vma->vm_flags & VM_MERGEABLE) ||
		      vma_is_dax(piece->vma);
	piece->mapping = NULL;
	if (inode && READ_ONCE(SHMEM_I(inode)->swapped)) {
		if (walk->shmem < piece->end)
			host_walk_shmem(piece, inode);
		if (walk->shmem < piece->end)
			return false;
		if (!(piece->vma->vm_flags & VM_SHARED) &&
		    (piece->vma->vm_flags & VM_WRITE)) {
			piece->mapping = inode->i_mapping;
			piece->look = true;
		}
	}

	sharing = kvmmem_host_sharing(piece->vma);
	if (sharing && !down_read_trylock(sharing)) {
		piece->busy = true;
		return false;
	}
	done = host_walk_tables(piece);
	if (sharing)
		up_read(sharing);
	return done;
}

/**
 * kvmmem_hostwalk_chunk - go on with a walk for a while
 * @walk: the walk
 *
 * Takes the mmap lock for at most a chunk, and does not wait for it. When it
 * returns, @walk->addr has moved, and @walk->runs holds what huge mappings were
 * met.
 *
 * Context: may sleep.
 *
 * Return: 0; the walk is over when @walk->addr has reached @walk->end. -EAGAIN when
 * somebody else had a lock.
 */
int kvmmem_hostwalk_chunk(struct kvmmem_hostwalk *walk)
{
	struct piece piece = { .walk = walk, .budget = CHUNK };

	walk->nr_runs = 0;
	if (!mmap_read_trylock(walk->mm))
		return -EAGAIN;
	while (walk->addr < walk->end) {
		/* The first VMA that ends above the address. */
		piece.vma = find_vma(walk->mm, walk->addr);
		if (!piece.vma || piece.vma->vm_start >= walk->end) {
			walk->addr = walk->end;
			break;
		}
		walk->addr = max(walk->addr, piece.vma->vm_start);
		piece.end = min(walk->end, piece.vma->vm_end);
		piece.budget -= VMA_COST;
		if (!host_walk_vma(&piece) || piece.budget <= 0)
			break;
	}
	mmap_read_unlock(walk->mm);
	return piece.busy ? -EAGAIN : 0;
}
