/* SPDX-License-Identifier: GPL-2.0 */
/* Asking kvmmem; part of xlateguest. */
#ifndef XLATEASK_H
#define XLATEASK_H

struct answer {
	char verdict[16], gpa[24], hva[24], host[24], kvm[24];
	char state[16];		/* of the page */
	char from[16];		/* whom the registers are */
	char text[8192];
};

static struct guest guest;
static int translate, pagemap;
static unsigned int wrong;
static unsigned int seen[16];

static const char *const verdicts[] = {
	"agree", "kvm-not-yet", "no-page", "no-slot", "no-gpa", "unknown", NULL
};

/* The words of the last row of a type. */
static void find_row(const char *text, const char *type, char *words)
{
	const char *at = text;

	*words = 0;
	while (at && *at) {
		size_t n = strcspn(at, "\n");

		if (!strncmp(at, type, strlen(type)) && at[strlen(type)] == ' ') {
			memcpy(words, at, n);
			words[n] = 0;
		}
		at = at[n] ? at + n + 1 : NULL;
	}
}

static int ask(const char *question, struct answer *answer)
{
	char row[512];
	ssize_t n;

	memset(answer, 0, sizeof(*answer));
	if (write(translate, question, strlen(question)) < 0)
		return -errno;
	n = pread(translate, answer->text, sizeof(answer->text) - 1, 0);
	if (n < 0)
		return -errno;
	find_row(answer->text, "verdict", row);
	if (sscanf(row, "verdict %15s %23s %23s %23s %23s", answer->verdict, answer->gpa,
		   answer->hva, answer->host, answer->kvm) != 5)
		return -EPROTO;
	find_row(answer->text, "page", row);
	sscanf(row, "page %15s", answer->state);
	find_row(answer->text, "regs", row);
	sscanf(row, "regs %*s %*s %*s %*s %*s %*s %*s %15s", answer->from);
	return 0;
}


static uint8_t *hva_of(uint64_t gpa)
{
	if (gpa < CTL + CTL_BYTES)
		return guest.ctl + gpa;
	if (gpa >= ROM && gpa < ROM + ROM_BYTES)
		return guest.rom + (gpa - ROM);
	if (gpa >= DATA && gpa < DATA + guest.bytes)
		return guest.data + (gpa - DATA);
	return NULL;
}

#endif
