/* SPDX-License-Identifier: MIT
 * See password.h. */
#include "cli/password.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/utf8.h"
#include "cli/command.h"

enum { GENERATED_LEN = 20, /* 100 random bits */ ROOM = PASSWORD_MAX + 2 };

/* Reads byte by byte, since what follows the line is left for others. false: the line doesn't fit. */
static bool read_line(char *out, size_t size)
{
	size_t len = 0;
	for (;;) {
		char c;
		ssize_t n = read(STDIN_FILENO, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || c == '\n')
			break;
		if (len + 1 >= size)
			return false;
		out[len++] = c;
	}
	if (len > 0 && out[len - 1] == '\r')
		len--;
	out[len] = '\0';
	return strlen(out) == len;
}

static bool ask(const char *prompt, char out[ROOM])
{
	struct termios before, silent;
	sigset_t set, old;
	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return false;
	/* A signal in between would leave the terminal without echo. */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTSTP);
	sigprocmask(SIG_BLOCK, &set, &old);
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	fputs(prompt, stderr);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	bool ok = read_line(out, ROOM);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (strchr(out, '\003') != NULL) /* Ctrl-C, which was read as a character */
		exit(128 + SIGINT);
	return ok;
}

int password_read(char out[PASSWORD_MAX + 1], bool *ret_generated)
{
	char line[ROOM] = "", again[ROOM] = "";
	bool tty = isatty(STDIN_FILENO), ok;
	ok = tty ? ask("Password (empty: one is generated): ", line) : read_line(line, sizeof(line));
	*ret_generated = ok && *line == '\0';
	if (*ret_generated) {
		secret_random_name(out, GENERATED_LEN);
		return 0;
	}
	size_t len = strlen(line);
	if (!ok || len < PASSWORD_MIN || len > PASSWORD_MAX || !utf8_valid(line, len))
		return command_failed("a password has %d to %d bytes of UTF-8", PASSWORD_MIN, PASSWORD_MAX);
	if (tty && (!ask("Once more: ", again) || strcmp(line, again) != 0))
		return command_failed("the two passwords are different");
	memcpy(out, line, len + 1);
	explicit_bzero(line, sizeof(line));
	explicit_bzero(again, sizeof(again));
	return 0;
}
