/* SPDX-License-Identifier: MIT
 * `postern restore`: a damaged or hostile file or a failure changes nothing, and an interrupted restore leaves one
 * whole database. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/client.h"
#include "../lib/cluster.h"
#include "../lib/database.h"
#include "../lib/program.h"
#include "../lib/scratch.h"
#include "../lib/suite.h"
#include "base/tar.h"
#include "cli/archive.h"

static struct cluster *foreign;

static struct outcome backup(const char *file, const char *kind)
{
	return run_command("backup", file, "--kind", kind, "--state", server_state(test_server()));
}

/* Restores into a state directory that doesn't exist yet. */
static struct outcome restore_into_new_directory(const char *file)
{
	return run_command("restore", file, "--state", scratch_path("anew"));
}

static void expect_refused(const char *file, const char *reason)
{
	expect_failure(restore_into_new_directory(file), reason);
	ck_assert(!file_exists(scratch_path("anew")));
}

START_TEST(setup_backups_are_made)
{
	scratch_make();
	user("ann1");
	expect_success(backup(scratch_path("dump.tar"), "dump"));
	expect_success(backup(scratch_path("base.tar"), "base"));
}
END_TEST

/* --- files that must be refused --- */

/* Finds the offset of a text in the file. */
static size_t find(const char *data, size_t len, const char *text)
{
	const char *p = memmem(data, len, text, strlen(text));
	ck_assert_ptr_nonnull(p);
	return (size_t)(p - data);
}

static void expect_refused_with_changed_byte(const char *file, size_t at, const char *reason)
{
	size_t len;
	char *data = read_file(file, &len);
	ck_assert_uint_lt(at, len);
	data[at] ^= 0x10;
	write_file(scratch_path("changed.tar"), data, len);
	expect_refused(scratch_path("changed.tar"), reason);
}

START_TEST(restore_of_file_with_changed_byte_is_refused)
{
	size_t len;
	char *file = scratch_path("dump.tar"), *data = read_file(file, &len);
	size_t manifest = find(data, len, "manifest.json"), sum = find(data, len, "manifest.sha256");
	expect_refused_with_changed_byte(file, 3, "header of the tar archive is damaged");
	expect_refused_with_changed_byte(file, TAR_BLOCK + 1000, "the part `database.dump` is damaged");
	expect_refused_with_changed_byte(file, manifest + 20, "header of the tar archive is damaged");
	expect_refused_with_changed_byte(file, manifest + TAR_BLOCK + 50, "manifest.json is damaged");
	expect_refused_with_changed_byte(file, sum + TAR_BLOCK + 5, "manifest.json is damaged");
	expect_refused_with_changed_byte(file, sum + 2 * TAR_BLOCK - 1, "between two members");
	expect_refused_with_changed_byte(file, len - 2 * TAR_BLOCK, "damaged");
	expect_refused_with_changed_byte(file, len - 1, "damaged");
	expect_refused_with_changed_byte(scratch_path("base.tar"), 5000000, "the part `base.tar` is damaged");
}
END_TEST

START_TEST(restore_of_truncated_file_is_refused)
{
	size_t len;
	char *data = read_file(scratch_path("dump.tar"), &len);
	size_t manifest = find(data, len, "manifest.json");
	const size_t lengths[] = { 0, 100, TAR_BLOCK, 5000, manifest, manifest + TAR_BLOCK + 10, len - 2 * TAR_BLOCK,
		len - TAR_BLOCK, len - 1 };
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		write_file(scratch_path("cut.tar"), data, lengths[i]);
		expect_refused(scratch_path("cut.tar"), "it is truncated");
	}
	write_file(scratch_path("cut.tar"), "postern", 7);
	expect_refused(scratch_path("cut.tar"), "it is truncated");
	memset(data, 'x', len);
	write_file(scratch_path("cut.tar"), data, len);
	expect_refused(scratch_path("cut.tar"), "or it is no tar archive");
}
END_TEST

/* Writes an archive that is valid as tar, with a part of that name and text and the given manifest. */
static char *forge(struct manifest m, const char *part, const void *text, size_t len)
{
	struct archive a;
	struct buf why;
	buf_init(&why, 1000);
	char *file = scratch_path("forged.tar");
	int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	archive_begin(&a, fd, "forged");
	a.manifest = m;
	snprintf(a.manifest.made_at, sizeof(m.made_at), "2026-01-31T12:00:00.000Z");
	snprintf(a.manifest.version, sizeof(m.version), "9.9");
	ck_assert_int_eq(archive_begin_part(&a, part, &why), ST_OK);
	ck_assert_int_eq(archive_write(&a, text, len, &why), ST_OK);
	ck_assert_int_eq(archive_end_part(&a, &why), ST_OK);
	ck_assert_int_eq(archive_end(&a, &why), ST_OK);
	close(fd);
	buf_release(&why);
	return file;
}

