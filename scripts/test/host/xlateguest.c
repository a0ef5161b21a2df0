// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a guest in a paging mode, asks kvmmem how it translates addresses, and
 * compares: with what it has written into its tables, with KVM_TRANSLATE, with
 * /proc/self/pagemap, and with what it has touched.
 *
 *	xlateguest MODE GUEST-PAGE HOST-PAGE MB QUESTIONS [HOW [COMMAND]]
 *
 * The modes are none, 32, pae, 4 and 5; pages are 4k, 2m (4M in mode 32) or 1g. HOW is
 * -, running (the vCPU does, meanwhile), halted (it sleeps in KVM), pageout (of half of the memory), dirty (KVM
 * logs writes), hostile (tables that mean harm), fuzz or errors.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "xlateguest.h"
#include "xlatemake.h"
#include "xlateask.h"
#include "xlatealign.h"
#include "xlatehostile.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

/* Of the guest's 4K pages, every so many are touched. */
#define TOUCHED		(guest.bytes < GB ? 3 : 61)

static volatile bool stop;
static bool running;	/* so KVM_TRANSLATE would wait */
static unsigned int asked;	/* answers by the vCPU's own thread */
static unsigned int kept;	/* answers from its last exit */

static void differs(const char *question, const char *what, const char *got, const char *want,
		    const struct answer *answer)
{
	if (wrong++ < 5)
		printf("wrong: %s: %s is %s, expected %s\n%s\n", question, what, got, want,
		       answer->text);
}

static void expect_text(const char *question, const char *what, const char *got,
			const char *want, const struct answer *answer)
{
	if (strcmp(got, want))
		differs(question, what, got, want, answer);
}

static void expect_hex(const char *question, const char *what, const char *got, uint64_t want,
		       const struct answer *answer)
{
	char text[24];

	if (want == UNMAPPED)
		strcpy(text, "-");
	else
		snprintf(text, sizeof(text), "0x%llx", (unsigned long long)want);
	expect_text(question, what, got, text, answer);
}

/* What the kernel says of a page of ours: swapped, in memory (at *hpa), or neither. */
static const char *witness(const uint8_t *hva, uint64_t *hpa)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, 8, (uintptr_t)hva / PAGE * 8) != 8)
		die("pagemap");
	*hpa = UNMAPPED;
	if (entry >> 62 & 1)
		return "swapped";
	if (!(entry >> 63))
		return "untouched";
	*hpa = (entry & ((1ULL << 55) - 1)) * PAGE + ((uintptr_t)hva & (PAGE - 1));
	return "in-memory";
}

/* From the guest-physical address on. */
static void expect_ends(const char *question, uint64_t gpa, const struct answer *answer)
{
	uint8_t *hva = hva_of(gpa);
	const char *state;
	uint64_t hpa;

	expect_hex(question, "gpa", answer->gpa, gpa, answer);
	expect_hex(question, "hva", answer->hva, hva ? (uintptr_t)hva : UNMAPPED, answer);
	if (!hva) {
		expect_text(question, "verdict", answer->verdict, "no-slot", answer);
		return;
	}
	state = witness(hva, &hpa);
	if (strcmp(answer->state, "zero"))
		expect_text(question, "state", answer->state, state, answer);
	expect_hex(question, "host_hpa", answer->host, hpa, answer);
	if (!strcmp(answer->verdict, "unknown")) {
		if (strcmp(answer->kvm, "-"))
			differs(question, "kvm_hpa", answer->kvm, "-", answer);
		return;
	}
	if (hpa == UNMAPPED)
		expect_text(question, "verdict", answer->verdict, "no-page", answer);
	else if (!strcmp(answer->kvm, "-"))
		expect_text(question, "verdict", answer->verdict, "kvm-not-yet", answer);
	else {
		expect_hex(question, "kvm_hpa", answer->kvm, hpa, answer);
		expect_text(question, "verdict", answer->verdict, "agree", answer);
	}
}

/* Memory that the guest has touched is mapped by KVM, unless it was taken away. */
static void expect_mapped(const char *question, uint64_t gpa, const struct answer *answer)
{
	if (gpa >= DATA && gpa < DATA + guest.bytes && guest.touched[(gpa - DATA) / PAGE] &&
	    !strcmp(answer->verdict, "kvm-not-yet"))
		differs(question, "verdict", answer->verdict, "agree", answer);
}

