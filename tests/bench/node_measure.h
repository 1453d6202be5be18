/* SPDX-License-Identifier: MIT
 * What is measured of the Node servers. */
#ifndef BENCH_NODE_MEASURE_H
#define BENCH_NODE_MEASURE_H

#include "node.h"

/* Stored messages a second, by so many senders who wait for each acknowledgement; and the server's µs of CPU for one.
 */
double node_sends(const struct node *n, unsigned senders, double *ret_cpu);
/* Bytes of Private_Dirty a connected client. */
double node_idle(const struct node *n, unsigned clients);
/* Deliveries a second to so many clients in one room; and µs of CPU for one. */
double node_cycles(const struct node *n, unsigned clients, double *ret_cpu);

#endif
