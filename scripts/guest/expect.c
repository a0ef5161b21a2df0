// SPDX-License-Identifier: GPL-2.0
/*
 * How often a guest will leave the second-level page tables: the accesses of
 * run.c, played in order against a model of KVM's MMU. The model is exact for
 * what our guests do; each of its rules names the function of KVM that makes it.
 */
#include <stdlib.h>
#include <string.h>

#include "guest.h"

/*
 * What the host's page tables hold for a page: nothing, the zero page, a page
 * that is write-protected but ours alone (private hugetlb that was only read),
 * a writable page.
 */
enum { HOST_NONE, HOST_ZERO, HOST_READ, HOST_PAGE };

/* What KVM's tables hold for it. */
#define SPTE_P		(1 << 0)
#define SPTE_W		(1 << 1)
#define SPTE_X		(1 << 2)
#define SPTE_ALL	(SPTE_P | SPTE_W | SPTE_X)

#define PREFETCH	8	/* PTE_PREFETCH_NUM */

enum touch { READ, WRITE, EXEC, WALK };

struct region {			/* 2M of guest memory */
	bool huge;		/* mapped by one entry */
	bool nx_split;		/* kept small for the iTLB multihit mitigation */
};

struct sim_slot {
	const struct slot *slot;
	unsigned long pages;
	uint8_t *host;
	uint8_t *spte;
	struct region *region;
	unsigned long gfn;
	bool host_huge;
	uint8_t hole_read;	/* what a read of a hole leaves there */
	bool readonly;
	bool dirty_log;
	bool huge_allowed;	/* addresses agree modulo 2M */
};

struct sim {
	const struct vm *vm;
	const struct host *host;
	struct expect *exp;
	struct sim_slot ctl;
	struct sim_slot *data;
	bool mmio_known;	/* KVM has an entry for each MMIO page */
	bool mmio_stale;	/* and slots have changed since */
};

static void init_slot(struct sim *sim, struct sim_slot *s,
		      const struct slot *slot, bool huge)
{
	s->slot = slot;
	s->pages = slot->size / PAGE;
	s->gfn = slot->gpa / PAGE;
	s->host = calloc(s->pages, 1);
	s->spte = calloc(s->pages, 1);
	s->region = calloc(s->pages / HUGE_PAGES + 2, sizeof(*s->region));
	if (!s->host || !s->spte || !s->region)
		die_errno("calloc");
	s->host_huge = huge;
	s->readonly = slot->flags & KVM_MEM_READONLY;
	s->huge_allowed = huge &&
		(slot->gpa - (uintptr_t)slot->hva) % HUGE == 0;
	s->hole_read = sim->vm->opt->backing == BACK_ANON ? HOST_ZERO :
		       sim->vm->opt->backing == BACK_HUGETLB ? HOST_READ :
							       HOST_PAGE;
}

static void free_slot(struct sim_slot *s)
{
	free(s->host);
	free(s->spte);
	free(s->region);
}

static struct region *region_of(struct sim_slot *s, unsigned long page)
{
	return &s->region[(s->gfn % HUGE_PAGES + page) / HUGE_PAGES];
}

/* The pages of the slot that share @page's 2M of guest memory. */
static void region_span(struct sim_slot *s, unsigned long page,
			unsigned long *first, unsigned long *end)
{
	unsigned long start = (s->gfn + page) / HUGE_PAGES * HUGE_PAGES;

	*first = start < s->gfn ? 0 : start - s->gfn;
	*end = start + HUGE_PAGES - s->gfn;
	if (*end > s->pages)
		*end = s->pages;
}

static void set_sptes(struct sim_slot *s, unsigned long page, uint8_t bits)
{
	unsigned long first, end;

	region_span(s, page, &first, &end);
	memset(s->spte + first, bits, end - first);
}

/* The host's tables change at the host's own alignment. */
static void set_host(struct sim_slot *s, unsigned long page, uint8_t state)
{
	unsigned long first = page / HUGE_PAGES * HUGE_PAGES;

	if (s->host_huge)
		memset(s->host + first, state,
		       s->pages - first < HUGE_PAGES ? s->pages - first :
						       HUGE_PAGES);
	else
		s->host[page] = state;
}

static void unmap_page(struct sim_slot *s, unsigned long page)
{
	struct region *region = region_of(s, page);

	if (region->huge)
		set_sptes(s, page, 0);
	region->huge = false;
	s->spte[page] = 0;
}

