/* SPDX-License-Identifier: MIT
 * Times in the past as people write them. */
#ifndef CLI_MOMENT_H
#define CLI_MOMENT_H

#include <stdbool.h>

#include "base/clock.h"

/* 10m, 12h, 30d: that long ago. 2026-01-31, 2026-01-31 12:00, 2026-01-31T12:00:00.5: local time, unless Z, +01:00 or
 * -0530 follows the time of day. Writes it in the server's format. false: invalid. */
bool moment_parse(const char *text, char out[CLOCK_RFC3339_LEN + 1]);

#endif
