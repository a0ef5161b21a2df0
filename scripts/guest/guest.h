/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KVMGUEST_H
#define KVMGUEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <linux/kvm.h>

#define PAGE		4096UL
#define HUGE		(2UL << 20)
#define HUGE_PAGES	(HUGE / PAGE)
#define GIGA		(1UL << 30)
#define ROUND_UP(x, a)	(((x) + (a) - 1) / (a) * (a))

#define MAX_VCPUS	64
#define MAX_SLOTS	400
#define MAX_VMS		96
#define MAX_ACCESSES	8

#define EXIT_USAGE	2
#define EXIT_LACKING	77	/* the processor or kernel lacks a feature */

enum backing {
	BACK_ANON, BACK_HUGETLB, BACK_HUGETLB_1G, BACK_MEMFD, BACK_MEMFD_HUGETLB, BACK_SHMEM,
	BACK_FILE,
};

enum access { ACC_READ, ACC_WRITE, ACC_EXEC };

enum op {
	OP_NONE, OP_CR3, OP_INVLPG, OP_INVPCID, OP_CR4PGE, OP_HLT, OP_IO,
	OP_SPIN, OP_PVFLUSH, OP_NESTED, OP_NESTED_VPID,
	OP_NESTED_MISSING, OP_NESTED_RESERVED,
	OP_HVFLUSH, OP_HVRANGE,
};

struct options {
	unsigned long pages;
	unsigned long stride;
	bool huge;		/* ask for 2M pages behind the slots */
	enum backing backing;
	const char *path;
	bool misalign;
	bool readonly;
	unsigned int slots;
	unsigned long slot_mb;
	enum access access[MAX_ACCESSES];
	unsigned int nr_access;
	unsigned int rounds;
	bool drop;
	unsigned int drop_thread;
	bool prefault;
	unsigned int dirty_on;	/* after this round; 0: never */
	unsigned int dirty_off;
	bool harvest;		/* fetch the log after each round */
	unsigned int manual;	/* KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, and more */
	unsigned long dirty_ring;	/* entries; 0: bitmaps */
	const char *each;
	unsigned int vcpus;
	bool share;
	bool turns;
	unsigned long mmio;
	unsigned long mmio_pages;
	bool walk;
	bool flat;
	bool forever;
	unsigned int seconds;
	unsigned int vms;
	bool close_then_hold;
	unsigned int create_only;
	enum op op;
	unsigned long ops;
	bool steal_time;
	bool fail_entry;
	unsigned int migrate;
	bool come_back;		/* at once, without having run */
	int pin[MAX_VCPUS];
	unsigned int nr_pin;
	bool alias;		/* one more slot on the first one's memory */
	bool display;		/* one more slot that is logged, and not touched */
	bool toggle_display;	/* its log goes off and on all the while */
	bool ioeventfd;		/* behind --mmio, which writes then */
	unsigned int mmio_ms;
	bool plug;		/* memory comes where MMIO was; not foretold */
	unsigned int punch;	/* drop every so many pages; 0: none */
	int advice;		/* madvise() after the run; -1: none */
	const char *then;
	const char *hold;
};

struct slot {
	unsigned int id;
	unsigned int flags;
	uint64_t gpa;
	uint64_t size;
	unsigned long pages;	/* touched, stride apart */
	uint8_t *hva;
	void *map;
	size_t map_len;
	int fd;
};

struct vm;

struct vcpu {
	struct vm *vm;
	unsigned int index;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	int tid;
	/* Where its private pages are within the control slot, in pages. */
	unsigned long ctl_pml4, ctl_pdpt, ctl_pd, ctl_code, ctl_steal;
	unsigned long ctl_walk;	/* PDPT, PDs, PTs of --walk */
	unsigned long walk_pds;
	unsigned long ctl_nested;	/* two pages of --op nested, or five */
	unsigned long nested_fields;
	/* What it touches: pages [first, first + count) of all slots' pages. */
	unsigned long first, count;
	unsigned long io_exits, mmio_exits, hlt_exits, eintr;
	struct kvm_dirty_gfn *ring;
	unsigned long ring_next;	/* entry that is to be fetched */
	unsigned long rung;	/* entries fetched since the ring was full */
	unsigned long ring_exits;	/* since it was full */
};

