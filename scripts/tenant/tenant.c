// SPDX-License-Identifier: GPL-2.0
/*
 * tenant ACT ARGUMENT... - somebody who may open /dev/kvm and makes things large
 *
 *	births VMS VCPUS [UID]	VMs one after the other, each vCPU run once
 *	hold VCPUS FIFO [UID]	one such VM, until somebody opens FIFO for writing
 *	dups FILES VCPUS FIFO	the same with so many descriptors of the VM and its vCPUs
 *	sharers FILES PROCESSES FIFO	the same, and so many processes that share the descriptors
 *	slots SLOTS MIB FIFO	a VM whose slots all show the same memory, in 4K pages
 *	thin SLOTS FIFO		the same of one page
 *	spread SLOTS FIFO	slots of a page each, two apart, that are taken away at once
 *	grow FIFO		a VM that gets 1 MiB more when FIFO is opened the first time
 *	churn SLOTS FIFO	a VM of so many slots, one of which comes and goes all the while
 *	files FIFO		a VM in files of which little is there, far apart, some in swap
 *	memfd FIFO		the same in a guest_memfd
 *	logged GIB FIFO		a VM with a slot of which nothing is there and that is logged
 *	orphan FIFO		a VM whose process is gone and whose child has it
 *	read MASK FILE		read FILE with these capabilities (hexadecimal) alone
 *
 * Prints a line "tenant key=value ..." when it is done or ready.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE	4096UL
#define NODE	64UL		/* places in a node of what the kernel keeps a file's pages in */

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef KVM_MEM_GUEST_MEMFD
#define KVM_MEM_GUEST_MEMFD		(1UL << 2)
#define KVM_SET_USER_MEMORY_REGION2	_IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2)
#define KVM_CREATE_GUEST_MEMFD		_IOWR(KVMIO, 0xd4, struct kvm_create_guest_memfd)

struct kvm_userspace_memory_region2 {
	uint32_t slot, flags;
	uint64_t guest_phys_addr, memory_size, userspace_addr, guest_memfd_offset;
	uint32_t guest_memfd, pad1;
	uint64_t pad2[14];
};

struct kvm_create_guest_memfd {
	uint64_t size, flags, reserved[6];
};
#endif
#define MEMFD_MMAP		(1UL << 0)	/* GUEST_MEMFD_FLAG_MMAP */
#define MEMFD_INIT_SHARED	(1UL << 1)	/* GUEST_MEMFD_FLAG_INIT_SHARED */

struct vm {
	int fd;
	unsigned int vcpus;
	unsigned int ran;
};

static void die(const char *what)
{
	fprintf(stderr, "tenant: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int must(int result, const char *what)
{
	if (result < 0)
		die(what);
	return result;
}

static unsigned long number(const char *text)
{
	return strtoul(text, NULL, 0);
}

static void hold(const char *fifo)
{
	fflush(stdout);
	must(open(fifo, O_RDONLY), fifo);
}

static void add_slot(int vm, unsigned int slot, unsigned long gpa, void *memory, size_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (unsigned long)memory,
	};

	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "memory slot");
}

static void *pages(size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t at;

	if (memory == MAP_FAILED)
		die("mmap");
	madvise(memory, size, MADV_NOHUGEPAGE);
	for (at = 0; at < size; at += PAGE)
		memory[at] = 1;
	return memory;
}

/* A vCPU that halts at once. */
static int run_once(int kvm, int vm, unsigned int id)
{
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;
	struct kvm_run *run;
	int vcpu, size, halted;

	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, id), "vCPU");
	size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "size");
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		die("mmap of a vCPU");
	must(ioctl(vcpu, KVM_GET_SREGS, &sregs), "registers");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	must(ioctl(vcpu, KVM_SET_SREGS, &sregs), "registers");
	must(ioctl(vcpu, KVM_SET_REGS, &regs), "registers");
	must(ioctl(vcpu, KVM_RUN, 0), "run");
	halted = run->exit_reason == KVM_EXIT_HLT;
	munmap(run, size);
	return halted ? vcpu : must(-1, "a vCPU did not halt");
}

