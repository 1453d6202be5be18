/* SPDX-License-Identifier: MIT
 * See load.h. Watchers are in watch.c, the checks in check.c. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/suite.h"
#include "base/clock.h"
#include "town.h"

enum { RETRY_MS = 50, ANSWER_MS = 20000, STALL_MS = 60000 };

unsigned load_random(struct load *l, unsigned below)
{
	l->seed = l->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(l->seed >> 33) % below;
}

size_t load_messages(const struct load *l) { return l->message_count; }

/* --- the town --- */

static void choose_rooms(struct load *l, struct person *p)
{
	for (unsigned r = 0; r < l->room_count; r++)
		p->joined[r] = p == &l->people[0] || load_random(l, 4) == 0;
	for (unsigned i = 0; p != &l->people[0] && i < 2; i++)
		p->joined[load_random(l, l->room_count)] = true;
}

static void create_room(struct load *l, unsigned r)
{
	char names[8192] = "";
	size_t len = 0;
	for (unsigned i = 1; i < l->person_count; i++)
		if (l->people[i].joined[r])
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s'%s'", len > 0 ? "," : "",
				l->people[i].client->name);
	struct answer a = expect_status(
		post(l->people[0].client, "/v1/chats", "{'kind':'group','title':'room %u','members':[%s]}", r, names),
		201);
	l->rooms[r].chat = json_num(a.json, "id");
}

struct load *load_new(const struct plan *plan, struct server *const nodes[], size_t node_count)
{
	struct load *l = on_teardown(load_free, calloc(1, sizeof(*l)));
	ck_assert(plan->people > 0 && plan->people < PEOPLE_MAX && plan->rooms <= ROOMS_MAX && node_count <= NODES_MAX);
	l->plan = *plan;
	l->seed = plan->seed;
	memcpy(l->nodes, nodes, node_count * sizeof(nodes[0]));
	l->node_count = (unsigned)node_count;
	l->person_count = plan->people + 1;
	l->room_count = plan->rooms;
	for (unsigned i = 0; i < l->person_count; i++) {
		l->people[i].client = user_at(nodes[0], format("p%02u", i));
		choose_rooms(l, &l->people[i]);
	}
	for (unsigned r = 0; r < l->room_count; r++)
		create_room(l, r);

	l->messages = calloc(l->message_count = plan->messages, sizeof(*l->messages));
	l->senders = calloc(l->sender_count = plan->senders, sizeof(*l->senders));
	for (unsigned i = 0; i < l->sender_count; i++)
		l->senders[i] = (struct sender) { .who = &l->people[1 + i % plan->people] };
	l->watchers = calloc(l->watcher_count = plan->watchers + 1, sizeof(*l->watchers));
	for (unsigned i = 0; i < l->watcher_count; i++) {
		struct person *who = i == 0 ? &l->people[0] : &l->people[1 + i % plan->people];
		watcher_init(l, &l->watchers[i], who, i == 0 || (plan->may_be_refused && i / plan->people % 2 == 0));
	}
	return l;
}

void load_free(void *load)
{
	struct load *l = load;
	for (unsigned i = 0; i < l->sender_count; i++)
		wire_free(l->senders[i].wire);
	for (unsigned i = 0; i < l->watcher_count; i++)
		watcher_release(l, &l->watchers[i]);
	free(l->messages);
	free(l->senders);
	free(l->watchers);
	free(l->absences);
	free(l);
}

struct room *room_of(struct load *l, long long chat)
{
	for (unsigned r = 0; r < l->room_count; r++)
		if (l->rooms[r].chat == chat)
			return &l->rooms[r];
	return NULL;
}

/* --- senders --- */

/* Returns the next message to send in a room of the sender's. NULL: none left. */
static struct message *compose(struct load *l, struct sender *s)
{
	if (l->composed == l->message_count)
		return NULL;
	struct message *m = &l->messages[l->composed++];
	unsigned r;
	do
		r = load_random(l, l->room_count);
	while (!s->who->joined[r]);
	m->room = &l->rooms[r];
	m->from = s->who;
	return m;
}

