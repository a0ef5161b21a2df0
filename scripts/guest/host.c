// SPDX-License-Identifier: GPL-2.0
/* What the expectations need to know about the machine we run on. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "guest.h"

void die(int status, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("kvmguest: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

void die_errno(const char *what)
{
	die(1, "%s: %s", what, strerror(errno));
}

/* The first letter of a module parameter, or @absent if it does not exist. */
static char param(const char *module, const char *name, char absent)
{
	char path[128];
	FILE *f;
	int c;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s",
		 module, name);
	f = fopen(path, "r");
	if (!f)
		return absent;
	c = fgetc(f);
	fclose(f);
	return c;
}

static bool yes(char c)
{
	return c == 'Y' || c == '1';
}

void probe_host(struct host *host)
{
	unsigned int major = 0, minor = 0;
	struct utsname uts;

	memset(host, 0, sizeof(*host));
	if (uname(&uts) || sscanf(uts.release, "%u.%u", &major, &minor) != 2)
		die(1, "cannot tell the kernel's release");
	host->release = major * 1000 + minor;
	host->cpus = sysconf(_SC_NPROCESSORS_ONLN);
	host->amd = access("/sys/module/kvm_amd", F_OK) == 0;
	if (host->amd) {
		host->tdp = yes(param("kvm_amd", "npt", 'Y'));
	} else {
		host->tdp = yes(param("kvm_intel", "ept", 'Y'));
		host->ad = yes(param("kvm_intel", "eptad", 'N'));
		host->pml = yes(param("kvm_intel", "pml", 'N'));
		host->unrestricted =
			yes(param("kvm_intel", "unrestricted_guest", 'N'));
	}
	host->tdp_mmu = host->tdp && yes(param("kvm", "tdp_mmu", 'N'));
	host->nx_huge = yes(param("kvm", "nx_huge_pages", 'N'));
	host->eager_split = yes(param("kvm", "eager_page_split", 'N'));
	host->mmio_caching = yes(param("kvm", "mmio_caching", 'Y'));
}
