/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The probes of the hot path.
 */
#ifndef _KVMMEM_PROBES_H
#define _KVMMEM_PROBES_H

void kvmmem_probes_init(void);

#endif /* _KVMMEM_PROBES_H */
