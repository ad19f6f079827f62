/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* One helper per difference between kernels and machines. */
#ifndef HOPSPAN_COMPAT_H
#define HOPSPAN_COMPAT_H

#include "kernel.h"

/* A system call's number and its second and third argument. */
struct hs_syscall {
	long nr;
	__u64 arg1;
	__u64 arg2;
	__u64 arm64;
};

/*
 * The system call in which the current task is. BPF_FUNC_task_pt_regs exists since 5.15.
 * Returns false on a machine whose registers are not known here.
 */
static __always_inline bool current_syscall(struct hs_syscall *call)
{
	void *regs = (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf());

	if (bpf_core_field_exists(((struct pt_regs___x86 *)0)->orig_ax)) {
		struct pt_regs___x86 *x86 = regs;

		call->nr = BPF_CORE_READ(x86, orig_ax);
		call->arg1 = BPF_CORE_READ(x86, si);
		call->arg2 = BPF_CORE_READ(x86, dx);
		call->arm64 = false;
		return true;
	}
	if (bpf_core_field_exists(((struct pt_regs___arm64 *)0)->syscallno)) {
		struct pt_regs___arm64 *arm = regs;

		call->nr = BPF_CORE_READ(arm, syscallno);
		call->arg1 = BPF_CORE_READ(arm, regs[1]);
		call->arg2 = BPF_CORE_READ(arm, regs[2]);
		call->arm64 = true;
		return true;
	}
	return false;
}

enum hs_buffer_shape {
	HS_SHAPE_UNKNOWN,
	HS_SHAPE_BUFFER, /* arg1 buffer, arg2 length */
	HS_SHAPE_IOVEC,  /* arg1 struct iovec[], arg2 count */
	HS_SHAPE_MSGHDR, /* arg1 struct msghdr */
};

/* arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h */
static __always_inline enum hs_buffer_shape buffer_shape(const struct hs_syscall *call)
{
	if (call->arm64) {
		switch (call->nr) {
		case 63: case 64: case 206: case 207:
			return HS_SHAPE_BUFFER; /* read write sendto recvfrom */
		case 65: case 66: case 286: case 287:
			return HS_SHAPE_IOVEC; /* readv writev preadv2 pwritev2 */
		case 211: case 212:
			return HS_SHAPE_MSGHDR; /* sendmsg recvmsg */
		}
		return HS_SHAPE_UNKNOWN;
	}
	switch (call->nr) {
	case 0: case 1: case 44: case 45:
		return HS_SHAPE_BUFFER; /* read write sendto recvfrom */
	case 19: case 20: case 327: case 328:
		return HS_SHAPE_IOVEC; /* readv writev preadv2 pwritev2 */
	case 46: case 47:
		return HS_SHAPE_MSGHDR; /* sendmsg recvmsg */
	}
	return HS_SHAPE_UNKNOWN;
}

#endif
