// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What really ran: follows the processes of recorded sessions and writes down what they do, as records for `host`.
 *
 * Only typed tracepoints (`tp_btf`): they need neither tracefs nor patched kernel text, and one object runs from Linux
 * 5.10 on. A session's processes are known by the tree: each fork hands the parent's session on. The audit session is a
 * second net, for whoever lost the tree. Nothing here allows or forbids anything.
 *
 * Shapes that look odd keep the verifiers of 5.10 to 7.2 content: global functions take plain numbers only (each is
 * verified once, not once a call), a loop's running offset lives in map memory (so that its turns look alike), offsets
 * are 64 bits wide, and bounds are stated directly before use. */
#include "text.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define CHUNKS 16       /* records of arguments behind the first */
#define ADDRESS 112
#define TGID 1          /* PIDTYPE_TGID */

/* `host` sets the sizes again from model::limit when it loads them. */
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 8 << 20); } records SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 65536); __type(key, u32); __type(value, struct place); } processes SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1024); __type(key, u32); __type(value, struct place); } audits SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1024); __type(key, u32); __type(value, struct session); } sessions SEC(".maps");

/* Who began a connection; its answer comes when somebody else runs. */
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 16384); __type(key, u64); __type(value, struct head); } dials SEC(".maps");
struct destination { u32 process; u16 port, family; u8 address[16]; };
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 8192); __type(key, struct destination); __type(value, u64); } sent_to SEC(".maps");

/* Whether a session has more processes than its part of the tree: only then is the audit session of strangers looked at. */
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u32); } overgrown SEC(".maps");

const volatile struct shape shapes[ALL_NUMBERS] = {};
const volatile struct shape shapes_32[ALL_NUMBERS] = {};

/* ---- whose */

static __always_inline struct session *session_at(struct place *at)
{
	u32 slot = at->slot;
	struct session *s = bpf_map_lookup_elem(&sessions, &slot);
	return s && at->turn && s->turn == at->turn ? s : NULL;
}

static __always_inline struct session *by_audit(struct task_struct *t, struct place *at)
{
	if (!bpf_core_field_exists(t->sessionid))
		return NULL;
	u32 id = BPF_CORE_READ(t, sessionid);
	struct place *p = bpf_map_lookup_elem(&audits, &id);
	if (!p)
		return NULL;
	*at = *p;
	return session_at(at);
}

static __always_inline bool some_overgrew(void)
{
	u32 zero = 0, *flag = bpf_map_lookup_elem(&overgrown, &zero);
	return flag && *flag;
}

/* The session of the current process, if it has one. */
static __always_inline struct session *own_session(struct task_struct *t, struct place *at, u16 *marks)
{
	u32 process = bpf_get_current_pid_tgid() >> 32;
	struct place *p = bpf_map_lookup_elem(&processes, &process);
	if (p) {
		*at = *p;
		return session_at(at);
	}
	if (!some_overgrew())
		return NULL;
	*marks |= BY_AUDIT;
	return by_audit(t, at);
}

/* Puts a process into the tree, unless its session has as many there as it may. */
static __always_inline bool hold(struct session *s, u32 process, struct place *at)
{
	u64 *counted = &s->beyond;
	if (s->held < s->most) {
		if (!bpf_map_update_elem(&processes, &process, at, BPF_ANY)) {
			__sync_fetch_and_add(&s->held, 1);
			return true;
		}
		counted = &s->unheld;
	}
	__sync_fetch_and_add(counted, 1);
	u32 zero = 0, one = 1;
	bpf_map_update_elem(&overgrown, &zero, &one, BPF_ANY);
	return false;
}

/* A number that is given again: whoever had it has ended, though that was missed, and nobody inherits the session. */
static __always_inline void drop_former(u32 process)
{
	struct place *p = bpf_map_lookup_elem(&processes, &process);
	if (!p)
		return;
	struct place at = *p;
	if (bpf_map_delete_elem(&processes, &process))
		return;
	struct session *s = session_at(&at);
	if (s)
		__sync_fetch_and_sub(&s->held, 1);
}

/* ---- records */

