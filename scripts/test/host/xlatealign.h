/* SPDX-License-Identifier: GPL-2.0 */
/* What alignment has to say; part of xlateguest. */
#ifndef XLATEALIGN_H
#define XLATEALIGN_H

#define SIZES	4	/* 4k, 2m, 1g, none */

static const char *const size_words[SIZES] = { "4k", "2m", "1g", "none" };

static unsigned int size_index(uint64_t size)
{
	return size >= GB ? 2 : size >= 2 * MB ? 1 : 0;
}

/* Has the guest touched anything of the host's page that this one lies in? */
static bool any_touched(uint64_t page)
{
	uint64_t n = guest.host_page / PAGE, first = page / n * n, i;

	for (i = first; i < first + n && i < guest.bytes / PAGE; i++)
		if (guest.touched[i])
			return true;
	return false;
}

static bool in_memory(const uint8_t *hva)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, 8, (uintptr_t)hva / PAGE * 8) != 8)
		die("pagemap");
	return entry >> 63;
}

/* A page of memory, by the sizes of KVM's mapping and the host's. */
static void add_page(uint64_t page, uint64_t *cells)
{
	unsigned int host = 3, kvm = 3;

	if (in_memory(guest.data + page * PAGE))
		host = size_index(guest.host_page);
	if (guest.host_page == PAGE || guest.log_dirty)
		kvm = guest.touched[page] ? 0 : 3;
	else if (any_touched(page))
		kvm = size_index(guest.host_page);
	cells[kvm * SIZES + host] += PAGE / 1024 * (has_high(&guest) ? 2 : 1);
}

/* All that the guest maps: memory, twice where it has room, and the page of its code. */
static void print_alignment(void)
{
	uint64_t cells[SIZES * SIZES] = {}, i, j, small = guest.guest_page / PAGE;
	unsigned int kvm, host;

	for (i = 0; i < guest.pages; i++)
		for (j = 0; guest.leads[i] != UNMAPPED && j < small; j++)
			add_page((guest.leads[i] - DATA) / PAGE + j, cells);
	for (kvm = 0; kvm < SIZES; kvm++)
		for (host = 0; host < SIZES; host++)
			if (cells[kvm * SIZES + host])
				printf("expect guest=%s kvm=%s host=%s size_kb=%llu\n",
				       size_words[size_index(guest.guest_page)], size_words[kvm],
				       size_words[host],
				       (unsigned long long)cells[kvm * SIZES + host]);
}

#endif
