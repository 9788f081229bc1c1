/* Opens a link so many times while another thread turns it from one file to the other, and says how often it opened each.
 * However busy the machine is, the link turns between the first open and the last: the two wait for each other now and then,
 * and race in between. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Opens between two waits for a turn. */
#define OPENS 16

static atomic_int over;
static atomic_long turns;

static void *turn(void *nothing)
{
	while (!over) {
		symlink(turns & 1 ? "good" : "evil", "next");
		rename("next", "link");
		turns++;
	}
	return nothing;
}

/* Until it has turned again. */
static void wait_for_turn(void)
{
	long before = turns;
	while (turns == before)
		sched_yield();
}

int main(int count, char **arguments)
{
	long many = count > 2 ? atol(arguments[2]) : 0, good = 0, evil = 0, none = 0;
	pthread_t thread;
	if (count < 3 || chdir(arguments[1]) || symlink("good", "link") || pthread_create(&thread, NULL, turn, NULL))
		return 1;
	for (long i = 0; i < many; i++) {
		char what = 0;
		if (i % OPENS == 0)
			wait_for_turn();
		int file = open("link", O_RDONLY);
		if (file < 0 || read(file, &what, 1) != 1)
			none++;
		good += what == 'g';
		evil += what == 'e';
		close(file);
	}
	over = 1;
	pthread_join(thread, NULL);
	printf("%ld %ld %ld\n", good, evil, none);
	return 0;
}