/*
 * hva_to_pfn(): bring the page in. True if that went through an mmu notifier
 * (breaking COW of the zero page), so that is_page_fault_stale() lets the guest
 * fault once more.
 */
static bool fault_in(struct sim_slot *s, unsigned long page, bool write)
{
	if (!write) {
		if (s->host[page] == HOST_NONE)
			set_host(s, page, s->hole_read);
		return false;
	}
	if (s->host[page] == HOST_ZERO) {
		set_host(s, page, HOST_PAGE);
		unmap_page(s, page);
		return true;
	}
	set_host(s, page, HOST_PAGE);
	return false;
}

/*
 * direct_pte_prefetch(), of the shadow MMU and of kernels without TDP MMU. That
 * of 5.10 misses the run of empty entries that ends the group, that of 6.1 does
 * not.
 */
static void prefetch(struct sim *sim, struct sim_slot *s, unsigned long page)
{
	long start = (long)((s->gfn + page) / PREFETCH * PREFETCH) -
		     (long)s->gfn;
	long i, end, last = start + PREFETCH;

	if (sim->host->tdp_mmu || (!sim->host->ad && !sim->host->amd &&
				   sim->host->tdp))
		return;
	if (s->dirty_log || s->readonly)
		return;
	for (i = start; i < last; i = end + 1) {
		/* A run of empty entries ends at a mapped one. */
		for (end = i; end < last; end++)
			if (end >= 0 && end < (long)s->pages && s->spte[end])
				break;
		if (end == i)
			continue;
		if (end == last && sim->host->release < 6001)
			return;
		/* gfn_to_hva_many() wants all of it within the slot. */
		if (i < 0 || end > (long)s->pages || s->host[i] != HOST_PAGE)
			return;
		for (; i < end && s->host[i] == HOST_PAGE; i++)
			s->spte[i] = SPTE_ALL;
	}
}

static bool want_huge(struct sim *sim, struct sim_slot *s, unsigned long page,
		      enum touch touch)
{
	struct region *region = region_of(s, page);
	unsigned long first, end;

	region_span(s, page, &first, &end);
	if (!s->huge_allowed || s->dirty_log || end - first < HUGE_PAGES)
		return false;
	/* disallowed_hugepage_adjust() */
	if (sim->host->nx_huge && (touch == EXEC || region->nx_split)) {
		region->nx_split = true;
		return false;
	}
	return true;
}

/* kvm_tdp_mmu_map() or direct_map() */
static void map_page(struct sim *sim, struct sim_slot *s, unsigned long page,
		     enum touch touch)
{
	struct region *region = region_of(s, page);
	uint8_t bits = SPTE_ALL;

	if (s->host[page] != HOST_PAGE || s->readonly)
		bits &= ~SPTE_W;
	if (want_huge(sim, s, page, touch)) {
		if (sim->host->nx_huge)
			bits &= ~SPTE_X;
		region->huge = true;
		set_sptes(s, page, bits);
		return;
	}
	if (region->huge) {
		/*
		 * The TDP MMU splits the huge entry from 6.2 on (and makes its
		 * parts executable); before that, and in the shadow MMU, it is
		 * dropped for the one page.
		 */
		uint8_t old = s->spte[page] | SPTE_X;

		region->huge = false;
		set_sptes(s, page, 0);
		if (sim->host->tdp_mmu && sim->host->release >= 6002)
			set_sptes(s, page, old);
	}
	s->spte[page] = bits;
	prefetch(sim, s, page);
}

static void count_fault(struct sim *sim, enum touch touch, bool protection)
{
	struct expect *exp = sim->exp;

	exp->trace++;
	exp->pf_taken++;
	if (!sim->host->tdp) {
		exp->shadow++;
		return;
	}
	exp->protection += protection;
	if (touch == WALK) {
		/*
		 * AMD, and Intel with EPT A/D bits, treat accesses to guest
		 * page tables as writes.
		 */
		exp->walk++;
		if (sim->host->amd || sim->host->ad)
			exp->write++;
		else
			exp->read++;
	} else if (touch == READ) {
		exp->read++;
	} else if (touch == WRITE) {
		exp->write++;
	} else {
		exp->exec++;
	}
}

