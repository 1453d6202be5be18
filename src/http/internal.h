/* SPDX-License-Identifier: MIT
 * Shared by the files of this folder that handle libmicrohttpd's connections. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <microhttpd.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/trace.h"
#include "http/access.h"
#include "http/budget.h"
#include "http/request.h"
#include "http/server.h"

#define PARAMS_MAX 24
#define HEADERS_MAX 12
#define SMALL_ANSWER 16384 /* bytes; answers up to this size aren't taken from the budget */

struct http_server {
	struct loop *loop;
	const struct conf *conf;
	struct hub *hub;
	struct metrics *metrics;
	struct access *access;
	struct refusals *refusals;
	const struct route *routes;
	unsigned routes_count;
	const struct http_events *events;
	void *arg;
	struct MHD_Daemon *daemon;
	struct loop_fd *watch;
	struct loop_hook *hook;
	struct loop_timer *sweep;
	struct acceptor *acceptor;
	struct list waiting, coming; /* connections without a request, and with the beginning of one; ordered by the
					time when they began to wait */
	unsigned open, connections, limit;
	struct map addresses;      /* key of an address → the number of its connections */
	unsigned connections_peak; /* since the last sweep */
	bool run, stopping, dying;
	struct budget bodies, answers; /* unfinished bodies, until their requests end; unsent answers */
	/* Arguments of add_connection() for on_connection(), which libmicrohttpd calls within it. */
	bool adding_metrics, adding_poll;
	uint64_t adding_accounted, adding_address;
	struct sockaddr_storage adding_peer;
};

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
	uint64_t address;      /* key of the peer's address in the counts; 0: not counted */
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
	/* at_head: suspended until it is admitted or answered. overloaded: its body exceeds the budget. */
	bool seen, is_open, at_head, admitted, dispatched, head, suspended, too_large, overloaded, unclear, answered;
	size_t body_held, answer_held; /* bytes taken from the server's budgets */
	uint64_t owner;                /* of these; 0: not determined yet */
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

/* Callbacks of libmicrohttpd for a request, in server.c's daemon: its request line was read; it continues (its head was
 * read, it was resumed, a part of its body was read, it is whole); it has ended. */
void *exchange_begin(void *arg, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result exchange_continue(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **context);
void exchange_end(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code);

struct connection *connection_of(struct MHD_Connection *mhd);
/* Puts the connection at the end of one of the server's lists: it waits from now on. */
void connection_wait(struct connection *c, struct list *list);
void connection_wait_for_request(struct connection *c);
/* Frees the connection's unfinished request, if there is one. If the parameters fill the connection's memory,
 * libmicrohttpd never calls exchange_end() for it. */
void connection_free_unfinished(struct connection *c);

struct request *request_new(struct http_server *s, const char *target);
void request_free(struct request *req);
/* Makes an id for a request that has none. */
void request_id_make(char ret[REQUEST_ID_MAX + 1]);
void request_begin(struct request *req, struct MHD_Connection *mhd, const char *method, const char *version);
void server_resume(struct http_server *s, struct request *req);
/* Returns the owner of the request's memory: the user, or without one the client's network. Never 0. */
uint64_t server_owner(struct request *req);
/* Makes bytes what the request's unsent answer holds of the budget, until request_free(). Returns false, and changes
 * nothing, if that exceeds it. */
bool server_hold_answer(struct http_server *s, struct request *req, size_t bytes);
/* Gives back what the request has taken from the budgets. */
void server_release_held(struct http_server *s, struct request *req);

/* Writes the address as limits count it: IPv4 in IPv6 as IPv4, and of IPv6 the network (/64). Changes *a to that. */
void client_network(struct sockaddr_storage *a, char *out, size_t size);

/* For accept.c: takes over a connection's descriptor. Returns false if its address has too many connections. */
bool server_take(struct http_server *s, int fd, bool is_metrics);
bool server_is_full(const struct http_server *s); /* every descriptor is in use: connections are turned away */

#endif
