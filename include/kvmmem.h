/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kvmmem: names and limits that readers of its files may rely on.
 *
 * The contract itself is Documentation/ABI/testing/procfs-kvmmem and
 * debugfs-kvmmem. This header holds what a program would otherwise have to copy
 * from there.
 */
#ifndef _KVMMEM_H
#define _KVMMEM_H

/*
 * The number in the first line of /proc/kvmmem. It changes only when a column
 * or row is renamed or removed; additions keep it.
 */
#define KVMMEM_SCHEMA		1

#define KVMMEM_PROC_NAME	"kvmmem"	/* below /proc */
#define KVMMEM_DEBUGFS_NAME	"kvmmem"	/* below debugfs */

/* Longest "<pid>-<fd>" (two 32-bit numbers), with its NUL. */
#define KVMMEM_ID_LEN		24

#endif /* _KVMMEM_H */
