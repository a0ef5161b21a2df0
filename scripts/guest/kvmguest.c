// SPDX-License-Identifier: GPL-2.0
/*
 * kvmguest - exactly specified guests over /dev/kvm.
 *
 * Every page that a guest touches is decided here before it runs, so the
 * number of its EPT violations (nested page faults) can be computed
 * beforehand and compared with what KVM, a tracer or kvmmem counted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

static int open_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(EXIT_LACKING, "/dev/kvm: %s", strerror(errno));
	return fd;
}

static int create_vm(int kvm_fd)
{
	int fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);

	if (fd < 0)
		die_errno("KVM_CREATE_VM");
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

static void create_only(unsigned int count)
{
	int kvm_fd = open_kvm();
	unsigned int i;

	for (i = 0; i < count; i++) {
		int fd = create_vm(kvm_fd);
		int vcpu_fd = ioctl(fd, KVM_CREATE_VCPU, 0);

		if (vcpu_fd < 0)
			die_errno("KVM_CREATE_VCPU");
		close(vcpu_fd);
		close(fd);
	}
	close(kvm_fd);
	printf("created pid=%d vms=%u\n", getpid(), count);
}

static void setup_vm(struct vm *vm, const struct options *opt,
		     const struct host *host)
{
	uint64_t identity_map = 0xfffbc000;
	unsigned int i;

	vm->opt = opt;
	vm->amd = host->amd;
	vm->kvm_fd = open_kvm();
	vm->fd = create_vm(vm->kvm_fd);
	snprintf(vm->id, sizeof(vm->id), "%d-%d", getpid(), vm->fd);
	/* Intel's KVM wants these; with unrestricted guests it ignores them. */
	if (!host->amd) {
		ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
		ioctl(vm->fd, KVM_SET_TSS_ADDR, identity_map + PAGE);
	}
	setup_dirty(vm);
	plan_vcpus(vm);
	map_slots(vm);
	check_drop(vm);
	build_tables(vm);
	register_slots(vm);
	if (opt->ioeventfd)
		set_eventfds(vm);
	for (i = 0; i < vm->nr_vcpus; i++)
		create_vcpu(&vm->vcpu[i]);
	pthread_barrier_init(&vm->barrier, NULL, vm->nr_vcpus);
	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->cond, NULL);
}

static void close_vm(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		destroy_vcpu(&vm->vcpu[i]);
	close(vm->fd);
	close(vm->kvm_fd);
	unmap_slots(vm);
	free(vm->vcpu);
}

static void announce(struct vm *vm, const struct host *host)
{
	const struct options *opt = vm->opt;
	struct expect exp;

	compute_expect(vm, host, &exp);
	printf("guest id=%s pid=%d vcpus=%u slots=%u pages=%lu slot_kb=%lu ctl_kb=%lu mem_kb=%lu\n",
	       vm->id, getpid(), opt->vcpus, opt->slots, opt->pages,
	       (unsigned long)vm->data[0].size / 1024,
	       (unsigned long)vm->ctl.size / 1024,
	       (unsigned long)((opt->slots + opt->alias) * vm->data[0].size + vm->display.size +
			       vm->ctl.size) / 1024);
	print_slots(vm);
	printf("expect id=%s violations=%lu read=%lu write=%lu exec=%lu walk=%lu protection=%lu mmio=%lu emulated=%lu shadow=%lu trace=%lu pf_taken=%lu exact=%s\n",
	       vm->id, exp.read + exp.write + exp.exec, exp.read, exp.write,
	       exp.exec, exp.walk, exp.protection, exp.mmio, exp.emulated,
	       exp.shadow, exp.trace, exp.pf_taken, exp.exact ? "yes" : "no");
}

static unsigned long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static void report(struct vm *vm, unsigned long long run_ns)
{
	unsigned long io = 0, mmio = 0, hlt = 0;
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		io += vm->vcpu[i].io_exits;
		mmio += vm->vcpu[i].mmio_exits;
		hlt += vm->vcpu[i].hlt_exits;
	}
	printf("result id=%s passes=%lu io_exits=%lu mmio_exits=%lu hlt_exits=%lu tids=",
	       vm->id, vm->passes, io, mmio, hlt);
	for (i = 0; i < vm->nr_vcpus; i++)
		printf("%s%d", i ? "," : "", vm->vcpu[i].tid);
	if (vm->opt->toggle_display)
		printf(" toggles=%lu", vm->toggles);
	printf(" run_ns=%llu\n", run_ns);
}

static void *vcpu_main(void *arg)
{
	run_vcpu(arg);
	return NULL;
}

static void kick(int sig)
{
	(void)sig;
}

static void stop_vm(struct vm *vm)
{
	unsigned int i;

	vm->stop = true;
	for (i = 0; i < vm->nr_vcpus; i++) {
		vm->vcpu[i].run->immediate_exit = 1;
		pthread_kill(vm->vcpu[i].thread, SIGUSR1);
	}
}