static struct vm make_vm(int kvm, void *memory, unsigned int vcpus, int *fds)
{
	struct vm vm = { .fd = must(ioctl(kvm, KVM_CREATE_VM, 0), "VM") };
	unsigned int i;

	*(unsigned char *)memory = 0xf4;	/* HLT */
	add_slot(vm.fd, 0, 0, memory, PAGE);
	for (i = 0; i < vcpus; i++) {
		fds[i] = run_once(kvm, vm.fd, i);
		vm.vcpus++;
		vm.ran++;
	}
	return vm;
}

static void many_files(void)
{
	struct rlimit limit = { 1 << 19, 1 << 19 };
	FILE *file = fopen("/proc/sys/fs/nr_open", "w");

	if (file) {
		fprintf(file, "%lu", (unsigned long)limit.rlim_max);
		fclose(file);
	}
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_kvm(const char *uid)
{
	int kvm = must(open("/dev/kvm", O_RDWR), "/dev/kvm");

	many_files();
	if (uid)
		must(syscall(SYS_setuid, (uid_t)number(uid)), "setuid");
	return kvm;
}

static void births(int argc, char **argv)
{
	unsigned int vms = number(argv[0]), vcpus = number(argv[1]), i, k;
	int kvm = open_kvm(argc > 2 ? argv[2] : NULL), *fds = calloc(vcpus, sizeof(*fds));
	void *memory = pages(PAGE);
	unsigned long ran = 0;

	for (i = 0; i < vms; i++) {
		struct vm vm = make_vm(kvm, memory, vcpus, fds);

		ran += vm.ran;
		for (k = 0; k < vcpus; k++)
			close(fds[k]);
		close(vm.fd);
	}
	printf("tenant vms=%u ran=%lu\n", vms, ran);
}

static void hold_vm(int argc, char **argv)
{
	unsigned int vcpus = number(argv[0]);
	int kvm = open_kvm(argc > 2 ? argv[2] : NULL), *fds = calloc(vcpus, sizeof(*fds));
	struct vm vm = make_vm(kvm, pages(PAGE), vcpus, fds);

	printf("tenant id=%d-%d ran=%u\n", getpid(), vm.fd, vm.ran);
	hold(argv[1]);
}

static void dups(char **argv)
{
	unsigned int files = number(argv[0]), vcpus = number(argv[1]), i;
	int kvm = open_kvm(NULL), *fds = calloc(vcpus, sizeof(*fds));
	struct vm vm = make_vm(kvm, pages(PAGE), vcpus, fds);

	for (i = 0; i < files; i++)
		must(dup(i % 2 ? vm.fd : fds[i / 2 % vcpus]), "dup");
	printf("tenant id=%d-%d files=%u\n", getpid(), vm.fd, files);
	hold(argv[2]);
}

static int sharer(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
	return 0;
}

static void sharers(char **argv)
{
	unsigned int files = number(argv[0]), processes = number(argv[1]), i;
	const size_t stack = 4 * PAGE;
	int kvm = open_kvm(NULL), vcpu;
	struct vm vm = make_vm(kvm, pages(PAGE), 1, &vcpu);
	char *stacks = pages(processes * stack);

	for (i = 0; i < files; i++)
		must(dup(vm.fd), "dup");
	for (i = 1; i <= processes; i++)
		must(clone(sharer, stacks + i * stack, CLONE_VM | CLONE_FILES | SIGCHLD, NULL),
		     "clone");
	printf("tenant id=%d-%d processes=%u\n", getpid(), vm.fd, processes);
	hold(argv[2]);
}

static void slots(char **argv)
{
	unsigned int nr = number(argv[0]), i;
	size_t size = number(argv[1]) << 20;
	int kvm = open_kvm(NULL), vcpu, vm;
	char *memory = pages(size);

	vm = make_vm(kvm, pages(PAGE), 1, &vcpu).fd;
	for (i = 0; i < nr; i++)
		add_slot(vm, i + 1, (i + 1) * ((unsigned long)size + PAGE), memory, size);
	printf("tenant id=%d-%d mem_kb=%lu\n", getpid(), vm, (nr * size + PAGE) >> 10);
	hold(argv[2]);
}

static void small_slots(char **argv, size_t apart)
{
	unsigned int nr = number(argv[0]), i;
	int kvm = open_kvm(NULL), vcpu, vm;
	char *memory = pages(PAGE + nr * apart);

	vm = make_vm(kvm, pages(PAGE), 1, &vcpu).fd;
	for (i = 1; i <= nr; i++)
		add_slot(vm, i, i * 2 * PAGE, memory + i * apart, PAGE);
	printf("tenant id=%d-%d mem_kb=%lu\n", getpid(), vm, (nr + 1) * PAGE >> 10);
	hold(argv[1]);
	if (apart && !madvise(memory, PAGE + nr * apart, MADV_DONTNEED))
		hold(argv[1]);
}

static void thin(char **argv)
{
	small_slots(argv, 0);
}

static void spread(char **argv)
{
	small_slots(argv, 2 * PAGE);
}

static void grow(char **argv)
{
	int kvm = open_kvm(NULL), vcpu, vm;

	vm = make_vm(kvm, pages(PAGE), 1, &vcpu).fd;
	printf("tenant id=%d-%d mem_kb=4\n", getpid(), vm);
	hold(argv[0]);
	add_slot(vm, 1, 1UL << 20, pages(1 << 20), 1 << 20);
	printf("grown mem_kb=1028\n");
	hold(argv[0]);
}

static void *toggle(void *arg)
{
	unsigned long *what = arg;	/* the VM, the slot, its memory */

	for (;;) {
		add_slot(what[0], what[1], what[1] * 2 * PAGE, (void *)what[2], 0);
		add_slot(what[0], what[1], what[1] * 2 * PAGE, (void *)what[2], PAGE);
	}
	return NULL;
}

static void churn(char **argv)
{
	unsigned int nr = number(argv[0]), i;
	int kvm = open_kvm(NULL), vcpu, vm;
	char *memory = pages(PAGE);
	unsigned long what[3];
	pthread_t thread;

	vm = make_vm(kvm, pages(PAGE), 1, &vcpu).fd;
	for (i = 1; i <= nr; i++)
		add_slot(vm, i, i * 2 * PAGE, memory, PAGE);
	what[0] = vm;
	what[1] = nr;
	what[2] = (unsigned long)memory;
	if (pthread_create(&thread, NULL, toggle, what))
		die("thread");
	printf("tenant id=%d-%d mem_kb=%lu\n", getpid(), vm, (nr + 1) * PAGE >> 10);
	hold(argv[1]);
}

static char *map_file(int fd, size_t size, int flags)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		die("mmap of a file");
	return memory;
}