struct vm {
	const struct options *opt;
	int kvm_fd, fd;
	bool amd;
	char id[32];
	struct slot ctl;
	struct slot *data;
	struct slot alias;
	struct slot display;
	struct slot plugged;
	unsigned long ctl_pages;
	unsigned int nr_vcpus;
	struct vcpu *vcpu;
	/* Threads: a barrier between rounds, and whose turn it is. */
	pthread_barrier_t barrier;
	pthread_barrier_t *all;	/* of all VMs: nobody starts or ends alone */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned int turn;
	unsigned long passes;	/* finished passes over the pages */
	volatile bool stop;
	bool stop_now;
	volatile bool done;	/* all vCPUs have ended */
	unsigned long toggles;
	pthread_t dropper;
	pthread_t toggler;
};

/* The machine that runs us, as far as it decides how KVM will fault. */
struct host {
	bool amd;
	bool tdp;		/* EPT or NPT in use */
	bool tdp_mmu;		/* KVM's newer MMU, without prefetch */
	bool ad;		/* EPT accessed and dirty bits */
	bool pml;
	bool nx_huge;
	bool eager_split;
	bool mmio_caching;
	bool unrestricted;
	unsigned int release;	/* major * 1000 + minor */
	unsigned int cpus;
};

/* Exits of one VM, foretold. */
struct expect {
	unsigned long read, write, exec, walk, protection, mmio, shadow;
	unsigned long emulated;	/* writes to read-only slots */
	unsigned long trace;	/* kvm:kvm_page_fault events */
	unsigned long pf_taken;	/* KVM's own count */
	bool exact;		/* else a lower bound */
};

/* guest physical layout */
#define CTL_GPA		0x100000UL
#define MMIO_GPA	0xd0000000UL
#define DATA_GPA_LONG	0x100000000UL
#define DATA_GPA_FLAT	0x40000000UL
#define WALK_GVA	(1UL << 39)

/* In the code page: what --op nested reads on Intel, and the input of hypercalls. */
#define NESTED_BLOCK	2048

static inline bool is_nested(enum op op)
{
	return op >= OP_NESTED && op <= OP_NESTED_RESERVED;
}

/* Has the guest second-level tables of its own for its guest? */
static inline bool has_tables(enum op op)
{
	return op == OP_NESTED_MISSING || op == OP_NESTED_RESERVED;
}

static inline bool is_hyperv(enum op op)
{
	return op == OP_HVFLUSH || op == OP_HVRANGE;
}

/* options.c */
void parse_options(int argc, char **argv, struct options *opt);

/* host.c */
void probe_host(struct host *host);
void __attribute__((noreturn, format(printf, 2, 3)))
die(int status, const char *fmt, ...);
void __attribute__((noreturn)) die_errno(const char *what);

/* memory.c */
void map_slots(struct vm *vm);
void register_slots(struct vm *vm);
void unmap_slots(struct vm *vm);
void drop_memory(struct vm *vm);
void check_drop(struct vm *vm);
void prefault_memory(struct vm *vm);
bool needs_prefault(const struct options *opt);
void set_dirty_log(struct vm *vm, bool on);
void plug_memory(struct vm *vm);
void toggle_display(struct vm *vm);
void set_eventfds(struct vm *vm);
void advise_memory(struct vm *vm);
void punch_memory(struct vm *vm);
void print_slots(const struct vm *vm);
void check_huge(struct vm *vm);
uint64_t page_gpa(const struct vm *vm, unsigned long index);

/* vcpu.c */
void plan_vcpus(struct vm *vm);
void build_tables(struct vm *vm);
void create_vcpu(struct vcpu *vcpu);
void destroy_vcpu(struct vcpu *vcpu);

/* dirty.c */
void setup_dirty(struct vm *vm);
void map_ring(struct vcpu *vcpu);
unsigned long empty_ring(struct vcpu *vcpu);
void harvest(struct vm *vm, unsigned int round);

/* nested.c */
void setup_nested(struct vcpu *vcpu, struct kvm_sregs *sregs);
void check_nested(const struct vcpu *vcpu);
uint64_t nested_exit(const struct vcpu *vcpu);
void fail_entry(struct vcpu *vcpu);

/* hyperv.c */
unsigned int hyperv_cpuid(struct kvm_cpuid_entry2 *entries, unsigned int n);
void setup_hyperv(struct vcpu *vcpu);
uint64_t hyperv_call(const struct vcpu *vcpu);

/* run.c */
void run_vcpu(struct vcpu *vcpu);

/* expect.c */
void compute_expect(const struct vm *vm, const struct host *host,
		    struct expect *exp);

#endif
