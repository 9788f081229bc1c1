/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
 * Paths, strings and arguments on their way into a record: each function appends at `offset` of a scratch buffer and
 * answers the new offset and marks, as OUT packs them. */
#pragma once
#include "record.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define SCRATCH 32768
#define CHUNK 16384     /* bytes of arguments in one record */
#define HEAD_END 12288  /* everything but arguments begins before this offset */
#define TEXT 4096
#define COMPONENT 256
#define STEPS 80        /* components of a path, and mounts on its way */
#define AT_FDCWD_ (-100)
#define ROOT_ (-101)    /* in place of a descriptor: the process's own root */

struct scratch { char bytes[SCRATCH]; };
enum { FOR_EXEC, FOR_CALL, FOR_URING };
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 3); __type(key, u32); __type(value, struct scratch); } scratch SEC(".maps");

#define opaque(v) asm volatile("" : "+r"(v))
#define OUT(offset, marks) ((u64)(u32)(offset) | (u64)(marks) << 32)

static __always_inline char *buffer(u64 which)
{
	u32 key = which;
	return bpf_map_lookup_elem(&scratch, &key);
}

/* The way from a file to the root as it was walked: what it leads over, how often each part of it had been moved, and in
 * which namespace of mounts. */
struct way { u64 mounts, offset, sum, steps; };
static __always_inline volatile struct way *way_in(char *buffer)
{
	return (void *)(buffer + SCRATCH - sizeof(struct way));
}

/* What is looked at of a name on the way. It lies in the first cache line of every kernel's dentry, and one copy of that costs
 * a third of three; the counter lies in front of what it counts for, and is copied first. */
struct step { u32 moves; struct dentry *parent; const unsigned char *name; };
static __always_inline struct step step_of(struct dentry *d)
{
	u64 moves = bpf_core_field_offset(struct dentry, d_seq), parent = bpf_core_field_offset(struct dentry, d_parent),
	    name = bpf_core_field_offset(struct dentry, d_name.name);
	struct step step = {};
	if (moves < parent && moves < name && parent <= 56 && name <= 56) {
		u64 line[8] = {};
		bpf_probe_read_kernel(line, sizeof(line), d);
		step.moves = *(u32 *)((char *)line + moves);
		step.parent = *(struct dentry **)((char *)line + parent);
		step.name = *(const unsigned char **)((char *)line + name);
	} else {
		bpf_core_read(&step.moves, sizeof(step.moves), &d->d_seq);
		step.parent = BPF_CORE_READ(d, d_parent);
		step.name = BPF_CORE_READ(d, d_name.name);
	}
	return step;
}

static __always_inline u64 add_step(u64 sum, struct vfsmount *mnt, struct dentry *d, u32 moves)
{
	return (sum ^ (u64)mnt ^ ((u64)d << 1) ^ ((u64)moves << 40)) * 0x9e3779b97f4a7c15ull;
}

static __always_inline u64 mounts_of(struct vfsmount *mnt)
{
	struct mount *m = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
	struct mnt_namespace *ns = BPF_CORE_READ(m, mnt_ns);
	if ((s64)ns < 0 && (s64)ns > -4096)
		return NOT_TOLD; /* an error for a pointer: the kernel's own, such as pipes */
	u32 number = ns ? BPF_CORE_READ(ns, ns.inum) : 0;
	/* MNT_NS_ANON_INO: a mount that nobody has attached, which has 0 before Linux 6.18. */
	return number && number != 0xeffffff7 ? number : IN_NONE;
}

/* A path from the file itself: its components, the last first, each ended by a zero. Mounts are walked through. */
__noinline u64 walk_once(u64 which, u64 offset, u64 mount_at, u64 dentry_at)
{
	char *b = buffer(which);
	if (!b)
		return OUT(offset, PATH_CUT);
	struct vfsmount *mnt = (void *)mount_at;
	struct dentry *d = (void *)dentry_at;
	bool stop = false;
	struct dentry *root = BPF_CORE_READ(mnt, mnt_root);
	volatile struct way *way = way_in(b);
	way->offset = offset;
	way->sum = 0;
	for (int i = 0; i < STEPS; i++) {
		struct step step = step_of(d);
		if (step.moves & 1)
			return OUT(offset, PATH_MOVED);
		way->sum = add_step(way->sum, mnt, d, step.moves);
		way->steps = i + 1;
		if (d == root || d == step.parent) {
			struct mount *m = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
			struct mount *below = BPF_CORE_READ(m, mnt_parent);
			if (d == root && below != m) {
				d = BPF_CORE_READ(m, mnt_mountpoint);
				mnt = (void *)below + bpf_core_field_offset(struct mount, mnt);
				root = BPF_CORE_READ(mnt, mnt_root);
				continue;
			}
			if (way->offset != offset)
				return OUT(way->offset, 0);
			stop = true; /* "/" itself, or the file of a mount without a name, such as memfd:x */
		}
		u64 o = way->offset;
		if (o > HEAD_END - COMPONENT)
			break;
		long n = bpf_probe_read_kernel_str(b + o, COMPONENT, step.name);
		if (n <= 0)
			break;
		way->offset = o + n;
		if (stop)
			break;
		d = step.parent;
	}
	return OUT(way->offset, stop ? 0 : PATH_CUT);
}

