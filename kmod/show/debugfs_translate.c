// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: vms/<id>/translate. Write an address, read the chain of its tables.
 *
 * Whoever writes and reads by one open file gets the answer to what was written
 * there, whatever others ask meanwhile. Who has only written to the file before, as
 * the shell does, gets the answer to what was asked of this VM last.
 *
 * It shows host-physical addresses and entries of page tables, so its user needs
 * CAP_SYS_ADMIN. Under lockdown debugfs itself refuses what can be written to.
 */
#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "compat/memory.h"
#include "count/regs.h"
#include "memory/hostwalk.h"
#include "memory/translate.h"
#include "show/debugfs_translate.h"
#include "show/file.h"
#include "show/slotname.h"
#include "show/table.h"

/* The longest question, with blanks and a line's end. */
#define QUESTION_LEN	64

KVMMEM_TABLE(ask_table, "ask",
	     { "what", -4 }, { "vcpu", 5 }, { "address", 18 });

KVMMEM_TABLE(regs_table, "regs",
	     { "mode", -7 }, { "cr3", 18 }, { "cr0", 10 }, { "cr4", 8 }, { "efer", 6 },
	     { "l2", -3 }, { "age_us", 10 }, { "from", -9 });

KVMMEM_TABLE(guest_table, "guestpt",
	     { "table", -5 }, { "level", 5 }, { "gpa", 18 }, { "entry", 18 },
	     { "flags", -8 }, { "leads_to", 18 }, { "why", -12 });

KVMMEM_TABLE(slot_table, "slot",
	     { "slot", 5 }, { "gpa", 14 }, { "size_kb", 12 }, { "hva", 18 },
	     { "flags", -14 }, { "slots", 5 });

KVMMEM_TABLE(host_table, "hostpt",
	     { "table", -5 }, { "level", 5 }, { "hpa", 18 }, { "entry", 18 },
	     { "flags", -8 }, { "leads_to", 18 }, { "why", -12 });

KVMMEM_TABLE(page_table, "page",
	     { "state", -9 }, { "kind", -8 }, { "size_kb", 8 }, { "node", 4 }, { "hpa", 18 });

KVMMEM_TABLE(kvm_table, "kvmpt",
	     { "table", -5 }, { "level", 5 }, { "hpa", 18 }, { "entry", 18 },
	     { "flags", -8 }, { "leads_to", 18 }, { "why", -12 });

KVMMEM_TABLE(verdict_table, "verdict",
	     { "verdict", -11 }, { "gpa", 14 }, { "hva", 18 }, { "host_hpa", 14 },
	     { "kvm_hpa", 14 }, { "guest_kb", 8 }, { "host_kb", 8 }, { "kvm_kb", 8 });

static const char * const what_names[] = {
	[KVMMEM_ADDRESS_GVA] = "gva",
	[KVMMEM_ADDRESS_GPA] = "gpa",
	[KVMMEM_ADDRESS_HVA] = "hva",
};

static const char * const mode_names[KVMMEM_NR_PAGINGS] = {
	[KVMMEM_PAGING_NONE] = "none",
	[KVMMEM_PAGING_32] = "32-bit",
	[KVMMEM_PAGING_PAE] = "pae",
	[KVMMEM_PAGING_4] = "4-level",
	[KVMMEM_PAGING_5] = "5-level",
};

static const char * const guest_whys[] = {
	[KVMMEM_GUEST_UNASKED] = "-",
	[KVMMEM_GUEST_MAPPED] = "-",
	[KVMMEM_GUEST_NOT_PRESENT] = "not-present",
	[KVMMEM_GUEST_BAD] = "reserved-bit",
	[KVMMEM_GUEST_NOT_CANONICAL] = "not-canonical",
	[KVMMEM_GUEST_NO_MEMORY] = "no-memory",
	[KVMMEM_GUEST_AWAY] = "away",
	[KVMMEM_GUEST_BUSY] = "busy",
};

