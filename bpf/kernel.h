/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
 * The kernel's types as far as the recorder reads them. Where a field really is, the running kernel's own description
 * of its types (BTF) says when the program is loaded, so that neither order nor what is left out matters here. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
/* What libbpf's headers call them. */
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef s32 __s32;
typedef s64 __s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum { BPF_ANY = 0 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct qstr { u32 len; const unsigned char *name; };
struct super_block { u32 s_dev; };
struct inode { u16 i_mode; unsigned long i_ino; struct super_block *i_sb; };
struct hlist_bl_node { struct hlist_bl_node *next, **pprev; };
struct seqcount { u32 sequence; };
struct dentry {
	struct seqcount d_seq;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct hlist_bl_node d_hash;
};
struct vfsmount { struct dentry *mnt_root; };
struct ns_common { u32 inum; };
struct mnt_namespace { struct ns_common ns; };
struct mount { struct mount *mnt_parent; struct dentry *mnt_mountpoint; struct vfsmount mnt; struct mnt_namespace *mnt_ns; };
struct path { struct vfsmount *mnt; struct dentry *dentry; };
struct file { u32 f_flags; struct inode *f_inode; struct path f_path; void *private_data; };
struct fdtable { u32 max_fds; struct file **fd; };
struct files_struct { struct fdtable *fdt; };
struct fs_struct { struct path root, pwd; };
struct mm_struct { unsigned long arg_start, arg_end; };
typedef struct { u32 val; } kuid_t;
typedef struct { u32 val; } kgid_t;
typedef struct { u64 val; } kernel_cap_t;
struct cred { kuid_t uid, euid; kgid_t gid, egid; kernel_cap_t cap_effective; void *user_ns; };
struct nsproxy { void *uts_ns, *ipc_ns, *mnt_ns, *pid_ns_for_children, *net_ns, *time_ns_for_children, *cgroup_ns; };
typedef struct { int counter; } atomic_t;
struct signal_struct { atomic_t live; u32 flags; int group_exit_code; };
struct thread_info { u32 status; };
struct hlist_node { struct hlist_node *next, **pprev; };
struct hlist_head { struct hlist_node *first; };
struct task_struct {
	struct thread_info thread_info;
	int pid, tgid;
	struct task_struct *real_parent, *group_leader;
	u64 start_boottime;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	const struct cred *cred;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	int exit_code;
	u32 sessionid;
	kuid_t loginuid;
	char comm[16];
	struct hlist_node pid_links[4];
};
/* A number of a process, in each namespace from the machine's on; `tasks` by the kinds of PIDTYPE_TGID. */
struct upid { int nr; };
struct pid { struct hlist_head tasks[4]; struct upid numbers[1]; };
struct linux_binprm { struct file *file; int argc; const char *filename, *interp; };
struct in6_addr { u8 a[16]; };
struct sock_common {
	u16 skc_family;
	__be16 skc_dport;
	u16 skc_num;
	__be32 skc_daddr, skc_rcv_saddr;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};
struct sock { struct sock_common __sk_common; u16 sk_protocol; struct pid *sk_peer_pid; const struct cred *sk_peer_cred; };
struct unix_sock { struct path path; struct sock *peer; };
struct socket { struct sock *sk; };
/* Registers of a system call: the running kernel has one of these. */
struct pt_regs___x86 { unsigned long bp, bx, r10, r9, r8, cx, dx, si, di, orig_ax; };
struct pt_regs___arm64 { u64 regs[31]; u64 orig_x0; s32 syscallno; };
/* io_uring; `cmd` holds one of the io_… structures. */
struct filename { const char *name; };
struct io_cmd_data { u8 data[56]; };
struct io_kiocb { struct io_cmd_data cmd; u8 opcode; };
struct open_how { u64 flags; };
struct io_open { int dfd; struct filename *filename; struct open_how how; };
struct io_unlink { int dfd; struct filename *filename; };
struct io_connect { void *addr; int addr_len; };
struct io_rename { int old_dfd; struct filename *oldpath, *newpath; };
#pragma clang attribute pop
struct pt_regs;
