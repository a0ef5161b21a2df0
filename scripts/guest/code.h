/* SPDX-License-Identifier: GPL-2.0 */
/* Labels of code.S. */
#ifndef KVMGUEST_CODE_H
#define KVMGUEST_CODE_H

#include <stdint.h>

#define DECLARE_CODE(bits)						\
	extern const uint8_t code##bits##_start[], code##bits##_end[],	\
		code##bits##_read[], code##bits##_write[],		\
		code##bits##_exec[], code##bits##_exec_back[],		\
		code##bits##_cr3[], code##bits##_invlpg[],		\
		code##bits##_invpcid[], code##bits##_cr4pge[],		\
		code##bits##_hlt[], code##bits##_io[],			\
		code##bits##_spin[], code##bits##_wrmsr[],		\
		code##bits##_vmrun[], code##bits##_vmx[],		\
		code##bits##_vmx_exit[], code##bits##_l2[],		\
		code##bits##_l2_touch[],		\
		code##bits##_vmcall[], code##bits##_vmmcall[],		\
		code##bits##_desc[]

DECLARE_CODE(64);
DECLARE_CODE(32);

#endif