static void touch(struct sim *sim, struct sim_slot *s, unsigned long page,
		  enum touch touch)
{
	bool write = touch == WRITE ||
		(touch == WALK && (sim->host->amd || sim->host->ad));
	uint8_t need = SPTE_P | (write ? SPTE_W : 0) |
		       (touch == EXEC ? SPTE_X : 0);

	while ((s->spte[page] & need) != need) {
		bool present = s->spte[page] & SPTE_P;

		count_fault(sim, touch, present);
		/* KVM_PFN_ERR_RO_FAULT: emulated, nothing is mapped. */
		if (write && s->readonly) {
			sim->exp->emulated++;
			return;
		}
		/* fast_page_fault() of a write-protected page */
		if (write && present && s->host[page] == HOST_PAGE &&
		    !region_of(s, page)->huge) {
			s->spte[page] |= SPTE_W;
			continue;
		}
		if (!fault_in(s, page, write))
			map_page(sim, s, page, touch);
	}
}

/* A walk of the guest's tables up to the entry that maps the address. */
static void walk(struct sim *sim, const struct vcpu *vcpu, uint64_t gva)
{
	if (!sim->host->tdp || sim->vm->opt->flat)
		return;
	touch(sim, &sim->ctl, vcpu->ctl_pml4, WALK);
	if (gva >= WALK_GVA) {
		unsigned long i = (gva - WALK_GVA) / HUGE;
		unsigned long pd = vcpu->ctl_walk + 1;

		touch(sim, &sim->ctl, vcpu->ctl_walk, WALK);
		touch(sim, &sim->ctl, pd + i / 512, WALK);
		touch(sim, &sim->ctl, pd + vcpu->walk_pds + i, WALK);
		return;
	}
	touch(sim, &sim->ctl, vcpu->ctl_pdpt, WALK);
	touch(sim, &sim->ctl, vcpu->ctl_pd + (gva >> 30), WALK);
}

static void touch_pages(struct sim *sim, const struct vcpu *vcpu,
			enum access access)
{
	const struct options *opt = sim->vm->opt;
	unsigned long per_slot = opt->pages / opt->slots, i, index;
	static const enum touch touches[] = {
		[ACC_READ] = READ, [ACC_WRITE] = WRITE, [ACC_EXEC] = EXEC,
	};

	for (i = 0; i < vcpu->count; i++) {
		index = vcpu->first + i;
		walk(sim, vcpu, opt->walk ? WALK_GVA + i * HUGE :
					    page_gpa(sim->vm, index));
		touch(sim, &sim->data[index / per_slot],
		      index % per_slot * opt->stride, touches[access]);
	}
}

/*
 * A first access to an address without a slot faults and leaves an MMIO entry
 * there. Later ones are EPT misconfigurations on Intel, which the tracepoint
 * does not see, and nested page faults with the reserved bit on AMD, which
 * pf_taken does not count, unless the slots have changed (check_mmio_spte()).
 */
static void touch_mmio(struct sim *sim, const struct vcpu *vcpu)
{
	const struct options *opt = sim->vm->opt;
	bool caching = sim->host->mmio_caching;
	bool marked = sim->host->amd || !sim->host->tdp;
	struct expect *exp = sim->exp;
	unsigned long fresh = opt->mmio;

	if (!opt->mmio)
		return;
	walk(sim, vcpu, MMIO_GPA);
	exp->mmio += opt->mmio;
	if (caching)
		fresh = sim->mmio_known ? 0 : opt->mmio_pages;
	exp->trace += marked ? opt->mmio : fresh;
	exp->pf_taken += fresh;
	if (caching && sim->mmio_known && sim->mmio_stale)
		exp->pf_taken += opt->mmio_pages;
	sim->mmio_known = true;
	sim->mmio_stale = false;
}

static void prefault(struct sim *sim)
{
	const struct options *opt = sim->vm->opt;
	unsigned long page;
	unsigned int i;

	for (i = 0; i < opt->slots; i++)
		for (page = 0; page < sim->data[i].slot->pages; page++)
			set_host(&sim->data[i], page * opt->stride, HOST_PAGE);
}

