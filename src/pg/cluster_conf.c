/* SPDX-License-Identifier: MIT
 * See cluster_conf.h. */
#include "pg/cluster_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { TEXT_MAX = 16 * 1024 };

#define MIB(n) ((uint64_t)(n) << 20)

/* %s: sizes that depend on the machine. No parallel queries and no JIT: every query is short, and their start-up isn't.
 * Errors aren't logged: refusals are errors too, and Postern logs the others itself. */
static const char template[] =
	"# Written by Postern when it would differ: changes here are lost. ALTER SYSTEM lasts, and beats this.\n"
	"cluster_name = 'postern'\n"
	"unix_socket_permissions = 0700\n"
	"fsync = on\n"
	"full_page_writes = on\n"
	"synchronous_commit = on\n"
	"shared_buffers = %lluMB\n"
	"effective_cache_size = %lluMB\n"
	"maintenance_work_mem = %lluMB\n"
	"work_mem = 8MB\n"
	"wal_compression = on\n"
	"max_wal_size = 4GB\n"
	"min_wal_size = 256MB\n"
	"checkpoint_timeout = 15min\n"
	"random_page_cost = 1.1\n"
	"effective_io_concurrency = 64\n"
	"jit = off\n"
	"max_parallel_workers_per_gather = 0\n"
	"autovacuum_naptime = 20s\n"
	"idle_in_transaction_session_timeout = 60s\n"
	"timezone = 'UTC'\n"
	"log_timezone = 'UTC'\n"
	"log_destination = 'stderr'\n"
	"logging_collector = off\n"
	"log_line_prefix = '%%m [%%p] '\n"
	"log_min_messages = log\n"
	"log_checkpoints = off\n"
	"log_autovacuum_min_duration = -1\n";

static enum status failed(struct buf *why, const char *what)
{
	buf_addf(why, "%s: %s", what, strerror(errno));
	return ST_SYSTEM;
}

bool cluster_conf_version(const char *data, int *ret_major)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/PG_VERSION", data);
	FILE *f = fopen(path, "re");
	bool ok = f != NULL && fscanf(f, "%d", ret_major) == 1;
	if (f != NULL)
		fclose(f);
	return ok;
}

const char *cluster_conf_locale(void)
{
	locale_t l = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
	if (l == (locale_t)0)
		return "C";
	freelocale(l);
	return "C.UTF-8";
}

char *cluster_conf_conninfo(const char *run)
{
	struct buf b;
	buf_init(&b, 4 * PATH_MAX);
	buf_adds(&b, "host='");
	for (; *run != '\0'; run++) {
		if (*run == '\'' || *run == '\\')
			buf_addc(&b, '\\');
		buf_addc(&b, *run);
	}
	buf_adds(&b, "' port=5432 user=postern dbname=postgres");
	return buf_detach(&b, NULL);
}

/* Reads a file that contains one number; UINT64_MAX: there is no such file, or no number in it ("max"). */
static uint64_t read_number(const char *path)
{
	unsigned long long n;
	FILE *f = fopen(path, "re");
	bool ok = f != NULL && fscanf(f, "%llu", &n) == 1;
	if (f != NULL)
		fclose(f);
	return ok ? n : UINT64_MAX;
}

/* Returns the memory of the machine, or the limit of the container. */
static uint64_t memory_bytes(void)
{
	uint64_t least = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	static const char *const limits[] = { "/sys/fs/cgroup/memory.max",
		"/sys/fs/cgroup/memory/memory.limit_in_bytes" };
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		uint64_t limit = read_number(limits[i]);
		least = limit > 0 && limit < least ? limit : least;
	}
	return least;
}

static unsigned long long clamp_mib(uint64_t n, uint64_t min, uint64_t max)
{
	return (n < min ? min : n > max ? max : n) >> 20;
}

enum status cluster_conf_include(const char *data, struct buf *why)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/postgresql.conf", data);
	FILE *f = fopen(path, "ae");
	if (f == NULL)
		return failed(why, path);
	fputs("\ninclude_if_exists = 'postern.conf'\n", f);
	bool ok = fflush(f) == 0 && fsync(fileno(f)) == 0;
	fclose(f);
	return ok ? ST_OK : failed(why, path);
}

/* Returns true if the file's content is text. */
static bool holds(const char *path, const struct buf *text)
{
	char *there = mem_alloc(text->len + 1);
	FILE *f = fopen(path, "re");
	bool same = f != NULL && fread(there, 1, text->len + 1, f) == text->len &&
		memcmp(there, text->data, text->len) == 0;
	if (f != NULL)
		fclose(f);
	free(there);
	return same;
}

static enum status replace(const char *path, const char *temporary, const struct buf *text, struct buf *why)
{
	FILE *f = fopen(temporary, "we");
	if (f == NULL)
		return failed(why, temporary);
	bool ok = fwrite(text->data, 1, text->len, f) == text->len && fflush(f) == 0 && fsync(fileno(f)) == 0;
	ok = fclose(f) == 0 && ok;
	return ok && rename(temporary, path) == 0 ? ST_OK : failed(why, path);
}

enum status cluster_conf_write(const char *data, struct buf *why)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	uint64_t memory = memory_bytes();
	snprintf(path, sizeof(path), "%s/postern.conf", data);
	snprintf(temporary, sizeof(temporary), "%s/postern.conf.tmp", data);
	struct buf text;
	buf_init(&text, TEXT_MAX);
	buf_addf(&text, template, clamp_mib(memory / 8, MIB(128), MIB(2048)),
		clamp_mib(memory / 2, MIB(256), MIB(1 << 20)), clamp_mib(memory / 32, MIB(32), MIB(512)));
	enum status st = ST_OK;
	if (!holds(path, &text))
		st = replace(path, temporary, &text, why);
	buf_release(&text);
	return st;
}
