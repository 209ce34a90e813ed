/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel as small as its boot contract lets it be: with -DPVH it has the ELF note (Xen's
 * public/arch-x86/hvm/start_info.h), with -DMULTIBOOT the header (The Multiboot Specification 0.6.96), with both
 * both. It writes "pvh: " or "multiboot: " and its command line to the first serial port, for each module of multiboot its
 * string and what is in it, and then does what the last letter of the command line says:
 *
 *	a digit    ends by the debug port with that code
 *	s          waits for the power button (ACPI's PM1 block, where QEMU's q35 has it), and powers off
 *	f          falls: an exception that nobody handles
 *	anything   hangs
 */
#ifdef PVH
	.section .note.ashlar, "a", @note
	.align 4
	.long 4, 4, 18			/* sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start_pvh
#endif

	.text
	.code32
	.globl start
start:
#ifdef MULTIBOOT
	jmp start_multiboot
	.align 4
	.long 0x1badb002, 0, -0x1badb002
start_multiboot:
	movl $stack, %esp
	cmpl $0x2badb002, %eax
	jne hang
	movl $named_multiboot, %esi
	call print
	movl 16(%ebx), %ebp		/* the command line */
	movl %ebp, %esi
	call print
	movl 20(%ebx), %edi		/* modules: how many, and where: start, end, string */
	movl 24(%ebx), %ebx
1:	testl %edi, %edi
	jz finish
	movl $named_module, %esi
	call print
	movl 8(%ebx), %esi
	call print
	movl $separator, %esi
	call print
	movl (%ebx), %esi
	movl 4(%ebx), %ecx
	subl %esi, %ecx
	call print_bytes
	addl $16, %ebx
	decl %edi
	jmp 1b
#endif
start_pvh:
	movl $stack, %esp
	cmpl $0x336ec578, (%ebx)
	jne hang
	movl $named_pvh, %esi
	call print
	movl 24(%ebx), %ebp
	movl %ebp, %esi
	call print

finish:
	movl $newline, %esi
	call print
	xorl %eax, %eax			/* the last letter */
1:	movb (%ebp), %cl
	incl %ebp
	testb %cl, %cl
	jz 2f
	movb %cl, %al
	jmp 1b
2:	cmpb $'s', %al
	je sleep
	cmpb $'f', %al
	je fall
	subb $'0', %al
	cmpb $9, %al
	ja hang
	movw $0xf4, %dx
	outb %al, %dx
hang:	hlt
	jmp hang

sleep:	movw $0x602, %dx		/* enable; what is enabled sets its bit in the status */
	movw $0x100, %ax
	outw %ax, %dx
	movw $0x600, %dx
1:	inw %dx, %ax
	testw $0x100, %ax
	jz 1b
	movl $asked, %esi
	call print
	movw $0x604, %dx
	movw $0x2000, %ax
	outw %ax, %dx
	jmp hang

fall:	lidt no_table
	int3
	jmp hang

/* The text at %esi. */
print:	movl $-1, %ecx
/* %ecx bytes at most at %esi, up to a NUL. */
print_bytes:
	movw $0x3fd, %dx
1:	inb %dx, %al			/* until the port takes it */
	testb $0x20, %al
	jz 1b
	testl %ecx, %ecx
	jz 2f
	movb (%esi), %al
	testb %al, %al
	jz 2f
	movw $0x3f8, %dx
	outb %al, %dx
	incl %esi
	decl %ecx
	jmp print_bytes
2:	ret

named_pvh:	.asciz "pvh: "
named_multiboot: .asciz "multiboot: "
named_module:	.asciz "\nmodule "
separator:	.asciz ": "
newline:	.asciz "\n"
asked:		.asciz "asked to end\n"
	.align 4
no_table:	.word 0
	.long 0

	.bss
	.skip 4096
stack:
	.section .note.GNU-stack, "", @progbits
