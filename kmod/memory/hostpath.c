// SPDX-License-Identifier: GPL-2.0
/*
 * The way through the host's page tables to one address: what hostwalk.c does for
 * ranges, with each entry noted. What makes that safe is told there.
 */
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pgtable.h>
#include <linux/rwsem.h>

#include "compat/hostpage.h"
#include "compat/memory.h"
#include "memory/hostpath.h"
#include "memory/hostwalk.h"

static void path_step(struct kvmmem_hostpath *path, unsigned int level, const void *entry,
		      u64 value)
{
	struct kvmmem_step *step = &path->step[path->nr++];

	step->level = level;
	step->at = __pa(entry);
	step->entry = value;
}

static void path_page(struct kvmmem_hostpath *path, unsigned long pfn, bool special,
		      unsigned long hva, enum kvmmem_size size)
{
	u64 offset = hva & ((PAGE_SIZE << (9 * size)) - 1);

	path->end = special ? KVMMEM_HOST_ZERO : KVMMEM_HOST_PAGE;
	path->size = size;
	path->hpa = ((u64)pfn << PAGE_SHIFT) + offset;
	if (pfn_valid(path->hpa >> PAGE_SHIFT))
		path->node = kvmmem_page_node(pfn_to_page(path->hpa >> PAGE_SHIFT));
}

static void path_absent(struct kvmmem_hostpath *path, u64 entry, unsigned long hva,
			enum kvmmem_size size)
{
	enum kvmmem_absent absent;
	unsigned long pfn;

	path->size = size;
	path->end = KVMMEM_HOST_NOTHING;
	if (!entry)
		return;
	absent = kvmmem_absent(__pte(entry), &pfn);
	switch (absent) {
	case KVMMEM_ABSENT_SWAP:
		path->end = KVMMEM_HOST_SWAP;
		break;
	case KVMMEM_ABSENT_PAGE:
	case KVMMEM_ABSENT_POISON:
		path_page(path, pfn, false, hva, size);
		path->end = absent == KVMMEM_ABSENT_PAGE ? KVMMEM_HOST_MOVING :
							   KVMMEM_HOST_POISON;
		break;
	case KVMMEM_ABSENT_NOTHING:
		break;
	}
}

/* From the top down. Interrupts are off. */
static void path_walk(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long hva,
		      struct kvmmem_hostpath *path)
{
	bool small = !(path->kind & KVMMEM_KIND_HUGETLB);
	pgd_t *pgdp = pgd_offset(mm, hva), pgd = READ_ONCE(*pgdp);
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;
	pte_t *ptep, pte;

	path->span = PGDIR_SIZE - (hva & ~PGDIR_MASK);
	if (pgtable_l5_enabled())
		path_step(path, 5, pgdp, pgd_val(pgd));
	if (pgd_none(pgd) || pgd_bad(pgd))
		return;
	p4dp = p4d_offset_lockless(pgdp, pgd, hva);
	p4d = READ_ONCE(*p4dp);
	path->span = P4D_SIZE - (hva & ~P4D_MASK);
	/* With four levels @p4dp is the copy that was looked at. */
	path_step(path, 4, pgtable_l5_enabled() ? (void *)p4dp : (void *)pgdp, p4d_val(p4d));
	if (p4d_none(p4d) || p4d_bad(p4d))
		return;
	pudp = pud_offset_lockless(&p4d, p4d, hva);
	pud = READ_ONCE(*pudp);
	path->span = PUD_SIZE - (hva & ~PUD_MASK);
	path_step(path, 3, pudp, pud_val(pud));
	if (!kvmmem_pud_is_there(pud)) {
		path_absent(path, pud_val(pud), hva, KVMMEM_1G);
		return;
	}
	if (pud_leaf(pud) || !pud_present(pud)) {
		path_page(path, pud_pfn(pud), small, hva, KVMMEM_1G);
		return;
	}
	if (pud_bad(pud))
		return;
	pmdp = pmd_offset(&pud, hva);
	pmd = READ_ONCE(*pmdp);
	path->span = PMD_SIZE - (hva & ~PMD_MASK);
	path_step(path, 2, pmdp, pmd_val(pmd));
	if (!pmd_present(pmd)) {
		path_absent(path, pmd_val(pmd), hva, KVMMEM_2M);
		return;
	}
	if (pmd_leaf(pmd)) {
		unsigned long pfn = pmd_pfn(pmd);
		bool zero = vma_is_anonymous(vma) && pfn_valid(pfn) &&
			    !kvmmem_page_is_anon(pfn_to_page(pfn));

		path_page(path, pfn, small && (zero || vma_is_dax(vma)), hva, KVMMEM_2M);
		return;
	}
	if (pmd_bad(pmd))
		return;
	ptep = pte_offset_kernel(&pmd, hva);
	pte = READ_ONCE(*ptep);
	path->span = PAGE_SIZE - (hva & ~PAGE_MASK);
	path_step(path, 1, ptep, pte_val(pte));
	if (pte_present(pte))
		path_page(path, pte_pfn(pte), pte_special(pte) ||
			  (vma_is_dax(vma) && is_zone_device_page(pte_page(pte))),
			  hva, KVMMEM_4K);
	else
		path_absent(path, pte_val(pte), hva, KVMMEM_4K);
}