/* Drop the memory --drop-thread times, each time after all was touched. */
static void *dropper_main(void *arg)
{
	struct vm *vm = arg;
	unsigned long seen = 0, now;
	unsigned int i;

	for (i = 0; i < vm->opt->drop_thread; i++) {
		pthread_mutex_lock(&vm->lock);
		while (vm->passes < seen + vm->nr_vcpus)
			pthread_cond_wait(&vm->cond, &vm->lock);
		now = vm->passes;
		pthread_mutex_unlock(&vm->lock);
		seen = now;
		drop_memory(vm);
	}
	stop_vm(vm);
	return NULL;
}

static void *toggler_main(void *arg)
{
	struct vm *vm = arg;

	for (; !vm->done; vm->toggles++)
		toggle_display(vm);
	return NULL;
}

static void start_thread(pthread_t *thread, void *(*func)(void *), void *arg)
{
	int err = pthread_create(thread, NULL, func, arg);

	if (err)
		die(1, "pthread_create: %s", strerror(err));
}

static void run_vms(struct vm *vms, const struct options *opt)
{
	struct sigaction action = { .sa_handler = kick };
	struct timespec wait = { .tv_sec = opt->seconds };
	static pthread_barrier_t all;	/* one call a process */
	sigset_t set;
	unsigned int v, i;

	pthread_barrier_init(&all, NULL, opt->vms * opt->vcpus);

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (opt->forever)
		pthread_sigmask(SIG_BLOCK, &set, NULL);
	for (v = 0; v < opt->vms; v++) {
		vms[v].all = &all;
		for (i = 0; i < vms[v].nr_vcpus; i++)
			start_thread(&vms[v].vcpu[i].thread, vcpu_main,
				     &vms[v].vcpu[i]);
		if (opt->drop_thread)
			start_thread(&vms[v].dropper, dropper_main, &vms[v]);
		if (opt->toggle_display)
			start_thread(&vms[v].toggler, toggler_main, &vms[v]);
	}
	if (opt->forever) {
		if (opt->seconds)
			sigtimedwait(&set, NULL, &wait);
		else	/* EINTR: we were stopped and go on. */
			while (sigwaitinfo(&set, NULL) < 0)
				;
		for (v = 0; v < opt->vms; v++)
			stop_vm(&vms[v]);
	}
	for (v = 0; v < opt->vms; v++) {
		for (i = 0; i < vms[v].nr_vcpus; i++)
			pthread_join(vms[v].vcpu[i].thread, NULL);
		if (opt->drop_thread)
			pthread_join(vms[v].dropper, NULL);
		vms[v].done = true;
		if (opt->toggle_display)
			pthread_join(vms[v].toggler, NULL);
	}
	if (opt->forever)
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static int then_or_hold(const struct options *opt)
{
	int status = 0, fd;
	char byte;

	fflush(stdout);
	if (opt->then)
		status = system(opt->then);
	if (opt->hold) {
		fd = open(opt->hold, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			die_errno(opt->hold);
		if (read(fd, &byte, 1) < 0)
			die_errno(opt->hold);
		close(fd);
	}
	return status ? 1 : 0;
}

static void export_ids(struct vm *vms, unsigned int count)
{
	char pid[16], ids[MAX_VMS * 32] = "";
	unsigned int v;

	for (v = 0; v < count; v++) {
		strcat(ids, v ? " " : "");
		strcat(ids, vms[v].id);
	}
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("KVMGUEST_ID", vms[0].id, 1);
	setenv("KVMGUEST_IDS", ids, 1);
	setenv("KVMGUEST_PID", pid, 1);
}

int main(int argc, char **argv)
{
	struct options opt;
	struct host host;
	unsigned long long start, run_ns;
	struct vm *vms;
	unsigned int v, i;
	int status;

	parse_options(argc, argv, &opt);
	if (opt.create_only) {
		create_only(opt.create_only);
		return then_or_hold(&opt);
	}
	probe_host(&host);
	if (opt.migrate && host.cpus < 2)
		die(EXIT_LACKING, "--migrate needs two processors");
	if (opt.flat && host.tdp && !host.amd && !host.unrestricted)
		die(EXIT_LACKING, "--mode flat needs unrestricted guests");

	vms = calloc(opt.vms, sizeof(*vms));
	if (!vms)
		die_errno("calloc");
	for (v = 0; v < opt.vms; v++) {
		setup_vm(&vms[v], &opt, &host);
		announce(&vms[v], &host);
		if (needs_prefault(&opt))
			prefault_memory(&vms[v]);
	}
	export_ids(vms, opt.vms);
	fflush(stdout);

	start = now_ns();
	run_vms(vms, &opt);
	run_ns = now_ns() - start;

	for (v = 0; v < opt.vms; v++)
		report(&vms[v], run_ns);
	for (v = 0; v < opt.vms && opt.fail_entry; v++)
		for (i = 0; i < vms[v].nr_vcpus; i++)
			fail_entry(&vms[v].vcpu[i]);
	if (!opt.drop_thread)
		check_huge(vms);
	for (v = 0; v < opt.vms && opt.advice >= 0; v++)
		advise_memory(&vms[v]);
	for (v = 0; v < opt.vms && opt.punch; v++)
		punch_memory(&vms[v]);
	for (v = 0; v < opt.vms && opt.close_then_hold; v++)
		close_vm(&vms[v]);
	status = then_or_hold(&opt);
	for (v = 0; v < opt.vms && !opt.close_then_hold; v++)
		close_vm(&vms[v]);
	free(vms);
	return status;
}
