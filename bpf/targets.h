/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Which processes and which listening ports are watched. */
#ifndef HOPSPAN_TARGETS_H
#define HOPSPAN_TARGETS_H

#include "kernel.h"
#include "records.h"

struct hs_name {
	char text[HS_NAME_LEN];
};

/* tgid -> target index. Receiver and exec/fork/listen/accept insert; every probe reads; exit deletes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} targets SEC(".maps");

/* Basename of an executable -> target index. Receiver inserts before attach; exec reads. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct hs_name);
	__type(value, __u32);
} target_names SEC(".maps");

/*
 * Basenames of the executables that watched processes run: a proxy that starts itself anew (HAProxy's master at a
 * reload, nginx at an upgrade) is still one, however it was found. Receiver inserts; exec reads.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct hs_name);
	__type(value, __u32);
} proxy_names SEC(".maps");

/* Listening port of a `listen_port` target -> target index. Receiver inserts before attach; listen and accept read. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u16);
	__type(value, __u32);
} target_ports SEC(".maps");

/* Records to user space. Probes write, the receiver drains. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 24); /* set by the receiver */
} records SEC(".maps");

const volatile struct hs_config config = { .max_connections = 65536 };
struct hs_shared shared;

static __always_inline void count(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

static __always_inline __u32 current_tgid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline __u32 *target_of(__u32 tgid)
{
	return bpf_map_lookup_elem(&targets, &tgid);
}

static __always_inline bool is_listen_port(__u16 port)
{
	return (shared.listen_ports[(port >> 6) & 1023] >> (port & 63)) & 1;
}

static __always_inline void add_listen_port(__u16 port)
{
	__sync_fetch_and_or(&shared.listen_ports[(port >> 6) & 1023], 1ULL << (port & 63));
}

/* Not inlined, so that the record's layout is in the object's BTF, from which TypeScript's is generated. */
static __noinline void send_process(struct hs_process_record *record, __u32 event, __u32 tgid)
{
	record->kind = HS_KIND_PROCESS;
	record->event = event;
	record->time_ns = bpf_ktime_get_ns();
	record->tgid = tgid;
	if (bpf_ringbuf_output(&records, record, sizeof(*record), BPF_RB_NO_WAKEUP) != 0)
		count(&shared.counters.ring_full);
}

static __always_inline void report_process(__u32 event, __u32 tgid, __u32 parent, __u32 target,
					   const struct hs_name *name)
{
	struct hs_process_record record = {};

	record.parent_tgid = parent;
	record.target = target;
	if (name)
		__builtin_memcpy(record.name, name->text, HS_NAME_LEN);
	send_process(&record, event, tgid);
}

static __always_inline bool add_target(__u32 tgid, __u32 target)
{
	if (bpf_map_update_elem(&targets, &tgid, &target, BPF_ANY) == 0)
		return true;
	count(&shared.counters.targets_full);
	return false;
}

static __always_inline int process_exec(struct linux_binprm *binprm)
{
	__u32 tgid = current_tgid();
	struct hs_name name = {};
	const unsigned char *text = BPF_CORE_READ(binprm, file, f_path.dentry, d_name.name);

	bpf_probe_read_kernel_str(name.text, sizeof(name.text), text);
	__u32 *own = target_of(tgid), *target = own;

	if (!own || !bpf_map_lookup_elem(&proxy_names, &name))
		target = bpf_map_lookup_elem(&target_names, &name);
	if (!target) {
		/* A worker that execs something else (a health-check script) is no proxy any more. */
		if (own)
			bpf_map_delete_elem(&targets, &tgid);
		return 0;
	}
	__u32 index = *target;

	if (add_target(tgid, index))
		report_process(HS_PROCESS_EXEC, tgid, 0, index, &name);
	return 0;
}

static __always_inline int process_fork(struct task_struct *parent, struct task_struct *child)
{
	__u32 parent_tgid = parent->tgid, child_tgid = child->tgid;

	if (parent_tgid == child_tgid)
		return 0; /* a thread */
	__u32 *target = target_of(parent_tgid);

	if (target && add_target(child_tgid, *target))
		report_process(HS_PROCESS_FORK, child_tgid, parent_tgid, *target, NULL);
	return 0;
}

/* Is the current process, which uses this listening port, a target? It may be by the port, and become one now. */
static __always_inline bool is_target_at(__u16 port)
{
	__u32 tgid = current_tgid();

	if (target_of(tgid))
		return true;
	__u32 *target = bpf_map_lookup_elem(&target_ports, &port);

	if (!target || !add_target(tgid, *target))
		return false;
	report_process(HS_PROCESS_LISTEN, tgid, 0, *target, NULL);
	return true;
}

/* In the context of the process that calls listen(). */
static __always_inline void process_listen(__u16 port)
{
	if (is_target_at(port))
		add_listen_port(port);
}

#endif
