// SPDX-License-Identifier: GPL-2.0
/*
 * Reading a guest's memory, what of it is there.
 *
 * Through the page tables of the VM's process, by a kernel thread that borrows them
 * (kthread_use_mm(), as vhost does) and has page faults off: the processor itself
 * sees to it that nothing but that process's memory is read, for however short a
 * time it stays mapped, and nothing is faulted in. It may set accessed bits, as the
 * process's own reading would.
 *
 * The thread ends when it is done: memory that has failed, and that it was the first to
 * read, is taken away then. A worker of the kernel's would keep that to itself for ever,
 * and the next failure that it met would be the host's end.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/uaccess.h>

#include "compat/mce.h"
#include "memory/guestmem.h"
#include "memory/hostwalk.h"
#include "registry/info.h"

/**
 * struct guest_work - what a kernel thread is to do
 * @done: it has
 * @guest: the guest
 * @todo: what
 * @data: for it
 */
struct guest_work {
	struct completion done;
	struct kvmmem_guest guest;
	void (*todo)(struct kvmmem_guest *guest, void *data);
	void *data;
};

static int guest_borrow(void *data)
{
	struct guest_work *it = data;

	kthread_use_mm(it->guest.mm);
	it->todo(&it->guest, it->data);
	kthread_unuse_mm(it->guest.mm);
	complete(&it->done);
	return 0;
}

/**
 * kvmmem_guest_run - do something that reads a guest's memory
 * @vm: the record
 * @work: what; not long, since whoever waits for it cannot be killed meanwhile
 * @data: for it
 *
 * Context: may sleep; a reference on the record.
 *
 * Return: 0; -ESRCH when the VM or its process is gone; -EINTR when the caller is being
 * killed; -ENOMEM.
 */
int kvmmem_guest_run(struct kvmmem_vm *vm, void (*work)(struct kvmmem_guest *guest, void *data),
		     void *data)
{
	struct guest_work it = {
		.done = COMPLETION_INITIALIZER_ONSTACK(it.done),
		.guest = { .vm = vm, .mm = kvmmem_vm_get_mm(vm) },
		.todo = work,
		.data = data,
	};
	struct task_struct *task;

	if (!it.guest.mm)
		return -ESRCH;
	task = kthread_create(guest_borrow, &it, "kvmmem-guest");
	if (!IS_ERR(task)) {
		get_task_struct(task);
		wake_up_process(task);
		wait_for_completion(&it.done);
		/* It has done its work: this waits until it has left kvmmem's code. */
		kthread_stop(task);
		put_task_struct(task);
	}
	kvmmem_put_mm(it.guest.mm);
	if (!IS_ERR(task))
		return 0;
	/* -EAGAIN, too, when there are too many: nobody has a lock. */
	return PTR_ERR(task) == -EINTR ? -EINTR : -ENOMEM;
}

/**
 * kvmmem_guest_slot - find the slot that a guest page lies in
 * @guest: the guest; the slot is in @guest->slot
 * @gfn: the page
 *
 * Context: may sleep.
 *
 * Return: 0; -ENXIO where none is, -ESRCH when the VM is gone.
 */
int kvmmem_guest_slot(struct kvmmem_guest *guest, u64 gfn)
{
	struct kvmmem_vm *vm = guest->vm;
	struct kvmmem_slot *slot = &guest->slot;
	u64 generation;
	int err = 0;

	raw_spin_lock(&vm->lock);
	if (!vm->kvm) {
		err = -ESRCH;
	} else {
		generation = kvmmem_slots_generation(vm->kvm);
		if (generation != guest->generation || gfn - slot->base_gfn >= slot->npages) {
			slot->npages = 0;
			guest->generation = generation;
			err = kvmmem_slot_with(vm->kvm, gfn, slot) ? 0 : -ENXIO;
		}
	}
	raw_spin_unlock(&vm->lock);
	return err;
}

/* Is it memory, and not a device whose registers mind being read? */
static int guest_is_memory(struct mm_struct *mm, unsigned long hva)
{
	struct vm_area_struct *vma;
	int err = -EFAULT;

	if (!mmap_read_trylock(mm))
		return -EAGAIN;
	vma = find_vma(mm, hva);
	if (vma && vma->vm_start <= hva)
		err = kvmmem_host_kind(vma) & KVMMEM_KIND_DEVICE ? -ENXIO : 0;
	mmap_read_unlock(mm);
	return err;
}

/**
 * kvmmem_guest_read - read a guest's memory
 * @guest: the guest
 * @gpa: where
 * @to: where to
 * @bytes: how many; they lie in one page
 *
 * Context: in kvmmem_guest_run(); may sleep.
 *
 * Return: 0. -ENXIO: no memory is there, or its process does not map it. -EACCES: it is
 * a guest_memfd's. -EFAULT: it is not mapped now, swapped for instance. -EIO: it has just
 * failed, and this thread must end. -EAGAIN: somebody else had a lock. -ESRCH: the VM is
 * gone.
 */
int kvmmem_guest_read(struct kvmmem_guest *guest, u64 gpa, void *to, unsigned int bytes)
{
	u64 gfn = gpa >> PAGE_SHIFT;
	unsigned long hva, left;
	int err;

	err = kvmmem_guest_slot(guest, gfn);
	if (err)
		return err;
	/* The guest has pages of a guest_memfd there, and not what the process maps. */
	if (kvmmem_slot_is_private(&guest->slot))
		return -EACCES;
	hva = guest->slot.hva + ((gfn - guest->slot.base_gfn) << PAGE_SHIFT);
	err = guest_is_memory(guest->mm, hva);
	if (err)
		return err;
	hva += gpa & ~PAGE_MASK;
	if (!access_ok((const void __user *)hva, bytes))
		return -EFAULT;
	if (kvmmem_mce_met())
		return -EIO;
	pagefault_disable();
	left = __copy_from_user_inatomic(to, (const void __user *)hva, bytes);
	pagefault_enable();
	if (!left)
		return 0;
	return kvmmem_mce_met() ? -EIO : -EFAULT;
}
