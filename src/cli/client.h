/* SPDX-License-Identifier: MIT
 * What `send`, `chats` and `tail` share: a server's address and a token from the environment, and requests over
 * libcurl. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <curl/curl.h>
#include <signal.h>
#include <stdbool.h>

#include "base/buf.h"

struct json_object;

/* Exit statuses of sysexits(3), where they are more specific than 1; CLIENT_STOPPED stands for a signal until it is
 * raised again. */
enum { CLIENT_UNAVAILABLE = 69, CLIENT_NO_PERMISSION = 77, CLIENT_STOPPED = 130 };
enum { CLIENT_PAUSE_MIN_MS = 250, CLIENT_PAUSE_MAX_MS = 30000 };

struct client {
	CURL *curl;
	char *base;                        /* "https://chat.example.org", never with a slash at the end */
	struct curl_slist *headers;        /* Authorization, and what client_header() adds */
	struct buf body;                   /* of the last answer to client_perform() */
	long status;                       /* of the last answer; 0: none */
	unsigned retry_after;              /* seconds, from the last answer; 0: none */
	CURLcode code;                     /* of the last request */
	char error[CURL_ERROR_SIZE];       /* the reason when there was no answer */
	unsigned pause_ms;                 /* of the next client_pause() */
	bool said;                         /* a retry was reported */
	const volatile sig_atomic_t *stop; /* not 0: a request and a pause end soon; may be NULL */
};

/* Reads POSTERN_URL (http://…, or unix:PATH) and POSTERN_TOKEN. Returns 0, or prints what is wrong and returns the exit
 * status. */
int client_open(struct client *c);
void client_close(struct client *c);
void client_header(struct client *c, const char *line);

/* Sets the next request's address: base/v1/chats/CHAT and then suffix; CHAT is escaped. */
void client_chat_url(struct client *c, const char *chat, const char *suffix);
void client_url(struct client *c, const char *path);

/* Collects the answer in body. Returns false if there was none; error then says why. */
bool client_perform(struct client *c, CURLcode *ret_code);
/* Repeats the request until the answer is 2xx (returns true), another attempt wouldn't change the answer, or c->stop is
 * set. */
bool client_perform_patiently(struct client *c);
/* Returns true if another attempt may succeed: there was no answer, or it was 429 or 5xx. */
bool client_may_come_up(const struct client *c);
/* Waits as client_perform_patiently() does between two attempts: twice as long each time, half of it random, so that
 * clients that lost their connection at the same time don't reconnect at the same time. */
void client_pause(struct client *c);
void client_report_retry(struct client *c); /* reports why it is tried again: once, until client_is_up() */
void client_is_up(struct client *c);        /* the next pause is the shortest again */
static inline bool client_stopped(const struct client *c) { return c->stop != NULL && *c->stop != 0; }

/* Returns the answer as JSON, which the caller puts with json_object_put(); NULL: it isn't JSON. */
struct json_object *client_json(const struct client *c);
/* Returns a member as text; NULL: absent. */
const char *client_text(struct json_object *o, const char *name);

/* Returns true if the last request failed because POSTERN_URL names a server that can't answer it, so that a retry is
 * useless: TLS against plain HTTP, an untrusted certificate, no HTTP at all. */
bool client_is_misdirected(const struct client *c);

/* Prints why the last request failed, and returns the exit status. */
int client_failed(const struct client *c);

#endif
