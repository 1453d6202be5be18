/* SPDX-License-Identifier: MIT
 * The measurements of the Node servers. */
#ifndef BENCH_NODE_MEASURE_H
#define BENCH_NODE_MEASURE_H

#include "node.h"

/* Returns the messages stored per second, from senders that wait for each acknowledgement, and the server's µs of CPU
 * per message. */
double node_sends(const struct node *n, unsigned senders, double *ret_cpu);
/* Returns the bytes of Private_Dirty per connected client. */
double node_idle(const struct node *n, unsigned clients);
/* Returns the deliveries per second to clients in one room, and µs of CPU per delivery. */
double node_cycles(const struct node *n, unsigned clients, double *ret_cpu);

#endif