static __always_inline void fill(struct head *h, struct task_struct *t, u32 kind, struct place *at, u16 marks)
{
	u64 id = bpf_get_current_pid_tgid();
	h->kind = kind;
	h->unused = 0;
	h->marks = marks;
	h->at = bpf_ktime_get_boot_ns();
	h->slot = at->slot;
	h->turn = at->turn;
	h->process = id >> 32;
	h->thread = (u32)id;
	h->parent = BPF_CORE_READ(t, real_parent, tgid);
	h->audit = bpf_core_field_exists(t->sessionid) ? BPF_CORE_READ(t, sessionid) : ~0u;
	const struct cred *c = BPF_CORE_READ(t, cred);
	h->uid = BPF_CORE_READ(c, uid.val);
	h->euid = BPF_CORE_READ(c, euid.val);
	bpf_get_current_comm(h->name, sizeof(h->name));
}

/* Either counted as sent or counted as lost, never neither. The reader is woken when it has read everything before. */
static __always_inline void emit(struct session *s, void *record, u64 length)
{
	struct head *h = record;
	h->lost = s->lost;
	h->length = length;
	asm volatile("%0 &= 32767" : "+r"(length));
	if (bpf_ringbuf_output(&records, record, length, 0))
		__sync_fetch_and_add(&s->lost, 1);
	else
		__sync_fetch_and_add(&s->sent, 1);
}

/* ---- processes */

/* Namespaces that a new process has and its parent has not, as clone(2) names them. */
static __always_inline u32 namespaces_of(struct task_struct *parent, struct task_struct *child)
{
	u32 made = 0;
	if (BPF_CORE_READ(child, cred, user_ns) != BPF_CORE_READ(parent, cred, user_ns))
		made |= 0x10000000;
	struct nsproxy *own = BPF_CORE_READ(child, nsproxy), *theirs = BPF_CORE_READ(parent, nsproxy);
	if (own == theirs)
		return made;
#define NEW(field, flag) do { \
	if (bpf_core_field_exists(own->field) && BPF_CORE_READ(own, field) != BPF_CORE_READ(theirs, field)) \
		made |= flag; \
} while (0)
	NEW(time_ns_for_children, 0x80);
	NEW(mnt_ns, 0x20000);
	NEW(cgroup_ns, 0x02000000);
	NEW(uts_ns, 0x04000000);
	NEW(ipc_ns, 0x08000000);
	NEW(pid_ns_for_children, 0x20000000);
	NEW(net_ns, 0x40000000);
