/* SPDX-License-Identifier: GPL-2.0 */
/* A writer of the mmap lock begins a sequence for those who lock single VMAs. */
static void test_mm_lock_seqcount(struct mm_struct *mm)
{
	mm_lock_seqcount_begin(mm);
}
