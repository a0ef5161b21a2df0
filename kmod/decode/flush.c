// SPDX-License-Identifier: GPL-2.0
#include <asm/svm.h>
#include <asm/vmx.h>

#include "decode/flush.h"

/**
 * kvmmem_asker_vmx - who may ask for a flush by an exit of this reason
 * @reason: basic exit reason, bits 15:0 of the field
 *
 * Return: who.
 */
enum kvmmem_asker kvmmem_asker_vmx(u32 reason)
{
	switch (reason & 0xffff) {
	case EXIT_REASON_CR_ACCESS:
	case EXIT_REASON_INVLPG:
	case EXIT_REASON_INVPCID:
	case EXIT_REASON_VMCALL:
		return KVMMEM_ASKER_GUEST;
	case EXIT_REASON_VMCLEAR:
	case EXIT_REASON_VMLAUNCH:
	case EXIT_REASON_VMPTRLD:
	case EXIT_REASON_VMRESUME:
	case EXIT_REASON_VMOFF:
	case EXIT_REASON_VMON:
	case EXIT_REASON_INVEPT:
	case EXIT_REASON_INVVPID:
		return KVMMEM_ASKER_NESTED;
	default:
		return KVMMEM_ASKER_NOBODY;
	}
}

/**
 * kvmmem_asker_svm - who may ask for a flush by an exit of this code
 * @code: exit code of the VMCB
 *
 * Return: who.
 */
enum kvmmem_asker kvmmem_asker_svm(u64 code)
{
	switch (code) {
	case SVM_EXIT_WRITE_CR0:
	case SVM_EXIT_WRITE_CR3:
	case SVM_EXIT_WRITE_CR4:
	case SVM_EXIT_CR0_SEL_WRITE:
	case SVM_EXIT_INVLPG:
	case SVM_EXIT_INVPCID:
	case SVM_EXIT_VMMCALL:
		return KVMMEM_ASKER_GUEST;
	case SVM_EXIT_VMRUN:
	case SVM_EXIT_INVLPGA:
	case SVM_EXIT_CLGI:
	case SVM_EXIT_STGI:
		return KVMMEM_ASKER_NESTED;
	default:
		return KVMMEM_ASKER_NOBODY;
	}
}

/**
 * kvmmem_cause_word - the cause of a flush as a word
 * @cause: the cause
 *
 * Return: as the columns of vpid rows are called.
 */
const char *kvmmem_cause_word(enum kvmmem_cause cause)
{
	static const char * const words[KVMMEM_NR_CAUSES] = {
		[KVMMEM_CAUSE_REMOTE] = "remote",
		[KVMMEM_CAUSE_GUEST] = "guest",
		[KVMMEM_CAUSE_NESTED] = "nested",
		[KVMMEM_CAUSE_TAG] = "tag",
		[KVMMEM_CAUSE_OTHER] = "other",
	};

	return words[cause];
}
