// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guest.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

static const char help[] =
"Usage: kvmguest [OPTION]...\n"
"Run exactly specified guests under /dev/kvm and print beforehand how often\n"
"they will leave the second-level page tables.\n"
"\n"
"Memory\n"
"  --pages N           pages of 4K that the guest touches in all (default 256)\n"
"  --stride N          pages from one touched page to the next (1)\n"
"  --page-size 4k|2m   what the host is asked to put behind them (4k)\n"
"  --backing KIND      anon, thp (anon with 2m), hugetlb2m, hugetlb1g, memfd,\n"
"                      memfd-hugetlb, shmem or file:PATH (anon)\n"
"  --prefault          the VMM writes the pages before the guest runs\n"
"  --misalign          guest and host addresses differ by 4K modulo 2M\n"
"  --readonly-slot     KVM_MEM_READONLY; a guest's write is an MMIO exit\n"
"  --slots N           spread the pages over N slots (1)\n"
"  --slot-mb N         size of each slot (just large enough)\n"
"  --alias             one more slot on the memory of the first\n"
"  --display           one more slot whose writes are logged, as a display's\n"
"  --toggle-display    its log goes off and on all the while the guest runs\n"
"  --punch N           after the run, drop every Nth page of each slot\n"
"  --advise WHAT       madvise() after the run: pageout, mergeable, collapse,\n"
"                      nohugepage or dontneed\n"
"What the guest does\n"
"  --access LIST       read, write, exec, in this order in each round (write);\n"
"                      read never writes, exec jumps to a stub in each page\n"
"  --rounds R          touch everything R times (1)\n"
"  --drop              MADV_DONTNEED of all slots between rounds\n"
"  --drop-thread N     rounds without end, until another thread dropped the\n"
"                      memory N times, each time after it was touched\n"
"  --dirty-log[=R]     turn dirty logging on after round R (1)\n"
"  --dirty-log-off=R   and off again after round R\n"
"  --harvest           fetch the log after each round in between\n"
"  --manual-protect[=init-set]  protect when the log is cleared, not when it\n"
"                      is fetched; init-set: nor when logging begins\n"
"  --dirty-ring N      a ring of N entries for each vCPU, no bitmaps\n"
"  --mmio N            N reads of an address without memory, in each round\n"
"  --mmio-pages M      over M different pages (1)\n"
"  --plug              and after round 1 memory comes there\n"
"  --ioeventfd         or N writes, and KVM serves them by an eventfd\n"
"  --mmio-ms MS        the VMM takes so long for each\n"
"  --walk              map each page by a page table of its own\n"
"  --mode long|flat    64-bit with page tables, or 32-bit without (long)\n"
"  --op OP --ops N     N times cr3, invlpg, invpcid, cr4pge, hlt, io, spin,\n"
"                      pvflush (with --steal-time), hvflush or hvrange (by\n"
"                      Hyper-V's interface), nested, nested-vpid,\n"
"                      nested-missing or nested-reserved (a guest of the guest\n"
"                      runs; it halts, or touches what its hypervisor's own\n"
"                      tables have no good entry for) in round 1, after touching\n"
"  --steal-time        the guest enables MSR_KVM_STEAL_TIME first\n"
"Processors and life\n"
"  --vcpus N           one thread each; the pages are divided (1)\n"
"  --share same|own    or all touch all pages (own)\n"
"  --turns             one vCPU at a time, so that counts stay exact\n"
"  --pin LIST          processors of vCPU 0, 1, ...\n"
"  --migrate N         the vCPUs move N times to the next processor\n"
"  --come-back         and back before the guest runs\n"
"  --vms N             so many such guests in this process (1)\n"
"  --forever           rounds until killed, or for\n"
"  --seconds S         so long\n"
"  --create-only N     only create and destroy N VMs with a vCPU, in a row\n"
"After the run, while the VM lives\n"
"  --then CMD          sh -c CMD with KVMGUEST_ID (as in KVM's debugfs: pid-fd;\n"
"                      KVMGUEST_IDS for all VMs) and KVMGUEST_PID\n"
"  --each CMD          the same after each round, with KVMGUEST_ROUND\n"
"  --fail-entry        first, each vCPU fails a VM entry, as KVM may log\n"
"  --hold FIFO         wait until somebody writes to FIFO\n"
"  --close-then-hold   close the VM before that\n"
"  --help\n"
"\n"
"Exit status: 0 done, 1 failed, 2 usage, 77 the machine lacks a feature.\n";

