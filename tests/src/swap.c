/* Opens a link so many times while another thread turns it from one file to the other, and says how often it opened each. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile int over;

static void *turn(void *nothing)
{
	for (long i = 0; !over; i++) {
		symlink(i & 1 ? "good" : "evil", "next");
		rename("next", "link");
	}
	return nothing;
}

int main(int count, char **arguments)
{
	long many = count > 2 ? atol(arguments[2]) : 0, good = 0, evil = 0, none = 0;
	pthread_t thread;
	if (count < 3 || chdir(arguments[1]) || symlink("good", "link") || pthread_create(&thread, NULL, turn, NULL))
		return 1;
	for (long i = 0; i < many; i++) {
		char what = 0;
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
