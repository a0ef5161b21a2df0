/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whose VMs they are: nobody but who administers the host may take all records.
 */
#ifndef _KVMMEM_USERS_H
#define _KVMMEM_USERS_H

#include <linux/list.h>
#include <linux/sched.h>
#include <linux/uidgid.h>

/**
 * struct kvmmem_user - a user who has VMs
 * @node: in the hash of users, or in the list of free ones
 * @uid: who; in a user namespace whoever owns the outermost one
 * @vms: VMs with a record
 * @vcpus: vCPUs with a record
 * @refused: records that this user did not get for having too many
 *
 * All of it under the registry's lock.
 */
struct kvmmem_user {
	struct hlist_node node;
	kuid_t uid;
	unsigned int vms;
	unsigned int vcpus;
	u64 refused;
};

int kvmmem_users_init(unsigned int max);
void kvmmem_users_exit(void);
kuid_t kvmmem_user_of_task(struct task_struct *task);
struct kvmmem_user *kvmmem_user_get(kuid_t uid);
void kvmmem_user_put(struct kvmmem_user *user);
bool kvmmem_task_has_no_share(struct task_struct *task, const struct mm_struct *mm);
bool kvmmem_user_may_have(struct kvmmem_user *user, unsigned int has, unsigned int max,
			  bool all);
const struct kvmmem_user *kvmmem_user_at(unsigned int i);

#endif /* _KVMMEM_USERS_H */