static const char * const host_names[] = {
	[KVMMEM_HOST_PAGE] = "in-memory",
	[KVMMEM_HOST_ZERO] = "zero",
	[KVMMEM_HOST_MOVING] = "moving",
	[KVMMEM_HOST_POISON] = "poisoned",
	[KVMMEM_HOST_SWAP] = "swapped",
	[KVMMEM_HOST_NOTHING] = "untouched",
	[KVMMEM_HOST_DEVICE] = "device",
	[KVMMEM_HOST_NO_VMA] = "unmapped",
	[KVMMEM_HOST_BUSY] = "busy",
};

static const char * const verdict_names[] = {
	[KVMMEM_VERDICT_AGREE] = "agree",
	[KVMMEM_VERDICT_NOT_YET] = "kvm-not-yet",
	[KVMMEM_VERDICT_NOTHING] = "no-page",
	[KVMMEM_VERDICT_DIFFER] = "differ",
	[KVMMEM_VERDICT_KVM_ONLY] = "kvm-only",
	[KVMMEM_VERDICT_NO_SLOT] = "no-slot",
	[KVMMEM_VERDICT_NO_GPA] = "no-gpa",
	[KVMMEM_VERDICT_UNKNOWN] = "unknown",
};

/**
 * struct translator - an open file
 * @vm: the VM
 * @question: what was written to it
 */
struct translator {
	struct kvmmem_vm *vm;
	struct kvmmem_question question;
};

static void row_hex(struct kvmmem_row *row, u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", value);
	kvmmem_row_text(row, text);
}

static void row_hex_if(struct kvmmem_row *row, u64 value, bool known)
{
	if (known)
		row_hex(row, value);
	else
		kvmmem_row_text(row, "-");
}

static void row_flags(struct kvmmem_row *row, unsigned int flags)
{
	char text[KVMMEM_NR_ENTRY_FLAGS + 1];

	kvmmem_entry_flags_text(flags, text);
	kvmmem_row_text(row, text);
}

static void translate_ask_row(struct seq_file *seq, const struct kvmmem_question *question)
{
	struct kvmmem_row row = kvmmem_row_begin(seq, &ask_table);

	kvmmem_row_text(&row, what_names[question->what]);
	kvmmem_row_u64(&row, question->what == KVMMEM_ADDRESS_GVA ? question->vcpu :
								    KVMMEM_UNKNOWN);
	row_hex(&row, question->address);
	kvmmem_row_end(&row);
}

static void translate_regs_row(struct seq_file *seq, const struct kvmmem_translation *it,
			       const struct kvmmem_regs_answer *answer)
{
	struct kvmmem_row row = kvmmem_row_begin(seq, &regs_table);

	kvmmem_row_text(&row, mode_names[it->mode]);
	row_hex(&row, it->regs.cr3);
	row_hex(&row, it->regs.cr0);
	row_hex(&row, it->regs.cr4);
	row_hex(&row, it->regs.efer);
	kvmmem_row_text(&row, answer->in_l2 ? "yes" : "no");
	kvmmem_row_u64(&row, answer->age_us);
	kvmmem_row_text(&row, answer->fresh ? "asked" : "last-exit");
	kvmmem_row_end(&row);
}

/* The columns of a step are the same for all tables. */
static void translate_step_row(struct seq_file *seq, const struct kvmmem_table *table,
			       const char *name, const struct kvmmem_step *step,
			       unsigned int flags, u64 leads_to, const char *why)
{
	struct kvmmem_row row = kvmmem_row_begin(seq, table);

	kvmmem_row_text(&row, name);
	kvmmem_row_u64(&row, step->level);
	row_hex(&row, step->at);
	row_hex(&row, step->entry);
	row_flags(&row, flags);
	row_hex_if(&row, leads_to, flags && !strcmp(why, "-"));
	kvmmem_row_text(&row, why);
	kvmmem_row_end(&row);
}

static const char *translate_table_name(unsigned int level)
{
	static const char * const names[] = { "", "pt", "pd", "pdpt", "pml4", "pml5" };

	return names[level];
}

