/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kinds of module parameters that check what they are given.
 */
#ifndef _KVMMEM_PARAM_H
#define _KVMMEM_PARAM_H

#include <linux/moduleparam.h>

/* An unsigned int from 1 to 65536; -EINVAL or -ERANGE otherwise. */
extern const struct kernel_param_ops kvmmem_param_count_ops;

/* An unsigned int from 1 to 100; -EINVAL or -ERANGE otherwise. */
extern const struct kernel_param_ops kvmmem_param_percent_ops;

/* Milliseconds, an unsigned int from 0 to 3600000; -EINVAL or -ERANGE otherwise. */
extern const struct kernel_param_ops kvmmem_param_ms_ops;

/* A file mode: only bits of 0444, with 0400 among them; -EINVAL otherwise. */
extern const struct kernel_param_ops kvmmem_param_mode_ops;

/**
 * enum kvmmem_param_state - what writing to a parameter does
 * @KVMMEM_PARAMS_LOADING: it is kept for when kvmmem starts
 * @KVMMEM_PARAMS_STARTING: it is refused for the moment
 * @KVMMEM_PARAMS_LIVE: it takes effect
 * @KVMMEM_PARAMS_GONE: it is refused: what it would switch is not there any more
 */
enum kvmmem_param_state {
	KVMMEM_PARAMS_LOADING,
	KVMMEM_PARAMS_STARTING,
	KVMMEM_PARAMS_LIVE,
	KVMMEM_PARAMS_GONE,
};

void kvmmem_params_are(enum kvmmem_param_state state);
int kvmmem_param_switch(const char *val, const struct kernel_param *kp,
			void (*apply)(bool on));

#endif /* _KVMMEM_PARAM_H */
