/* SPDX-License-Identifier: MIT
 * Shared by the files of this folder that handle libmicrohttpd's connections. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <microhttpd.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/trace.h"
#include "http/access.h"
#include "http/request.h"
#include "http/server.h"

#define PARAMS_MAX 24
#define HEADERS_MAX 12

/* A connection that libmicrohttpd handles. */
struct connection {
	struct list link; /* ordered by the time when it began to wait for a request */
	struct http_server *server;
	int fd;
	uint64_t waiting_since_ms; /* 0: a request is being answered */
	uint64_t accounted;        /* bytes of the requests before this one */
	bool unaccountable;        /* a chunked body: its size isn't known in advance */
	bool on_metrics_port;
	bool was_poll;         /* it has carried a poll and returned to HTTP */
	struct request *begun; /* its request line has arrived, on_completed() wasn't called yet */
	bool asked;            /* the access handler was called for its request */
	struct sockaddr_storage peer;
};

struct header {
	char *name, *value;
};

struct request {
	struct arena arena; /* the strings below, and the headers of the answer */
	struct http_server *server;
	struct MHD_Connection *mhd;
	struct connection *conn;
	const struct route *route;
	char *target;     /* as it was received */
	char *decoded;    /* the path variables and the parameters point into it */
	const char *path; /* in target, NUL-terminated */
	const char *method, *version;
	const char *vars[REQUEST_VARS_MAX];
	struct {
		const char *name, *value;
	} params[PARAMS_MAX];
	unsigned params_count;
	struct header headers[HEADERS_MAX];
	unsigned headers_count;
	char id[REQUEST_ID_MAX + 1];
	struct trace *trace; /* held; NULL: the level isn't trace */
	struct buf body;
	size_t discarded;               /* bytes of a body that is too large */
	char user[64];                  /* whose it is, as authenticated or claimed; "": unknown yet */
	enum problem problem;           /* of the answer; PROBLEM_NONE: the answer is no problem */
	uint64_t bytes;                 /* of the answer's body */
	bool offered;                   /* it has a credential */
	uint64_t received_us, began_us; /* real time, monotonic time */
	bool seen, is_open, dispatched, head, suspended, too_large, unclear, answered;
	struct MHD_Response *response;
	int status;
	void (*on_handed_off)(void *arg, struct request *req, int fd);
	void *hand_off_arg;
	struct { /* of an answer in pieces */
		char *data;
		size_t len, at;
		enum feed feed;
		bool is_json;
		void (*more)(void *arg), (*gone)(void *arg);
		void *arg;
	} piece;
	void *data;
	void (*free_data)(void *data);
};

/* Finds req's route and fills vars and params. Returns PROBLEM_NONE, or the problem; for PROBLEM_METHOD_NOT_ALLOWED,
 * the methods of the path are written to allow (size bytes). */
enum problem router_find(struct request *req, const struct route *routes, char *allow, size_t size);

struct request *request_new(struct http_server *s, const char *target);
void request_free(struct request *req);
/* Makes an id for a request that has none. */
void request_id_make(char ret[REQUEST_ID_MAX + 1]);
void request_begin(struct request *req, struct MHD_Connection *mhd, const char *method, const char *version);
void server_resume(struct http_server *s, struct request *req);

/* For accept.c: takes over a connection's descriptor. */
void server_take(struct http_server *s, int fd, bool is_metrics);
bool server_is_full(const struct http_server *s); /* every descriptor is in use: connections are turned away */

#endif