#undef NEW
	return made;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 process = child->tgid;
	if (parent->tgid == process)
		return 0; /* a thread */
	drop_former(process);
	struct place at = {};
	u16 marks = 0;
	struct session *s = own_session(parent, &at, &marks);
	if (!s)
		return 0;
	if (!hold(s, process, &at))
		marks |= BY_AUDIT;
	if (!(s->wants & COMMANDS))
		return 0;
	struct fork e = {};
	fill(&e.head, parent, FORK, &at, marks);
	e.child = process;
	e.namespaces = namespaces_of(parent, child);
	emit(s, &e, sizeof(e));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *t)
{
	struct signal_struct *all = t->signal;
	if (all->live.counter > 0)
		return 0; /* other threads go on */
	struct place at = {};
	u16 marks = 0;
	struct session *s = own_session(t, &at, &marks);
	u32 process = t->tgid;
	if (!(marks & BY_AUDIT)) {
		/* What a session that is over has left in the tree goes too. */
		if (bpf_map_delete_elem(&processes, &process))
			return 0;
		if (s)
			__sync_fetch_and_sub(&s->held, 1);
	}
	if (!s || !(s->wants & COMMANDS))
		return 0;
	struct exit e = {};
	fill(&e.head, t, EXIT, &at, marks);
	if (all->flags & 4 /* SIGNAL_GROUP_EXIT */)
		e.code = all->group_exit_code;
	else
		e.code = t->pid == t->tgid ? t->exit_code : BPF_CORE_READ(t, group_leader, exit_code);
	e.began = t->start_boottime;
	emit(s, &e, sizeof(e));
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *t, int old, struct linux_binprm *bprm)
{
	struct place at = {};
	u16 marks = 0;
	u32 process = t->tgid;
	struct place *p = bpf_map_lookup_elem(&processes, &process);
	struct session *s = NULL;
	if (p) {
		at = *p;
		s = session_at(&at);
	}
	if (!s) {
		s = by_audit(t, &at);
		if (!s)
			return 0;
		marks |= BY_AUDIT;
		/* Whom the tree has no room for was counted when it was forked. */
		if (s->held < s->most)
			hold(s, process, &at);
	}
	char *b = buffer(FOR_EXEC);
	if (!b || !(s->wants & COMMANDS))
		return 0;
	struct exec *e = (void *)b;
	fill(&e->head, t, EXEC, &at, 0);
	struct file *program = BPF_CORE_READ(bprm, file);
	const struct cred *c = BPF_CORE_READ(t, cred);
	e->gid = BPF_CORE_READ(c, gid.val);
	e->egid = BPF_CORE_READ(c, egid.val);
	e->login = bpf_core_field_exists(t->loginuid) ? BPF_CORE_READ(t, loginuid.val) : ~0u;
	e->capabilities = 0;
	bpf_core_read(&e->capabilities, 8, &c->cap_effective);
	e->inode = BPF_CORE_READ(program, f_inode, i_ino);
	e->device = BPF_CORE_READ(program, f_inode, i_sb, s_dev);
	u64 offset = sizeof(*e);
	e->file = e->interpreter = e->program = e->folder = 0;
	APPEND(e->file, kernel_text(FOR_EXEC, offset, (u64)BPF_CORE_READ(bprm, filename)));
	if (bprm->interp != bprm->filename)
		APPEND(e->interpreter, kernel_text(FOR_EXEC, offset, (u64)BPF_CORE_READ(bprm, interp)));
	APPEND(e->program, WALK(FOR_EXEC, &program->f_path));
	e->mounts = last_mounts(b);
	struct dentry *name = BPF_CORE_READ(program, f_path.dentry);
	if (!BPF_CORE_READ(name, d_hash.pprev))
		marks |= DELETED;
	struct fs_struct *fs = BPF_CORE_READ(t, fs);
	APPEND(e->folder, WALK(FOR_EXEC, &fs->pwd));
	e->folder_mounts = last_mounts(b);
	/* The new program's own copy of its arguments: nobody else can have changed them since. */
	u64 from = BPF_CORE_READ(t, mm, arg_start), to = BPF_CORE_READ(t, mm, arg_end);
	u32 total = to > from ? to - from : 0;
	e->total = total;
	u64 first = total > CHUNK ? CHUNK : total;
	if (offset > HEAD_END)
		offset = HEAD_END;
	if (first)
		marks |= copy_user(FOR_EXEC, offset, from, first);
	e->given = first;
	u32 rest = total - first;
	if (rest > CHUNKS * CHUNK)
		marks |= ARGUMENTS_CUT;
	e->head.marks = marks;
	u64 length = offset + first;
	if (length > SCRATCH - 64)
		return 0;
	emit(s, b, length);
	struct arguments *more = (void *)b;
	u64 next = from + first;
	for (int i = 0; i < CHUNKS; i++) {
		if (!rest)
			break;
		u32 n = rest > CHUNK ? CHUNK : rest;
		more->head.kind = ARGUMENTS;
		more->index = i;
		more->length = n;
		more->head.marks = copy_user(FOR_EXEC, sizeof(*more), next, n);
		emit(s, b, sizeof(*more) + n);
		next += n;
		rest -= n;
	}
	return 0;
}

/* ---- system calls, on their way out: the arguments are still in the registers, the result is known, and what the call
 * has read is in memory */

