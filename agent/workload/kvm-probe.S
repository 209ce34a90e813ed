/* SPDX-License-Identifier: Apache-2.0 */
/* The guest that proves KVM: entered in 32-bit protected mode by the PVH boot protocol (Xen's
 * public/arch-x86/hvm/start_info.h), it computes a number in a loop that a processor has to run, and writes it to the
 * debug port. QEMU then ends with 2 * NUMBER + 1 (agent/workload/kvm.c).
 */
	.section .note.ashlar, "a", @note
	.align 4
	.long 4, 4, 18			/* sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start

	.text
	.code32
	.globl start
start:
	xorl %eax, %eax
	movl $33, %ecx
1:	incl %eax
	loop 1b
	movw $0xf4, %dx
	outb %al, %dx
2:	hlt
	jmp 2b

	.section .note.GNU-stack, "", @progbits