static void translate_guest_rows(struct seq_file *seq, const struct kvmmem_translation *it)
{
	unsigned int i;

	for (i = 0; i < it->nr; i++) {
		const struct kvmmem_step *step = &it->step[i];
		const char *why = "-";
		bool leaf = kvmmem_paging_is_leaf(&it->regs, it->mode, step->level, step->entry);

		if (i == it->nr - 1)
			why = it->guest_end == KVMMEM_GUEST_AWAY ? host_names[it->table] :
								   guest_whys[it->guest_end];
		translate_step_row(seq, &guest_table,
				   translate_table_name(step->level), step,
				   kvmmem_entry_flags(&it->regs, it->mode, step->level,
						      step->entry),
				   kvmmem_paging_next(it->mode, step->level, step->entry, leaf),
				   why);
	}
}

static void translate_slot_row(struct seq_file *seq, const struct kvmmem_translation *it)
{
	struct kvmmem_row row = kvmmem_row_begin(seq, &slot_table);

	kvmmem_row_u64(&row, it->slot.id);
	row_hex(&row, it->slot.base_gfn << PAGE_SHIFT);
	kvmmem_row_u64(&row, it->slot.npages << (PAGE_SHIFT - 10));
	row_hex(&row, it->slot.hva);
	kvmmem_row_text(&row, kvmmem_slot_flags_name(it->slot.flags));
	kvmmem_row_u64(&row, it->slots);
	kvmmem_row_end(&row);
}

static u64 size_kb(enum kvmmem_size size)
{
	return (PAGE_SIZE >> 10) << (9 * size);
}

static void translate_host_rows(struct seq_file *seq, const struct kvmmem_hostpath *host)
{
	static const char * const names[] = { "", "pte", "pmd", "pud", "p4d", "pgd" };
	static const struct kvmmem_regs regs = { .efer = EFER_NX };
	bool there = kvmmem_host_has_page(host);
	struct kvmmem_row row;
	unsigned int i;

	for (i = 0; i < host->nr; i++) {
		const struct kvmmem_step *step = &host->step[i];

		translate_step_row(seq, &host_table, names[step->level], step,
				   kvmmem_entry_flags(&regs, KVMMEM_PAGING_5, step->level,
						      step->entry),
				   step->entry & PTE_PFN_MASK,
				   i < host->nr - 1 || kvmmem_host_has_mapping(host) ?
				   "-" : host_names[host->end]);
	}
	row = kvmmem_row_begin(seq, &page_table);
	kvmmem_row_text(&row, host_names[host->end]);
	kvmmem_row_text(&row, host->kind ? kvmmem_slot_kind_name(host->kind) : "-");
	kvmmem_row_u64(&row, there ? size_kb(host->size) : KVMMEM_UNKNOWN);
	kvmmem_row_u64(&row, there && host->node >= 0 ? host->node : KVMMEM_UNKNOWN);
	row_hex_if(&row, host->hpa, there);
	kvmmem_row_end(&row);
}

static void translate_kvm_rows(struct seq_file *seq, const struct kvmmem_eptpath *kvm)
{
	static const struct kvmmem_regs regs = { .efer = EFER_NX };
	struct kvmmem_row row;
	unsigned int i;

	if (kvm->state != KVMMEM_EPT_WALKED || !kvm->nr) {
		row = kvmmem_row_begin(seq, &kvm_table);
		for (i = 0; i < kvm_table.nr - 1; i++)
			kvmmem_row_text(&row, "-");
		kvmmem_row_text(&row, kvmmem_ept_state_name(kvm->state));
		kvmmem_row_end(&row);
		return;
	}
	for (i = 0; i < kvm->nr; i++) {
		const struct kvmmem_step *step = &kvm->step[i];
		bool present = step->entry & KVMMEM_SPTE_PRESENT;
		unsigned int flags = 0;

		if (present)
			flags = kvmmem_cpu_is_svm() ?
				kvmmem_entry_flags(&regs, KVMMEM_PAGING_5, step->level,
						   step->entry) :
				kvmmem_ept_entry_flags(step->level, step->entry);
		translate_step_row(seq, &kvm_table,
				   translate_table_name(step->level), step,
				   flags, step->entry & KVMMEM_SPTE_ADDR,
				   present ? "-" :
				   kvmmem_spte_frozen(step->entry) ? "mark" : "not-mapped");
	}
}

