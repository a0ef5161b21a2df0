// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: vms/<id>/backing, a row for each memory slot.
 *
 * A slot is walked when its row is printed. The last one stays in memory, since
 * seq_file prints a row again when it did not fit.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "memory/backing.h"
#include "memory/join.h"
#include "show/debugfs_backing.h"
#include "show/file.h"
#include "show/slotname.h"
#include "show/table.h"

KVMMEM_TABLE(slot_table, "slot",
	     { "slot", 5 }, { "gpa", 14 }, { "size_kb", 10 }, { "kind", -9 },
	     { "flags", -14 },
	     { "host_4k_kb", 10 }, { "host_2m_kb", 10 }, { "host_1g_kb", 10 },
	     { "ept_4k_kb", 10 }, { "ept_2m_kb", 10 }, { "ept_1g_kb", 10 },
	     { "gap_kb", 10 }, { "cause", -15 },
	     { "resident_kb", 11 }, { "swap_kb", 10 }, { "ksm_kb", 10 },
	     { "zero_kb", 10 }, { "hole_kb", 10 }, { "unfaulted_kb", 12 },
	     { "gap_misaligned_kb", 17 }, { "gap_dirty_log_kb", 16 },
	     { "gap_write_tracked_kb", 20 }, { "gap_nx_split_kb", 15 },
	     { "gap_unknown_kb", 14 }, { "ept", -10 }, { "nodes_kb", -10 },
	     { "device_kb", 10 }, { "private_kb", 10 });

static const char * const cause_names[KVMMEM_NR_GAPS] = {
	[KVMMEM_GAP_MISALIGNED] = "misaligned-slot",
	[KVMMEM_GAP_DIRTY_LOG] = "dirty-logging",
	[KVMMEM_GAP_WRITE_TRACKED] = "write-tracked",
	[KVMMEM_GAP_NX] = "nx-split",
	[KVMMEM_GAP_UNKNOWN] = "unknown",
};

/**
 * struct reader - an open file
 * @vm: the VM
 * @join: the walk over its slots
 * @pos: position whose slot is in @join: 0 the header, 1 the first slot
 * @total: sums over the slots so far
 * @begun: pages that KVM counted when the walk began, by size
 * @over: there is no slot at @pos: the totals are printed there
 * @gone: so is the VM, or its process: there are no totals
 * @nodes: room for a cell with all nodes
 */
struct reader {
	struct kvmmem_vm *vm;
	struct kvmmem_join *join;
	loff_t pos;
	struct kvmmem_slot_backing total;
	u64 begun[KVMMEM_NR_SIZES];
	bool over;
	bool gone;
	char nodes[];
};

/* Of one node, "nodes_kb". */
#define NODE_TEXT	32

static u64 pages_kb(u64 pages)
{
	return pages << (PAGE_SHIFT - 10);
}

/* The cause of the largest part of the gap. */
static const char *slot_main_cause(const struct kvmmem_slot_backing *sb)
{
	int i, most = 0;

	for (i = 1; i < KVMMEM_NR_GAPS; i++)
		if (sb->gap[i] > sb->gap[most])
			most = i;
	if (sb->gap[most])
		return cause_names[most];
	return sb->unfaulted ? "not-yet-faulted" : "-";
}

static void slot_put_nodes(struct kvmmem_row *row, const u64 *nodes, char *text)
{
	int node, len = 0;

	for_each_online_node(node)
		if (nodes[node])
			len += scnprintf(text + len, NODE_TEXT, "%s%d:%llu",
					 len ? "," : "", node, pages_kb(nodes[node]));
	kvmmem_row_text(row, len ? text : "-");
}

static void slot_put_sizes(struct kvmmem_row *row, const u64 *pages, bool known)
{
	int i;

	for (i = 0; i < KVMMEM_NR_SIZES; i++)
		kvmmem_row_u64(row, known ? pages_kb(pages[i]) : KVMMEM_UNKNOWN);
}

static u64 slot_gap(const struct kvmmem_slot_backing *sb)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < KVMMEM_NR_GAPS; i++)
		sum += sb->gap[i];
	return sum;
}

static void slot_put_pages(struct kvmmem_row *row, u64 pages, bool known)
{
	kvmmem_row_u64(row, known ? pages_kb(pages) : KVMMEM_UNKNOWN);
}

static bool slot_is_walked(const struct kvmmem_slot_backing *sb)
{
	return sb->ept == KVMMEM_EPT_WALKED || sb->ept == KVMMEM_EPT_DIFFERS;
}

