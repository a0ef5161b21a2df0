// SPDX-License-Identifier: GPL-2.0
/*
 * The host's facts.
 *
 * Most of them live in variables that the kernel exports to nobody, and shows
 * to everybody in sysfs and /proc. So that is where they are read from, in the
 * reader's time and with the reader's rights; where the host has no /sys, they
 * are unknown.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat/file.h"
#include "decode/value.h"
#include "show/host.h"

#define BUF_SIZE	4096

/* The file's beginning as a string, or false. */
static bool host_read_text(const char *path, char *buf)
{
	struct file *file;
	loff_t pos = 0;
	ssize_t n;

	file = kvmmem_open_host(path);
	if (IS_ERR(file))
		return false;
	n = kernel_read(file, buf, BUF_SIZE - 1, &pos);
	filp_close(file, NULL);
	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

static u64 host_read_number(const char *path, char *buf)
{
	u64 value;

	if (!host_read_text(path, buf) || kstrtou64(strim(buf), 10, &value))
		return KVMMEM_UNKNOWN;
	return value;
}

static void host_read_switch(const char *path, char *buf, char *word)
{
	bool on;

	strscpy(word, "-", KVMMEM_WORD_LEN);
	if (host_read_text(path, buf) && !kstrtobool(strim(buf), &on))
		strscpy(word, on ? "on" : "off", KVMMEM_WORD_LEN);
}

/**
 * kvmmem_pick_bracketed - the chosen word of "always [madvise] never"
 * @text: the choices
 * @word: where to
 * @size: of @word
 *
 * Return: false, and nothing in @word, when none is chosen or it does not fit.
 */
bool kvmmem_pick_bracketed(const char *text, char *word, size_t size)
{
	const char *from = strchr(text, '[');
	const char *to = from ? strchr(from, ']') : NULL;

	if (!to || to - from - 1 >= size || to == from + 1)
		return false;
	memcpy(word, from + 1, to - from - 1);
	word[to - from - 1] = '\0';
	return true;
}

/**
 * kvmmem_pick_field - a number of a /proc/meminfo-like text
 * @text: lines "Field:   123 kB"
 * @field: with its colon
 * @value: where to
 *
 * Return: false when there is no such field.
 */
bool kvmmem_pick_field(const char *text, const char *field, u64 *value)
{
	const char *line = text;

	while (line && *line) {
		if (strstarts(line, field))
			return sscanf(line + strlen(field), "%llu", value) == 1;
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return false;
}

static void host_vendor_facts(struct kvmmem_host *host, char *buf)
{
	if (kvmmem_cpu_is_svm()) {
		strscpy(host->isa, "svm", sizeof(host->isa));
		host_read_switch("/sys/module/kvm_amd/parameters/npt", buf, host->tdp);
		/* ASIDs have no switch: on wherever KVM is. */
		strscpy(host->vpid, host->tdp[0] == '-' ? "-" : "on", sizeof(host->vpid));
	} else if (kvmmem_cpu_is_vmx()) {
		strscpy(host->isa, "vmx", sizeof(host->isa));
		host_read_switch("/sys/module/kvm_intel/parameters/ept", buf, host->tdp);
		host_read_switch("/sys/module/kvm_intel/parameters/vpid", buf, host->vpid);
	} else {
		strscpy(host->isa, "-", sizeof(host->isa));
		strscpy(host->tdp, "-", sizeof(host->tdp));
		strscpy(host->vpid, "-", sizeof(host->vpid));
	}
}

static void host_huge_facts(struct kvmmem_host *host, char *buf)
{
	static const unsigned int sizes[KVMMEM_NR_POOLS] = { 2048, 1048576 };
	char path[80];
	int i;

	strscpy(host->thp, "-", sizeof(host->thp));
	if (host_read_text("/sys/kernel/mm/transparent_hugepage/enabled", buf))
		kvmmem_pick_bracketed(buf, host->thp, sizeof(host->thp));

	for (i = 0; i < KVMMEM_NR_POOLS; i++) {
		struct kvmmem_huge_pool *pool = &host->pools[i];

		snprintf(path, sizeof(path),
			 "/sys/kernel/mm/hugepages/hugepages-%ukB/nr_hugepages", sizes[i]);
		pool->total = host_read_number(path, buf);
		snprintf(path, sizeof(path),
			 "/sys/kernel/mm/hugepages/hugepages-%ukB/free_hugepages", sizes[i]);
		pool->free = host_read_number(path, buf);
		pool->size_kb = pool->total == KVMMEM_UNKNOWN ? 0 : sizes[i];
	}
}

static void host_memory_facts(struct kvmmem_host *host, char *buf)
{
	struct sysinfo si;
	u64 free;

	si_meminfo(&si);
	host->mem_total_kb = (u64)si.totalram << (PAGE_SHIFT - 10);
	host->mem_available_kb = (u64)max(si_mem_available(), 0L) << (PAGE_SHIFT - 10);

	host->swap_total_kb = KVMMEM_UNKNOWN;
	host->swap_used_kb = KVMMEM_UNKNOWN;
	if (host_read_text("/proc/meminfo", buf) &&
	    kvmmem_pick_field(buf, "SwapTotal:", &host->swap_total_kb) &&
	    kvmmem_pick_field(buf, "SwapFree:", &free))
		host->swap_used_kb = host->swap_total_kb - min(free, host->swap_total_kb);
}

static void host_ksm_facts(struct kvmmem_host *host, char *buf)
{
	/* 0: stopped, 1: running, 2: stopped and all pages unmerged. */
	u64 run = host_read_number("/sys/kernel/mm/ksm/run", buf);

	strscpy(host->ksm, run == KVMMEM_UNKNOWN ? "-" : run == 1 ? "on" : "off",
		sizeof(host->ksm));
}

/**
 * kvmmem_host_facts - collect the host's facts
 * @host: where to; what cannot be found out is unknown
 *
 * Context: process, may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int kvmmem_host_facts(struct kvmmem_host *host)
{
	char *buf = kmalloc(BUF_SIZE, GFP_KERNEL);

	if (!buf)
		return -ENOMEM;
	memset(host, 0, sizeof(*host));
	host_vendor_facts(host, buf);
	host_huge_facts(host, buf);
	host_memory_facts(host, buf);
	host_ksm_facts(host, buf);
	kfree(buf);
	return 0;
}
