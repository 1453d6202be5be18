/* SPDX-License-Identifier: MIT
 * The API: the state that the handlers of a worker share. */
#ifndef API_API_H
#define API_API_H

#include "base/map.h"
#include "base/metrics.h"
#include "http/request.h"
#include "http/server.h"

struct auth;
struct batcher;
struct bulks;
struct conf;
struct gatherer;
struct hub;
struct loop;
struct pages;
struct presence;
struct pg_pool;
struct replica;
struct tail;
struct uses;

struct api {
	struct loop *loop;
	const struct conf *conf;
	struct shared *shared;
	unsigned worker;
	const char *node;
	int broker; /* opens files: base/broker.h */
	struct metrics *metrics;
	struct pg_pool *pool;
	struct replica *replica; /* for queries that only read and may be large */
	struct tail *tail;
	struct batcher *batcher;
	struct hub *hub;
	struct auth *auth;
	struct pages *pages;
	struct gatherer *gatherer;
	struct presence *presence;
	struct bulks *bulks;
	struct uses *uses;
	struct route *routes;    /* the table below and the page's files */
	struct map direct_chats; /* (name, name) → number of their direct chat */
	double notify_queue;     /* the last known pg_notification_queue_usage() */
	char postgresql[32];     /* the server's version; "": unknown yet */
	bool metrics_apart;      /* /metrics has an address of its own */
	uint64_t keys;           /* made so far */
	char *maintenance;       /* its text; NULL: there is no maintenance */
	bool reloading, reload_again;
};

/* The scope that a token needs: a column of the route table. */
enum scope { SCOPE_NONE, SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN };

struct call;
extern const struct call
	call_delivered; /* POST …/delivered; the chat may be *, see mark() in sql/functions/people/mark.sql */
extern const struct route api_routes[]; /* ends with a NULL path */

void api_init(struct api *api); /* the members above auth must be set; listens to the tail */
void api_release(struct api *api);
extern const struct http_events api_events; /* for http_new(), with the struct api */
static inline struct api *api_of(const struct request *req) { return http_arg(request_server(req)); }

/* Reads the lines of POST …/messages with many messages, in messages.c. bulks_stop() answers those that are being read
 * (503). */
struct bulks *bulks_new(struct api *api);
void bulks_stop(struct bulks *b);
void bulks_free(struct bulks *b); /* after bulks_stop() */

/* Handlers that do more than call one SQL function (all others are call_handle). */
void messages_send(struct request *req);
void session_create(struct request *req);
void session_delete(struct request *req);
void token_delete(struct request *req);
void token_create(struct request *req);
void ticket_create(struct request *req);
void account_register(struct request *req);
void password_change(struct request *req);
void password_redeem(struct request *req);
void account_delete(struct request *req);
void export_get(struct request *req);
void avatar_put(struct request *req);
void avatar_get(struct request *req);
void admin_user_create(struct request *req);
void admin_user_reset(struct request *req);
void admin_invite_create(struct request *req);
void streams_open(struct request *req);
void streams_poll(struct request *req);
void streams_gone(struct api *api, uint64_t key);
void sync_get(struct request *req);
void ops_health(struct request *req);
void ops_ready(struct request *req);
void ops_metrics(struct request *req);
void assets_get(struct request *req);

/* The rows for the embedded files, and their number. */
unsigned assets_count(void);
void assets_routes(struct route *rows);

#endif