static struct manifest manifest_of(const char *kind)
{
	struct manifest m = { .is_private = true };
	m.major = atoi(sql(database_open(test_server()), "show server_version"));
	snprintf(m.kind, sizeof(m.kind), "%s", kind);
	return m;
}

/* Writes changed.tar: dump.tar with a text of its manifest replaced by one of equal length, and a correct checksum. */
static void change_manifest(const char *from, const char *to)
{
	size_t len;
	char *data = read_file(scratch_path("dump.tar"), &len), hex[DIGEST_HEX + 1];
	size_t manifest = find(data, len, "manifest.json") + TAR_BLOCK,
	       sum = find(data, len, "manifest.sha256") + TAR_BLOCK;
	size_t size = strtoul(data + manifest - TAR_BLOCK + 124, NULL, 8);
	memcpy(data + manifest + find(data + manifest, size, from), to, strlen(to));
	struct digest d;
	digest_init(&d);
	digest_add(&d, data + manifest, size);
	digest_hex(&d, hex);
	memcpy(data + sum, hex, DIGEST_HEX);
	write_file(scratch_path("changed.tar"), data, len);
}

START_TEST(restore_of_newer_format_is_refused_with_needed_version)
{
	change_manifest("\"format\":1", "\"format\":7");
	expect_refused(scratch_path("changed.tar"), "it has format 7, and this version of Postern reads format 1");
	change_manifest("\"kind\":\"dump\"", "\"kind\":\"pump\"");
	expect_refused(scratch_path("changed.tar"), "of the kind `pump`, which this version of Postern doesn't know");
	change_manifest("\"name\":\"database.dump\"", "\"name\":\"database.pump\"");
	expect_refused(scratch_path("changed.tar"), "the part `database.pump` is missing");
	change_manifest("\"epoch\":", "\"eboch\":");
	expect_refused(scratch_path("changed.tar"), "its manifest.json isn't the manifest of a backup");
	expect_refused(forge(manifest_of("dump"), "media.tar", "x", 1),
		"it has a part `media.tar`, which this version of Postern doesn't know: use the version that wrote it "
		"(9.9)");
	struct manifest m = manifest_of("dump");
	m.major = 99;
	expect_failure(restore_into_new_directory(forge(m, "database.dump", "x", 1)), "it is a dump of PostgreSQL 99");
	m = manifest_of("base");
	m.major = 99;
	expect_failure(restore_into_new_directory(forge(m, "base.tar", "x", 1)),
		"it is a base backup of PostgreSQL 99, whose programs");
	ck_assert_uint_eq(count_entries(scratch_path("anew"), "pg"), 0);
	run_shell(format("rm -rf %s", scratch_path("anew")));
}
END_TEST

struct member {
	const char *name;
	char type;
	uint64_t size; /* the size in the header; no content follows */
};

/* Returns a tar archive with these members. */
static char *tar_of(const struct member *members, size_t count, size_t *ret_len)
{
	char *data = on_teardown(free, calloc(count + 2, TAR_BLOCK));
	for (size_t i = 0; i < count; i++) {
		unsigned char *block = (unsigned char *)data + i * TAR_BLOCK;
		unsigned sum = 0;
		tar_format(block, members[i].name, members[i].size, 0);
		block[156] = (unsigned char)members[i].type;
		memset(block + 148, ' ', 8);
		for (size_t b = 0; b < TAR_BLOCK; b++)
			sum += block[b];
		snprintf((char *)block + 148, 8, "%06o", sum);
	}
	*ret_len = (count + 2) * TAR_BLOCK;
	return data;
}

/* Asserts that these members are refused in the backup file itself, and in the base backup that it contains. */
static void expect_members_refused(
	const struct member *members, size_t count, const char *reason, const char *inner_reason)
{
	size_t len;
	char *data = tar_of(members, count, &len);
	write_file(scratch_path("hostile.tar"), data, len);
	expect_refused(scratch_path("hostile.tar"), reason);
	expect_failure(restore_into_new_directory(forge(manifest_of("base"), "base.tar", data, len)), inner_reason);
	ck_assert_uint_eq(count_entries(scratch_path("anew"), "pg"), 0);
	run_shell(format("rm -rf %s", scratch_path("anew")));
}

#define BOTH_REFUSE(reason, inner, ...) \
	expect_members_refused((const struct member[]) { __VA_ARGS__ }, \
		sizeof((const struct member[]) { __VA_ARGS__ }) / sizeof(struct member), reason, inner)

