/* SPDX-License-Identifier: MIT
 * The real server as a child process: $POSTERN_BIN, on its own port, with a private PostgreSQL in a state directory
 * under /tmp, or as another node on the database of a first one.
 *
 * A function that fails ends the test. Servers live until server_remove_all(), not only until the end of the test. */
#ifndef LIB_SERVER_H
#define LIB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct server;

/* Starts a server and waits for its `ready` line. flags: additional ones, ended by NULL. */
struct server *server_start(const char *const flags[]);
/* Starts another node on the same database. */
struct server *server_join(struct server *first, const char *const flags[]);
/* Starts a server on a database of the test's. */
struct server *server_on(const char *conninfo, const char *const flags[]);
/* As server_restart(), on another database. */
void server_move(struct server *s, const char *conninfo);
/* Excludes a child of the test from the search for processes left behind by servers. */
void server_spare(pid_t child);
/* Limits the open files of servers started from now on; 0: no change. */
void server_limit_files(unsigned most);
/* Starts it again on the same port, after it has ended. */
void server_restart(struct server *s);
/* Sends SIGTERM; asserts exit status 0 and that no process of the server remains. */
void server_stop(struct server *s);
/* The same in two steps. */
void server_terminate(struct server *s);
void server_await_exit(struct server *s);
/* Kills the supervisor with that signal and waits until it has ended. */
void server_kill(struct server *s, int sig);

unsigned server_port(const struct server *s);
const char *server_url(const struct server *s);   /* "http://127.0.0.1:4711" */
const char *server_state(const struct server *s); /* the state directory that contains its database */
const char *server_conninfo(const struct server *s);
pid_t server_pid(const struct server *s);
size_t server_workers(const struct server *s, pid_t *ret_pids, size_t most); /* ascending */
pid_t server_postmaster(const struct server *s);

/* Runs `$POSTERN_BIN ARG…` on the server's database with the input (NULL: none). Returns its output without the last
 * newline, until the end of the test. An exit status other than 0 fails the test. */
#define server_command(s, input, ...) server_command_args(s, input, (const char *const[]) { __VA_ARGS__, NULL })
char *server_command_args(const struct server *s, const char *input, const char *const args[]);
/* Runs `$POSTERN_BIN ARG…` for at most `seconds`. Returns its exit status; *ret_said has its standard error until the
 * end of the test. */
int server_try(const char *const args[], unsigned seconds, char **ret_said);

const char *server_log(const struct server *s);               /* the file of its standard error */
unsigned server_log_lines(const struct server *s);            /* lines written to it */
bool server_logged(const struct server *s, const char *text); /* true if any line has the text */

void server_kill_all(void);   /* at once; for signal handlers */
void server_show_logs(void);  /* prints the ends of the logs as TAP comments */
void server_remove_all(void); /* and their directories */

#endif
