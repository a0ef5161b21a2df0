// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>
#include <linux/sysfs.h>

#include "decode/param.h"

/* Parameters can be written from before module_init() until after module_exit(). */
static enum kvmmem_param_state param_state;

#define COUNT_MAX	65536
#define MS_MAX		3600000		/* an hour */

static int param_set_number(const char *val, const struct kernel_param *kp,
			    unsigned int min, unsigned int max)
{
	unsigned int n;
	int err = kstrtouint(val, 0, &n);

	if (err)
		return err;
	if (n < min || n > max)
		return -ERANGE;
	WRITE_ONCE(*(unsigned int *)kp->arg, n);
	return 0;
}

static int param_set_count(const char *val, const struct kernel_param *kp)
{
	return param_set_number(val, kp, 1, COUNT_MAX);
}

const struct kernel_param_ops kvmmem_param_count_ops = {
	.set = param_set_count,
	.get = param_get_uint,
};

static int param_set_percent(const char *val, const struct kernel_param *kp)
{
	return param_set_number(val, kp, 1, 100);
}

const struct kernel_param_ops kvmmem_param_percent_ops = {
	.set = param_set_percent,
	.get = param_get_uint,
};

static int param_set_ms(const char *val, const struct kernel_param *kp)
{
	return param_set_number(val, kp, 0, MS_MAX);
}

const struct kernel_param_ops kvmmem_param_ms_ops = {
	.set = param_set_ms,
	.get = param_get_uint,
};

static int param_set_mode(const char *val, const struct kernel_param *kp)
{
	unsigned int mode;
	int err = kstrtouint(val, 8, &mode);

	if (err)
		return err;
	if ((mode & ~0444) || !(mode & 0400))
		return -EINVAL;
	*(unsigned int *)kp->arg = mode;
	return 0;
}

static int param_get_mode(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "0%o\n", *(unsigned int *)kp->arg);
}

const struct kernel_param_ops kvmmem_param_mode_ops = {
	.set = param_set_mode,
	.get = param_get_mode,
};

/**
 * kvmmem_params_are - say what writing to parameters does from now on
 * @state: what
 *
 * Context: kernel_param_lock(), which writers hold, too.
 */
void kvmmem_params_are(enum kvmmem_param_state state)
{
	param_state = state;
}

/**
 * kvmmem_param_switch - write to a parameter that switches something
 * @val: what is written
 * @kp: the parameter, a bool
 * @apply: switches it; may sleep
 *
 * Context: kernel_param_lock(), or loading.
 *
 * Return: 0, -EINVAL, -EBUSY while kvmmem starts, or -ENODEV when it is leaving or
 * did not start.
 */
int kvmmem_param_switch(const char *val, const struct kernel_param *kp,
			void (*apply)(bool on))
{
	const bool *value = kp->arg;
	bool was = *value;
	int err;

	if (param_state == KVMMEM_PARAMS_GONE)
		return -ENODEV;
	if (param_state == KVMMEM_PARAMS_STARTING)
		return -EBUSY;
	err = param_set_bool(val, kp);
	if (!err && param_state == KVMMEM_PARAMS_LIVE && *value != was)
		apply(*value);
	return err;
}
