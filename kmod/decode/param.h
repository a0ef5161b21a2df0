/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kinds of module parameters that check what they are given.
 */
#ifndef _KVMMEM_PARAM_H
#define _KVMMEM_PARAM_H

#include <linux/moduleparam.h>

/* An unsigned int from 1 to 65536; -EINVAL or -ERANGE otherwise. */
extern const struct kernel_param_ops kvmmem_param_count_ops;

/* Milliseconds, an unsigned int from 0 to 3600000; -EINVAL or -ERANGE otherwise. */
extern const struct kernel_param_ops kvmmem_param_ms_ops;

/* A file mode: only bits of 0444, with 0400 among them; -EINVAL otherwise. */
extern const struct kernel_param_ops kvmmem_param_mode_ops;

#endif /* _KVMMEM_PARAM_H */