static uint64_t translate_by_kvm(uint64_t gva)
{
	struct kvm_translation it = { .linear_address = gva };

	if (ioctl(guest.vcpu, KVM_TRANSLATE, &it))
		die("KVM_TRANSLATE");
	return it.valid ? it.physical_address : UNMAPPED;
}

static void ask_gva(struct answer *answer, char *question)
{
	uint64_t base = has_high(&guest) && random_below(2) ? high_of(&guest) : LOW;
	uint64_t at = random_below(guest.bytes), gva = base + at, gpa;

	if (guest.mode == MODE_NONE) {
		gva = random_below(2) ? DATA + at : random_below(1ULL << 32);
		gpa = gva;
	} else if (random_below(16) == 0) {
		gva = CODE + random_below(PAGE);
		gpa = gva;
	} else if (random_below(16) == 0) {
		gva = 0x20000000 + at % (256 * MB);	/* nowhere */
		gpa = UNMAPPED;
	} else {
		gpa = guest.leads[at / guest.guest_page];
		if (gpa != UNMAPPED)
			gpa += at % guest.guest_page;
	}
	if (!running && translate_by_kvm(gva) != gpa) {
		printf("KVM_TRANSLATE of %#llx is %#llx, expected %#llx\n",
		       (unsigned long long)gva, (unsigned long long)translate_by_kvm(gva),
		       (unsigned long long)gpa);
		wrong++;
	}
	sprintf(question, "gva 0 0x%llx", (unsigned long long)gva);
	if (ask(question, answer)) {
		differs(question, "errno", strerror(errno), "0", answer);
	} else if (gpa == UNMAPPED) {
		expect_text(question, "verdict", answer->verdict, "no-gpa", answer);
		expect_hex(question, "gpa", answer->gpa, UNMAPPED, answer);
	} else {
		expect_ends(question, gpa, answer);
		expect_mapped(question, gpa, answer);
	}
}

static uint64_t random_gpa(void)
{
	switch (random_below(8)) {
	case 0:
		return random_below(CTL_BYTES);
	case 1:
		return ROM + random_below(ROM_BYTES);
	case 2:		/* between slots, and beyond */
		return random_below(2) ? CTL_BYTES + random_below(256 * MB) :
					 DATA + guest.bytes + random_below(1ULL << 38);
	default:
		return DATA + random_below(guest.bytes);
	}
}

static void ask_gpa(struct answer *answer, char *question)
{
	uint64_t gpa = random_gpa();

	sprintf(question, "gpa %llu", (unsigned long long)gpa);
	if (ask(question, answer)) {
		differs(question, "errno", strerror(errno), "0", answer);
		return;
	}
	expect_ends(question, gpa, answer);
	expect_mapped(question, gpa, answer);
}

static void ask_hva(struct answer *answer, char *question)
{
	uint64_t gpa;
	uint8_t *hva;

	do {
		gpa = random_gpa();
		hva = hva_of(gpa);
	} while (!hva);
	sprintf(question, "hva %p", hva);
	if (ask(question, answer)) {
		differs(question, "errno", strerror(errno), "0", answer);
		return;
	}
	expect_ends(question, gpa, answer);
	expect_mapped(question, gpa, answer);
}

static void count_verdict(const struct answer *answer)
{
	unsigned int i;

	for (i = 0; verdicts[i] && strcmp(verdicts[i], answer->verdict);)
		i++;
	seen[i]++;
	asked += !strcmp(answer->from, "asked");
	kept += !strcmp(answer->from, "last-exit");
}

static void kick(int sig)
{
	(void)sig;
}

/* Where there are two processors the vCPU has one to itself, so that it is in the guest. */
static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/*
 * One page again and again: the vCPU leaves the guest for the host's interrupts only. Or
 * nothing at all: it never comes back.
 */
static void *run_on(void *unused)
{
	struct kvm_regs regs = {
		.rip = guest.halts ? HALT : CODE, .rflags = 0x202, .rdi = LOW, .rsi = 1U << 31,
	};

	(void)unused;
	pin(1);
	while (!stop) {
		if (ioctl(guest.vcpu, KVM_SET_REGS, &regs))
			die("KVM_SET_REGS");
		if (ioctl(guest.vcpu, KVM_RUN, 0) && errno != EINTR)
			die("KVM_RUN");
	}
	return NULL;
}

