// SPDX-License-Identifier: GPL-2.0
/* Modules that come and go, and parameters that change all the while. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "storm.h"

#define PARAMETERS	"/sys/module/kvmmem/parameters/"
#define TRIES		4000

static int load(const char *path, const char *parameters)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;
	close(fd);
	return ret;
}

/* Until nobody uses it; somebody who is killed may need a moment to let go. */
static int unload(const char *name, int busy)
{
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		if (!syscall(SYS_delete_module, name, O_NONBLOCK))
			return 0;
		if (errno != EAGAIN && errno != EBUSY && errno != EWOULDBLOCK)
			return -errno;
		tally(busy);
		usleep(500);
	}
	return -EBUSY;
}

enum { LOAD_BUSY = EXTRA, LOAD_STUCK };

static void run_load(void)
{
	const char *parameters = text_argument("with", "backing_max_age_ms=0");
	unsigned long pause = argument("pause_ms", 100) * 1000;

	while (!over()) {
		int err = load("/lab/kvmmem.ko", parameters);

		if (err && err != -EEXIST) {
			tally(FAILED);
			printf("load: %s\n", strerror(-err));
		}
		rest_us(pause);
		err = unload("kvmmem", LOAD_BUSY);
		tally(err ? LOAD_STUCK : DID);
		if (err)
			printf("unload: %s\n", strerror(-err));
	}
}

enum { RELOAD_BUSY = EXTRA, RELOAD_CORE };

/* The vendor's module, and every core=N times kvm.ko, too. */
static void run_reload(void)
{
	bool amd = !access("/lab/modules/kvm-amd.ko", F_OK);
	const char *vendor = amd ? "kvm_amd" : "kvm_intel";
	const char *file = amd ? "/lab/modules/kvm-amd.ko" : "/lab/modules/kvm-intel.ko";
	unsigned long pause = argument("pause_ms", 100) * 1000, core = argument("core", 10);
	unsigned long round;
	int err;

	for (round = 1; !over(); round++) {
		err = unload(vendor, RELOAD_BUSY);
		if (err == -EBUSY) {
			tally(FAILED);
			continue;
		}
		if (core && round % core == 0 && !unload("kvm", RELOAD_BUSY)) {
			tally(RELOAD_CORE);
			rest_us(pause);
			err = load("/lab/modules/kvm.ko", "");
			if (err)
				printf("kvm: %s\n", strerror(-err));
		}
		rest_us(pause / 4);
		err = load(file, "");
		tally(err ? FAILED : DID);
		if (err)
			printf("%s: %s\n", vendor, strerror(-err));
		rest_us(pause);
	}
}

static const struct {
	const char *path;
	const char *values[5];
} toggled[] = {
	{ PARAMETERS "flush_accounting", { "0", "1" } },
	{ PARAMETERS "service_time", { "0", "1" } },
	{ PARAMETERS "huge_flows", { "0", "1" } },
	{ PARAMETERS "invalidations", { "0", "1" } },
	{ PARAMETERS "backing_max_age_ms", { "0", "1", "17", "1000" } },
	{ PARAMETERS "stuck_log", { "0", "1" } },
	{ PARAMETERS "stuck_ms", { "0", "1", "50", "5000" } },
	{ PARAMETERS "user_share", { "1", "50", "75", "100" } },
	{ PARAMETERS "walk_share", { "1", "2", "50", "100" } },
};

enum { TOGGLE_ABSENT = EXTRA };

static void run_toggle(void)
{
	const unsigned int nr = sizeof(toggled) / sizeof(*toggled);
	unsigned int one = argument("only", nr), n;
	int err;

	while (!over()) {
		unsigned int i = one < nr ? one : pick(nr);

		for (n = 0; toggled[i].values[n]; n++)
			;
		err = put(toggled[i].path, toggled[i].values[pick(n)]);
		tally(!err ? DID : err == -ENOENT ? TOGGLE_ABSENT : FAILED);
		/* Not there yet, or no more: leave the processor to who loads it. */
		if (err)
			usleep(200);
	}
}

const struct kind module_kinds[] = {
	{ "load", run_load, { "busy", "stuck" },
	  "load and unload kvmmem [pause_ms=100] [with=PARAMETERS]" },
	{ "reload", run_reload, { "busy", "core" },
	  "unload and load the vendor's KVM, each core=10th time kvm.ko [pause_ms=100]" },
	{ "toggle", run_toggle, { "absent" },
	  "write kvmmem's parameters [only=0..8]" },
	{}
};
