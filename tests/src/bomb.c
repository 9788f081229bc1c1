/* Begins so many processes that all live at once, each of which then becomes another program, and ends them. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	int wait_here[2], begun = 0;
	if (count < 2 || pipe(wait_here))
		return 1;
	for (long many = atol(arguments[1]); begun < many; begun++) {
		pid_t child = fork();
		if (child < 0)
			break;
		if (child == 0) {
			char end;
			close(wait_here[1]);
			read(wait_here[0], &end, 1);
			execl("/bin/true", "true", "bomb", NULL);
			_exit(1);
		}
	}
	printf("%d\n", begun);
	fflush(stdout);
	close(wait_here[1]);
	while (wait(NULL) > 0)
		;
	return 0;
}