static void send_message(struct load *l, struct sender *s)
{
	char body[160], request[512];
	struct message *m = s->message;
	unsigned n = (unsigned)(m - l->messages);
	int len = snprintf(body, sizeof(body), "{\"text\":\"" TEXT "\",\"key\":\"key-%u\"}", m->room->chat, n, n);
	snprintf(request, sizeof(request),
		"POST /v1/chats/%lld/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		m->room->chat, m->from->client->token, len, body);
	s->sent_ms = clock_mono_ms();
	s->in_flight = wire_bytes(s->wire, request, strlen(request));
	l->requests++;
}

static void hang_up(struct sender *s)
{
	wire_free(s->wire);
	s->wire = NULL;
	s->in_flight = false;
	s->retry_ms = clock_mono_ms() + RETRY_MS;
}

static void decided(struct load *l, struct sender *s)
{
	l->decided++;
	l->progress_ms = clock_mono_ms();
	s->message = NULL;
}

static void on_sent(struct load *l, struct sender *s, const struct answer *a)
{
	struct message *m = s->message;
	long long id = json_num(a->json, "id");
	if (m->id != 0) {
		ck_assert_msg(m->id == id, "a retried key gave %lld, and %lld before", id, m->id);
		l->repeated++;
		s->message = NULL;
		return;
	}
	m->id = id;
	decided(l, s);
	if (load_random(l, 20) == 0)
		s->message = m; /* repeated, as if the answer had been lost */
}

static void on_answer(struct load *l, struct sender *s, const struct answer *a)
{
	s->in_flight = false;
	if (a->status == 201) {
		on_sent(l, s, a);
	} else if (a->status == 404 && l->plan.may_be_refused) {
		if (s->message->id == 0) {
			l->refused++;
			decided(l, s);
		}
		s->message = NULL;
	} else {
		ck_assert_msg(a->status == 503, "a send was answered %d: %s", a->status, a->body);
		l->away++;
		s->retry_ms = clock_mono_ms() + RETRY_MS;
	}
}

/* late: the request has taken too long, whatever its response. */
static void sender_reads(struct load *l, struct sender *s, bool late)
{
	size_t len;
	struct answer a;
	bool open = wire_pump(s->wire) && !late;
	const char *data = wire_data(s->wire, &len);
	long n = answer_parse(data, len, !open, false, &a);
	if (n > 0) {
		wire_take(s->wire, (size_t)n);
		if (s->in_flight)
			on_answer(l, s, &a);
		open = open &&
			(answer_header(a, "Connection") == NULL ||
				strcasecmp(answer_header(a, "Connection"), "close") != 0);
		answer_release(&a);
	}
	if (!open) {
		l->lost += s->in_flight;
		hang_up(s);
	}
}

static void sender_turn(struct load *l, struct sender *s, bool readable)
{
	if (s->wire != NULL && (readable || (s->in_flight && clock_mono_ms() - s->sent_ms > ANSWER_MS)))
		sender_reads(l, s, !readable);
	if (s->in_flight || clock_mono_ms() < s->retry_ms)
		return;
	if (s->message == NULL && l->resumed >= l->watcher_count)
		s->message = compose(l, s);
	if (s->message == NULL)
		return;
	if (s->wire == NULL)
		s->wire = wire_new(l->nodes[load_random(l, l->node_count)], 0);
	if (s->wire != NULL)
		send_message(l, s);
	if (!s->in_flight)
		hang_up(s);
}

/* --- the loop --- */

static bool all_sent(const struct load *l)
{
	if (l->decided < l->message_count)
		return false;
	for (unsigned i = 0; i < l->sender_count; i++)
		if (l->senders[i].message != NULL)
			return false;
	return true;
}

static void cut_some(struct load *l)
{
	unsigned long long now = clock_mono_ms();
	if (l->plan.cuts_a_second == 0 || now < l->next_cut_ms)
		return;
	l->next_cut_ms = now + 1000 / l->plan.cuts_a_second;
	watcher_cut(l, &l->watchers[load_random(l, l->watcher_count)]);
}

static int descriptor_of(struct wire *w) { return w != NULL ? wire_fd(w) : -1; }

static void turn(struct load *l)
{
	struct pollfd fds[SOCKETS_MAX];
	unsigned n = 0;
	ck_assert_uint_le(l->sender_count + l->watcher_count, SOCKETS_MAX);
	for (unsigned i = 0; i < l->sender_count; i++)
		fds[n++] = (struct pollfd) { .fd = descriptor_of(l->senders[i].wire), .events = POLLIN };
	for (unsigned i = 0; i < l->watcher_count; i++)
		fds[n++] = (struct pollfd) { .fd = descriptor_of(watcher_wire(&l->watchers[i])), .events = POLLIN };
	poll(fds, n, 10);
	for (unsigned i = 0; i < l->sender_count; i++)
		sender_turn(l, &l->senders[i], fds[i].revents != 0);
	for (unsigned i = 0; i < l->watcher_count; i++)
		watcher_turn(l, &l->watchers[i], fds[l->sender_count + i].revents != 0);
}

void load_run(struct load *l, void (*on_turn)(struct load *l, size_t decided, void *arg), void *arg)
{
	/* No sends and no kicks until all streams are open: a message from before an absence reaches only members of
	 * that time. */
	for (unsigned long long until = clock_mono_ms() + STALL_MS; l->resumed < l->watcher_count; turn(l))
		ck_assert_int_gt(time_left(until, "all streams to open"), 0);
	l->begin_ms = l->progress_ms = clock_mono_ms();
	for (size_t before = 0; !all_sent(l) || l->deliveries != before || !all_arrived(l);) {
		before = l->deliveries;
		turn(l);
		if (!all_sent(l))
			cut_some(l);
		if (on_turn != NULL)
			on_turn(l, l->decided, arg);
		if (clock_mono_ms() - l->progress_ms > STALL_MS) {
			load_report(l, "stalled");
			explain_missing(l);
			ck_abort_msg("the load made no progress for %d s", STALL_MS / 1000);
		}
		test_restart_timeout();
	}
	l->end_ms = clock_mono_ms();
}

void load_report(const struct load *l, const char *name)
{
	unsigned long long ms = (l->end_ms ? l->end_ms : clock_mono_ms()) - l->begin_ms;
	printf("# %s: %zu of %zu sends decided in %llu.%03llu s by %u senders (%zu requests, %zu repeated, %zu "
	       "refused, %zu answered 503, "
	       "%zu without an answer), %zu kicks and returns; %zu deliveries to %u streams, %zu cuts, %zu resumed\n",
		name, l->decided, l->message_count, ms / 1000, ms % 1000, l->sender_count, l->requests, l->repeated,
		l->refused, l->away, l->lost, l->kicks_done, l->deliveries, l->watcher_count, l->cuts, l->resumed);
}
