/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hearing of what is taken away from guests, at the entry of KVM's MMU notifier.
 */
#ifndef _KVMMEM_NOTIFIER_H
#define _KVMMEM_NOTIFIER_H

void kvmmem_notifier_init(void);
void kvmmem_notifier_start(void);
void kvmmem_notifier_leave(void);
void kvmmem_notifier_stop(void);
void kvmmem_notifier_settle(void);

#endif /* _KVMMEM_NOTIFIER_H */
