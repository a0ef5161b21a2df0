/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Opening the files in which the kernel tells of itself.
 */
#ifndef _KVMMEM_COMPAT_FILE_H
#define _KVMMEM_COMPAT_FILE_H

#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/pid_namespace.h>
#include <linux/sched/task.h>

/**
 * kvmmem_open_host - open a file for reading, as the host sees it
 * @path: its absolute path
 *
 * From the root directory of process 1, not of the reader: in a chroot there may be
 * anything at that path, a FIFO that blocks for instance. Not from that of kernel
 * threads, which on newer kernels see an empty one. With the reader's rights.
 *
 * Context: may sleep.
 *
 * Return: the file, to be closed by filp_close(), or an error pointer.
 */
static inline struct file *kvmmem_open_host(const char *path)
{
	struct task_struct *init;
	struct path root = {};
	struct file *file;

	/* Process 1, which does not end; but the thread of its that is meant may. */
	rcu_read_lock();
	init = READ_ONCE(init_pid_ns.child_reaper);
	task_lock(init);
	if (init->fs)
		get_fs_root(init->fs, &root);
	task_unlock(init);
	rcu_read_unlock();
	if (!root.mnt)
		return ERR_PTR(-ESRCH);
#ifdef KVMMEM_HAVE_OPEN_ROOT_PATH
	file = file_open_root(&root, path, O_RDONLY | O_NONBLOCK, 0);
#else
	file = file_open_root(root.dentry, root.mnt, path, O_RDONLY | O_NONBLOCK, 0);
#endif
	path_put(&root);
	return file;
}

#endif /* _KVMMEM_COMPAT_FILE_H */
