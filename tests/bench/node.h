/* SPDX-License-Identifier: MIT
 * A Node server as tutorials build it (node/), and its clients. */
#ifndef BENCH_NODE_H
#define BENCH_NODE_H

#include <stdbool.h>

#include "http.h"
#include "postern.h"

enum node_kind { NODE_SOCKETIO, NODE_WS };

enum node_event { NODE_READY, NODE_ACK, NODE_MESSAGE };

struct node {
	enum node_kind kind;
	pid_t pid;
	int port;
};

/* Returns whether Node and the packages are installed; reports it once if they aren't. */
bool node_present(void);
/* Starts a server that stores its messages in p's cluster. */
void node_start(struct node *n, enum node_kind kind, const struct postern *p);
void node_stop(struct node *n);
double node_cpu(const struct node *n);
double node_dirty(const struct node *n);
const char *node_name(enum node_kind kind);

/* A client. With socket.io it has two connections, one that polls and one that posts; with ws it has one, which watcher
 * reads. */
struct node_client {
	struct watcher watcher; /* ws; first */
	enum node_kind kind;
	struct http_client get, post;
	char room[16], sid[48];
	bool ready, has_waiting;
	enum node_event waiting;
	char in[2048];
	size_t len;
	void (*on_event)(struct node_client *c, enum node_event event);
	void *arg;
};

/* Connects and joins a room ("": none). NODE_READY follows when this is done. */
void node_client_open(struct node_client *c, const struct node *n, const char *room,
	void (*on_event)(struct node_client *, enum node_event), void *arg);
/* Sends a message to a room. NODE_ACK follows; there must be no other message in flight. */
void node_client_send(struct node_client *c, unsigned room, unsigned long long at_us);
void node_client_close(struct node_client *c);

#endif
