/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_SCAN_H
#define _KVMMEM_SCAN_H

void kvmmem_scan(void);

#endif /* _KVMMEM_SCAN_H */