/* What has left nothing in the page tables may have a place in its file. */
static void path_look_in_file(struct vm_area_struct *vma, unsigned long hva,
			      struct kvmmem_hostpath *path)
{
	if (path->end != KVMMEM_HOST_NOTHING || path->kind != KVMMEM_KIND_SHMEM)
		return;
	if (xa_is_value(xa_load(&vma->vm_file->f_mapping->i_pages,
				linear_page_index(vma, hva))))
		path->end = KVMMEM_HOST_SWAP;
	path->span = min_t(u64, path->span, PAGE_SIZE - (hva & ~PAGE_MASK));
}

/**
 * kvmmem_hostpath_locked - the way to one address
 * @mm: whose page tables; its user makes sure that they stay
 * @hva: the address
 * @path: where to
 *
 * Context: the mmap lock is held for reading.
 */
void kvmmem_hostpath_locked(struct mm_struct *mm, unsigned long hva,
			    struct kvmmem_hostpath *path)
{
	struct vm_area_struct *vma = find_vma(mm, hva);
	struct rw_semaphore *sharing;
	unsigned long flags;

	memset(path, 0, sizeof(*path));
	path->node = -1;
	path->end = KVMMEM_HOST_NO_VMA;
	path->span = PAGE_SIZE - (hva & ~PAGE_MASK);
	if (!vma || vma->vm_start > hva)
		return;
	path->kind = kvmmem_host_kind(vma);
	path->end = KVMMEM_HOST_DEVICE;
	if (path->kind & KVMMEM_KIND_DEVICE)
		return;
	path->end = KVMMEM_HOST_BUSY;
	sharing = kvmmem_host_sharing(vma);
	if (sharing && !down_read_trylock(sharing))
		return;
	path->end = KVMMEM_HOST_NOTHING;
	local_irq_save(flags);
	path_walk(mm, vma, hva, path);
	local_irq_restore(flags);
	if (sharing)
		up_read(sharing);
	path_look_in_file(vma, hva, path);
	path->span = min_t(u64, path->span, vma->vm_end - hva);
}

/**
 * kvmmem_hostpath - the way to one address
 * @mm: whose page tables; its user makes sure that they stay
 * @hva: the address
 * @path: where to
 *
 * Nothing is faulted in. Does not wait for the mmap lock. Context: may sleep.
 */
void kvmmem_hostpath(struct mm_struct *mm, unsigned long hva, struct kvmmem_hostpath *path)
{
	if (mmap_read_trylock(mm)) {
		kvmmem_hostpath_locked(mm, hva, path);
		mmap_read_unlock(mm);
		return;
	}
	memset(path, 0, sizeof(*path));
	path->node = -1;
	path->end = KVMMEM_HOST_BUSY;
	path->span = PAGE_SIZE - (hva & ~PAGE_MASK);
}

/**
 * kvmmem_host_has_mapping - does the host map something there, that KVM could map?
 * @path: the way to an address
 *
 * Return: true if so.
 */
bool kvmmem_host_has_mapping(const struct kvmmem_hostpath *path)
{
	return path->end == KVMMEM_HOST_PAGE || path->end == KVMMEM_HOST_ZERO;
}

/**
 * kvmmem_host_has_page - does a page in memory belong there?
 * @path: the way to an address
 *
 * Return: true if so, though perhaps nothing may use it just now, or ever again.
 */
bool kvmmem_host_has_page(const struct kvmmem_hostpath *path)
{
	return kvmmem_host_has_mapping(path) || path->end == KVMMEM_HOST_MOVING ||
	       path->end == KVMMEM_HOST_POISON;
}
