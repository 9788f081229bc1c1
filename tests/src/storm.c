/* Tries to open so many files that are not there, each of another name. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments)
{
	char name[64];
	for (long i = 0, many = count > 1 ? atol(arguments[1]) : 0; i < many; i++) {
		snprintf(name, sizeof name, "/nowhere/storm-%ld", i);
		open(name, O_RDONLY);
	}
	return 0;
}