START_TEST(restore_of_hostile_archive_is_refused)
{
	const char *name = "has a name that isn't allowed", *kind = "is neither a file nor a directory";
	BOTH_REFUSE(name, name, { "../evil", '0', 0 });
	BOTH_REFUSE(name, name, { "a/../../evil", '0', 0 });
	BOTH_REFUSE(name, name, { "/tmp/evil", '0', 0 });
	BOTH_REFUSE(name, name, { "a//b", '0', 0 });
	BOTH_REFUSE(name, name, { "a\nb", '0', 0 });
	BOTH_REFUSE(kind, kind, { "manifest.json", '2', 0 });
	BOTH_REFUSE(kind, kind, { "manifest.json", '1', 0 });
	BOTH_REFUSE(kind, kind, { "device", '3', 0 });
	BOTH_REFUSE("occurs twice", "has `x` twice", { "x", '0', 0 }, { "x", '0', 0 });
	BOTH_REFUSE("`x` has 1000000 bytes", "its end is missing", { "x", '0', 1000000 });
	BOTH_REFUSE("`x` has 4611686018427387903 bytes", "its end is missing", { "x", '0', 0x3fffffffffffffff });
	BOTH_REFUSE("has a size that can't be", "has a size that can't be", { "x", '0', 0x4000000000000000 });
	BOTH_REFUSE("has a size that can't be", "has a size that can't be", { "x", '5', 512 });
	BOTH_REFUSE("it has no manifest", "isn't a cluster of PostgreSQL", { "x", '0', 0 });
	BOTH_REFUSE("doesn't belong in a backup", "isn't a cluster of PostgreSQL", { "x", '5', 0 }, { "x/y", '0', 0 });
	ck_assert(!file_exists(scratch_path("evil")));
	ck_assert(!file_exists("/tmp/evil"));
}
END_TEST

/* --- directories in use --- */

START_TEST(restore_under_running_server_is_refused)
{
	char *state = format("%s", server_state(test_server()));
	expect_failure(run_command("restore", scratch_path("dump.tar"), "--state", state),
		format("a server is using %s (process %d): stop it first", state, server_pid(test_server())));
	expect_failure(run_command("restore", scratch_path("dump.tar"), "--state", state, "--force"), "stop it first");
	expect_status(get(user("ann1"), "/v1/sync"), 200);
}
END_TEST

