/* SPDX-License-Identifier: MIT
 * See command.h. Input and output are memory files, so that neither side blocks on a full pipe. */
#include "command.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "environment.h"
#include "proc.h"
#include "suite.h"

enum { ARGS_MAX = 32, OUTPUT_MAX = 4 << 20 };

static int memory_file(const char *text)
{
	int fd = memfd_create("command", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	if (text != NULL)
		ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static char *contents(int fd)
{
	char *text = on_teardown(free, calloc(1, OUTPUT_MAX));
	ssize_t n = pread(fd, text, OUTPUT_MAX - 1, 0);
	close(fd);
	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	return text;
}

static void set_if(const char *name, const char *value)
{
	if (value != NULL)
		setenv(name, value, 1);
}

struct outcome command_run_args(struct invocation i, const char *const args[])
{
	const char *binary = getenv("POSTERN_BIN"), *argv[ARGS_MAX] = { "postern" };
	int in = memory_file(i.input),
	    out = i.output != NULL ? open(i.output, O_WRONLY | O_CLOEXEC) : memory_file(NULL);
	int err = memory_file(NULL), status = 0;
	for (size_t n = 0; args[n] != NULL && n + 2 < ARGS_MAX; n++)
		argv[n + 1] = args[n];
	pid_t pid = fork();
	if (pid == 0) {
		environment_plain();
		set_if("POSTERN_TOKEN", i.who != NULL ? i.who->token : NULL);
		set_if("POSTERN_URL", i.url != NULL ? i.url : i.who != NULL ? server_url(i.who->server) : NULL);
		if (dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2)
			execv(binary, (char **)argv);
		_exit(127);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_msg(proc_await(pid, PATIENCE, &status), "`postern %s` doesn't end", args[0]);
	close(in);
	return (struct outcome) { .status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
		.out = i.output != NULL ? format("%s", "") : contents(out),
		.err = contents(err) };
}
