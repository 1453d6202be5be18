/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SCENARIO_SLOW_H
#define BENCH_SCENARIO_SLOW_H

struct postern;

/* Runs the second half of slow, on a server where user 1 is a member of chat 2. */
void catchup_rounds(const struct postern *p);

#endif