static int file(off_t size)
{
	int fd = must(memfd_create("tenant", 0), "memfd");

	must(ftruncate(fd, size), "size of a file");
	return fd;
}

static void page_out(char *memory)
{
	*memory = 1;
	must(madvise(memory, PAGE, MADV_PAGEOUT), "page out");
}

/* Two pages in each NODE * NODE, and a file that is 2^62 bytes long. */
static void files(char **argv)
{
	const size_t part = NODE * NODE * PAGE, size = 192 * part;
	int kvm = open_kvm(NULL), vcpu, vm, fd = file(size);
	char *sparse = map_file(fd, size, MAP_SHARED), *private, *table;
	size_t at;

	vm = make_vm(kvm, pages(PAGE), 1, &vcpu).fd;
	for (at = 0; at < size; at += part) {
		sparse[at] = 1;
		sparse[at + part / 2] = 1;
	}
	page_out(sparse);
	add_slot(vm, 1, 1UL << 32, sparse, size);

	fd = file(1L << 62);
	must(pwrite(fd, "", 1, (1L << 62) - 1), "write");
	private = map_file(fd, 6 << 20, MAP_SHARED);
	page_out(private + (5 << 20));
	munmap(private, 6 << 20);
	private = map_file(fd, 6 << 20, MAP_PRIVATE);
	/* All of one table of the process's. */
	table = private + (-(unsigned long)private & ((2 << 20) - 1));
	for (at = 0; at < 2 << 20; at += PAGE)
		table[at] = 1;
	add_slot(vm, 2, 1UL << 34, private, 6 << 20);
	printf("tenant id=%d-%d\n", getpid(), vm);
	hold(argv[0]);
}

