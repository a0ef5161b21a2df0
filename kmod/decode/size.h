/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_SIZE_H
#define _KVMMEM_SIZE_H

/* Sizes of a mapping: of the host's page tables, of KVM's tables. */
enum kvmmem_size {
	KVMMEM_4K,
	KVMMEM_2M,
	KVMMEM_1G,
	KVMMEM_NR_SIZES
};

/* So many 2M mappings are one of 1G. */
#define KVMMEM_2M_OF_1G	512

#endif /* _KVMMEM_SIZE_H */
