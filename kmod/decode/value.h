/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_VALUE_H
#define _KVMMEM_VALUE_H

#include <linux/limits.h>

/* A value that this kernel or host cannot tell; printed as '-', never as 0. */
#define KVMMEM_UNKNOWN	U64_MAX

#endif /* _KVMMEM_VALUE_H */
