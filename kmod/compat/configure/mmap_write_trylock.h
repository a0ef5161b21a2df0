/* SPDX-License-Identifier: GPL-2.0 */
/* mmap_write_trylock(), which went when nobody in the kernel used it. */
static bool test_mmap_write_trylock(struct mm_struct *mm)
{
	return mmap_write_trylock(mm);
}