enum {
	O_PAGES = 256, O_STRIDE, O_PAGE_SIZE, O_BACKING, O_PREFAULT,
	O_MISALIGN, O_READONLY, O_SLOTS, O_SLOT_MB, O_ADVISE, O_ACCESS,
	O_ROUNDS, O_DROP, O_DROP_THREAD, O_DIRTY_LOG, O_DIRTY_OFF, O_MMIO,
	O_MMIO_PAGES, O_WALK, O_MODE, O_OP, O_OPS, O_STEAL, O_VCPUS, O_SHARE,
	O_TURNS, O_PIN, O_MIGRATE, O_VMS, O_FOREVER, O_SECONDS, O_CREATE,
	O_THEN, O_HOLD, O_CLOSE, O_ALIAS, O_DISPLAY, O_PLUG, O_COME_BACK, O_PUNCH,
	O_IOEVENTFD, O_MMIO_MS,
	O_TOGGLE, O_FAIL, O_HARVEST, O_MANUAL, O_RING, O_EACH, O_HELP,
};

static const struct option longopts[] = {
	{ "pages", 1, 0, O_PAGES }, { "stride", 1, 0, O_STRIDE },
	{ "page-size", 1, 0, O_PAGE_SIZE }, { "backing", 1, 0, O_BACKING },
	{ "prefault", 0, 0, O_PREFAULT }, { "misalign", 0, 0, O_MISALIGN },
	{ "readonly-slot", 0, 0, O_READONLY }, { "slots", 1, 0, O_SLOTS },
	{ "slot-mb", 1, 0, O_SLOT_MB }, { "advise", 1, 0, O_ADVISE },
	{ "access", 1, 0, O_ACCESS }, { "rounds", 1, 0, O_ROUNDS },
	{ "drop", 0, 0, O_DROP }, { "drop-thread", 1, 0, O_DROP_THREAD },
	{ "dirty-log", 2, 0, O_DIRTY_LOG },
	{ "dirty-log-off", 1, 0, O_DIRTY_OFF },
	{ "harvest", 0, 0, O_HARVEST }, { "manual-protect", 2, 0, O_MANUAL },
	{ "dirty-ring", 1, 0, O_RING }, { "each", 1, 0, O_EACH },
	{ "mmio", 1, 0, O_MMIO }, { "mmio-pages", 1, 0, O_MMIO_PAGES },
	{ "walk", 0, 0, O_WALK }, { "mode", 1, 0, O_MODE },
	{ "op", 1, 0, O_OP }, { "ops", 1, 0, O_OPS },
	{ "steal-time", 0, 0, O_STEAL }, { "vcpus", 1, 0, O_VCPUS },
	{ "share", 1, 0, O_SHARE }, { "turns", 0, 0, O_TURNS },
	{ "pin", 1, 0, O_PIN }, { "migrate", 1, 0, O_MIGRATE },
	{ "vms", 1, 0, O_VMS }, { "forever", 0, 0, O_FOREVER },
	{ "seconds", 1, 0, O_SECONDS }, { "create-only", 1, 0, O_CREATE },
	{ "then", 1, 0, O_THEN }, { "hold", 1, 0, O_HOLD },
	{ "close-then-hold", 0, 0, O_CLOSE },
	{ "alias", 0, 0, O_ALIAS }, { "display", 0, 0, O_DISPLAY },
	{ "toggle-display", 0, 0, O_TOGGLE },
	{ "ioeventfd", 0, 0, O_IOEVENTFD }, { "mmio-ms", 1, 0, O_MMIO_MS },
	{ "plug", 0, 0, O_PLUG }, { "come-back", 0, 0, O_COME_BACK },
	 { "punch", 1, 0, O_PUNCH },
	{ "fail-entry", 0, 0, O_FAIL }, { "help", 0, 0, O_HELP },
	{ 0, 0, 0, 0 }
};

struct word {
	const char *name;
	int value;
};

static const struct word accesses[] = {
	{ "read", ACC_READ }, { "write", ACC_WRITE }, { "exec", ACC_EXEC }, {}
};

static const struct word ops[] = {
	{ "none", OP_NONE }, { "cr3", OP_CR3 }, { "invlpg", OP_INVLPG },
	{ "invpcid", OP_INVPCID }, { "cr4pge", OP_CR4PGE }, { "hlt", OP_HLT },
	{ "io", OP_IO }, { "spin", OP_SPIN }, { "pvflush", OP_PVFLUSH },
	{ "nested", OP_NESTED }, { "nested-vpid", OP_NESTED_VPID },
	{ "nested-missing", OP_NESTED_MISSING },
	{ "nested-reserved", OP_NESTED_RESERVED },
	{ "hvflush", OP_HVFLUSH }, { "hvrange", OP_HVRANGE }, {}
};

static const struct word advices[] = {
	{ "pageout", MADV_PAGEOUT }, { "mergeable", MADV_MERGEABLE },
	{ "collapse", MADV_COLLAPSE }, { "nohugepage", MADV_NOHUGEPAGE },
	{ "dontneed", MADV_DONTNEED }, {}
};

