/* SPDX-License-Identifier: MIT
 * See secret_file.h. */
#include "conf/secret_file.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Refuses a file that every user may access. Its group may: that can be the group of the service's user. */
static const char *check(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "not a file";
	if (st.st_mode & S_IRWXO)
		return "all users may read or write it: chmod o-rwx";
	return NULL;
}

const char *secret_file_read(const char *path, char **ret_secret)
{
	char text[SECRET_FILE_MAX + 2];
	int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return strerror(errno);
	const char *wrong = check(fd);
	ssize_t n = wrong == NULL ? read(fd, text, sizeof(text) - 1) : 0;
	if (n < 0)
		wrong = strerror(errno);
	close(fd);
	if (wrong != NULL)
		return wrong;
	text[n] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	size_t len = strlen(text);
	if (len == 0)
		wrong = "its first line is empty";
	else if (len > SECRET_FILE_MAX)
		wrong = "its first line is longer than 1024 bytes";
	else
		*ret_secret = mem_strdup(text);
	explicit_bzero(text, sizeof(text));
	return wrong;
}

void secret_file_forget(char **secret)
{
	if (*secret != NULL)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}
