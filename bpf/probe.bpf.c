// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Does nothing: whether a kernel takes a program of the recorder's kind at all. */
#include "kernel.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sched_process_exit")
int nothing(void *context)
{
	return 0;
}
