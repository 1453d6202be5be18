/* SPDX-License-Identifier: MIT
 * nginx: the reference for streams and long-polls (Nchan, in memory), and for files. */
#ifndef BENCH_NCHAN_H
#define BENCH_NCHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct nchan {
	char dir[64];
	pid_t pid;
	int port;
};

/* Returns whether nginx and its module are installed; reports it once if they aren't. */
bool nchan_present(void);
void nchan_start(struct nchan *n, unsigned workers);
void nchan_stop(struct nchan *n);
double nchan_cpu(const struct nchan *n);
double nchan_dirty(const struct nchan *n);
/* Puts a file of that size at /files/NAME. */
void nchan_file(const struct nchan *n, const char *name, size_t size);

/* Write requests. What is published has the size of Postern's frame for the same text: the JSON of a message. */
size_t nchan_publish(char *out, size_t size, const char *channel, unsigned number, unsigned long long at_us);
size_t nchan_subscribe(char *out, size_t size, const char *channel, unsigned number);
#define NCHAN_GREETING ": hi"

#endif