START_TEST(restore_terminated_while_waiting_changes_nothing)
{
	char *state = fresh_directory("locked"), *lock = scratch_path("locked/lock");
	ck_assert_int_eq(chmod(state, 0777), 0);
	write_file(lock, "command 1\n", 10);
	ck_assert_int_eq(chmod(lock, 0666), 0);
	int fd = open(lock, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	struct stat st;
	ck_assert_int_eq(stat(server_state(test_server()), &st), 0);
	ck_assert_int_eq(chown(state, st.st_uid, st.st_gid) | chown(lock, st.st_uid, st.st_gid), 0);
	const char *const args[] = { "restore", scratch_path("dump.tar"), "--state", state, "--log-level", "debug",
		NULL };
	struct program *p = program_start(args, NULL, NULL);
	program_await(p, "waiting for the state directory's lock");
	ck_assert_int_eq(program_stop(p), 1);
	program_await(p, "stopped by a signal while process 1 is using");
	close(fd);
	ck_assert_uint_eq(count_entries(state, "pg"), 0);
}
END_TEST

static void run_as_owner(const char *state, const char *command)
{
	run_shell(format("cd %s && %s && chown -R --reference=. .", state, command));
}

/* An interrupted restore leaves one of these states. */
START_TEST(start_after_interrupted_restore_finds_one_whole_database)
{
	char *state = scratch_path("cutoff");
	expect_success(run_command("restore", scratch_path("dump.tar"), "--state", state));
	char *users = run_command("user", "list", "--state", state).out;
	ck_assert_ptr_nonnull(strstr(users, "ann1"));
	/* Interrupted while the new database was being made. */
	run_as_owner(state, "mkdir -p pg.new.abcdefgh/pg/base && touch pg.new.abcdefgh/pg/PG_VERSION");
	ck_assert_str_eq(run_command("user", "list", "--state", state).out, users);
	ck_assert_uint_eq(count_entries(state, "pg"), 1);
	/* Before the switch: the new database has its final name as an old one, and was never used. */
	run_as_owner(state,
		"mkdir pg.old-20260131T120000Z && cp pg/PG_VERSION pg.old-20260131T120000Z && touch "
		"pg.old-20260131T120000Z/postern.unused");
	ck_assert_str_eq(run_command("user", "list", "--state", state).out, users);
	ck_assert_uint_eq(count_entries(state, "pg"), 1);
	/* After the switch: the new database is in place, and was never used. */
	run_as_owner(state,
		"mkdir pg.old-20260131T120000Z && cp pg/PG_VERSION pg.old-20260131T120000Z && touch pg/postern.unused");
	ck_assert_str_eq(run_command("user", "list", "--state", state).out, users);
	ck_assert_uint_eq(count_entries(state, "pg"), 2);
	ck_assert(!file_exists(format("%s/pg/postern.unused", state)));
	/* The same, followed by another restore, which completes the interrupted one first. */
	run_as_owner(state, "touch pg/postern.unused");
	expect_success(run_command("restore", scratch_path("dump.tar"), "--state", state, "--force"));
	ck_assert_uint_eq(count_entries(state, "pg.old-"), 2);
	run_shell(format("! ls %s/pg*/postern.unused 2>/dev/null", state));
}
END_TEST

/* --- external databases --- */

START_TEST(setup_second_cluster_starts)
{
	foreign = cluster_new();
	cluster_run(foreign, "createdb one ");
}
END_TEST

static const char *tables_of(const char *db)
{
	return sql(cluster_connect(foreign, db),
		"select count(*) from pg_class where relnamespace = to_regnamespace('postern')");
}

START_TEST(restore_that_fails_or_is_stopped_leaves_database_unchanged)
{
	PGconn *pg = cluster_connect(foreign, "one");
	sql(pg,
		"create table mine (); create function fail() returns event_trigger language plpgsql as $$begin raise "
		"'no index today'; end$$;"
		"create event trigger fail on ddl_command_end when tag in ('CREATE INDEX') execute function fail()");
	expect_failure(run_command("restore", scratch_path("dump.tar"), "--database", cluster_conninfo(foreign, "one")),
		"no index today");
	ck_assert_str_eq(tables_of("one"), "0");
	ck_assert_str_eq(sql(pg, "select count(*) from pg_namespace where nspname like 'postern%%'"), "0");
	/* A restore that waits is stopped by SIGTERM. */
	sql(pg,
		"create or replace function fail() returns event_trigger language plpgsql as $$begin perform "
		"pg_advisory_lock(1); end$$; select pg_advisory_lock(1)");
	const char *const args[] = { "restore", scratch_path("dump.tar"), "--database",
		cluster_conninfo(foreign, "one"), NULL };
	struct program *p = program_start(args, NULL, NULL);
	await_waiting(pg, 1);
	ck_assert_int_eq(program_stop(p), 1);
	program_await(p, "stopped by a signal while pg_restore was running");
	sql(pg, "select pg_advisory_unlock(1)");
	sql(pg, "drop event trigger fail");
	ck_assert_str_eq(tables_of("one"), "0");
}
END_TEST

START_TEST(restore_of_dump_into_database_in_use_is_refused)
{
	char *conninfo = cluster_conninfo(foreign, "one");
	expect_failure(run_command("restore", scratch_path("base.tar"), "--database", conninfo),
		"a base backup is a whole cluster");
	expect_success(run_command("restore", scratch_path("dump.tar"), "--database", conninfo));
	expect_failure(run_command("restore", scratch_path("dump.tar"), "--database", conninfo),
		"has Postern's schemas already (postern, postern_");
	expect_failure(run_command("restore", scratch_path("dump.tar"), "--database", conninfo, "--force"),
		"restore into an empty one");
	struct server *node = server_on(conninfo, NULL);
	struct client *ann = on_server(user("ann1"), node);
	ck_assert_str_eq(json_str(expect_status(get(ann, "/v1/me"), 200).json, "name"), "ann1");
	ck_assert_str_eq(sql(cluster_connect(foreign, "one"), "select count(*) from mine"), "0");
	server_stop(node);
}
END_TEST

START_TEST(teardown_scratch_directory_is_removed) { scratch_remove(); }
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		setup_backups_are_made,
		restore_of_file_with_changed_byte_is_refused,
		restore_of_truncated_file_is_refused,
		restore_of_newer_format_is_refused_with_needed_version,
		restore_of_hostile_archive_is_refused,
		restore_under_running_server_is_refused,
		restore_terminated_while_waiting_changes_nothing,
		start_after_interrupted_restore_finds_one_whole_database,
		setup_second_cluster_starts,
		restore_that_fails_or_is_stopped_leaves_database_unchanged,
		restore_of_dump_into_database_in_use_is_refused,
		teardown_scratch_directory_is_removed,
		NULL,
	};
	int status = suite_run("restore", tests, NULL);
	clusters_remove_all();
	return status;
}