static uint64_t size_of(const char *word)
{
	return !strcmp(word, "1g") ? GB :
	       strcmp(word, "2m") ? PAGE : guest.mode == MODE_32 ? 4 * MB : 2 * MB;
}

/* Every so many pages of 4K of each of the guest's pages, or every so many of those. */
static void touch_all(void)
{
	uint64_t small = guest.guest_page / PAGE, i, j;
	uint64_t n = (small + TOUCHED - 1) / TOUCHED;

	for (i = 0; i < guest.pages; i += small > 1 ? 1 : TOUCHED) {
		if (guest.leads[i] == UNMAPPED)
			continue;
		touch_guest(&guest, (guest.mode ? LOW : DATA) + i * guest.guest_page, n,
			    TOUCHED * PAGE);
		for (j = 0; j < n; j++)
			guest.touched[(guest.leads[i] - DATA) / PAGE + j * TOUCHED] = true;
	}
}

static void open_files(void)
{
	char path[128];
	int i;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvmmem/vms/%s/translate",
		 getenv("KVMGUEST_ID"));
	for (i = 0; i < 400 && (translate = open(path, O_RDWR | O_CLOEXEC)) < 0; i++)
		usleep(10000);
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (translate < 0 || pagemap < 0)
		die(path);
}

static void ask_all(unsigned long questions)
{
	static struct answer answer;
	char question[64] = "";
	unsigned long i;

	for (i = 0; i < questions; i++) {
		switch (random_below(3)) {
		case 0:
			ask_gva(&answer, question);
			break;
		case 1:
			ask_gpa(&answer, question);
			break;
		default:
			ask_hva(&answer, question);
		}
		count_verdict(&answer);
	}
}

int main(int argc, char **argv)
{
	static const char *const modes[] = { "none", "32", "pae", "4", "5" };
	const char *how = argc > 6 ? argv[6] : "-";
	unsigned long questions, i;
	pthread_t thread;

	if (argc < 6)
		return 2;
	while (strcmp(modes[guest.mode], argv[1]))
		if (++guest.mode > MODE_5)
			return 2;
	guest.guest_page = size_of(argv[2]);
	guest.host_page = strcmp(argv[3], "2m") ? size_of(argv[3]) : 2 * MB;
	guest.bytes = strtoul(argv[4], NULL, 10) * MB;
	questions = strtoul(argv[5], NULL, 10);
	guest.log_dirty = !strcmp(how, "dirty");
	guest.halts = !strcmp(how, "halted");
	make_guest(&guest);
	touch_all();
	/* Some that the guest has not touched are there all the same. */
	for (i = 1; i < guest.bytes / PAGE && guest.host_page == PAGE; i += 7)
		guest.data[i * PAGE] = 1;
	if (!strcmp(how, "pageout"))
		madvise(guest.data, guest.bytes / 2, MADV_PAGEOUT);
	open_files();
	running = !strcmp(how, "running") || guest.halts;
	signal(SIGUSR1, kick);
	if (running)
		pin(0);
	if (running && pthread_create(&thread, NULL, run_on, NULL))
		die("pthread_create");
	if (guest.halts)
		usleep(100000);
	/* kvm-intel then has CR3 at hand. Those of try_errors() meet a vCPU without. */
	if (!running && strcmp(how, "errors"))
		translate_by_kvm(LOW);
	if (!strcmp(how, "hostile")) {
		ask_hostile("cycle", make_cycle, questions);
		ask_hostile("huge", make_huge, questions);
		ask_hostile("garbage", make_garbage, questions);
	} else if (!strcmp(how, "fuzz")) {
		fuzz(questions);
	} else if (!strcmp(how, "errors")) {
		try_errors();
	} else {
		ask_all(questions);
	}
	print_alignment();
	printf("asked=%lu wrong=%u", questions, wrong);
	for (i = 0; verdicts[i]; i++)
		printf(" %s=%u", verdicts[i], seen[i]);
	printf(" other=%u by_thread=%u kept=%u\n", seen[i], asked, kept);
	fflush(stdout);
	if (argc > 7 && system(argv[7]))
		return 1;
	if (running) {
		stop = true;
		guest.run->immediate_exit = 1;
		pthread_kill(thread, SIGUSR1);
		pthread_join(thread, NULL);
	}
	return wrong ? 1 : 0;
}
