// SPDX-License-Identifier: GPL-2.0
/* What a host does meanwhile: processors go, memory is squeezed, others trace. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "storm.h"

#define CPU1		"/sys/devices/system/cpu/cpu1/online"
#define TRACING		"/sys/kernel/tracing/"
#define MM		"/sys/kernel/mm/"

static void count(int err)
{
	tally(err ? FAILED : DID);
}

static void run_hotplug(void)
{
	unsigned int pause = argument("pause_ms", 300) * 1000;

	while (!over()) {
		int err = put(CPU1, "0");

		rest_us(pause);
		count(put(CPU1, "1") ?: err);
		rest_us(pause);
	}
	put(CPU1, "1");
}

static const struct {
	const char *path;
	const char *text;
} squeezes[] = {
	{ "/proc/sys/vm/compact_memory", "1" },
	{ "/proc/sys/vm/drop_caches", "3" },
	{ "/proc/sys/kernel/numa_balancing", "1" },
	{ "/proc/sys/kernel/numa_balancing", "0" },
	{ MM "ksm/run", "1" },
	{ MM "ksm/run", "1" },
	{ MM "ksm/run", "2" },
	{ MM "ksm/sleep_millisecs", "1" },
	{ MM "ksm/pages_to_scan", "2000" },
	{ MM "transparent_hugepage/khugepaged/scan_sleep_millisecs", "10" },
	{ MM "transparent_hugepage/enabled", "always" },
	{ MM "transparent_hugepage/enabled", "never" },
	{ MM "transparent_hugepage/split_huge_pages", "1" },
	{ "/sys/kernel/debug/split_huge_pages", "1" },
};

static void run_squeeze(void)
{
	unsigned int pause = argument("pause_ms", 200) * 1000, i;

	while (!over()) {
		i = pick(sizeof(squeezes) / sizeof(*squeezes));
		count(put(squeezes[i].path, squeezes[i].text));
		rest_us(pause);
	}
	put(MM "ksm/run", "2");
	put(MM "transparent_hugepage/enabled", "always");
}

/* Functions that kvmmem hooks, and a frequent one beside them. */
static const char *const traced[] = {
	"kvm_arch_destroy_vm", "kvm_arch_create_vm_debugfs", "kvm_arch_vcpu_postcreate",
	"kvm_arch_vcpu_destroy",
	"svm_flush_tlb_asid", "svm_flush_tlb_current", "vmx_flush_tlb_current",
	"kvm_vcpu_ioctl",
};

#define NR_TRACED	(sizeof(traced) / sizeof(*traced))

enum { TRACER_BUSY = EXTRA, TRACER_EVENTS, TRACER_FPROBES };
enum { BPF_TRACEPOINTS = EXTRA, BPF_FUNCTIONS };

static void function_tracer(void)
{
	put(TRACING "set_ftrace_filter", "kvm_*\nsvm_*\nvmx_*\n");
	count(put(TRACING "current_tracer", pick(2) ? "function" : "function_graph"));
	rest_us(100000);
	/* Refused while somebody has a hook that must not be lost. */
	if (put("/proc/sys/kernel/ftrace_enabled", "0") == -EBUSY)
		tally(TRACER_BUSY);
	put("/proc/sys/kernel/ftrace_enabled", "1");
	count(put(TRACING "current_tracer", "nop"));
	put(TRACING "set_ftrace_filter", "\n");
}

/* Kprobes and, where there are any, fprobes. */
static void dynamic_events(void)
{
	char text[128];
	unsigned int i, fprobe;

	for (i = 0; i < NR_TRACED; i++) {
		fprobe = pick(2);
		snprintf(text, sizeof(text), "%c:storm/e%u %s%s\n", fprobe ? 'f' : 'p', i,
			 traced[i], pick(2) ? "" : "%return");
		if (!put(TRACING "dynamic_events", text))
			tally(fprobe ? TRACER_FPROBES : TRACER_EVENTS);
	}
	put(TRACING "events/storm/enable", "1");
	rest_us(100000);
	put("/sys/kernel/debug/kprobes/enabled", "0");
	put("/sys/kernel/debug/kprobes/enabled", "1");
	put(TRACING "events/storm/enable", "0");
	for (i = 0; i < NR_TRACED; i++) {
		snprintf(text, sizeof(text), "-:storm/e%u\n", i);
		put(TRACING "dynamic_events", text);
	}
}

static void run_tracer(void)
{
	while (!over()) {
		function_tracer();
		rest_us(50000);
		dynamic_events();
		count(put(TRACING "events/kvm/enable", pick(2) ? "1" : "0"));
	}
	put(TRACING "events/kvm/enable", "0");
	put(TRACING "trace", "");
}

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* A program that does nothing and returns 0. */
static int load_program(unsigned int type)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = type, .insns = (uintptr_t)nothing, .insn_cnt = 2,
		.license = (uintptr_t)"GPL",
	};

	return bpf(BPF_PROG_LOAD, &attr);
}

static int at_tracepoint(int program, const char *name)
{
	union bpf_attr attr = {
		.raw_tracepoint = { .name = (uintptr_t)name, .prog_fd = program },
	};

	return bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
}

/* The file of kprobe events' type; by perf, which works without libraries. */
static int at_function(int program, const char *name)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .config1 = (uintptr_t)name, .sample_period = 1,
	};
	char text[16] = "";
	int fd = open("/sys/bus/event_source/devices/kprobe/type", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) > 0)
		attr.type = strtoul(text, NULL, 10);
	close(fd);
	attr.config = pick(2);		/* at its return */
	fd = syscall(SYS_perf_event_open, &attr, -1, pick(2), -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -1;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, program) ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void run_bpf(void)
{
	static const char *const tracepoints[] = {
		"kvm_page_fault", "kvm_entry", "kvm_exit", "kvm_tdp_mmu_spte_changed",
	};
	int raw = load_program(BPF_PROG_TYPE_RAW_TRACEPOINT);
	int kprobe = load_program(BPF_PROG_TYPE_KPROBE);
	int held[4] = { -1, -1, -1, -1 };

	if (raw < 0 || kprobe < 0)
		die("BPF_PROG_LOAD");
	while (!over()) {
		int *one = &held[pick(4)], function = pick(2);

		if (*one >= 0)
			close(*one);
		*one = function ? at_function(kprobe, traced[pick(NR_TRACED)]) :
				  at_tracepoint(raw, tracepoints[pick(4)]);
		count(*one < 0);
		if (*one >= 0)
			tally(function ? BPF_FUNCTIONS : BPF_TRACEPOINTS);
		rest_us(50000);
	}
}

/* perf holds locks of its own while it makes an event of software's, as while a PMU goes. */
static void open_events(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS, .exclude_kernel = 1,
	};
	int fd;

	while (!over()) {
		fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
		count(fd < 0);
		if (fd >= 0)
			close(fd);
	}
}

static void run_perf(void)
{
	unsigned int i;

	for (i = 1; i < 4; i++)
		child(open_events);
	open_events();
}

const struct kind host_kinds[] = {
	{ "hotplug", run_hotplug, {},
	  "a processor goes offline and comes back [pause_ms=300]" },
	{ "squeeze", run_squeeze, {},
	  "the host compacts, merges, collapses, splits and balances [pause_ms=200]" },
	{ "tracer", run_tracer, { "busy", "events", "fprobes" },
	  "ftrace, kprobes and fprobes on what kvmmem hooks" },
	{ "bpf", run_bpf, { "tracepoints", "functions" },
	  "BPF programs on the same functions and tracepoints" },
	{ "perf", run_perf, {},
	  "software events are opened and closed, by four at once" },
	{}
};
