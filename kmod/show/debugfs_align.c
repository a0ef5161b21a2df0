// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: vms/<id>/alignment, what the current address space of each vCPU maps.
 *
 * A vCPU's tables are walked when its rows are printed. The last result stays in
 * memory, since seq_file prints rows again when they did not fit.
 */
#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "count/regs.h"
#include "decode/paging.h"
#include "memory/align.h"
#include "show/debugfs_align.h"
#include "show/file.h"
#include "show/table.h"

KVMMEM_TABLE(align_table, "align",
	     { "vcpu", 4 }, { "guest", -5 }, { "kvm", -5 }, { "host", -5 }, { "size_kb", 12 });

KVMMEM_TABLE(reach_table, "reach",
	     { "vcpu", 4 }, { "mapped_kb", 12 }, { "reach_kb", 12 }, { "lost_kb", 12 },
	     { "wasted_kb", 12 }, { "small_kb", 12 }, { "not_yet_kb", 12 },
	     { "no_slot_kb", 12 }, { "sampled", -7 }, { "error_kb", 10 }, { "tables", 7 },
	     { "unread", 6 }, { "age_us", 10 }, { "why", -12 });

/**
 * struct aligner - an open file
 * @vm: the VM
 * @rec: the vCPU at the position; NULL at the header
 * @pos: the position: 0 the header, 1 the first vCPU
 * @budget: what may be spent on this reading
 * @answer: the vCPU's registers
 * @alignment: what its address space maps
 * @err: or why that is not known
 */
struct aligner {
	struct kvmmem_vm *vm;
	struct kvmmem_vcpu *rec;
	loff_t pos;
	struct kvmmem_budget budget;
	struct kvmmem_regs_answer answer;
	struct kvmmem_alignment alignment;
	int err;
};

static const char * const size_names[KVMMEM_ALIGN_CELLS] = { "4k", "2m", "1g", "none" };

static u64 align_kb(u64 pages)
{
	return pages << (PAGE_SHIFT - 10);
}

static void align_rows(struct seq_file *seq, const struct aligner *aligner)
{
	const struct kvmmem_alignment *it = &aligner->alignment;
	unsigned int guest, kvm, host;

	for (guest = 0; guest < KVMMEM_NR_SIZES; guest++)
		for (kvm = 0; kvm < KVMMEM_ALIGN_CELLS; kvm++)
			for (host = 0; host < KVMMEM_ALIGN_CELLS; host++) {
				struct kvmmem_row row;

				if (!it->pages[guest][kvm][host])
					continue;
				row = kvmmem_row_begin(seq, &align_table);
				kvmmem_row_u64(&row, aligner->rec->id);
				kvmmem_row_text(&row, size_names[guest]);
				kvmmem_row_text(&row, it->kvm_known ? size_names[kvm] : "-");
				kvmmem_row_text(&row, size_names[host]);
				kvmmem_row_u64(&row, align_kb(it->pages[guest][kvm][host]));
				kvmmem_row_end(&row);
			}
}

static const char *align_why(const struct aligner *aligner)
{
	switch (aligner->err) {
	case 0:
		return aligner->alignment.kvm_known ? "-" : aligner->alignment.kvm_why;
	case -ENOENT:
		return "no-paging";
	case -EOPNOTSUPP:
		return "encrypted";
	case -EFAULT:
		return "unreadable";
	case -EAGAIN:
		return aligner->answer.in_l2 ? "in-l2" : "not-seen";
	case -ESRCH:
		return "gone";
	default:
		return "busy";
	}
}

