/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
 * The bytes that the kernel program hands over; the room `trace` reads them. Little-endian, nothing between fields
 * that does not stand here. Lengths of what lies behind a structure stand in it, in the order in which it lies there. */
#pragma once
#include "kernel.h"

enum kind {
	EXEC = 1,      /* struct exec */
	ARGUMENTS = 2, /* struct arguments, behind an EXEC of the same thread */
	EXIT = 3,      /* struct exit */
	FORK = 4,      /* struct fork */
	TCP = 5,       /* struct tcp */
	/* Of system calls: struct call. */
	NOT_RUN = 6,   /* an exec that failed */
	OPEN = 7,
	CHANGE = 8,    /* something with a path that changes what is there */
	SOCKET = 9,
	IDENTITY = 10,
	SPECIAL = 11,  /* what reaches beyond the process */
	URING = 12,    /* an operation of io_uring; `number` is its opcode */
	/* In a table of calls only, never in a record: socketcall(2) of 32-bit x86, which has a number of its own for each
	 * of its calls, and their arguments in memory. */
	SOCKET_CALLS = 255,
};

enum mark {
	ARGUMENTS_CUT = 1,
	ARGUMENTS_UNREADABLE = 2, /* a page was not there; its bytes are zero */
	PATH_CUT = 4,
	TEXT_UNREADABLE = 8,
	DELETED = 16,             /* the program's file has no name any more, or never had */
	COMPAT = 32,              /* a 32-bit call */
	BY_AUDIT = 64,            /* known by its audit session, not by the tree of processes */
	PATH_MOVED = 128,         /* folders were moved while a path was read, twice: it does not stand here */
};

/* What a role wants to know: bits of `session.wants`. */
enum want { COMMANDS = 1, FILES = 2, NETWORK = 4, CALLS = 8 };

struct head {
	u8 kind, unused;
	u16 marks;
	u32 length;      /* of the whole record */
	u64 at;          /* CLOCK_BOOTTIME, in nanoseconds */
	u32 slot, turn;  /* whose: place in the table of sessions, and which use of that place */
	u64 lost;        /* records of this session that had found no room when this one was written */
	u32 process, thread, parent, audit;
	u32 uid, euid;
	char name[16];
};

struct exec {
	struct head head;
	u32 folder_mounts, total;    /* where the folder is mounted; bytes of arguments */
	u32 given, gid, egid, login; /* `given` bytes of arguments stand in this record, at its end */
	u64 capabilities, inode;
	u32 device;
	u16 file, interpreter, program, folder; /* two strings, two walks */
	u32 mounts;                             /* where the program is mounted */
	char data[];
};

struct arguments { struct head head; u32 index, length; char data[]; };
struct exit { struct head head; u32 code, unused; u64 began; };
struct fork { struct head head; u32 child, namespaces; }; /* CLONE_NEW… of those that are not the parent's */
struct tcp { struct head head; u32 from, to, family; u16 local_port, remote_port; u8 local[16], remote[16]; };

/* The other end of a unix socket, as the kernel noted it when both came together; process 0 if it did not. */
struct neighbour { u32 process, euid, slot, turn; char name[16]; };

struct call {
	struct head head;
	s64 result;
	u64 arguments[6]; /* of a call with HOW the last holds its flags */
	u32 number, device;       /* of a socket `device` is where its path is mounted */
	u64 inode;
	u32 family, protocol;     /* of paths: where they are mounted, `resolved` or `at`, and `at2` */
	u8 local[16], remote[16]; /* of a unix socket: struct neighbour */
	u16 local_port, remote_port;
	u16 resolved, address, text, at, text2, at2; /* a walk, a sockaddr, a string and its folder's walk, twice */
	char data[];
};

/* One place in the table of sessions. User space writes it whole before the place is used, and the kernel counts. */
struct session {
	u32 turn;     /* 0: not in use */
	u32 wants;
	u32 most;     /* processes of this session that the tree holds */
	u32 held;     /* and how many those are */
	u64 sent, lost;
	u64 beyond;   /* processes that came when `most` were held */
	u64 unheld;   /* processes that the tree, full or busy, did not take */
};

/* Where something is mounted: the number of that namespace of mounts, or one of these. */
enum { NOT_TOLD = 0, IN_NONE = 1 };

/* Who is in which session. */
struct place { u32 slot, turn; };

/* How a system call is read; all zero: not at all. Arguments are counted from 1, 0 is none. */
struct shape {
	u8 kind;
	u8 text, folder;   /* a path, and the descriptor of the folder that it begins at */
	u8 text2, folder2; /* another; for SOCKET: DATAGRAM */
	u8 address, length;/* a sockaddr and its length, or MESSAGE: a msghdr; for OPEN: HOW, an open_how */
	u8 descriptor;     /* of the file or socket meant, or RESULT */
};
enum { RESULT = 7, MESSAGE = 8, DATAGRAM = 9, HOW = 10 };
#define CALL_NUMBERS 512
/* And behind them those of socketcall(2). */
#define ALL_NUMBERS (CALL_NUMBERS + 32)
