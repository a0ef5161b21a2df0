// SPDX-License-Identifier: GPL-2.0
/*
 * A VM that ends when it is told, while its process stays.
 *
 *	lastvm FIFO [FILE]
 *
 * FIFO is read twice: the VM ends, then the process does. Nothing in between takes a page
 * fault, which somebody may hold up. The VM's memory is FILE's.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kvm.h>

int main(int argc, char **argv)
{
	int file = argc > 2 ? open(argv[2], O_RDWR | O_CLOEXEC) : -1;
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    argc > 2 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, file, 0);
	struct kvm_userspace_memory_region slot = {
		.memory_size = 4096, .userspace_addr = (unsigned long)memory,
	};
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = ioctl(kvm, KVM_CREATE_VM, 0), fifo;
	char byte;

	fifo = argc > 1 ? open(argv[1], O_RDONLY) : -1;
	if (memory == MAP_FAILED || vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) || fifo < 0)
		return 1;
	if (mlockall(MCL_CURRENT) || read(fifo, &byte, 1) != 1)
		return 1;
	close(vm);
	return read(fifo, &byte, 1) != 1;
}
