/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Times in which a watched process did not run: stopped by a signal, or with its cgroup. */
#ifndef HOPSPAN_FREEZES_H
#define HOPSPAN_FREEZES_H

#include "targets.h"

/* include/uapi/asm-generic/signal.h; the same on x86 and arm64 */
#define SIGCONT 18
#define SIGSTOP 19
#define SIGTTOU 22
#define SIG_DFL ((void *)0)

/* include/linux/sched/signal.h: set by SIGCONT where the process was stopped, or about to be. */
#define SIGNAL_CLD_MASK 0x30
/* Killed and not yet gone: SIGCONT does nothing any more. */
#define SIGNAL_GROUP_EXIT 0x4

struct hs_freeze_key {
	__u32 tgid;
	__u32 how;
};

struct hs_freeze {
	__u64 from_ns;
	__u64 signal;
};

/* Freezes under way. What begins one inserts; what ends one, and exit, read and delete. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct hs_freeze_key);
	__type(value, struct hs_freeze);
} freezes SEC(".maps");

struct task_struct *bpf_task_from_pid(__s32 pid) __ksym __weak;
void bpf_task_release(struct task_struct *task) __ksym __weak;

/* Not inlined, so that the record's layout is in the object's BTF, from which TypeScript's is generated. */
static __noinline void send_freeze(struct hs_freeze_record *record)
{
	record->kind = HS_KIND_FREEZE;
	if (bpf_ringbuf_output(&records, record, sizeof(*record), BPF_RB_NO_WAKEUP) != 0)
		count(&shared.counters.ring_full);
}

static __always_inline void freeze_begins(__u32 tgid, __u32 how, __u32 signal)
{
	struct hs_freeze_key key = { .tgid = tgid, .how = how };
	struct hs_freeze freeze = { .from_ns = bpf_ktime_get_ns(), .signal = signal };

	if (!target_of(tgid))
		return;
	/* Over what there was: who takes a signal runs, so that an earlier one did not stop it. */
	if (bpf_map_update_elem(&freezes, &key, &freeze, BPF_ANY) != 0)
		count(&shared.counters.freezes_full);
}

static __always_inline void freeze_ends(__u32 tgid, __u32 how, bool believed)
{
	struct hs_freeze_key key = { .tgid = tgid, .how = how };
	struct hs_freeze *freeze = bpf_map_lookup_elem(&freezes, &key);

	if (!freeze)
		return;
	struct hs_freeze_record record = {
		.how = how,
		.from_ns = freeze->from_ns,
		.to_ns = bpf_ktime_get_ns(),
		.tgid = tgid,
		.signal = freeze->signal,
	};

	record.lasted_ns = record.to_ns - record.from_ns;
	bpf_map_delete_elem(&freezes, &key);
	if (believed)
		send_freeze(&record);
}

/*
 * A thread of the current process has taken a signal out of the queue (get_signal() in kernel/signal.c). Those of
 * SIGSTOP, SIGTSTP, SIGTTIN and SIGTTOU that have no handler stop it; the last three do not in an orphaned process
 * group, which shows at SIGCONT.
 */
static __always_inline int signal_delivered(int signal, struct k_sigaction *action)
{
	if (signal >= SIGSTOP && signal <= SIGTTOU && (signal == SIGSTOP || action->sa.sa_handler == SIG_DFL))
		freeze_begins(current_tgid(), HS_FREEZE_SIGNAL, signal);
	return 0;
}

/* Runs before the process does: the sender holds the lock that a woken thread needs on its way to user space. */
static __always_inline int signal_generated(int signal, struct task_struct *task)
{
	if (signal == SIGCONT && !(task->signal->flags & SIGNAL_GROUP_EXIT))
		freeze_ends(task->tgid, HS_FREEZE_SIGNAL, task->signal->flags & SIGNAL_CLD_MASK);
	return 0;
}

struct hs_cgroup_state {
	__u64 cgroup;
	__u64 frozen;
};

static long freeze_in_cgroup(void *map, const __u32 *tgid, void *value, struct hs_cgroup_state *state)
{
	struct task_struct *task = bpf_task_from_pid(*tgid);

	(void)map;
	(void)value;
	if (!task)
		return 0;
	bool is_inside = (__u64)BPF_CORE_READ(task, cgroups, dfl_cgrp) == state->cgroup;

	bpf_task_release(task);
	if (!is_inside)
		return 0;
	if (state->frozen)
		freeze_begins(*tgid, HS_FREEZE_CGROUP, 0);
	else
		freeze_ends(*tgid, HS_FREEZE_CGROUP, true);
	return 0;
}

/* All tasks of the cgroup stand still, or not any more (kernel/cgroup/freezer.c); each cgroup below has its own call. */
static __always_inline int cgroup_frozen(__u64 cgroup, bool frozen)
{
	struct hs_cgroup_state state = { .cgroup = cgroup, .frozen = frozen };

	if (bpf_task_from_pid && bpf_task_release)
		bpf_for_each_map_elem(&targets, freeze_in_cgroup, &state, 0);
	return 0;
}

/*
 * Killed while it was stopped, where by SIGSTOP: no other signal is known to have stopped it. Who is killed in a frozen
 * cgroup has left it before.
 */
static __always_inline void freezes_end_with(__u32 tgid)
{
	struct hs_freeze_key key = { .tgid = tgid, .how = HS_FREEZE_SIGNAL };
	struct hs_freeze *freeze = bpf_map_lookup_elem(&freezes, &key);

	freeze_ends(tgid, HS_FREEZE_SIGNAL, freeze && freeze->signal == SIGSTOP);
	freeze_ends(tgid, HS_FREEZE_CGROUP, false);
}

static __always_inline int process_exit(struct task_struct *task)
{
	__u32 tgid = task->tgid;
	__u32 *target = target_of(tgid);

	/* do_exit() has already taken this thread off `live`. */
	if (!target || BPF_CORE_READ(task, signal, live.counter) > 0)
		return 0;
	freezes_end_with(tgid);
	/* As wait(2) has it: the signal in the lowest seven bits. Who is killed for want of memory has `oom_mm` set before. */
	struct hs_process_record record = {
		.target = *target,
		.signal = task->exit_code & 0x7f,
		.oom = BPF_CORE_READ(task, signal, oom_mm) != NULL,
	};

	send_process(&record, HS_PROCESS_EXIT, tgid);
	bpf_map_delete_elem(&targets, &tgid);
	return 0;
}

#endif
