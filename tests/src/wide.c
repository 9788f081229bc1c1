/* Opens /etc/hostname as a 32-bit program does, without a library. */
static long call(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return result;
}

void _start(void)
{
	long opened = call(295 /* openat */, -100, (long)"/etc/hostname", 0);
	call(1 /* exit */, opened < 0, 0, 0);
}
