/* SPDX-License-Identifier: GPL-2.0 */
/* Tables that mean harm, and questions that mean nothing; part of xlateguest. */
#ifndef XLATEHOSTILE_H
#define XLATEHOSTILE_H

#include <stdarg.h>
#include <sys/syscall.h>
#include <linux/capability.h>

#define HOSTILE	0x600000ULL	/* in CTL: tables, not for the processor */

static void set_cr3(uint64_t cr3)
{
	struct kvm_sregs sregs;

	if (ioctl(guest.vcpu, KVM_GET_SREGS, &sregs))
		die("KVM_GET_SREGS");
	sregs.cr3 = cr3;
	if (ioctl(guest.vcpu, KVM_SET_SREGS, &sregs))
		die("KVM_SET_SREGS");
}

static uint64_t *hostile(unsigned int table)
{
	return (uint64_t *)(guest.ctl + HOSTILE + table * PAGE);
}

/* Each entry of each table leads to the first. */
static void make_cycle(void)
{
	unsigned int i;

	for (i = 0; i < 512; i++)
		hostile(0)[i] = HOSTILE | 7;
	set_cr3(HOSTILE);
}

/* Full tables, each used again and again: 2^36 pages of the one before them. */
static void make_huge(void)
{
	unsigned int level, i;

	for (level = 0; level < 4; level++)
		for (i = 0; i < 512; i++)
			hostile(level)[i] = (level == 3 ? DATA + i * PAGE :
						HOSTILE + (level + 1) * PAGE) | 7;
	set_cr3(HOSTILE);
}

static void make_garbage(void)
{
	unsigned int i;

	for (i = 0; i < 512 * 64; i++) {
		uint64_t entry = random_below(1ULL << 52) << 12 | random_below(1 << 12);

		/* Half of it stays in the guest, some of that in its tables. */
		if (random_below(2))
			entry = (random_below(2) ? HOSTILE + random_below(64) * PAGE :
						   random_below(1 << 20) * PAGE) |
				random_below(1 << 12);
		hostile(0)[i] = entry;
	}
	set_cr3(HOSTILE);
}

/* Is an answer of the guest's own memory, or of none? */
static bool is_own(const struct answer *answer)
{
	uint64_t gpa = strtoull(answer->gpa, NULL, 0), hva = strtoull(answer->hva, NULL, 0);

	return !strcmp(answer->hva, "-") || hva == (uintptr_t)hva_of(gpa);
}

static void ask_hostile(const char *what, void (*make)(void), unsigned long questions)
{
	static struct answer answer;
	unsigned long i, bad = 0;
	char text[64];
	int err;

	make();
	for (i = 0; i < questions; i++) {
		snprintf(text, sizeof(text), "gva 0 0x%llx", (unsigned long long)
			 ((int64_t)(random_below(1ULL << 48) << 16) >> 16));
		err = ask(text, &answer);
		bad += err || !is_own(&answer);
	}
	printf("hostile %s asked=%lu bad=%lu\n", what, questions, bad);
	fflush(stdout);
	wrong += bad;
	if (system("cat /sys/kernel/debug/kvmmem/vms/$KVMGUEST_ID/alignment"))
		wrong++;
}

static const char *const fuzz_words[] = {
	"gva", "gpa", "hva", "gva 0", "gpa 0", "hva 0", "gva 0 0", "gva 1 0", "gva -1 0", "gva x 0",
	"gpa 0xffffffffffffffff", "gpa 0x10000000000000000", "hva 0xffffffffffffffff",
	"hva 0xffff888000000000", "gva 0 0x8000000000000000", "gva 4294967295 0",
	"gva 4294967296 0", "gpa 1 2", "gva 0 0 0", "GPA 0", "", " ", "\n", "gpa\t12\n", "gpa 012",
	"gpa 0x", "gpa 1e3", "hva -1", "gpa 0x7ffffffff000", "gva 0 0xfffffffffffff000",
};

/* Half of it are questions, half of it nearly. */
static void fuzz(unsigned long times)
{
	unsigned long accepted = 0, refused = 0, failed = 0, i;
	static char text[8192];
	size_t n, j;

	for (i = 0; i < times; i++) {
		if (random_below(2)) {
			n = snprintf(text, sizeof(text), "%s 0x%llx",
				     (const char *[]){ "gva 0", "gpa", "hva" }[random_below(3)],
				     (unsigned long long)random_below(1ULL << 52) <<
				     random_below(12));
		} else {
			n = snprintf(text, sizeof(text), "%s",
				     fuzz_words[random_below(sizeof(fuzz_words) / sizeof(char *))]);
			for (j = random_below(3); n && j; j--)
				text[random_below(n)] ^= 1 << random_below(8);
		}
		if (!random_below(64))
			n = random_below(sizeof(text));
		if (write(translate, text, n) < 0) {
			refused++;
			continue;
		}
		accepted++;
		if (pread(translate, text, 1 + random_below(sizeof(text)), random_below(2) ? 0 :
			  random_below(3000)) < 0)
			failed++;
	}
	printf("fuzz times=%lu accepted=%lu refused=%lu failed=%lu\n", times, accepted, refused,
	       failed);
}

static void try_question(const char *text)
{
	struct answer answer;
	int err = ask(text, &answer);

	printf("errno of '%s': %d\n", text, -err);
}

/* What is refused, and how. */
static void try_errors(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];
	char path[128];
	unsigned int i;

	for (i = 0; i < sizeof(fuzz_words) / sizeof(char *); i++)
		if (fuzz_words[i][0] > ' ')
			try_question(fuzz_words[i]);
	if (syscall(SYS_capget, &head, caps))
		die("capget");
	caps[0].effective &= ~(1U << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &head, caps))
		die("capset");
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/kvmmem/vms/%s/%s",
			 getenv("KVMGUEST_ID"), i ? "alignment" : "translate");
		errno = 0;
		open(path, O_RDONLY);
		printf("errno of opening: %d\n", errno);
	}
}

#endif
