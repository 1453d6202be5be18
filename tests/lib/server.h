/* SPDX-License-Identifier: MIT
 * The real server as a child process: $POSTERN_BIN, on a port of its own, with a private PostgreSQL in a state
 * directory under /tmp, or as a further node on the database of another.
 *
 * Functions that can fail end the test when they do. Servers live until server_remove_all(), not until the test is
 * over. */
#ifndef LIB_SERVER_H
#define LIB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct server;

/* Starts one and waits for its `ready` line. flags: further ones, NULL ends them. */
struct server *server_start(const char *const flags[]);
/* Another node on the same database. */
struct server *server_join(struct server *first, const char *const flags[]);
/* One on a database of the test's. */
struct server *server_on(const char *conninfo, const char *const flags[]);
/* server_restart(), on another database. */
void server_move(struct server *s, const char *conninfo);
/* That child of the test's is none of what servers leave behind. */
void server_spare(pid_t child);
/* Servers started from now on may open that many files, 0: as many as this process. */
void server_limit_files(unsigned most);
/* The same again, on the same port, after it has ended one way or the other. */
void server_restart(struct server *s);
/* SIGTERM, then: exit status 0, and none of its processes outlives it. */
void server_stop(struct server *s);
/* The same in two steps, for what happens in between. */
void server_terminate(struct server *s);
void server_await_exit(struct server *s);
/* Kills the supervisor with that signal and waits for its end, however it comes. */
void server_kill(struct server *s, int sig);

unsigned server_port(const struct server *s);
const char *server_url(const struct server *s);   /* "http://127.0.0.1:4711" */
const char *server_state(const struct server *s); /* the state directory: the one that its database is in */
const char *server_conninfo(const struct server *s);
pid_t server_pid(const struct server *s);
size_t server_workers(const struct server *s, pid_t *ret_pids, size_t most); /* ascending */
pid_t server_postmaster(const struct server *s);
bool process_lives(pid_t pid); /* not even as a zombie */

/* Runs `$POSTERN_BIN ARG…` on that server's database, with the input (NULL: none) and gives what it printed, without
 * the last newline, until the test is over. An exit status other than 0 fails the test. */
#define server_command(s, input, ...) server_command_args(s, input, (const char *const[]) { __VA_ARGS__, NULL })
char *server_command_args(const struct server *s, const char *input, const char *const args[]);
/* The exit status of `$POSTERN_BIN ARG…`, which is given no more than `seconds`; what it says on standard error goes to
 * *ret_said (until the test is over). */
int server_try(const char *const args[], unsigned seconds, char **ret_said);

const char *server_log(const struct server *s);               /* the file that its standard error goes to */
unsigned server_log_lines(const struct server *s);            /* how many it has written there */
bool server_logged(const struct server *s, const char *text); /* somewhere in what it has written on standard error */

void server_kill_all(void);   /* at once; for signal handlers */
void server_show_logs(void);  /* their ends, as TAP comments */
void server_remove_all(void); /* with their directories */

#endif