static void guest_memfd(char **argv)
{
	const size_t part = NODE * NODE * PAGE, size = 192 * part;
	struct kvm_create_guest_memfd make = {
		.size = size, .flags = MEMFD_MMAP | MEMFD_INIT_SHARED,
	};
	struct kvm_userspace_memory_region2 slot = {
		.slot = 1, .flags = KVM_MEM_GUEST_MEMFD, .guest_phys_addr = 1UL << 32,
		.memory_size = size,
	};
	int kvm = open_kvm(NULL), vcpu, vm, fd;
	size_t at;

	vm = make_vm(kvm, pages(PAGE), 1, &vcpu).fd;
	fd = must(ioctl(vm, KVM_CREATE_GUEST_MEMFD, &make), "guest_memfd");
	for (at = 0; at < size; at += part)
		must(fallocate(fd, FALLOC_FL_KEEP_SIZE, at, PAGE), "fallocate");
	slot.guest_memfd = fd;
	slot.userspace_addr = (unsigned long)map_file(fd, size, MAP_SHARED);
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION2, &slot), "memory slot");
	printf("tenant id=%d-%d private_kb=%lu\n", getpid(), vm, size / part * PAGE >> 10);
	hold(argv[0]);
}

static void logged(char **argv)
{
	struct kvm_userspace_memory_region region = {
		.slot = 1, .flags = KVM_MEM_LOG_DIRTY_PAGES, .guest_phys_addr = 1UL << 32,
		.memory_size = number(argv[0]) << 30,
	};
	int kvm = open_kvm(NULL), vcpu, vm;
	void *memory = mmap(NULL, region.memory_size, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	region.userspace_addr = (unsigned long)memory;
	vm = make_vm(kvm, pages(PAGE), 1, &vcpu).fd;
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "memory slot");
	printf("tenant id=%d-%d\n", getpid(), vm);
	hold(argv[1]);
}

static void orphan(char **argv)
{
	int kvm = open_kvm(NULL), vcpu;
	struct vm vm = make_vm(kvm, pages(1 << 20), 1, &vcpu);

	printf("tenant id=%d-%d\n", getpid(), vm.fd);
	fflush(stdout);
	/* The child goes by itself, so that nothing is left if the test ends early. */
	if (!must(fork(), "fork")) {
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		alarm(60);
		pause();
		_exit(0);
	}
	hold(argv[0]);
}

static void read_with(char **argv)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};
	unsigned long long mask = strtoull(argv[0], NULL, 16);
	char buf[4096];
	int fd, n;

	data[0].effective = mask;
	data[0].permitted = mask;
	data[1].effective = mask >> 32;
	data[1].permitted = mask >> 32;
	must(syscall(SYS_capset, &header, data), "capset");
	fd = open(argv[1], O_RDONLY);
	n = fd < 0 ? -1 : (int)read(fd, buf, sizeof(buf));
	printf("tenant errno=%d read=%d\n", n < 0 ? errno : 0, n);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *act;
		int least;
		void (*more)(int argc, char **argv);
		void (*run)(char **argv);
	} acts[] = {
		{ "births", 2, births, NULL },
		{ "hold", 2, hold_vm, NULL },
		{ "dups", 3, NULL, dups },
		{ "sharers", 3, NULL, sharers },
		{ "slots", 3, NULL, slots },
		{ "thin", 2, NULL, thin },
		{ "spread", 2, NULL, spread },
		{ "grow", 1, NULL, grow },
		{ "churn", 2, NULL, churn },
		{ "files", 1, NULL, files },
		{ "memfd", 1, NULL, guest_memfd },
		{ "logged", 2, NULL, logged },
		{ "orphan", 1, NULL, orphan },
		{ "read", 2, NULL, read_with },
	};
	unsigned int i;

	for (i = 0; argc > 1 && i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (strcmp(argv[1], acts[i].act) || argc - 2 < acts[i].least)
			continue;
		if (acts[i].more)
			acts[i].more(argc - 2, argv + 2);
		else
			acts[i].run(argv + 2);
		return 0;
	}
	fprintf(stderr, "usage: see tenant.c\n");
	return 2;
}
