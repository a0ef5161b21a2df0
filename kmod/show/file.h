/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files of debugfs that one function prints.
 */
#ifndef _KVMMEM_FILE_H
#define _KVMMEM_FILE_H

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

/**
 * kvmmem_file_made - was there memory for a file or a directory?
 * @dentry: from debugfs
 *
 * Return: true if so; and in a kernel without debugfs, where trying again would not help.
 */
static inline bool kvmmem_file_made(const struct dentry *dentry)
{
	return !IS_ERR(dentry) || PTR_ERR(dentry) != -ENOMEM;
}

/*
 * Like DEFINE_SHOW_ATTRIBUTE(), and refuses to be opened for writing: root's
 * open ignores the mode.
 */
#define KVMMEM_SHOW_FILE(name)								\
static int name##_open(struct inode *inode, struct file *file)			\
{										\
	if (file->f_mode & FMODE_WRITE)						\
		return -EACCES;							\
	return single_open(file, name##_show, inode->i_private);		\
}										\
										\
static const struct file_operations name##_fops = {				\
	.owner = THIS_MODULE,							\
	.open = name##_open,							\
	.read = seq_read,							\
	.llseek = seq_lseek,							\
	.release = single_release,						\
}

#endif /* _KVMMEM_FILE_H */