static void reach_row(struct seq_file *seq, const struct aligner *aligner)
{
	const struct kvmmem_alignment *it = &aligner->alignment;
	struct kvmmem_row row = kvmmem_row_begin(seq, &reach_table);
	bool known = !aligner->err, both = known && it->kvm_known;
	struct kvmmem_align_sum sum;
	unsigned int i;

	kvmmem_align_sum(it, &sum);
	kvmmem_row_u64(&row, aligner->rec->id);
	kvmmem_row_u64(&row, known ? align_kb(sum.mapped) : KVMMEM_UNKNOWN);
	if (both)
		kvmmem_row_numbers(&row, align_kb(sum.reach), align_kb(sum.lost),
				   align_kb(sum.wasted), align_kb(sum.small),
				   align_kb(sum.not_yet));
	for (i = 0; !both && i < 5; i++)
		kvmmem_row_u64(&row, KVMMEM_UNKNOWN);
	kvmmem_row_u64(&row, known ? align_kb(it->no_slot) : KVMMEM_UNKNOWN);
	kvmmem_row_text(&row, !known ? "-" : it->sampled ? "yes" : "no");
	kvmmem_row_u64(&row, both ? align_kb(it->error) : KVMMEM_UNKNOWN);
	kvmmem_row_u64(&row, known ? it->tables : KVMMEM_UNKNOWN);
	kvmmem_row_u64(&row, known ? it->unread : KVMMEM_UNKNOWN);
	kvmmem_row_u64(&row, known ? aligner->answer.age_us : KVMMEM_UNKNOWN);
	kvmmem_row_text(&row, align_why(aligner));
	kvmmem_row_end(&row);
}

static int alignment_show(struct seq_file *seq, void *v)
{
	const struct aligner *aligner = v;

	if (!aligner->pos) {
		kvmmem_table_header(seq, &align_table);
		kvmmem_table_header(seq, &reach_table);
		return 0;
	}
	if (!aligner->err)
		align_rows(seq, aligner);
	reach_row(seq, aligner);
	return 0;
}

static void align_look(struct aligner *aligner)
{
	u64 begun = ktime_get_ns();
	/* Of a thousand vCPUs none may answer. */
	bool ask = aligner->budget.wait_ns > 0;

	memset(&aligner->alignment, 0, sizeof(aligner->alignment));
	aligner->err = kvmmem_regs_of_vcpu(aligner->rec, ask, &aligner->answer);
	if (aligner->err == -EAGAIN && !ask && !aligner->answer.in_l2)
		aligner->err = -EBUSY;
	kvmmem_budget_waited(&aligner->budget, begun);
	if (!aligner->err)
		aligner->err = kvmmem_align(aligner->vm, &aligner->answer.regs,
					    &aligner->budget, &aligner->alignment);
}

/* The rows at a position; there are only ways forward and to the beginning. */
static void *align_seek(struct aligner *aligner, loff_t pos)
{
	bool moved = false;

	if (pos < aligner->pos || !pos) {
		aligner->pos = 0;
		aligner->rec = NULL;
		aligner->err = 0;
		kvmmem_budget_open_long(&aligner->budget);
	}
	for (; aligner->pos < pos; aligner->pos++) {
		struct kvmmem_vcpu *next = kvmmem_vm_next_vcpu(aligner->vm, aligner->rec);

		if (!next)
			return NULL;
		aligner->rec = next;
		moved = true;
	}
	if (moved)
		align_look(aligner);
	return aligner->err == -EINTR ? ERR_PTR(-EINTR) : aligner;
}

static void *align_start(struct seq_file *seq, loff_t *pos)
{
	return align_seek(seq->private, *pos);
}

static void *align_next(struct seq_file *seq, void *v, loff_t *pos)
{
	++*pos;
	return align_seek(seq->private, *pos);
}

static void align_stop(struct seq_file *seq, void *v)
{
}

static const struct seq_operations align_seq_ops = {
	.start = align_start,
	.next = align_next,
	.stop = align_stop,
	.show = alignment_show,
};

static int alignment_open(struct inode *inode, struct file *file)
{
	struct aligner *aligner;

	if (file->f_mode & FMODE_WRITE)
		return -EACCES;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	aligner = __seq_open_private(file, &align_seq_ops, sizeof(*aligner));
	if (!aligner)
		return -ENOMEM;
	aligner->vm = inode->i_private;
	return 0;
}

static const struct file_operations alignment_fops = {
	.owner = THIS_MODULE,
	.open = alignment_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

/**
 * kvmmem_debugfs_align - add the file to a VM's directory
 * @vm: the record; it stays as long as the directory
 * @dir: the directory
 *
 * Return: false if there is no memory.
 */
bool kvmmem_debugfs_align(struct kvmmem_vm *vm, struct dentry *dir)
{
	return kvmmem_file_made(debugfs_create_file("alignment", 0400, dir, vm, &alignment_fops));
}
