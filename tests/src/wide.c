/* Does what a 32-bit program does, without a library: opens /etc/hostname; tries calls that only 32-bit programs have,
 * with 16-bit owners; and speaks to ports of this machine, by socketcall(2) as old programs do and by calls of their own. */
struct name { unsigned short family, port; unsigned address; char rest[8]; };
struct vector { void *at; unsigned long length; };
struct message { void *name; unsigned length; struct vector *parts; unsigned long count; void *control; unsigned long more; int flags; };
struct messages { struct message message; unsigned sent; };

static long call6(long number, long a, long b, long c, long d, long e, long f)
{
	long result;
	/* The sixth is in ebp, which the compiler needs until then. */
	long all[7] = { number, a, b, c, d, e, f };
	__asm__ volatile("push %%ebp\n\tpush %%ebx\n\tpush %%esi\n\tpush %%edi\n\t"
			 "mov 4(%%eax), %%ebx\n\tmov 8(%%eax), %%ecx\n\tmov 12(%%eax), %%edx\n\tmov 16(%%eax), %%esi\n\t"
			 "mov 20(%%eax), %%edi\n\tmov 24(%%eax), %%ebp\n\tmov (%%eax), %%eax\n\tint $0x80\n\t"
			 "pop %%edi\n\tpop %%esi\n\tpop %%ebx\n\tpop %%ebp"
			 : "=a"(result) : "a"(all) : "ecx", "edx", "memory");
	return result;
}

#define call(number, a, b, c) call6(number, (long)(a), (long)(b), (long)(c), 0, 0, 0)

/* The arguments of socketcall(2) lie at the very end of what the program has: nobody can read more than there are. */
static unsigned long *page_end;

static long socketcall(long which, int count, long a, long b, long c, long d, long e, long f)
{
	long all[6] = { a, b, c, d, e, f };
	for (int i = 0; i < count; i++)
		page_end[i - count] = all[i];
	return call6(102, which, (long)(page_end - count), 0, 0, 0, 0);
}

static struct name at(unsigned short port)
{
	struct name name = { 2, (unsigned short)(port >> 8 | port << 8), 0x0100007f, { 0 } };
	return name;
}

static void speak(void)
{
	struct name one = at(5391), two = at(5392), three = at(5393), four = at(5394), own = at(0), nobody = at(1);
	struct vector part = { "x", 1 };
	struct message message = { &two, sizeof(two), &part, 1, 0, 0, 0 };
	struct messages several = { { &three, sizeof(three), &part, 1, 0, 0, 0 }, 0 };
	struct { unsigned short family; char path[14]; } hidden = { 1, "/nowhere/old" };
	long udp = socketcall(1, 3, 2, 2, 0, 0, 0, 0), tcp = socketcall(1, 3, 2, 1, 0, 0, 0, 0);
	long listener = socketcall(1, 3, 2, 1, 0, 0, 0, 0), local = socketcall(1, 3, 1, 1, 0, 0, 0, 0);
	socketcall(11 /* sendto */, 6, udp, (long)"x", 1, 0, (long)&one, sizeof(one));
	socketcall(16 /* sendmsg */, 3, udp, (long)&message, 0, 0, 0, 0);
	call6(345 /* sendmmsg */, udp, (long)&several, 1, 0, 0, 0);
	message.name = &four;
	call(370 /* sendmsg */, udp, &message, 0);
	socketcall(3 /* connect */, 3, tcp, (long)&nobody, sizeof(nobody), 0, 0, 0);
	socketcall(2 /* bind */, 3, listener, (long)&own, sizeof(own), 0, 0, 0);
	socketcall(4 /* listen */, 2, listener, 5, 0, 0, 0, 0);
	socketcall(3 /* connect */, 3, local, (long)&hidden, sizeof(hidden), 0, 0, 0);
	/* And one that there is not. */
	call(102, 21, 0, 0);
	call(102, 4000000000ul, 0, 0);
}

void _start(void)
{
	long opened = call(295 /* openat */, -100, "/etc/hostname", 0);
	call(182 /* chown */, "/nowhere/wide", 1, 2);
	call(23 /* setuid */, 65535, 0, 0);
	/* Two pages, of which the second goes again. */
	char *pages = (char *)call6(192 /* mmap2 */, 0, 8192, 3, 0x22, -1, 0);
	call(91 /* munmap */, pages + 4096, 4096, 0);
	page_end = (unsigned long *)(pages + 4096);
	speak();
	call(1 /* exit */, opened < 0, 0, 0);
}
