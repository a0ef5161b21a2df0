// SPDX-License-Identifier: GPL-2.0
/*
 * Whose VMs they are.
 *
 * Whoever may open /dev/kvm can make VMs until the table of records is full, and
 * all others would be counted as lost. So each user has a share, but for who may
 * administer the host: root of a container is called root, too. A user namespace
 * gives its owner tens of thousands of user ids; they are all the owner's, or those
 * of its root where the host's root has made it.
 *
 * There are as many entries as VMs, so there is always one for a VM.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/hash.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/user_namespace.h>
#include <linux/vmalloc.h>

#include "decode/param.h"
#include "registry/users.h"

#define USER_HASH_BITS	8

static unsigned int user_share = 75;
module_param_cb(user_share, &kvmmem_param_percent_ops, &user_share, 0644);
MODULE_PARM_DESC(user_share, "percent of max_vms and of max_vcpus that one user who may not administer the host may take, 1 to 100 (default 75)");

static struct kvmmem_user *users;
static unsigned int nr_users;
static HLIST_HEAD(free_users);
static struct hlist_head user_hash[1 << USER_HASH_BITS];

/**
 * kvmmem_users_init - make room for users
 * @max: how many
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int kvmmem_users_init(unsigned int max)
{
	unsigned int i;

	users = kvcalloc(max, sizeof(*users), GFP_KERNEL);
	if (!users)
		return -ENOMEM;
	nr_users = max;
	INIT_HLIST_HEAD(&free_users);
	memset(user_hash, 0, sizeof(user_hash));
	for (i = 0; i < max; i++)
		hlist_add_head(&users[i].node, &free_users);
	return 0;
}

/**
 * kvmmem_users_exit - free what kvmmem_users_init() made, if it did
 *
 * Context: may sleep.
 */
void kvmmem_users_exit(void)
{
	kvfree(users);
	users = NULL;
	nr_users = 0;
}

/**
 * kvmmem_user_of_task - whose process is this?
 * @task: a thread of it, current or held by RCU
 *
 * Context: any.
 *
 * Return: the user.
 */
kuid_t kvmmem_user_of_task(struct task_struct *task)
{
	const struct user_namespace *ns;
	const struct cred *cred;
	kuid_t uid;

	rcu_read_lock();
	cred = __task_cred(task);
	uid = cred->uid;
	ns = cred->user_ns;
	while (ns->parent && ns->parent->parent)
		ns = ns->parent;
	/* The outermost below the first one. */
	if (ns->parent) {
		kuid_t owner = ns->owner, root = make_kuid((struct user_namespace *)ns, 0);

		if (!uid_eq(owner, GLOBAL_ROOT_UID))
			uid = owner;
		else if (uid_valid(root) && !uid_eq(root, GLOBAL_ROOT_UID))
			uid = root;
	}
	rcu_read_unlock();
	return uid;
}

/**
 * kvmmem_task_has_no_share - may this process have all records for its VMs?
 * @task: a thread of it, current or held by RCU
 * @mm: that of the process which made the VM
 *
 * Context: any.
 *
 * Return: true if it may administer the host. Not whoever was handed a VM's file: a user
 * can have a program of root's hold it.
 */
bool kvmmem_task_has_no_share(struct task_struct *task, const struct mm_struct *mm)
{
	const struct cred *cred;
	bool may;

	rcu_read_lock();
	cred = __task_cred(task);
	may = task->mm == mm && cred->user_ns == &init_user_ns &&
	      (cap_raised(cred->cap_effective, CAP_SYS_ADMIN) ||
	       cap_raised(cred->cap_effective, CAP_SYS_RESOURCE));
	rcu_read_unlock();
	return may;
}

static struct hlist_head *users_bucket(kuid_t uid)
{
	return &user_hash[hash_32(__kuid_val(uid), USER_HASH_BITS)];
}

/**
 * kvmmem_user_get - the entry of a user, for one more VM
 * @uid: who
 *
 * Context: the registry's lock; there are fewer VMs than entries.
 *
 * Return: the entry.
 */
struct kvmmem_user *kvmmem_user_get(kuid_t uid)
{
	struct kvmmem_user *user;

	hlist_for_each_entry(user, users_bucket(uid), node)
		if (uid_eq(user->uid, uid)) {
			user->vms++;
			return user;
		}
	user = hlist_entry(free_users.first, struct kvmmem_user, node);
	hlist_del(&user->node);
	user->uid = uid;
	user->vms = 1;
	user->vcpus = 0;
	user->refused = 0;
	hlist_add_head(&user->node, users_bucket(uid));
	return user;
}

/**
 * kvmmem_user_put - the user has one VM less
 * @user: from kvmmem_user_get(), its vCPUs counted off already
 *
 * Context: the registry's lock.
 */
void kvmmem_user_put(struct kvmmem_user *user)
{
	if (--user->vms)
		return;
	hlist_del(&user->node);
	hlist_add_head(&user->node, &free_users);
}

/**
 * kvmmem_user_may_have - may this user have one more record?
 * @user: who
 * @has: records of that kind that the user has, with the one more
 * @max: records of that kind that there are for all
 * @all: whoever made the VM may have them all
 *
 * Context: the registry's lock.
 *
 * Return: false, and it is counted, when that is more than a user's share.
 */
bool kvmmem_user_may_have(struct kvmmem_user *user, unsigned int has, unsigned int max,
			  bool all)
{
	u64 share = (u64)max * READ_ONCE(user_share);

	if (all || has * 100ULL <= max_t(u64, share, 100))
		return true;
	user->refused++;
	return false;
}

/**
 * kvmmem_user_at - an entry, for readers
 * @i: its number
 *
 * Context: the registry's lock.
 *
 * Return: the entry, which may be free and then has no VM; NULL at the end.
 */
const struct kvmmem_user *kvmmem_user_at(unsigned int i)
{
	return i < nr_users ? &users[i] : NULL;
}