static void drop(struct sim *sim)
{
	unsigned long r;
	unsigned int i;

	for (i = 0; i < sim->vm->opt->slots; i++) {
		struct sim_slot *s = &sim->data[i];

		memset(s->host, HOST_NONE, s->pages);
		memset(s->spte, 0, s->pages);
		for (r = 0; r < s->pages / HUGE_PAGES + 2; r++)
			s->region[r].huge = false;
	}
	if (needs_prefault(sim->vm->opt))
		prefault(sim);
}

/* When logging begins, and each time when what was written to has been fetched. */
static void protect(struct sim *sim, struct sim_slot *s)
{
	unsigned long page;

	for (page = 0; page < s->pages; page++) {
		struct region *region = region_of(s, page);

		if (region->huge && sim->host->eager_split && sim->host->tdp_mmu)
			region->huge = false;
		if (!sim->host->pml || region->huge)
			s->spte[page] &= ~SPTE_W;
	}
}

/* kvm_mmu_slot_apply_flags() */
static void dirty_log(struct sim *sim, struct sim_slot *s, bool on)
{
	unsigned long page;

	s->dirty_log = on;
	if (on && !(sim->vm->opt->manual & KVM_DIRTY_LOG_INITIALLY_SET))
		protect(sim, s);
	for (page = 0; !on && page < s->pages; page++) {
		struct region *region = region_of(s, page);

		if (!s->spte[page] || region->huge || !want_huge(sim, s, page, READ))
			continue;
		/* From 6.13 on made huge again in place. */
		if (sim->host->release >= 6013) {
			region->huge = true;
			set_sptes(s, page, s->spte[page]);
		} else {
			set_sptes(s, page, 0);
		}
	}
}

static void between_rounds(struct sim *sim, unsigned int round)
{
	const struct options *opt = sim->vm->opt;
	unsigned int i;

	for (i = 0; opt->harvest && i < opt->slots; i++)
		if (sim->data[i].dirty_log)
			protect(sim, &sim->data[i]);
	if (round == opt->dirty_on || round == opt->dirty_off)
		sim->mmio_stale = true;
	for (i = 0; i < opt->slots; i++) {
		if (round == opt->dirty_on)
			dirty_log(sim, &sim->data[i], true);
		if (round == opt->dirty_off)
			dirty_log(sim, &sim->data[i], false);
	}
	if (opt->drop)
		drop(sim);
}

static void play(struct sim *sim)
{
	const struct options *opt = sim->vm->opt;
	unsigned int round, v, i;

	for (round = 1; round <= opt->rounds; round++) {
		for (v = 0; v < opt->vcpus; v++) {
			const struct vcpu *vcpu = &sim->vm->vcpu[v];
			uint64_t code = CTL_GPA + vcpu->ctl_code * PAGE;

			walk(sim, vcpu, code);
			touch(sim, &sim->ctl, vcpu->ctl_code, EXEC);
			for (i = 0; i < opt->nr_access; i++)
				touch_pages(sim, vcpu, opt->access[i]);
			if (v == 0)
				touch_mmio(sim, vcpu);
		}
		if (round < opt->rounds)
			between_rounds(sim, round);
	}
}

void compute_expect(const struct vm *vm, const struct host *host,
		    struct expect *exp)
{
	const struct options *opt = vm->opt;
	struct sim sim = { .vm = vm, .host = host, .exp = exp };
	unsigned int i;

	memset(exp, 0, sizeof(*exp));
	sim.data = calloc(opt->slots, sizeof(*sim.data));
	if (!sim.data)
		die_errno("calloc");
	init_slot(&sim, &sim.ctl, &vm->ctl, false);
	memset(sim.ctl.host, HOST_PAGE, sim.ctl.pages);
	for (i = 0; i < opt->slots; i++)
		init_slot(&sim, &sim.data[i], &vm->data[i], opt->huge);
	if (needs_prefault(opt))
		prefault(&sim);

	play(&sim);

	/*
	 * vCPUs that fault at the same moment may each fault for the same
	 * page, or be sent back for a table that another was installing. Up to
	 * 5.12 another VM of this process that drops memory does it, too.
	 */
	exp->exact = !opt->forever && !opt->drop_thread && !is_nested(opt->op) &&
		     (opt->vcpus == 1 || opt->turns) &&
		     (opt->vms == 1 || !opt->drop || host->release >= 5013);
	free_slot(&sim.ctl);
	for (i = 0; i < opt->slots; i++)
		free_slot(&sim.data[i]);
	free(sim.data);
}