static void translate_verdict_row(struct seq_file *seq, const struct kvmmem_translation *it)
{
	bool there = kvmmem_host_has_page(&it->host);
	struct kvmmem_row row = kvmmem_row_begin(seq, &verdict_table);

	kvmmem_row_text(&row, verdict_names[it->verdict]);
	row_hex_if(&row, it->gpa, it->has_gpa);
	row_hex_if(&row, it->hva, it->has_hva);
	row_hex_if(&row, it->host.hpa, there);
	row_hex_if(&row, it->kvm.hpa, it->kvm.mapped);
	kvmmem_row_u64(&row, it->gva_shift ? BIT_ULL(it->gva_shift) >> 10 : KVMMEM_UNKNOWN);
	kvmmem_row_u64(&row, there ? size_kb(it->host.size) : KVMMEM_UNKNOWN);
	kvmmem_row_u64(&row, it->kvm.mapped ? size_kb(it->kvm.size) : KVMMEM_UNKNOWN);
	kvmmem_row_end(&row);
}

static struct kvmmem_vcpu *translate_vcpu(struct kvmmem_vm *vm, u32 id)
{
	struct kvmmem_vcpu *rec;

	kvmmem_vm_for_each_vcpu(rec, vm)
		if (rec->id == id)
			return rec;
	return NULL;
}

/* Return: 0 or an errno; of @answer only what guest-virtual addresses need. */
static int translate_do(struct kvmmem_vm *vm, const struct kvmmem_question *question,
			struct kvmmem_regs_answer *answer, struct kvmmem_translation *it)
{
	struct kvmmem_vcpu *rec;
	int err;

	switch (question->what) {
	case KVMMEM_ADDRESS_GPA:
		return kvmmem_translate_gpa(vm, question->address, it);
	case KVMMEM_ADDRESS_HVA:
		return kvmmem_translate_hva(vm, question->address, it);
	default:
		rec = translate_vcpu(vm, question->vcpu);
		if (!rec)
			return -ENOENT;
		err = kvmmem_regs_of_vcpu(rec, true, answer);
		return err ?: kvmmem_translate_gva(vm, &answer->regs, question->address, it);
	}
}

static int translate_show(struct seq_file *seq, void *unused)
{
	struct translator *translator = seq->private;
	struct kvmmem_question question = translator->question;
	struct kvmmem_vm *vm = translator->vm;
	struct kvmmem_regs_answer answer = {};
	struct kvmmem_translation *it;
	bool gva;
	int err = 0;

	if (question.what == KVMMEM_ADDRESS_NONE) {
		raw_spin_lock(&vm->lock);
		question = vm->question;
		raw_spin_unlock(&vm->lock);
	}
	it = kzalloc(sizeof(*it), GFP_KERNEL);
	if (!it)
		return -ENOMEM;
	if (question.what != KVMMEM_ADDRESS_NONE)
		err = translate_do(vm, &question, &answer, it);
	if (err)
		goto out;
	gva = question.what == KVMMEM_ADDRESS_GVA;
	kvmmem_table_header(seq, &ask_table);
	if (question.what != KVMMEM_ADDRESS_NONE)
		translate_ask_row(seq, &question);
	kvmmem_table_header(seq, &regs_table);
	if (gva)
		translate_regs_row(seq, it, &answer);
	kvmmem_table_header(seq, &guest_table);
	if (gva)
		translate_guest_rows(seq, it);
	kvmmem_table_header(seq, &slot_table);
	if (it->has_slot)
		translate_slot_row(seq, it);
	kvmmem_table_header(seq, &host_table);
	kvmmem_table_header(seq, &page_table);
	if (it->has_hva)
		translate_host_rows(seq, &it->host);
	kvmmem_table_header(seq, &kvm_table);
	if (it->has_gpa)
		translate_kvm_rows(seq, &it->kvm);
	kvmmem_table_header(seq, &verdict_table);
	if (question.what != KVMMEM_ADDRESS_NONE)
		translate_verdict_row(seq, it);
out:
	kfree(it);
	return err;
}