/* What is the same in the row of a slot and in that of the totals. */
static void slot_put_backing(struct kvmmem_row *row, const struct kvmmem_slot_backing *sb,
			     const u64 *ept_mapped, const u64 *nodes, char *text)
{
	bool walked = slot_is_walked(sb), known = sb->host_known;
	const struct kvmmem_hostmem *host = &sb->host;
	u64 resident = 0, there;
	int i;

	for (i = 0; i < KVMMEM_NR_SIZES; i++)
		resident += host->mapped[i];
	there = resident + host->swap + host->special + host->device;
	slot_put_sizes(row, host->mapped, known);
	slot_put_sizes(row, ept_mapped, !!ept_mapped);
	slot_put_pages(row, slot_gap(sb), walked);
	kvmmem_row_text(row, walked ? slot_main_cause(sb) : "-");
	slot_put_pages(row, resident, known);
	slot_put_pages(row, host->swap, known);
	slot_put_pages(row, host->ksm, known);
	slot_put_pages(row, host->special, known);
	/* What is in a guest_memfd need not be mapped to be there. */
	slot_put_pages(row, sb->slot.npages - min(there, sb->slot.npages),
		       known && !kvmmem_slot_is_private(&sb->slot));
	slot_put_pages(row, sb->unfaulted, walked);
	for (i = 0; i < KVMMEM_NR_GAPS; i++)
		slot_put_pages(row, sb->gap[i], walked);
	kvmmem_row_text(row, kvmmem_ept_state_name(sb->ept));
	if (nodes && known)
		slot_put_nodes(row, nodes, text);
	else
		kvmmem_row_text(row, "-");
	slot_put_pages(row, host->device, known);
	/* Where there is a guest_memfd its pages are counted, or not all of them. */
	slot_put_pages(row, sb->private, KVMMEM_HAS_MEMFD && sb->ept != KVMMEM_EPT_GONE &&
		       (known || !kvmmem_slot_is_private(&sb->slot)));
}

static void slot_row(struct seq_file *seq, struct reader *reader)
{
	const struct kvmmem_join *join = reader->join;
	const struct kvmmem_slot_backing *sb = &join->slot;
	struct kvmmem_row row = kvmmem_row_begin(seq, &slot_table);
	char gpa[24];

	snprintf(gpa, sizeof(gpa), "0x%llx", sb->slot.base_gfn << PAGE_SHIFT);
	kvmmem_row_u64(&row, sb->slot.id);
	kvmmem_row_text(&row, gpa);
	kvmmem_row_u64(&row, pages_kb(sb->slot.npages));
	kvmmem_row_text(&row, sb->host_known ? kvmmem_slot_kind_name(sb->host.kinds) : "-");
	kvmmem_row_text(&row, kvmmem_slot_flags_name(sb->slot.flags));
	slot_put_backing(&row, sb, slot_is_walked(sb) ? sb->ept_mapped : NULL, join->nodes,
			 reader->nodes);
	kvmmem_row_end(&row);
}

/* The pages that KVM has mapped, as it counts them; false where it does not. */
static bool backing_kvm_pages(struct kvmmem_vm *vm, u64 *pages)
{
	struct kvmmem_levels levels;
	int i;

	if (!kvmmem_backing_levels(vm, &levels) || levels.ept_kb[0] == KVMMEM_UNKNOWN)
		return false;
	for (i = 0; i < KVMMEM_NR_SIZES; i++)
		pages[i] = levels.ept_kb[i] >> (PAGE_SHIFT - 10);
	return true;
}

/*
 * KVM's own totals stand here. What was found has to lie between those when the walk
 * began and those of now; else there are other tables (SMM's, a nested guest's) than
 * those that were walked, or the VM changes too fast.
 */
static void backing_total_row(struct seq_file *seq, struct reader *reader)
{
	struct kvmmem_slot_backing *total = &reader->total;
	u64 now[KVMMEM_NR_SIZES];
	bool known = backing_kvm_pages(reader->vm, now);
	struct kvmmem_row row;
	int i;

	for (i = 0; known && i < KVMMEM_NR_SIZES; i++)
		if (total->ept == KVMMEM_EPT_WALKED &&
		    (total->ept_mapped[i] < min(reader->begun[i], now[i]) ||
		     total->ept_mapped[i] > max(reader->begun[i], now[i])))
			total->ept = KVMMEM_EPT_DIFFERS;
	row = kvmmem_row_begin(seq, &slot_table);
	kvmmem_row_text(&row, "total");
	kvmmem_row_text(&row, "-");
	kvmmem_row_u64(&row, reader->gone ? KVMMEM_UNKNOWN : pages_kb(total->slot.npages));
	kvmmem_row_text(&row, total->host_known ? kvmmem_slot_kind_name(total->host.kinds) : "-");
	kvmmem_row_text(&row, reader->gone ? "-" : kvmmem_slot_flags_name(total->slot.flags));
	slot_put_backing(&row, total, known ? now : NULL, NULL, NULL);
	kvmmem_row_end(&row);
}

