/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is being counted.
 */
#ifndef _KVMMEM_COUNTED_H
#define _KVMMEM_COUNTED_H

unsigned int kvmmem_counted_of_all(void);

void kvmmem_counted_init(void);
void kvmmem_counted_exit(void);

#endif /* _KVMMEM_COUNTED_H */