/* "gva <vcpu> <address>", "gpa <address>" or "hva <address>". */
static int translate_parse(char *text, struct kvmmem_question *question)
{
	char *word[4] = {};
	unsigned int n = 0;
	int err;

	for (text = strim(text); text && n < ARRAY_SIZE(word);) {
		word[n] = strsep(&text, " \t");
		if (*word[n])
			n++;
	}
	if (text || n < 2)
		return -EINVAL;
	question->vcpu = 0;
	if (!strcmp(word[0], "gva"))
		question->what = KVMMEM_ADDRESS_GVA;
	else if (!strcmp(word[0], "gpa"))
		question->what = KVMMEM_ADDRESS_GPA;
	else if (!strcmp(word[0], "hva"))
		question->what = KVMMEM_ADDRESS_HVA;
	else
		return -EINVAL;
	if (n != (question->what == KVMMEM_ADDRESS_GVA ? 3 : 2))
		return -EINVAL;
	if (question->what == KVMMEM_ADDRESS_GVA) {
		err = kstrtou32(word[1], 0, &question->vcpu);
		if (err)
			return err;
	}
	return kstrtou64(word[n - 1], 0, &question->address);
}

static ssize_t translate_write(struct file *file, const char __user *buf, size_t size,
			       loff_t *pos)
{
	struct seq_file *seq = file->private_data;
	struct translator *translator = seq->private;
	struct kvmmem_vm *vm = translator->vm;
	struct kvmmem_question question;
	char text[QUESTION_LEN + 1];
	int err;

	if (size > QUESTION_LEN)
		return -EINVAL;
	if (copy_from_user(text, buf, size))
		return -EFAULT;
	text[size] = '\0';
	if (strlen(text) != size)
		return -EINVAL;
	err = translate_parse(text, &question);
	if (err)
		return err;
	if (question.what == KVMMEM_ADDRESS_GVA && !translate_vcpu(vm, question.vcpu))
		return -ENOENT;
	mutex_lock(&seq->lock);
	translator->question = question;
	mutex_unlock(&seq->lock);
	raw_spin_lock(&vm->lock);
	vm->question = question;
	raw_spin_unlock(&vm->lock);
	*pos = 0;		/* to be read from its beginning */
	return size;
}

static int translate_open(struct inode *inode, struct file *file)
{
	struct translator *translator;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	translator = kzalloc(sizeof(*translator), GFP_KERNEL);
	if (!translator)
		return -ENOMEM;
	translator->vm = inode->i_private;
	err = single_open_size(file, translate_show, translator, 2 * PAGE_SIZE);
	if (err)
		kfree(translator);
	return err;
}

static int translate_release(struct inode *inode, struct file *file)
{
	struct seq_file *seq = file->private_data;

	kfree(seq->private);
	return single_release(inode, file);
}

static const struct file_operations translate_fops = {
	.owner = THIS_MODULE,
	.open = translate_open,
	.read = seq_read,
	.write = translate_write,
	.llseek = seq_lseek,
	.release = translate_release,
};

/**
 * kvmmem_debugfs_translate - add the file to a VM's directory
 * @vm: the record; it stays as long as the directory
 * @dir: the directory
 * Return: false if there is no memory.
 */
bool kvmmem_debugfs_translate(struct kvmmem_vm *vm, struct dentry *dir)
{
	return kvmmem_file_made(debugfs_create_file("translate", 0600, dir, vm, &translate_fops));
}
