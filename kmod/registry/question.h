/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is asked of a VM's file 'translate'.
 */
#ifndef _KVMMEM_QUESTION_H
#define _KVMMEM_QUESTION_H

#include <linux/types.h>

/**
 * enum kvmmem_address - what an address is one of
 * @KVMMEM_ADDRESS_NONE: nobody has asked yet
 * @KVMMEM_ADDRESS_GVA: the guest's virtual ones
 * @KVMMEM_ADDRESS_GPA: the guest's physical ones
 * @KVMMEM_ADDRESS_HVA: those of the VM's process
 */
enum kvmmem_address {
	KVMMEM_ADDRESS_NONE,
	KVMMEM_ADDRESS_GVA,
	KVMMEM_ADDRESS_GPA,
	KVMMEM_ADDRESS_HVA,
};

/**
 * struct kvmmem_question - an address whose translation is asked for
 * @what: what it is one of
 * @vcpu: KVM's vcpu_id, for guest-virtual ones
 * @address: the address
 */
struct kvmmem_question {
	enum kvmmem_address what;
	u32 vcpu;
	u64 address;
};

#endif /* _KVMMEM_QUESTION_H */
