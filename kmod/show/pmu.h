/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_PMU_H
#define _KVMMEM_PMU_H

int kvmmem_pmu_init(void);
void kvmmem_pmu_exit(void);

#endif /* _KVMMEM_PMU_H */