static void backing_add_slot(struct kvmmem_slot_backing *total,
			     const struct kvmmem_slot_backing *sb)
{
	int i;

	total->host_known &= sb->host_known;
	total->slot.npages += sb->slot.npages;
	total->slot.flags |= sb->slot.flags;
	for (i = 0; i < KVMMEM_NR_SIZES; i++) {
		total->host.mapped[i] += sb->host.mapped[i];
		total->ept_mapped[i] += sb->ept_mapped[i];
	}
	for (i = 0; i < KVMMEM_NR_GAPS; i++)
		total->gap[i] += sb->gap[i];
	total->host.swap += sb->host.swap;
	total->host.ksm += sb->host.ksm;
	total->host.special += sb->host.special;
	total->host.device += sb->host.device;
	total->private += sb->private;
	total->host.kinds |= sb->host.kinds;
	total->unfaulted += sb->unfaulted;
	if (sb->ept != KVMMEM_EPT_WALKED)
		total->ept = sb->ept;
}

static int backing_rewind(struct reader *reader)
{
	kfree(reader->join);
	reader->join = kvmmem_join_begin(reader->vm);
	reader->pos = 0;
	reader->over = false;
	reader->gone = false;
	memset(&reader->total, 0, sizeof(reader->total));
	reader->total.host_known = true;
	memset(reader->begun, 0, sizeof(reader->begun));
	backing_kvm_pages(reader->vm, reader->begun);
	return reader->join ? 0 : -ENOMEM;
}

/* The row at a position; there are only ways forward and to the beginning. */
static void *backing_seek(struct reader *reader, loff_t pos)
{
	int ret;

	if (pos < reader->pos || !reader->join) {
		ret = backing_rewind(reader);
		if (ret)
			return ERR_PTR(ret);
	}
	while (reader->pos < pos) {
		if (reader->over)
			return NULL;
		ret = kvmmem_join_next(reader->join);
		if (ret < 0 && ret != -ESRCH)
			return ERR_PTR(ret);
		reader->pos++;
		reader->over = ret <= 0;
		if (ret > 0) {
			backing_add_slot(&reader->total, &reader->join->slot);
		} else if (ret < 0) {
			reader->gone = true;
			reader->total.host_known = false;
			reader->total.ept = KVMMEM_EPT_GONE;
		}
	}
	return reader;
}

static void *backing_start(struct seq_file *seq, loff_t *pos)
{
	return backing_seek(seq->private, *pos);
}

static void *backing_next(struct seq_file *seq, void *v, loff_t *pos)
{
	++*pos;
	return backing_seek(seq->private, *pos);
}

static void backing_stop(struct seq_file *seq, void *v)
{
}

static int backing_show(struct seq_file *seq, void *v)
{
	struct reader *reader = v;

	if (!reader->pos)
		kvmmem_table_header(seq, &slot_table);
	else if (reader->over)
		backing_total_row(seq, reader);
	else
		slot_row(seq, reader);
	return 0;
}

static const struct seq_operations backing_seq_ops = {
	.start = backing_start,
	.next = backing_next,
	.stop = backing_stop,
	.show = backing_show,
};

static int backing_open(struct inode *inode, struct file *file)
{
	struct reader *reader;

	if (file->f_mode & FMODE_WRITE)
		return -EACCES;
	reader = __seq_open_private(file, &backing_seq_ops,
				    sizeof(*reader) + nr_node_ids * NODE_TEXT);
	if (!reader)
		return -ENOMEM;
	reader->vm = inode->i_private;
	return 0;
}

static int backing_release(struct inode *inode, struct file *file)
{
	struct seq_file *seq = file->private_data;
	struct reader *reader = seq->private;

	kfree(reader->join);
	return seq_release_private(inode, file);
}

static const struct file_operations backing_fops = {
	.owner = THIS_MODULE,
	.open = backing_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = backing_release,
};

/**
 * kvmmem_debugfs_backing - add the file to a VM's directory
 * @vm: the record; it stays as long as the directory
 * @dir: the directory
 *
 * Return: false if there is no memory.
 */
bool kvmmem_debugfs_backing(struct kvmmem_vm *vm, struct dentry *dir)
{
	return kvmmem_file_made(debugfs_create_file("backing", 0400, dir, vm, &backing_fops));
}