static __always_inline void socket_ends(struct call *e, struct sock *sk)
{
	e->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	e->protocol = BPF_CORE_READ(sk, sk_protocol);
	e->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	u16 port = BPF_CORE_READ(sk, __sk_common.skc_dport);
	e->remote_port = __builtin_bswap16(port);
	if (e->family == 2 /* AF_INET */) {
		bpf_core_read(e->local, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_core_read(e->remote, 4, &sk->__sk_common.skc_daddr);
	} else if (e->family == 10 /* AF_INET6 */ && bpf_core_field_exists(sk->__sk_common.skc_v6_daddr)) {
		bpf_core_read(e->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(e->remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
}

/* Who is at the other end of a unix socket. Answered is where its path lies: that of whoever listens, if it has one. */
static __always_inline struct path *unix_end(struct call *e, struct sock *sk)
{
	struct unix_sock *own = (void *)sk;
	if (!bpf_core_field_exists(own->peer))
		return NULL;
	struct pid *number = BPF_CORE_READ(sk, sk_peer_pid);
	if (number) {
		struct neighbour *n = (void *)e->local;
		u32 process = 0;
		bpf_probe_read_kernel(&process, sizeof(process), (void *)number + bpf_core_field_offset(struct pid, numbers));
		n->process = process;
		n->euid = BPF_CORE_READ(sk, sk_peer_cred, euid.val);
		struct place *p = bpf_map_lookup_elem(&processes, &process);
		if (p) {
			struct place at = *p;
			if (session_at(&at)) {
				n->slot = at.slot;
				n->turn = at.turn;
			}
		}
		/* The first of those that have this number: the process itself, if it is still there. */
		struct hlist_node *first = NULL;
		bpf_probe_read_kernel(&first, sizeof(first), (void *)number + bpf_core_field_offset(struct pid, tasks) + TGID * sizeof(struct hlist_head));
		if (first) {
			struct task_struct *t = (void *)first - bpf_core_field_offset(struct task_struct, pid_links) - TGID * sizeof(struct hlist_node);
			bpf_core_read_str(n->name, sizeof(n->name), &t->comm);
		}
	}
	struct unix_sock *peer = (void *)BPF_CORE_READ(own, peer);
	if (peer && BPF_CORE_READ(peer, path.mnt))
		return &peer->path;
	return BPF_CORE_READ(own, path.mnt) ? &own->path : NULL;
}

static __always_inline u32 wanted_by(u32 kind)
{
	if (kind == OPEN || kind == CHANGE)
		return FILES;
	return kind == SOCKET ? NETWORK : CALLS;
}

/* The arguments of a socketcall(2): as many as are there, because they may lie at the end of what the process has. */
static __always_inline void socket_call_arguments(u64 *a, u64 from)
{
	u32 given[6] = {};
	if (bpf_probe_read_user(given, sizeof(given), (void *)from)) {
		for (int i = 0; i < 6; i++)
			if (bpf_probe_read_user(&given[i], 4, (void *)from + i * 4))
				break;
	}
	for (int i = 0; i < 6; i++)
		a[i] = given[i];
}

/* Where a msghdr (or the first mmsghdr, which begins with one) says that it goes. */
struct message_name { u64 at, length; };
static __always_inline struct message_name message_name(u64 from, bool compat)
{
	struct { u32 at, length; } narrow = {};
	struct { u64 at; u32 length; } wide = {};
	if (compat) {
		bpf_probe_read_user(&narrow, sizeof(narrow), (void *)from);
		return (struct message_name){ narrow.at, narrow.length };
	}
	bpf_probe_read_user(&wide, 12, (void *)from);
	return (struct message_name){ wide.at, wide.length };
}

#define ARG(i) ((i) == 1 ? a[0] : (i) == 2 ? a[1] : (i) == 3 ? a[2] : (i) == 4 ? a[3] : (i) == 5 ? a[4] : a[5])

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long result)
{
	struct pt_regs___x86 *x = (void *)regs;
	struct pt_regs___arm64 *m = (void *)regs;
	u64 number;
	if (bpf_core_field_exists(x->orig_ax))
		number = x->orig_ax & ~0x40000000ull; /* x32 has the same numbers behind this bit */
	else
		number = (u32)m->syscallno;
	if (number >= CALL_NUMBERS || !(shapes[number].kind | shapes_32[number].kind))
		return 0;
	struct task_struct *t = (void *)bpf_get_current_task();
	struct place at = {};
	u16 marks = 0;
	struct session *s = own_session(t, &at, &marks);
	if (!s)
		return 0;
	u64 a[6];
	bool compat = false;
	if (bpf_core_field_exists(x->orig_ax)) {
		compat = BPF_CORE_READ(t, thread_info.status) & 2 /* TS_COMPAT */;
		if (compat) {
			marks |= COMPAT;
			a[0] = (u32)x->bx; a[1] = (u32)x->cx; a[2] = (u32)x->dx;
			a[3] = (u32)x->si; a[4] = (u32)x->di; a[5] = (u32)x->bp;
		} else {
			a[0] = x->di; a[1] = x->si; a[2] = x->dx;
			a[3] = x->r10; a[4] = x->r8; a[5] = x->r9;
		}
	} else if (bpf_core_field_exists(m->syscallno)) {
		a[0] = m->orig_x0; a[1] = m->regs[1]; a[2] = m->regs[2];
		a[3] = m->regs[3]; a[4] = m->regs[4]; a[5] = m->regs[5];
	} else {
		return 0;
	}
	if (compat && shapes_32[number].kind == SOCKET_CALLS) {
		u64 which = a[0];
		if (which >= ALL_NUMBERS - CALL_NUMBERS)
			return 0;
		number = CALL_NUMBERS + which;
		socket_call_arguments(a, a[1]);
	}
	const volatile struct shape *shape = compat ? &shapes_32[number] : &shapes[number];
	u8 kind = shape->kind, text = shape->text, folder = shape->folder, text2 = shape->text2, folder2 = shape->folder2;
	u8 address = shape->address, address_length = shape->length, descriptor = shape->descriptor;
	if (!kind || !(s->wants & wanted_by(kind)))
		return 0;
	if (kind == NOT_RUN && result >= 0)
		return 0; /* on_exec has it */
	char *b = buffer(FOR_CALL);
	if (!b)
		return 0;
	struct call *e = (void *)b;
	__builtin_memset(b, 0, sizeof(*e));
	fill(&e->head, t, kind, &at, marks);
	e->result = result;
	e->number = number;
	for (int i = 0; i < 6; i++)
		e->arguments[i] = a[i];
	if (kind == OPEN && address_length == HOW)
		bpf_probe_read_user(&e->arguments[5], 8, (void *)a[2]);
	u64 offset = sizeof(*e);
	bool resolved = false;
	if (descriptor) {
		struct file *f = NULL;
		if (descriptor != RESULT)
			f = file_of(t, (s32)ARG(descriptor));
		else if (result >= 0)
			f = file_of(t, result);
		if (f && (kind == OPEN || kind == CHANGE)) {
			APPEND(e->resolved, WALK(FOR_CALL, &f->f_path));
			e->inode = BPF_CORE_READ(f, f_inode, i_ino);
			e->device = BPF_CORE_READ(f, f_inode, i_sb, s_dev);
			e->family = last_mounts(b);
			resolved = e->resolved;
		}
		if (f && kind == SOCKET && (BPF_CORE_READ(f, f_inode, i_mode) & 0170000) == 0140000) {
			struct socket *so = BPF_CORE_READ(f, private_data);
			struct sock *sk = BPF_CORE_READ(so, sk);
			socket_ends(e, sk);
			if (e->family == 1 /* AF_UNIX */ && result >= 0 && text2 != DATAGRAM) {
				struct path *p = unix_end(e, sk);
				if (p) {
					APPEND(e->resolved, WALK(FOR_CALL, p));
					e->device = last_mounts(b);
				}
			}
		}
	}
	if (address) {
		u64 from = ARG(address), n = 0;
		if (address_length == MESSAGE) {
			struct message_name name = message_name(from, compat);
			from = name.at;
			n = name.length;
		} else if (address_length) {
			n = ARG(address_length);
		}
		if (n > ADDRESS)
			n = ADDRESS;
		if (offset > HEAD_END)
			return 0;
		if (from && n) {
			char *to = b + offset;
			if (!bpf_probe_read_user(to, n, (void *)from)) {
				e->address = n;
				offset += n;
				struct destination d = { .process = e->head.process };
				__builtin_memcpy(&d.family, to, 2);
				if (kind == SOCKET && text2 == DATAGRAM && (d.family == 2 || d.family == 10)) {
					/* Each destination once for each process; of other families every time. */
					__builtin_memcpy(&d.port, to + 2, 2);
					if (d.family == 2)
						__builtin_memcpy(d.address, to + 4, 4);
					else
						__builtin_memcpy(d.address, to + 8, 16);
					u64 *seen = bpf_map_lookup_elem(&sent_to, &d), turn = at.turn;
					if (seen && *seen == turn)
						return 0;
					bpf_map_update_elem(&sent_to, &d, &turn, BPF_ANY);
				}
			} else {
				marks |= TEXT_UNREADABLE;
			}
		} else if (text2 == DATAGRAM) {
			return 0; /* on a socket whose connect was recorded */
		}
	}
	if (text && kind != SOCKET && !resolved) {
		char first = 0;
		APPEND(e->text, user_text(FOR_CALL, offset, ARG(text)));
		if (offset <= HEAD_END) {
			if (e->text)
				bpf_probe_read_user(&first, 1, (void *)ARG(text));
			if (kind != SPECIAL) {
				APPEND(e->at, folder_of(FOR_CALL, offset, first == '/' ? ROOT_ : folder ? (s32)ARG(folder) : AT_FDCWD_));
				e->family = last_mounts(b);
			}
		}
		if (kind == NOT_RUN) {
			/* The first arguments of the attempt. */
			u64 list = ARG(text2), one = 0;
			for (int i = 0; i < 16; i++) {
				one = 0;
				if (offset > HEAD_END)
					break;
				long got = compat ? bpf_probe_read_user(&one, 4, (void *)list + i * 4)
						  : bpf_probe_read_user(&one, 8, (void *)list + i * 8);
				if (got || !one)
					break;
				long n = bpf_probe_read_user_str(b + offset, 1024, (void *)one);
				if (n <= 0 || n > 1024)
					break;
				offset += n;
				e->text2 += n;
			}
		} else if (text2) {
			APPEND(e->text2, user_text(FOR_CALL, offset, ARG(text2)));
			if (offset <= HEAD_END) {
				first = 0;
				if (e->text2)
					bpf_probe_read_user(&first, 1, (void *)ARG(text2));
				APPEND(e->at2, folder_of(FOR_CALL, offset, first == '/' ? ROOT_ : folder2 ? (s32)ARG(folder2) : AT_FDCWD_));
				e->protocol = last_mounts(b);
			}
		}
	}
	e->head.marks = marks;
	if (offset > SCRATCH)
		return 0;
	emit(s, b, offset);
	return 0;
}

/* ---- TCP, from the state of the socket itself: no memory of the user is looked at, and io_uring passes here too */

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp_state, struct sock *sk, int from, int to)
{
	u64 key = (u64)sk;
	struct tcp e = {};
	struct session *s;
	if (to == 2 /* SYN_SENT */ || to == 10 /* LISTEN */) {
		struct task_struct *t = (void *)bpf_get_current_task();
		struct place at = {};
		u16 marks = 0;
		s = own_session(t, &at, &marks);
		if (!s || !(s->wants & NETWORK)) {
			/* The same memory may have been another session's socket. */
			bpf_map_delete_elem(&dials, &key);
			return 0;
		}
		fill(&e.head, t, TCP, &at, marks);
		if (to == 2) {
			bpf_map_update_elem(&dials, &key, &e.head, BPF_ANY);
			return 0;
		}
	} else {
		if (from != 2)
			return 0;
		struct head *dial = bpf_map_lookup_elem(&dials, &key);
		if (!dial)
			return 0;
		e.head = *dial;
		bpf_map_delete_elem(&dials, &key);
		struct place at = { .slot = e.head.slot, .turn = e.head.turn };
		s = session_at(&at);
		if (!s)
			return 0;
		e.head.at = bpf_ktime_get_boot_ns();
	}
	e.from = from;
	e.to = to;
	e.family = sk->__sk_common.skc_family;
	e.local_port = sk->__sk_common.skc_num;
	e.remote_port = __builtin_bswap16(sk->__sk_common.skc_dport);
	if (e.family == 2) {
		bpf_core_read(e.local, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_core_read(e.remote, 4, &sk->__sk_common.skc_daddr);
	} else if (bpf_core_field_exists(sk->__sk_common.skc_v6_daddr)) {
		bpf_core_read(e.local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(e.remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
	emit(s, &e, sizeof(e));
	return 0;
}

/* ---- io_uring: operations that no system call names. A path is the kernel's own copy of it. */

static __always_inline u32 wanted_by_operation(u8 op)
{
	/* include/uapi/linux/io_uring.h: OPENAT 18, OPENAT2 28; RENAMEAT 35, UNLINKAT 36, MKDIRAT 37, SYMLINKAT 38, LINKAT 39 */
	if (op == 18 || op == 28 || (op >= 35 && op <= 39))
		return FILES;
	/* SENDMSG 9, ACCEPT 13, CONNECT 16, BIND 56, LISTEN 57 */
	return op == 9 || op == 13 || op == 16 || op == 56 || op == 57 ? NETWORK : 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_uring, struct io_kiocb *request)
{
	struct task_struct *t = (void *)bpf_get_current_task();
	struct place at = {};
	u16 marks = 0;
	struct session *s = own_session(t, &at, &marks);
	if (!s)
		return 0;
	u8 op = BPF_CORE_READ(request, opcode);
	if (!(s->wants & wanted_by_operation(op)))
		return 0;
	char *b = buffer(FOR_URING);
	if (!b)
		return 0;
	struct call *e = (void *)b;
	__builtin_memset(b, 0, sizeof(*e));
	fill(&e->head, t, URING, &at, marks);
	e->number = op;
	u64 offset = sizeof(*e);
	s32 folder = AT_FDCWD_;
	const char *text = NULL, *text2 = NULL;
	void *command = (void *)request + bpf_core_field_offset(struct io_kiocb, cmd);
	if ((op == 18 || op == 28) && bpf_core_field_exists(struct io_open, filename)) {
		struct io_open *open = command;
		text = BPF_CORE_READ(open, filename, name);
		folder = BPF_CORE_READ(open, dfd);
		e->arguments[2] = BPF_CORE_READ(open, how.flags);
	} else if (op == 36 && bpf_core_field_exists(struct io_unlink, filename)) {
		struct io_unlink *unlink = command;
		text = BPF_CORE_READ(unlink, filename, name);
		folder = BPF_CORE_READ(unlink, dfd);
	} else if (op == 35 && bpf_core_field_exists(struct io_rename, oldpath)) {
		struct io_rename *rename = command;
		text = BPF_CORE_READ(rename, oldpath, name);
		text2 = BPF_CORE_READ(rename, newpath, name);
		folder = BPF_CORE_READ(rename, old_dfd);
	}
	if (op == 16 && bpf_core_field_exists(struct io_connect, addr_len)) {
		/* As passed: the kernel's own copy lies elsewhere in each version. */
		struct io_connect *connect = command;
		u64 from = (u64)BPF_CORE_READ(connect, addr), n = (u32)BPF_CORE_READ(connect, addr_len);
		if (n > ADDRESS)
			n = ADDRESS;
		if (from && n && !bpf_probe_read_user(b + sizeof(*e), n, (void *)from)) {
			e->address = n;
			offset += n;
		}
	}
	if (text) {
		char first = 0;
		bpf_probe_read_kernel(&first, 1, text);
		APPEND(e->text, kernel_text(FOR_URING, offset, (u64)text));
		APPEND(e->at, folder_of(FOR_URING, offset, first == '/' ? ROOT_ : folder));
		e->family = last_mounts(b);
	}
	if (text2)
		APPEND(e->text2, kernel_text(FOR_URING, offset, (u64)text2));
	e->head.marks = marks;
	if (offset > SCRATCH)
		return 0;
	emit(s, b, offset);
	return 0;
}
