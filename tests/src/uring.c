/* Makes, then removes, the file that is its argument, by io_uring alone, and connects to the unix socket that may be another.
 * Says "done" if that went well. */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static char *submission, *completion;
static struct io_uring_sqe *entries;
static struct io_uring_params params;
static int ring;

static int submit(struct io_uring_sqe entry)
{
	unsigned *tail = (void *)(submission + params.sq_off.tail), *array = (void *)(submission + params.sq_off.array);
	unsigned mask = *(unsigned *)(submission + params.sq_off.ring_mask), at = *tail & mask;
	entries[at] = entry;
	array[at] = at;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -1000;
	unsigned *head = (void *)(completion + params.cq_off.head), done = *(unsigned *)(completion + params.cq_off.ring_mask) & *head;
	int result = ((struct io_uring_cqe *)(completion + params.cq_off.cqes))[done].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

static void *map(size_t bytes, off_t what)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, what);
}

int main(int count, char **arguments)
{
	if (count < 2 || (ring = syscall(__NR_io_uring_setup, 4, &params)) < 0) {
		puts("no io_uring here");
		return 0;
	}
	submission = map(params.sq_off.array + params.sq_entries * 4, IORING_OFF_SQ_RING);
	completion = map(params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	entries = map(params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	struct io_uring_sqe make = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (unsigned long)arguments[1],
				     .open_flags = O_CREAT | O_WRONLY, .len = 0600 };
	struct io_uring_sqe gone = { .opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = (unsigned long)arguments[1] };
	int made = submit(make), removed = submit(gone);
	if (count > 2) {
		struct sockaddr_un at = { .sun_family = AF_UNIX };
		strncpy(at.sun_path, arguments[2], sizeof(at.sun_path) - 1);
		struct io_uring_sqe meet = { .opcode = IORING_OP_CONNECT, .fd = socket(AF_UNIX, SOCK_STREAM, 0),
					     .addr = (unsigned long)&at, .off = sizeof(at) };
		removed |= submit(meet);
	}
	if (made >= 0 && removed == 0)
		puts("done");
	else
		printf("no: %d %d\n", made, removed);
	return 0;
}
