// SPDX-License-Identifier: Apache-2.0
/*
 * A program that does nothing, on the event that fires most: its mean run time is what the kernel's statistics
 * add to each run that they measure.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("raw_tp/sk_data_ready")
int empty(void *ctx)
{
	(void)ctx;
	return 0;
}