/* The sum of a way, as it is now. */
__noinline u64 sum_of(u64 mount_at, u64 dentry_at, u64 steps)
{
	struct vfsmount *mnt = (void *)mount_at;
	struct dentry *d = (void *)dentry_at, *root = BPF_CORE_READ(mnt, mnt_root);
	u64 sum = 0;
	for (int i = 0; i < STEPS; i++) {
		if (i >= steps)
			break;
		struct step step = step_of(d);
		sum = add_step(sum, mnt, d, step.moves);
		if (d == step.parent || d == root) {
			struct mount *m = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
			d = BPF_CORE_READ(m, mnt_mountpoint);
			mnt = (void *)BPF_CORE_READ(m, mnt_parent) + bpf_core_field_offset(struct mount, mnt);
			root = BPF_CORE_READ(mnt, mnt_root);
		} else {
			d = step.parent;
		}
	}
	return sum;
}

/* A path that was one: no lock can be taken here, so where folders were moved between its parts it is walked again, and
 * left out if that was so again. The kernel counts in each name how often it was moved (`d_seq`): a way that leads over the
 * same names, moved as often as before, stood all the while between the two looks. */
__noinline u64 walk(u64 which, u64 offset, u64 mount_at, u64 dentry_at)
{
	char *own = buffer(which);
	if (own)
		way_in(own)->mounts = mounts_of((void *)mount_at);
	for (int i = 0; i < 2; i++) {
		u64 out = walk_once(which, offset, mount_at, dentry_at);
		char *b = buffer(which);
		if (!b)
			break;
		if (out >> 32 & PATH_MOVED)
			continue;
		volatile struct way *way = way_in(b);
		if (sum_of(mount_at, dentry_at, way->steps) == way->sum)
			return out;
	}
	return OUT(offset, PATH_MOVED);
}

/* User memory: in one copy; where a page is not there, page by page, so that it costs that page only. */
__noinline u64 copy_user(u64 which, u64 offset, u64 from, u64 length)
{
	char *b = buffer(which);
	if (!b || length == 0)
		return 1;
	opaque(length);
	opaque(offset);
	if (offset > HEAD_END)
		return 1;
	char *to = b + offset;
	if (length > CHUNK)
		return 1;
	if (!bpf_probe_read_user(to, length, (void *)from))
		return 0;
	volatile u64 *running = (void *)(b + SCRATCH - 8);
	*running = 0;
	for (int i = 0; i < CHUNK / 4096 + 2; i++) {
		u64 done = *running;
		if (done >= length)
			break;
		u64 n = 4096 - ((from + done) & 4095);
		if (n > length - done)
			n = length - done;
		*running = done + n;
		opaque(n);
		opaque(done);
		if (done > CHUNK)
			break;
		char *page = to + done;
		if (n > 4096 || n == 0)
			break;
		bpf_probe_read_user(page, n, (void *)(from + done)); /* zeros where it fails */
	}
	return ARGUMENTS_UNREADABLE;
}

__noinline u64 user_text(u64 which, u64 offset, u64 from)
{
	char *b = buffer(which);
	if (!b || offset > HEAD_END || !from)
		return OUT(offset, 0);
	long n = bpf_probe_read_user_str(b + offset, TEXT, (void *)from);
	if (n <= 0 || n > TEXT)
		return OUT(offset, TEXT_UNREADABLE);
	return OUT(offset + n, 0);
}

__noinline u64 kernel_text(u64 which, u64 offset, u64 from)
{
	char *b = buffer(which);
	if (!b || offset > HEAD_END || !from)
		return OUT(offset, 0);
	long n = bpf_probe_read_kernel_str(b + offset, TEXT, (void *)from);
	if (n <= 0 || n > TEXT)
		return OUT(offset, 0);
	return OUT(offset + n, 0);
}

/* Takes what one of these answers into `offset` and `marks`, and the length of what it wrote into `field`. */
#define APPEND(field, call) do { \
	u64 out_ = (call), new_ = out_ & 0xffffffff; \
	marks |= out_ >> 32; \
	if (new_ >= offset && new_ <= HEAD_END + TEXT) { field = new_ - offset; offset = new_; } \
} while (0)
#define WALK(which, path) walk(which, offset, (u64)BPF_CORE_READ(path, mnt), (u64)BPF_CORE_READ(path, dentry))

static __always_inline struct file *file_of(struct task_struct *t, s64 descriptor)
{
	struct fdtable *table = BPF_CORE_READ(t, files, fdt);
	struct file *f = NULL;
	if (descriptor < 0 || descriptor >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&f, sizeof(f), BPF_CORE_READ(table, fd) + descriptor);
	return f;
}

/* Where the path stands that was walked last. */
static __always_inline u32 last_mounts(char *buffer)
{
	return way_in(buffer)->mounts;
}

/* The folder that a path given as `text` begins at; of the process's root nothing, where that is the first of its mounts. */
__noinline u64 folder_of(u64 which, u64 offset, s64 descriptor)
{
	struct task_struct *t = (void *)bpf_get_current_task();
	struct path *p;
	struct fs_struct *fs = BPF_CORE_READ(t, fs);
	if (descriptor == AT_FDCWD_) {
		p = &fs->pwd;
	} else if (descriptor == ROOT_) {
		p = &fs->root;
		struct vfsmount *mnt = BPF_CORE_READ(p, mnt);
		struct mount *m = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
		char *b = buffer(which);
		if (b && BPF_CORE_READ(p, dentry) == BPF_CORE_READ(mnt, mnt_root) && BPF_CORE_READ(m, mnt_parent) == m) {
			way_in(b)->mounts = mounts_of(mnt);
			return OUT(offset, 0);
		}
	} else {
		struct file *f = file_of(t, descriptor);
		if (!f)
			return OUT(offset, 0);
		p = &f->f_path;
	}
	return WALK(which, p);
}
