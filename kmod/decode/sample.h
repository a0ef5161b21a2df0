/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_SAMPLE_H
#define _KVMMEM_SAMPLE_H

#include <linux/types.h>

u64 kvmmem_sample_error(const u64 *batch, unsigned int n);

#endif /* _KVMMEM_SAMPLE_H */
