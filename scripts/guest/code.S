/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the nested guest executes. Each block is one phase: the host program
 * puts RIP at its label and the parameters into registers, and the block ends
 * in an OUT to PORT_DONE. Nothing here touches memory but what the parameters
 * name, no stack, no descriptor table, so that every page touched was computed
 * beforehand. The blob is position independent and fits into one page; it is
 * assembled twice, for 64-bit and for flat 32-bit code.
 *
 *	di  address		si  count		dx  stride
 *	ax  value to write	bx  where an executed page jumps back to
 */
#include "ports.h"

	.section .rodata

.macro guest_code bits, di, si, dx, ax, bx, sp
	.balign	16
	.globl	code\bits\()_start
code\bits\()_start:

	.globl	code\bits\()_read
code\bits\()_read:
1:	mov	(\di), %ecx
	add	\dx, \di
	dec	\si
	jnz	1b
	jmp	.Ldone\bits

	.globl	code\bits\()_write
code\bits\()_write:
1:	mov	%eax, (\di)
	add	\dx, \di
	dec	\si
	jnz	1b
	jmp	.Ldone\bits

	/* Every page holds STUB, "jmp *%rbx" (or %ebx), at its start. */
	.globl	code\bits\()_exec
code\bits\()_exec:
	jmp	*\di
	.globl	code\bits\()_exec_back
code\bits\()_exec_back:
	add	\dx, \di
	dec	\si
	jnz	code\bits\()_exec
	jmp	.Ldone\bits

	.globl	code\bits\()_cr3
code\bits\()_cr3:
	mov	%cr3, \ax
1:	mov	\ax, %cr3
	dec	\si
	jnz	1b
	jmp	.Ldone\bits

	.globl	code\bits\()_invlpg
code\bits\()_invlpg:
1:	invlpg	(\di)
	dec	\si
	jnz	1b
	jmp	.Ldone\bits

	/* All contexts; the descriptor is in this page, see below. */
	.globl	code\bits\()_invpcid
code\bits\()_invpcid:
	mov	$2, %eax
1:	invpcid	(\di), \ax
	dec	\si
	jnz	1b
	jmp	.Ldone\bits

	/* Off and on again: two writes of CR4 each time round. */
	.globl	code\bits\()_cr4pge
code\bits\()_cr4pge:
	mov	%cr4, \ax
1:	xor	$0x80, \ax
	mov	\ax, %cr4
	xor	$0x80, \ax
	mov	\ax, %cr4
	dec	\si
	jnz	1b
	jmp	.Ldone\bits

	.globl	code\bits\()_hlt
code\bits\()_hlt:
1:	hlt
	dec	\si
	jnz	1b
	jmp	.Ldone\bits

	.globl	code\bits\()_io
code\bits\()_io:
1:	out	%al, $PORT_TICK
	dec	\si
	jnz	1b
	jmp	.Ldone\bits

	.globl	code\bits\()_spin
code\bits\()_spin:
1:	pause
	dec	\si
	jnz	1b
	jmp	.Ldone\bits

	/* ecx, edx:eax as WRMSR takes them. */
	.globl	code\bits\()_wrmsr
code\bits\()_wrmsr:
	wrmsr

	jmp	.Ldone\bits

	/* Hypercalls: cx and dx as Hyper-V takes them. Each vendor has its instruction. */
	.globl	code\bits\()_vmcall
code\bits\()_vmcall:
1:	vmcall
	dec	\si
	jnz	1b
	jmp	.Ldone\bits

	.globl	code\bits\()_vmmcall
code\bits\()_vmmcall:
1:	vmmcall
	dec	\si
	jnz	1b
	jmp	.Ldone\bits

	/* AMD: ax is the address of the VMCB, whose guest executes HLT. */
	.globl	code\bits\()_vmrun
code\bits\()_vmrun:
	/* The count is where a guest has its own: it finds the same registers each time. */
	mov	\si, \sp
1:	vmrun	\ax
	dec	\sp
	jnz	1b
	jmp	.Ldone\bits

	/*
	 * Intel: at di the addresses of VMXON region and VMCS, then dx pairs of a
	 * field and its value. An exit comes back below; each must be for the reason in cx.
	 */
	.globl	code\bits\()_vmx
code\bits\()_vmx:
	vmxon	(\di)
	jbe	3f
	vmclear	8(\di)
	jbe	3f
	vmptrld	8(\di)
	jbe	3f
	lea	16(\di), \bx
1:	mov	(\bx), \ax
	vmwrite	8(\bx), \ax
	jbe	3f
	add	$16, \bx
	dec	\dx
	jnz	1b
	/* The count, as on AMD; nothing else has a use for CR2. */
	mov	\si, %cr2
	vmlaunch
	jmp	3f
	.globl	code\bits\()_vmx_exit
code\bits\()_vmx_exit:
	mov	$0x4402, %eax
	vmread	\ax, \dx
	cmp	%ecx, %edx
	jne	3f
	mov	%cr2, \bx
	dec	\bx
	jz	2f
	mov	\bx, %cr2
	xor	\bx, \bx
	vmresume
3:	ud2
2:	vmxoff
	jmp	.Ldone\bits

	.globl	code\bits\()_l2
code\bits\()_l2:
	hlt
	jmp	code\bits\()_l2

	/* What L1's own tables do not map, or not as they may. */
	.globl	code\bits\()_l2_touch
code\bits\()_l2_touch:
.if \bits == 64
	movabs	L2_GPA, %eax
.else
	mov	L2_GPA, %eax
.endif
	jmp	code\bits\()_l2_touch

.Ldone\bits:
	out	%al, $PORT_DONE
	jmp	.Ldone\bits

	.balign	16
	.globl	code\bits\()_desc
code\bits\()_desc:
	.quad	0, 0
	.globl	code\bits\()_end
code\bits\()_end:
.endm

	.code64
	guest_code 64, %rdi, %rsi, %rdx, %rax, %rbx, %rsp
	.code32
	guest_code 32, %edi, %esi, %edx, %eax, %ebx, %esp

	.section .note.GNU-stack, "", @progbits