static const struct word backings[] = {
	{ "anon", BACK_ANON }, { "thp", BACK_ANON },
	{ "hugetlb2m", BACK_HUGETLB }, { "hugetlb1g", BACK_HUGETLB_1G }, { "memfd", BACK_MEMFD },
	{ "memfd-hugetlb", BACK_MEMFD_HUGETLB }, { "shmem", BACK_SHMEM }, {}
};

static const struct word manuals[] = {
	{ "init-set", KVM_DIRTY_LOG_INITIALLY_SET }, {}
};

static const struct word modes[] = { { "long", 0 }, { "flat", 1 }, {} };
static const struct word shares[] = { { "own", 0 }, { "same", 1 }, {} };
static const struct word sizes[] = { { "4k", 0 }, { "2m", 1 }, {} };

static int lookup(const struct word *words, const char *what, const char *arg)
{
	for (; words->name; words++)
		if (!strcmp(words->name, arg))
			return words->value;
	die(EXIT_USAGE, "--%s: '%s' is none of the choices, see --help",
	    what, arg);
}

static unsigned long number(const char *what, const char *arg,
			    unsigned long min, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(arg, &end, 10);

	if (end == arg || *end || *arg == '-' || n < min || n > max)
		die(EXIT_USAGE, "--%s: '%s' is not a number from %lu to %lu",
		    what, arg, min, max);
	return n;
}

static void parse_list(struct options *opt, int what, char *arg)
{
	char *save = NULL, *word = strtok_r(arg, ",", &save);

	if (what == O_ACCESS)
		opt->nr_access = 0;
	for (; word; word = strtok_r(NULL, ",", &save)) {
		if (what == O_ACCESS) {
			if (opt->nr_access == MAX_ACCESSES)
				die(EXIT_USAGE, "--access: too many");
			opt->access[opt->nr_access++] =
				lookup(accesses, "access", word);
		} else {
			if (opt->nr_pin == MAX_VCPUS)
				die(EXIT_USAGE, "--pin: too many");
			opt->pin[opt->nr_pin++] = number("pin", word, 0, 1023);
		}
	}
}

static void check(struct options *opt)
{
	bool hugetlb = opt->backing == BACK_HUGETLB ||
		       opt->backing == BACK_HUGETLB_1G ||
		       opt->backing == BACK_MEMFD_HUGETLB;

	if (hugetlb)
		opt->huge = true;
	if (opt->pages % opt->slots)
		die(EXIT_USAGE, "--pages must be a multiple of --slots");
	if (!opt->share && opt->pages % opt->vcpus)
		die(EXIT_USAGE, "--pages must be a multiple of --vcpus");
	if (opt->huge && opt->vcpus > 1 && !opt->share &&
	    opt->pages / opt->vcpus * opt->stride % HUGE_PAGES)
		die(EXIT_USAGE, "2m: a vCPU's share must be whole 2M pages");
	if (opt->mmio % opt->mmio_pages)
		die(EXIT_USAGE, "--mmio must be a multiple of --mmio-pages");
	if (opt->plug && !opt->mmio)
		die(EXIT_USAGE, "--plug needs --mmio");
	if (opt->op == OP_PVFLUSH && !opt->steal_time)
		die(EXIT_USAGE, "--op pvflush needs --steal-time");
	if ((is_nested(opt->op) || is_hyperv(opt->op)) && opt->flat)
		die(EXIT_USAGE, "--op nested and hvrange need --mode long");
	if (opt->dirty_off && opt->dirty_off <= opt->dirty_on)
		die(EXIT_USAGE, "--dirty-log-off must come after --dirty-log");
	if (opt->dirty_off && !opt->dirty_on)
		die(EXIT_USAGE, "--dirty-log-off needs --dirty-log");
	if (opt->harvest && !opt->dirty_on)
		die(EXIT_USAGE, "--harvest needs --dirty-log");
	if (opt->flat && opt->walk)
		die(EXIT_USAGE, "--walk needs --mode long");
	if (opt->flat && (opt->slots * opt->slot_mb > 2048 ||
			  opt->pages * opt->stride > (2UL << 30) / PAGE))
		die(EXIT_USAGE, "--mode flat has room for 2048 MB");
	if (opt->readonly && opt->dirty_on)
		die(EXIT_USAGE, "a read-only slot has no dirty log");
}

