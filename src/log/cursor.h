/* SPDX-License-Identifier: MIT
 * Cursors: "epoch.position", opaque to clients. */
#ifndef LOG_CURSOR_H
#define LOG_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#define CURSOR_MAX 64

struct cursor {
	char epoch[32];
	uint64_t pos;
};

bool cursor_parse(const char *text, struct cursor *ret); /* false: it was never one of ours */
void cursor_print(const char *epoch, uint64_t pos, char out[CURSOR_MAX]);

#endif