void parse_options(int argc, char **argv, struct options *opt)
{
	int c;

	*opt = (struct options) {
		.pages = 256, .stride = 1, .slots = 1, .rounds = 1,
		.access = { ACC_WRITE }, .nr_access = 1, .vcpus = 1, .vms = 1,
		.mmio_pages = 1, .advice = -1,
	};

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case O_PAGES:
			opt->pages = number("pages", optarg, 0, 1UL << 24);
			break;
		case O_STRIDE:
			opt->stride = number("stride", optarg, 1, 1UL << 18);
			break;
		case O_PAGE_SIZE:
			opt->huge = lookup(sizes, "page-size", optarg);
			break;
		case O_BACKING:
			if (!strncmp(optarg, "file:", 5) && optarg[5]) {
				opt->backing = BACK_FILE;
				opt->path = optarg + 5;
				break;
			}
			opt->backing = lookup(backings, "backing", optarg);
			if (!strcmp(optarg, "thp"))
				opt->huge = true;
			break;
		case O_PREFAULT:
			opt->prefault = true;
			break;
		case O_MISALIGN:
			opt->misalign = true;
			break;
		case O_READONLY:
			opt->readonly = true;
			break;
		case O_SLOTS:
			opt->slots = number("slots", optarg, 1, MAX_SLOTS);
			break;
		case O_SLOT_MB:
			opt->slot_mb = number("slot-mb", optarg, 1, 1UL << 20);
			break;
		case O_ADVISE:
			opt->advice = lookup(advices, "advise", optarg);
			break;
		case O_ACCESS:
		case O_PIN:
			parse_list(opt, c, optarg);
			break;
		case O_ROUNDS:
			opt->rounds = number("rounds", optarg, 1, UINT_MAX);
			break;
		case O_DROP:
			opt->drop = true;
			break;
		case O_DROP_THREAD:
			opt->drop_thread = number("drop-thread", optarg, 1,
						  UINT_MAX);
			break;
		case O_DIRTY_LOG:
			opt->dirty_on = optarg ? number("dirty-log", optarg, 1,
							UINT_MAX) : 1;
			break;
		case O_DIRTY_OFF:
			opt->dirty_off = number("dirty-log-off", optarg, 1,
						UINT_MAX);
			break;
		case O_HARVEST:
			opt->harvest = true;
			break;
		case O_MANUAL:
			opt->manual = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
				      (optarg ? lookup(manuals, "manual-protect",
						       optarg) : 0);
			break;
		case O_RING:
			opt->dirty_ring = number("dirty-ring", optarg, 256, 65536);
			break;
		case O_EACH:
			opt->each = optarg;
			break;
		case O_MMIO:
			opt->mmio = number("mmio", optarg, 0, 1UL << 30);
			break;
		case O_MMIO_PAGES:
			opt->mmio_pages = number("mmio-pages", optarg, 1, 4096);
			break;
		case O_WALK:
			opt->walk = true;
			break;
		case O_MODE:
			opt->flat = lookup(modes, "mode", optarg);
			break;
		case O_OP:
			opt->op = lookup(ops, "op", optarg);
			break;
		case O_OPS:
			opt->ops = number("ops", optarg, 0, 1UL << 31);
			break;
		case O_STEAL:
			opt->steal_time = true;
			break;
		case O_VCPUS:
			opt->vcpus = number("vcpus", optarg, 1, MAX_VCPUS);
			break;
		case O_SHARE:
			opt->share = lookup(shares, "share", optarg);
			break;
		case O_TURNS:
			opt->turns = true;
			break;
		case O_MIGRATE:
			opt->migrate = number("migrate", optarg, 1, UINT_MAX);
			break;
		case O_VMS:
			opt->vms = number("vms", optarg, 1, MAX_VMS);
			break;
		case O_FOREVER:
			opt->forever = true;
			break;
		case O_SECONDS:
			opt->seconds = number("seconds", optarg, 1, 86400);
			opt->forever = true;
			break;
		case O_CREATE:
			opt->create_only = number("create-only", optarg, 1,
						  1000000);
			break;
		case O_THEN:
			opt->then = optarg;
			break;
		case O_HOLD:
			opt->hold = optarg;
			break;
		case O_CLOSE:
			opt->close_then_hold = true;
			break;
		case O_ALIAS:
			opt->alias = true;
			break;
		case O_PLUG:
			opt->plug = true;
			break;
		case O_IOEVENTFD:
			opt->ioeventfd = true;
			break;
		case O_MMIO_MS:
			opt->mmio_ms = number("mmio-ms", optarg, 1, 10000);
			break;
		case O_COME_BACK:
			opt->come_back = true;
			break;
		case O_DISPLAY:
			opt->display = true;
			break;
		case O_TOGGLE:
			opt->display = opt->toggle_display = true;
			break;
		case O_PUNCH:
			opt->punch = number("punch", optarg, 1, UINT_MAX);
			break;
		case O_FAIL:
			opt->fail_entry = true;
			break;
		case O_HELP:
			fputs(help, stdout);
			exit(0);
		default:
			die(EXIT_USAGE, "see --help");
		}
	}
	if (optind < argc)
		die(EXIT_USAGE, "'%s': no such argument, see --help",
		    argv[optind]);
	check(opt);
}
